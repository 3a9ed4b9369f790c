-- Makes a login a member of an access role, and of nothing else.
DECLARE
  login_role CONSTANT oid := prodaccess.ours_alive(login, stamp, 0);
  wanted CONSTANT text COLLATE "C" := access_role;
BEGIN
  IF (wanted !~ '__owner$' AND prodaccess.is_access_role((SELECT r.oid FROM pg_roles r WHERE r.rolname = wanted::name))) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'that is not an access role that a plan registered';
  END IF;
  IF prodaccess.is_new(login_role) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'the login was not made by this transaction, or something was done as the login';
  END IF;
  IF prodaccess.is_alone(login_role) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'somebody is a member of the login';
  END IF;
  EXECUTE format('GRANT %I TO %I', wanted, pg_get_userbyid(login_role));
END
