-- Whether a text is what the server itself keeps of a password (RFC 5802). Anything else it would take for a password.
BEGIN
  RETURN verifier COLLATE "C" ~ '^SCRAM-SHA-256[$][0-9]{4,6}:[A-Za-z0-9+/]{22}==[$][A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$';
END
