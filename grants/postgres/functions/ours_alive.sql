-- ours, for a login that works and is no more than prodaccess made it: whoever may give it a new password could otherwise
-- have whatever somebody else added to it.
DECLARE
  login_role CONSTANT oid := prodaccess.ours(login, stamp, login_oid);
BEGIN
  IF prodaccess.is_accepted(stamp) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'no plan registered the installation of that stamp with the functions';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = login_role AND r.rolcanlogin AND NOT r.rolsuper AND NOT r.rolcreaterole
                   AND NOT r.rolcreatedb AND NOT r.rolreplication AND NOT r.rolbypassrls) THEN
    RAISE insufficient_privilege USING MESSAGE = 'the login is locked, or somebody gave it attributes';
  END IF;
  IF EXISTS (SELECT FROM pg_auth_members m WHERE m.member = login_role AND prodaccess.is_access_role(m.roleid) IS NOT TRUE) THEN
    RAISE insufficient_privilege USING MESSAGE = 'somebody made the login a member of a role that is no access role';
  END IF;
  IF EXISTS (SELECT FROM pg_shdepend a WHERE a.refclassid = 'pg_authid'::regclass AND a.refobjid = login_role AND a.deptype = 'a'
               AND NOT EXISTS (SELECT FROM pg_shdepend o WHERE o.dbid = a.dbid AND o.classid = a.classid AND o.objid = a.objid
                                 AND o.refclassid = a.refclassid AND o.refobjid = login_role AND o.deptype = 'o')) THEN
    RAISE insufficient_privilege USING MESSAGE = 'somebody gave the login privileges of its own';
  END IF;
  RETURN login_role;
END
