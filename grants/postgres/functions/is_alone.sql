-- Whether nobody can act as a login but whoever has its password. What was lent is taken back first.
DECLARE
  other name;
BEGIN
  FOR other IN SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE m.roleid = role_oid AND r.rolname = session_user LOOP
    EXECUTE format('REVOKE %I FROM %I', pg_get_userbyid(role_oid), other);
  END LOOP;
  RETURN NOT EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE m.roleid = role_oid AND r.rolname <> current_user);
END
