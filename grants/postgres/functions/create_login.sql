-- Makes a login without any privilege. Names that belong to the roles of a profile, or to prodaccess itself, are refused.
DECLARE
  wanted CONSTANT text COLLATE "C" := login;
  stamped CONSTANT text COLLATE "C" := stamp;
BEGIN
  IF (wanted ~ '^pa_[a-z0-9_]{1,60}$' AND wanted !~ '__(views|owner)$' AND wanted !~ '^pa_mark_[0-9a-f]{12}$'
      AND wanted NOT IN ('pa_internal', 'pa_quarantine')) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'that is not the name of a login of prodaccess';
  END IF;
  IF (length(stamped) <= 300 AND stamped ~ '^prodaccess installation=[!-~]+ grant=[!-~]+$') IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'that is not a stamp of prodaccess';
  END IF;
  IF prodaccess.is_accepted(stamped) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'no plan registered the installation of that stamp with the functions';
  END IF;
  IF prodaccess.is_verifier(verifier) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'that is not a SCRAM-SHA-256 verifier';
  END IF;
  IF prodaccess.may_last_until(stamped, valid_until) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = format('no login may last longer than %s', prodaccess.longest());
  END IF;
  IF (connections BETWEEN 1 AND 1000) IS NOT TRUE THEN
    RAISE insufficient_privilege USING MESSAGE = 'a login has between 1 and 1000 connections';
  END IF;
  EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT'
    ' CONNECTION LIMIT %s VALID UNTIL %L PASSWORD %L', wanted, connections, valid_until, verifier);
  EXECUTE format('COMMENT ON ROLE %I IS %L', wanted, stamped);
END
