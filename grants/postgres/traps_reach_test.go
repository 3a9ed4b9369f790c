package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/grants"
)

// A policy on current_user shows a login no rows, since no row is a visitor's. Whoever inherits the owner of the table sees
// them all, as the owner does. Check says both, and no access role is an owner's.
func TestRowLevelSecurity(t *testing.T) {
	t.Parallel()
	onEachTight(t, func(t *testing.T, c *cluster) {
		d := c.open(t, nil)
		profiles := []grants.Profile{readOnly}
		run(t, c.srv.URL("app"), "SET ROLE app_owner", "CREATE TABLE sc.mine (owner name, secret text)", "INSERT INTO sc.mine VALUES ('ana', 'x'), ('bo', 'y')",
			"ALTER TABLE sc.mine ENABLE ROW LEVEL SECURITY", "CREATE POLICY own ON sc.mine USING (owner = current_user)",
			"CREATE TABLE sc.nobodys (a int)", "ALTER TABLE sc.nobodys ENABLE ROW LEVEL SECURITY")
		o := d.testOrder(t, readOnly)
		session := c.visitor(t, o)
		if n := ask(t, session, "SELECT count(*)::text FROM sc.mine"); n != "0" {
			t.Errorf("a visitor sees %s rows", n)
		}
		says := func(what string) bool {
			t.Helper()
			findings, err := d.Check(t.Context(), profiles)
			if err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(findings, func(f grants.Finding) bool { return strings.Contains(f.What, what) })
		}
		if !says("sc.nobodys has no policy for pa_read_only") {
			t.Error("nobody says that a table shows nothing")
		}
		const owns = "pa_read_only acts for app_owner"
		if says(owns) {
			t.Error("an access role as it should be is found fault with")
		}
		run(t, c.srv.URL("app"), "GRANT app_owner TO pa_read_only")
		t.Cleanup(func() {
			run(t, c.srv.URL("app"), "REVOKE app_owner FROM pa_read_only", "DROP TABLE sc.mine, sc.nobodys")
		})
		if n := ask(t, c.visitor(t, o), "SELECT count(*)::text FROM sc.mine"); n != "2" {
			t.Errorf("who inherits the owner sees %s rows", n)
		}
		if !says(owns) {
			t.Error("nobody says that the access role goes past row-level security")
		}
	})
}

// pg_stat_statements counts for the role that a session acts as. A profile without CREATE inherits what it may do, so that
// its statements carry the OID of the login, which is the grant's alone.
func TestStatementsCarryTheLogin(t *testing.T) {
	t.Parallel()
	onEachTight(t, func(t *testing.T, c *cluster) {
		run(t, c.srv.URL("app"), "CREATE EXTENSION pg_stat_statements")
		d := c.open(t, nil)
		o := d.testOrder(t, readOnly)
		session := c.visitor(t, o)
		if got := ask(t, session, "SELECT concat_ws(' ', current_user, session_user)"); got != o.Login+" "+o.Login {
			t.Errorf("it acts as %s", got)
		}
		by := func(statement, role string) int {
			t.Helper()
			return value[int](t, c, "SELECT count(*) FROM pg_stat_statements WHERE query LIKE $1 AND userid = $2::regrole", statement+"%", role)
		}
		can(t, session, "SELECT email FROM sc.orders")
		if by("SELECT email", o.Login) != 1 {
			t.Error("its statement does not carry its OID")
		}
		can(t, session, "SET ROLE pa_read_only")
		can(t, session, "SELECT id FROM sc.orders")
		if by("SELECT id", o.Login) != 0 || by("SELECT id", "pa_read_only") != 1 {
			t.Error("after SET ROLE the server still counts for the login")
		}
		// The session itself goes on carrying it.
		if c.sessions(t, c.oid(t, o.Login)) != 1 {
			t.Error("after SET ROLE the session does not carry the login")
		}
	})
}
