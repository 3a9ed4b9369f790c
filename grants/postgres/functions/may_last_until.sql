-- Whether a login may be accepted until then. The quarter of an hour is for grants.grace and for clocks that differ.
BEGIN
  RETURN valid_until <= clock_timestamp() + prodaccess.longest() + interval '15 minutes';
END
