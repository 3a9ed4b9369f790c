-- Keeps a line of text for an installation, as the comment of a role that can do nothing.
DECLARE
  keeper CONSTANT text COLLATE "C" := 'pa_mark_' || left(encode(sha256(convert_to(installation, 'UTF8')), 'hex'), 12);
  mark CONSTANT text COLLATE "C" := 'prodaccess installation=' || installation || ' mark=';
  login_role oid;
BEGIN
  IF (installation COLLATE "C" ~ '^[!-~]{1,200}$' AND note COLLATE "C" ~ '^[a-z0-9: ]{1,200}$') IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'that is neither an installation nor a plain text';
  END IF;
  IF prodaccess.is_registered(installation) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'no plan registered that installation with the functions';
  END IF;
  SELECT r.oid INTO login_role FROM pg_roles r WHERE r.rolname = keeper::name;
  IF login_role IS NULL THEN
    EXECUTE format('CREATE ROLE %I NOLOGIN', keeper);
  ELSIF starts_with(shobj_description(login_role, 'pg_authid') COLLATE "C", mark) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = format('the role %I does not carry the mark of the installation', keeper);
  END IF;
  EXECUTE format('COMMENT ON ROLE %I IS %L', keeper, mark || note);
END
