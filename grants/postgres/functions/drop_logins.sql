-- Drops locked logins, all of them or none, and none that has a session: one that ran SET ROLE would keep what the other role
-- may do, and belong to nobody.
DECLARE
  login_role oid;
  dropped oid[] := '{}';
  list text := '';
BEGIN
  IF (cardinality(logins) BETWEEN 1 AND 10000 AND cardinality(stamps) = cardinality(logins) AND cardinality(login_oids) = cardinality(logins)) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'each login needs its stamp and its OID';
  END IF;
  FOR n IN 1 .. cardinality(logins) LOOP
    login_role := prodaccess.ours(logins[n], stamps[n], login_oids[n]);
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = login_role AND NOT r.rolcanlogin) THEN
      RAISE insufficient_privilege USING MESSAGE = 'the login is not locked';
    END IF;
    dropped := dropped || login_role;
    list := list || CASE WHEN n > 1 THEN ', ' ELSE '' END || quote_ident(pg_get_userbyid(login_role));
  END LOOP;
  PERFORM pg_stat_clear_snapshot();
  IF EXISTS (SELECT FROM pg_stat_get_backend_idset() b WHERE pg_stat_get_backend_userid(b) = ANY (dropped)) THEN
    RAISE object_in_use USING MESSAGE = 'a login has a session';
  END IF;
  EXECUTE 'DROP ROLE ' || list;
END
