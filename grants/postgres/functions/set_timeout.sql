-- Gives a login one of its seat belts.
DECLARE
  login_role CONSTANT oid := prodaccess.ours_alive(login, stamp, 0);
BEGIN
  IF (setting COLLATE "C" IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout') AND milliseconds > 0) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'that is not a seat belt, or no time';
  END IF;
  EXECUTE format('ALTER ROLE %I SET %I = %s', pg_get_userbyid(login_role), setting, milliseconds);
END
