-- Two things only the login itself may do, and no function for it: to make itself act as a durable owner, and to roll back
-- its prepared transactions. For these it is lent to the caller while it has nothing: when it was just made, before it is
-- given any access, and when it is locked, after it has lost its access. What can be done as it then is done to it alone.
-- A loan that outlives its transaction is the end of the login: grant_access and act_as give it nothing any more.
DECLARE
  login_role CONSTANT oid := prodaccess.ours(login, stamp, login_oid);
  other name;
BEGIN
  IF EXISTS (SELECT FROM pg_roles r WHERE r.oid = login_role AND (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls)) THEN
    RAISE insufficient_privilege USING MESSAGE = 'somebody gave the login attributes';
  END IF;
  IF EXISTS (SELECT FROM pg_roles r WHERE r.oid = login_role AND NOT r.rolcanlogin) THEN
    IF NOT EXISTS (SELECT FROM pg_prepared_xact() x WHERE x.ownerid = login_role) THEN
      RETURN;
    END IF;
    FOR other IN SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE m.member = login_role LOOP
      EXECUTE format('REVOKE %I FROM %I', other, pg_get_userbyid(login_role));
    END LOOP;
  ELSIF EXISTS (SELECT FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = login_role) THEN
    RAISE insufficient_privilege USING MESSAGE = 'the login is not locked, and owns something or may do something';
  END IF;
  IF EXISTS (SELECT FROM pg_auth_members m WHERE m.member = login_role) THEN
    RAISE insufficient_privilege USING MESSAGE = 'the login is a member of a role';
  END IF;
  IF current_setting('server_version_num')::int >= 160000 THEN
    EXECUTE format('GRANT %I TO %I WITH INHERIT FALSE, SET TRUE', pg_get_userbyid(login_role), session_user);
  ELSE
    EXECUTE format('GRANT %I TO %I', pg_get_userbyid(login_role), session_user);
  END IF;
END
