-- Whether a login may be accepted until then. The quarter of an hour is for grants.grace and for clocks that differ. A
-- rehearsal's is done with in seconds.
BEGIN
  RETURN valid_until <= clock_timestamp() + CASE WHEN stamp COLLATE "C" ~ '^prodaccess installation=doctor ' THEN interval '5 minutes'
    ELSE prodaccess.longest() + interval '15 minutes' END;
END
