-- The OID of a login that prodaccess made: its name is of the closed alphabet, and name, stamp and, unless it is 0, OID
-- agree. Texts are compared byte by byte, whatever collation the caller gave them.
DECLARE
  wanted CONSTANT text COLLATE "C" := login;
  stamped CONSTANT text COLLATE "C" := stamp;
  login_role oid;
BEGIN
  IF (wanted ~ '^pa_[a-z0-9_]{1,60}$' AND length(stamped) <= 300
      AND stamped ~ '^prodaccess installation=[!-~]+ grant=[!-~]+$') IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'that is neither the name nor the stamp of a login of prodaccess';
  END IF;
  SELECT r.oid INTO login_role FROM pg_roles r
    WHERE r.rolname = wanted::name AND (login_oid = 0 OR r.oid = login_oid)
      AND shobj_description(r.oid, 'pg_authid') COLLATE "C" = stamped;
  IF login_role IS NULL THEN
    RAISE insufficient_privilege USING MESSAGE = format('no role %I carries that stamp and that OID', wanted);
  END IF;
  RETURN login_role;
END
