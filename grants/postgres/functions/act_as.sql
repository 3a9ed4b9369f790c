-- Lets a login become the durable owner of what holders of its profile make.
DECLARE
  login_role CONSTANT oid := prodaccess.ours_alive(login, stamp, 0);
  wanted CONSTANT text COLLATE "C" := durable_owner;
BEGIN
  IF (wanted ~ '__owner$' AND prodaccess.is_access_role((SELECT r.oid FROM pg_roles r WHERE r.rolname = wanted::name))) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'that is not the owner of a profile that a plan registered';
  END IF;
  IF prodaccess.is_new(login_role) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'the login was not made by this transaction, or something was done as the login';
  END IF;
  IF prodaccess.is_alone(login_role) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'somebody is a member of the login';
  END IF;
  IF current_setting('server_version_num')::int >= 160000 THEN
    EXECUTE format('GRANT %I TO %I WITH INHERIT FALSE, SET TRUE', wanted, pg_get_userbyid(login_role));
  ELSE
    EXECUTE format('GRANT %I TO %I', wanted, pg_get_userbyid(login_role));
  END IF;
END
