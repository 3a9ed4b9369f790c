#!/bin/sh
# Prepares the target, once: a little shop's database, and the login prodaccess administers it with. That login is no
# superuser: it may create logins and end sessions. `prodaccess targets plan` prints what else a profile needs.
set -eu
psql -v ON_ERROR_STOP=1 -v admin="$ORDERS_ADMIN_PASSWORD" --username postgres <<'SQL'
CREATE ROLE prodaccess_admin LOGIN CREATEROLE PASSWORD :'admin';
GRANT pg_signal_backend TO prodaccess_admin;
CREATE ROLE shop_owner NOLOGIN;
CREATE DATABASE orders OWNER shop_owner;
REVOKE CONNECT, TEMPORARY ON DATABASE orders, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE orders, postgres TO prodaccess_admin;
\connect orders
ALTER SCHEMA public OWNER TO shop_owner;
SET ROLE shop_owner;
CREATE TABLE customers (
	id    bigint PRIMARY KEY,
	name  text NOT NULL,
	email text NOT NULL
);
CREATE TABLE orders (
	id          bigint PRIMARY KEY,
	customer_id bigint NOT NULL REFERENCES customers,
	placed_at   timestamptz NOT NULL,
	cents       bigint NOT NULL,
	state       text NOT NULL
);
INSERT INTO customers
SELECT n, 'Customer ' || n, 'customer' || n || '@example.com' FROM generate_series(1, 50) AS n;
INSERT INTO orders
SELECT n, 1 + n % 50, now() - n * interval '7 minutes', 100 * n, CASE WHEN n % 9 = 0 THEN 'stuck' ELSE 'shipped' END
FROM generate_series(1, 1000) AS n;
SQL
