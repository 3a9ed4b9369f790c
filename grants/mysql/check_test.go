package mysql

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

var checked = []grants.Profile{
	readOnly,
	{Name: "masked", Privileges: []grants.Privilege{{Schema: "app", Tables: []string{"orders"}, Privileges: []string{"select"}, Mask: map[string]string{"email": "hide"}}}},
	{Name: "calls", Privileges: []grants.Privilege{{Schema: "app", Functions: []string{"f"}, Privileges: []string{"execute"}}}},
}

// Each thing that somebody does to a prepared target is found, by prodaccess's own login, and what can be mended is.
func TestCheckFinds(t *testing.T) { onEach(t, checkFinds) }

func checkFinds(t *testing.T, on flavour) {
	c := startCluster(t, on, nil)
	t.Cleanup(c.stop)
	run(t, c, "CREATE DATABASE app", "CREATE TABLE app.orders (id INT PRIMARY KEY, email VARCHAR(100))",
		"CREATE FUNCTION app.f() RETURNS INT SQL SECURITY INVOKER RETURN 1", "CREATE FUNCTION app.g() RETURNS INT RETURN 1")
	dba := c.open(t, func(cfg *Config) { cfg.PrepareURL = secret.New(c.srv.RootURL()) })
	c.apply(t, dba, checked)
	d := c.open(t, nil)
	found := func() []grants.Finding {
		t.Helper()
		all, err := d.Check(t.Context(), checked)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if all := found(); len(all) != 0 {
		t.Fatalf("a prepared target is found wanting: %+v", all)
	}
	type finding struct {
		name, do, undo, finds string
		mends                 bool // Apply puts it right
	}
	cases := []finding{
		{"more than the profile", "GRANT DELETE ON app.orders TO pa_read_only", "", "more than its profile", true},
		{"less than the profile", "REVOKE SELECT ON app.* FROM pa_read_only", "", "needs this", true},
		{"a global privilege", "GRANT FILE ON *.* TO pa_read_only", "", "more than its profile", true},
		{"may pass it on", "GRANT SELECT ON app.* TO pa_read_only WITH GRANT OPTION", "REVOKE GRANT OPTION ON app.* FROM pa_read_only", "more than its profile", false},
		{"the views' owner reads more", "GRANT SELECT ON app.* TO prodaccess_views@localhost", "", "more than its profile", true},
		{"the views' owner can log in", "ALTER USER prodaccess_views@localhost ACCOUNT UNLOCK", "", "log in as the views' owner", true},
		{"a changed view", "CREATE OR REPLACE DEFINER = prodaccess_views@localhost VIEW pa_masked.orders AS SELECT id, email FROM app.orders", "", "not as it was made", true},
		{"a view of somebody else's", "CREATE OR REPLACE DEFINER = root@'%' VIEW pa_masked.orders AS SELECT id, '***' AS email FROM app.orders", "", "not as it was made", true},
		{"a view too many", "CREATE VIEW pa_masked.more AS SELECT * FROM app.orders", "", "does not show it", true},
		{"a missing view", "DROP VIEW pa_masked.orders", "", "through it", true},
		{
			"a stranger in the role",
			"CREATE USER eve; " + c.choose("INSERT INTO mysql.roles_mapping (Host, User, Role, Admin_option) VALUES ('%', 'eve', 'pa_read_only', 'N')", "GRANT pa_read_only TO eve"),
			"DROP USER eve", "no grant made it one", false,
		},
		{"an account without a name", "CREATE USER ''@localhost", "DROP USER ''@localhost", "without a name", false},
		{
			"everybody", c.choose("GRANT SELECT ON app.* TO PUBLIC", "CREATE ROLE everyone, others; SET GLOBAL mandatory_roles = 'everyone,`others`@`%`'"),
			c.choose("REVOKE SELECT ON app.* FROM PUBLIC", "SET GLOBAL mandatory_roles = ''; DROP ROLE everyone, others"),
			c.choose("everybody has SELECT", "everybody has the role others"), false,
		},
		{"an account like ours", "CREATE USER pa_eve_1", "DROP USER pa_eve_1", "has no stamp", false},
		{"a role without a profile", "CREATE ROLE pa_old", "DROP ROLE pa_old", "belongs to no profile", false},
		{"somebody's rights on loan", "ALTER FUNCTION app.f SQL SECURITY DEFINER", "ALTER FUNCTION app.f SQL SECURITY INVOKER", "does whatever", false},
		{
			"no right to hand out", "DROP ROLE pa_read_only; CREATE ROLE pa_read_only; GRANT SELECT ON app.* TO pa_read_only",
			"GRANT pa_read_only TO prodaccess_admin WITH ADMIN OPTION; " + c.choose("REVOKE pa_read_only FROM root@'%'", "DO 0"), "makes logins members", false,
		},
		{"no right to kill", "REVOKE " + c.choose("CONNECTION ADMIN", "CONNECTION_ADMIN") + " ON *.* FROM prodaccess_admin", "", "ends sessions", true},
		{"no dead man's switch", "DROP EVENT prodaccess.deadman", "", "the server itself locks", true},
		{"a switch that is off", "ALTER DEFINER = prodaccess_admin@'%' EVENT prodaccess.deadman DISABLE", "ALTER DEFINER = prodaccess_admin@'%' EVENT prodaccess.deadman ENABLE", "is disabled", false},
		{"a switch that does nothing", "ALTER DEFINER = prodaccess_admin@'%' EVENT prodaccess.deadman DO DO 0", "", "(what it does)", true},
		{"a switch that is slow", "ALTER DEFINER = prodaccess_admin@'%' EVENT prodaccess.deadman ON SCHEDULE EVERY 1 HOUR", "", "(how often it runs)", true},
		{"a switch with somebody else's rights", "ALTER EVENT prodaccess.deadman ENABLE", "", "(whose rights it runs with)", true},
		{"a ledger of an older version", "ALTER TABLE prodaccess.logins MODIFY state ENUM ('making', 'live', 'shut', 'gone') NOT NULL", "", "in the words of this version", true},
		{"no scheduler", "SET GLOBAL event_scheduler = OFF", "SET GLOBAL event_scheduler = ON", "scheduler is off", false},
		{"another host", "UPDATE prodaccess.cluster SET made_on = 'elsewhere'", "UPDATE prodaccess.cluster SET made_on = @@hostname", "made on elsewhere", false},
	}
	if on == mysql {
		cases = append(cases, finding{"the views' owner begins without a role", "SET DEFAULT ROLE NONE TO prodaccess_views@localhost", "", "only if its owner has a role", true},
			finding{"nothing but names in grants", "SET GLOBAL partial_revokes = ON", "SET GLOBAL partial_revokes = OFF", "finds views that somebody changed", false})
	}
	for _, c2 := range cases {
		for s := range strings.SplitSeq(c2.do, "; ") {
			run(t, c, s)
		}
		if all := found(); !slices.ContainsFunc(all, func(f grants.Finding) bool { return strings.Contains(f.What, c2.finds) && f.Mend != "" }) {
			t.Errorf("%s: not found: %+v", c2.name, all)
		}
		if c2.mends {
			c.apply(t, dba, checked)
		} else {
			for s := range strings.SplitSeq(c2.undo, "; ") {
				run(t, c, s)
			}
		}
		if all := found(); len(all) != 0 {
			t.Fatalf("%s: not mended: %+v", c2.name, all)
		}
	}
}

// Profiles that cannot be held to what they say are refused, and get no statement.
func TestRefusedProfiles(t *testing.T) { onEach(t, refusedProfiles) }

func refusedProfiles(t *testing.T, on flavour) {
	orders := func(change func(*grants.Privilege)) []grants.Privilege {
		g := grants.Privilege{Schema: "app", Tables: []string{"orders"}, Privileges: []string{"select"}}
		change(&g)
		return []grants.Privilege{g}
	}
	c := shared(t, on)
	d := c.open(t, func(cfg *Config) { cfg.PrepareURL = secret.New(c.srv.RootURL()) })
	for name, p := range map[string]grants.Profile{
		"everything":         {Privileges: orders(func(g *grants.Privilege) { g.Privileges = []string{"all"} })},
		"trigger":            {Privileges: orders(func(g *grants.Privilege) { g.Privileges = []string{"trigger"} })},
		"create":             {Privileges: orders(func(g *grants.Privilege) { g.Privileges = []string{"create"} })},
		"a role it has not":  {MemberOf: []string{"pg_monitor"}},
		"another database":   {Privileges: orders(func(g *grants.Privilege) { g.Schema = "mysql" })},
		"no such table":      {Privileges: orders(func(g *grants.Privilege) { g.Tables = []string{"nothing"} })},
		"no such column":     {Privileges: orders(func(g *grants.Privilege) { g.Columns = []string{"nothing"} })},
		"a mask for nothing": {Privileges: orders(func(g *grants.Privilege) { g.Mask = map[string]string{"nothing": "hide"} })},
		"an unknown mask":    {Privileges: orders(func(g *grants.Privilege) { g.Mask = map[string]string{"email": "sometimes"} })},
		"another table":      {Privileges: orders(func(g *grants.Privilege) { g.Rows = "id IN (SELECT id FROM other.notes)" })},
		"limited twice":      {Privileges: append(orders(func(g *grants.Privilege) { g.Rows = "id = 1" }), orders(func(g *grants.Privilege) { g.Rows = "id = 2" })...)},
		"a hash that is written through": {Privileges: orders(func(g *grants.Privilege) {
			g.Privileges, g.Mask = []string{"select", "update"}, map[string]string{"email": "hash"}
		})},
		"too long a name for a role of this engine, really": {Privileges: orders(func(*grants.Privilege) {})},
	} {
		p.Name = name
		plan, err := d.Plan(t.Context(), []grants.Profile{p})
		if err != nil || len(plan.Problems) == 0 {
			t.Errorf("%s: no problem: %v", name, err)
		}
	}
}

// A seat belt that the server cannot put on one account is said to hold nobody.
func TestSeatBeltsThatHoldNobody(t *testing.T) { onEach(t, seatBeltsThatHoldNobody) }

func seatBeltsThatHoldNobody(t *testing.T, on flavour) {
	d := shared(t, on).open(t, nil)
	p := readOnly
	p.StatementTimeout, p.LockTimeout = time.Minute, time.Second
	found, err := d.Check(t.Context(), []grants.Profile{p})
	if err != nil {
		t.Fatal(err)
	}
	want := map[flavour]string{mariadb: "nobody is held to its lock_timeout", mysql: "nobody is held to its statement_timeout and lock_timeout"}[on]
	if !slices.ContainsFunc(found, func(f grants.Finding) bool { return f.Advice && strings.Contains(f.What, want) }) {
		t.Errorf("%+v", found)
	}
}
