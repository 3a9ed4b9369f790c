-- Makes a login useless for new sessions. Nothing but its stamp is asked for: whatever became of it, it can be locked.
DECLARE
  login_role CONSTANT oid := prodaccess.ours(login, stamp, login_oid);
BEGIN
  EXECUTE format('ALTER ROLE %I NOLOGIN CONNECTION LIMIT 0 VALID UNTIL %L', pg_get_userbyid(login_role), '-infinity');
END
