-- Only the login itself, or a superuser, may roll back its prepared transactions, and no function can. For this alone a
-- locked login that has any is lent to the caller, after it has lost its access: what can be done as it then is to take
-- away what it left. It ends with the login.
DECLARE
  login_role CONSTANT oid := prodaccess.ours(login, stamp, login_oid);
  other name;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_prepared_xact() x WHERE x.ownerid = login_role) THEN
    RETURN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = login_role AND NOT r.rolcanlogin AND NOT r.rolsuper AND NOT r.rolcreaterole
                   AND NOT r.rolcreatedb AND NOT r.rolreplication AND NOT r.rolbypassrls) THEN
    RAISE insufficient_privilege USING MESSAGE = 'the login is not locked, or somebody gave it attributes';
  END IF;
  FOR other IN SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE m.member = login_role LOOP
    EXECUTE format('REVOKE %I FROM %I', other, pg_get_userbyid(login_role));
  END LOOP;
  IF EXISTS (SELECT FROM pg_auth_members m WHERE m.member = login_role) THEN
    RAISE insufficient_privilege USING MESSAGE = 'the login is a member of a role that somebody else put it into';
  END IF;
  IF current_setting('server_version_num')::int >= 160000 THEN
    EXECUTE format('GRANT %I TO %I WITH INHERIT FALSE, SET TRUE', pg_get_userbyid(login_role), session_user);
  ELSE
    EXECUTE format('GRANT %I TO %I', pg_get_userbyid(login_role), session_user);
  END IF;
END
