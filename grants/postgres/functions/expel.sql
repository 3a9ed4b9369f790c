-- Takes back memberships in a login, which a visitor may have handed on. From 16 on only those that the owner of these
-- functions granted go at once; the others end with the login.
DECLARE
  login_role CONSTANT oid := prodaccess.ours(login, stamp, login_oid);
  other name;
BEGIN
  FOR other IN SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE m.roleid = login_role AND r.rolname <> current_user LOOP
    EXECUTE format('REVOKE %I FROM %I', pg_get_userbyid(login_role), other);
  END LOOP;
END
