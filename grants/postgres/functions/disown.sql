-- Hands what a locked login owns in this database to the quarantine role, never to another, and takes away all else it has
-- here. For this the owner of these functions becomes a member of the login; that ends with the login.
DECLARE
  login_role CONSTANT oid := prodaccess.ours(login, stamp, login_oid);
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = login_role AND NOT r.rolcanlogin) THEN
    RAISE insufficient_privilege USING MESSAGE = 'the login is not locked';
  END IF;
  IF current_setting('server_version_num')::int >= 160000 THEN
    EXECUTE format('GRANT %I TO %I WITH INHERIT TRUE, SET TRUE', pg_get_userbyid(login_role), current_user);
  ELSE
    EXECUTE format('GRANT %I TO %I', pg_get_userbyid(login_role), current_user);
  END IF;
  EXECUTE format('REASSIGN OWNED BY %I TO pa_quarantine', pg_get_userbyid(login_role));
  EXECUTE format('DROP OWNED BY %I', pg_get_userbyid(login_role));
END
