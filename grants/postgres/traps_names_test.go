package postgres

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// Names that visitors and owners chose come back from the catalogs and are used again. They stay names.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *cluster) {
		d := c.open(t, nil)
		o := d.testOrder(t, readOnly)
		evil := `x"'; DROP ROLE prodaccess_admin; --\` + o.Stamp.Grant
		run(t, c.srv.URL("postgres"), "CREATE DATABASE "+ident(evil))
		t.Cleanup(func() { run(t, c.srv.URL("postgres"), "DROP DATABASE "+ident(evil)+" WITH (FORCE)") })
		session := c.visitor(t, o)
		can(t, session, "CREATE TABLE sc."+ident(evil)+" (a int)")
		can(t, session, "CREATE FUNCTION sc."+ident(evil)+"() RETURNS int LANGUAGE sql AS 'SELECT 1'")
		can(t, session, "BEGIN; SELECT lo_create(0); PREPARE TRANSACTION "+literal(evil))
		run(t, c.srv.UserURL(o.Login, o.Password.Reveal(), evil), "SELECT lo_create(0)")
		_, cleaned := takeBack(t, d, o)
		holds(t, cleaned.Checks)
		if len(cleaned.Leftovers) != 3 || !slices.ContainsFunc(cleaned.Leftovers, func(l grants.Leftover) bool { return l.Database == evil }) ||
			!slices.ContainsFunc(cleaned.Leftovers, func(l grants.Leftover) bool { return strings.Contains(l.What, o.Stamp.Grant) }) {
			t.Errorf("leftovers: %+v", cleaned.Leftovers)
		}
		if owner := value[string](t, c, "SELECT relowner::regrole::text FROM pg_class WHERE relname = $1", evil); owner != grants.QuarantineRole {
			t.Errorf("the table belongs to %s", owner)
		}
		run(t, c.srv.URL("app"), "DROP TABLE sc."+ident(evil), "DROP FUNCTION sc."+ident(evil))
	})
}

// Somebody can give the administrator settings, and put functions with the names of the server's own before them. Every
// connection of ours says itself what names and texts mean.
func TestNamesMeanWhatTheyMean(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, shared *cluster) {
		c := prepare(t, startServer(t, shared.major, nil), shared.major)
		t.Cleanup(func() { c.super.Close(); c.srv.Stop() })
		run(t, c.srv.URL("app"), "CREATE SCHEMA evil", "GRANT USAGE ON SCHEMA evil TO PUBLIC",
			"CREATE FUNCTION evil.pg_terminate_backend(int) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
			"CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '1970-01-01'::timestamptz $$",
			"CREATE FUNCTION evil.shobj_description(oid, name) RETURNS text LANGUAGE sql AS $$ SELECT 'nobody''s' $$",
			"CREATE VIEW evil.pg_roles AS SELECT * FROM pg_catalog.pg_roles WHERE false", "CREATE VIEW evil.pg_shdepend AS SELECT * FROM pg_catalog.pg_shdepend WHERE false",
			"GRANT SELECT ON ALL TABLES IN SCHEMA evil TO PUBLIC",
			"ALTER ROLE prodaccess_admin SET search_path = evil, pg_catalog", "ALTER ROLE prodaccess_admin SET standard_conforming_strings = off",
			"ALTER ROLE prodaccess_admin SET DateStyle = 'SQL, DMY'", "ALTER ROLE prodaccess_admin SET TimeZone = 'Pacific/Kiritimati'",
			"ALTER ROLE prodaccess_admin SET lock_timeout = 0",
			"ALTER ROLE prodaccess_admin SET default_transaction_isolation = 'serializable'", "ALTER ROLE prodaccess_admin SET default_transaction_read_only = on")
		if n := ask(t, c.connect(t, c.admin.Reveal()), "SELECT count(*)::text FROM pg_roles"); n != "0" {
			t.Errorf("who says nothing sees %s roles: nothing is shown here", n)
		}
		run(t, c.srv.URL("app"), "ALTER ROLE prodaccess_admin SET statement_timeout = 1")
		if c.major >= 16 { // up to 15 it could then not end sessions either
			run(t, c.srv.URL("app"), "ALTER ROLE prodaccess_admin NOINHERIT")
		}
		d := c.open(t, nil)
		o := d.testOrder(t, readOnly)
		session := c.visitor(t, o)
		can(t, session, "SELECT lo_create(0)")
		if logins, err := d.Logins(t.Context()); err != nil || len(logins) != 1 {
			t.Errorf("listed: %+v, %v", logins, err)
		}
		if err := d.Rotate(t.Context(), loginOf(o), o.Password); err != nil {
			t.Error(err)
		}
		if err := d.Extend(t.Context(), loginOf(o), o.ValidUntil.Add(time.Minute)); err != nil {
			t.Error(err)
		}
		secured, cleaned := takeBack(t, d, o)
		if secured.Killed != 1 || len(cleaned.Leftovers) != 1 {
			t.Errorf("%+v %+v", secured, cleaned)
		}
		if _, err := session.Exec(t.Context(), "SELECT 1"); err == nil {
			t.Error("the session lives on")
		}
	})
}
