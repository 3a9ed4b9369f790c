-- Whether logins of a stamp are anybody's to look after: of an installation that a plan registered, or of a rehearsal, which
-- may_last_until lets live for minutes, and after which every installation's sweep cleans up.
DECLARE
  installation CONSTANT text COLLATE "C" := substring(stamp COLLATE "C" FROM '^prodaccess installation=([!-~]+) grant=[!-~]+$');
BEGIN
  RETURN installation = 'doctor' OR prodaccess.is_registered(installation);
END
