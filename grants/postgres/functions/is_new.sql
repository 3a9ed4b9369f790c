-- Whether a login was made by this transaction, has nothing yet, and is not what the session acts as. A session that
-- became it while it was lent has the administrator's name, is not found, and would keep whatever the login got later.
BEGIN
  RETURN current_setting('role') = 'none'
    AND EXISTS (SELECT FROM pg_shdescription s WHERE s.classoid = 'pg_authid'::regclass AND s.objoid = role_oid AND s.xmin = pg_current_xact_id()::xid)
    AND NOT EXISTS (SELECT FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = role_oid);
END
