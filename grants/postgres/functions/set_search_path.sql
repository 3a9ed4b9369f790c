-- Lets plain names of tables mean the views of a profile.
DECLARE
  login_role CONSTANT oid := prodaccess.ours_alive(login, stamp, 0);
  names text;
BEGIN
  IF (cardinality(path) BETWEEN 1 AND 100 AND array_position(path, NULL) IS NULL) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'that is not a search path';
  END IF;
  SELECT string_agg(quote_ident(s.name), ', ' ORDER BY s.place) INTO names FROM unnest(path) WITH ORDINALITY s (name, place);
  EXECUTE format('ALTER ROLE %I SET search_path = %s', pg_get_userbyid(login_role), names);
END
