-- Gives a live login a new password, as a verifier.
DECLARE
  login_role CONSTANT oid := prodaccess.ours_alive(login, stamp, login_oid);
BEGIN
  IF prodaccess.is_verifier(verifier) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'that is not a SCRAM-SHA-256 verifier';
  END IF;
  EXECUTE format('ALTER ROLE %I PASSWORD %L', pg_get_userbyid(login_role), verifier);
END
