-- Ends a session of a login of prodaccess, or of one that was dropped; false when it is over, or never was that login's.
-- What the caller's transaction saw of sessions earlier is not believed: a process may have been replaced by another.
BEGIN
  IF EXISTS (SELECT FROM pg_roles r WHERE r.oid = session_oid AND (r.rolname COLLATE "C" ~ '^pa_[a-z0-9_]{1,60}$'
               AND shobj_description(r.oid, 'pg_authid') COLLATE "C" ~ '^prodaccess installation=[!-~]+ grant=[!-~]+$') IS NOT TRUE) THEN
    RAISE insufficient_privilege USING MESSAGE = 'that is not a session of a login of prodaccess';
  END IF;
  PERFORM pg_stat_clear_snapshot();
  IF session_oid = 0 OR NOT EXISTS (SELECT FROM pg_stat_get_backend_idset() b
                                      WHERE pg_stat_get_backend_pid(b) = process AND pg_stat_get_backend_userid(b) = session_oid) THEN
    RETURN false;
  END IF;
  RETURN pg_terminate_backend(process);
END
