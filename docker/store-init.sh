#!/bin/sh
# Prepares prodaccess's own Postgres, once: two logins, because the one the bot uses must be able neither to change the
# schema nor to touch what is in the audit log. `prodaccess migrate up` gives the service its rights on each table.
set -eu
psql -v ON_ERROR_STOP=1 -v owner="$STORE_OWNER_PASSWORD" -v service="$STORE_SERVICE_PASSWORD" --username postgres <<'SQL'
CREATE ROLE prodaccess_owner LOGIN PASSWORD :'owner';
CREATE ROLE prodaccess_service LOGIN PASSWORD :'service';
CREATE DATABASE prodaccess OWNER prodaccess_owner;
REVOKE ALL ON DATABASE prodaccess FROM PUBLIC;
GRANT CONNECT ON DATABASE prodaccess TO prodaccess_service;
\connect prodaccess
ALTER SCHEMA public OWNER TO prodaccess_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
SQL
