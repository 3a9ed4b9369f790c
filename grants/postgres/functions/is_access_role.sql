-- Whether a role is an access role, or the durable owner of a profile. It is one when a plan registered it: the owner of
-- these functions holds ADMIN OPTION on it. It holds that on the logins it makes as well; those are stamped.
BEGIN
  RETURN EXISTS (
    SELECT FROM pg_roles r JOIN pg_auth_members m ON m.roleid = r.oid AND m.admin_option
      JOIN pg_roles o ON o.oid = m.member AND o.rolname = current_user
      WHERE r.oid = role_oid AND r.rolname COLLATE "C" ~ '^pa_[a-z0-9_]{1,60}$'
        AND coalesce(shobj_description(r.oid, 'pg_authid'), '') COLLATE "C" !~ '^prodaccess installation='
        AND NOT r.rolcanlogin AND NOT r.rolsuper AND NOT r.rolcreaterole AND NOT r.rolcreatedb
        AND NOT r.rolreplication AND NOT r.rolbypassrls);
END
