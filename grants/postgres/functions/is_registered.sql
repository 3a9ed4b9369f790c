-- Whether a plan registered an installation: the comment of the owner of these functions lists it.
BEGIN
  RETURN EXISTS (
    SELECT FROM pg_roles o WHERE o.rolname = current_user
      AND starts_with(shobj_description(o.oid, 'pg_authid'), 'prodaccess installations=')
      AND installation COLLATE "C" = ANY (string_to_array(substr(shobj_description(o.oid, 'pg_authid'), 26), ' ')));
END
