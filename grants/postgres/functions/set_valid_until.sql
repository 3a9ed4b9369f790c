-- Moves the end of a live login.
DECLARE
  login_role CONSTANT oid := prodaccess.ours_alive(login, stamp, login_oid);
BEGIN
  IF prodaccess.may_last_until(stamp, valid_until) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = format('no login may last longer than %s', prodaccess.longest());
  END IF;
  EXECUTE format('ALTER ROLE %I VALID UNTIL %L', pg_get_userbyid(login_role), valid_until);
END
