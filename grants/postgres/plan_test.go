package postgres

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/localpg"
	"github.com/prodaccess/prodaccess/internal/secret"
)

var support = grants.Profile{
	Name:            "support",
	ConnectionLimit: 2,
	Privileges: []grants.Privilege{
		{Schema: "sc", Tables: []string{"orders"}, Privileges: []string{"select", "update"}, Columns: []string{"id", "email"}},
		{Schema: "wéird \"x", Tables: []string{"it's"}, Privileges: []string{"select", "delete"}},
	},
}

var dataFix = grants.Profile{
	Name:       "data fix",
	Privileges: []grants.Privilege{{Schema: "*", Tables: []string{"*"}, Privileges: []string{"select", "insert", "update", "execute"}}},
}

// fresh is a server of the test's own, unprepared.
func fresh(t *testing.T, major int) *cluster {
	t.Helper()
	srv := startServer(t, major, nil)
	t.Cleanup(srv.Stop)
	run(t, srv.URL("postgres"), "CREATE ROLE app_owner", "CREATE ROLE app LOGIN PASSWORD 'app'", "CREATE DATABASE app OWNER app_owner")
	run(t, srv.URL("app"),
		"CREATE SCHEMA sc AUTHORIZATION app_owner",
		`CREATE SCHEMA "wéird ""x"`, `CREATE TABLE "wéird ""x"."it's" (a int)`,
		"CREATE TABLE sc.orders (id serial PRIMARY KEY, email text, secret text)", "ALTER TABLE sc.orders OWNER TO app_owner",
		"CREATE FUNCTION sc.f(a int, b text DEFAULT 'x') RETURNS int LANGUAGE sql AS 'SELECT 1'")
	return &cluster{major: major, srv: srv, admin: secret.New(srv.UserURL("prodaccess_admin", "admin", "app"))}
}

func mustPlan(t *testing.T, d *Driver, profiles ...grants.Profile) grants.Preparation {
	t.Helper()
	plan, err := d.Plan(t.Context(), profiles)
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Problems) > 0 {
		t.Fatalf("problems: %v", plan.Problems)
	}
	return plan
}

func mustApply(t *testing.T, d *Driver, plan grants.Preparation) {
	t.Helper()
	if err := d.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
}

// drifted is what Check finds that is not mere advice.
func drifted(t *testing.T, d *Driver, profiles []grants.Profile) ([]grants.Finding, error) {
	findings, err := d.Check(t.Context(), profiles)
	return slices.DeleteFunc(findings, func(f grants.Finding) bool { return f.Advice }), err
}

func TestPlanApplyCheck(t *testing.T) {
	t.Parallel()
	for _, major := range majors {
		t.Run(fmt.Sprint("postgres ", major), func(t *testing.T) {
			t.Parallel()
			planApplyCheck(t, fresh(t, major))
		})
	}
}

func planApplyCheck(t *testing.T, c *cluster) {
	profiles := []grants.Profile{readOnly, support, dataFix}
	d := c.open(t, func(cfg *Config) { cfg.PrepareURL = secret.New(c.srv.URL("app")) })
	plan := mustPlan(t, d, profiles...)
	mustApply(t, d, plan)
	if again := mustPlan(t, d, profiles...); len(again.Steps) != 0 {
		t.Fatalf("an applied plan still plans: %+v", again.Steps)
	}
	mustApply(t, d, plan) // every statement can be run twice
	if findings, err := drifted(t, d, profiles); err != nil || len(findings) != 0 {
		t.Fatalf("findings: %+v, %v", findings, err)
	}
	run(t, c.srv.URL("app"), "ALTER ROLE prodaccess_admin PASSWORD '"+localpg.Verifier("admin")+"'")

	// The plan is enough: the administrator issues, the visitor can do what the profile says and nothing else.
	may := func(profile grants.Profile, sql string) bool {
		t.Helper()
		o := d.testOrder(t, profile)
		conn, err := pgx.Connect(t.Context(), c.srv.UserURL(o.Login, o.Password.Reveal(), "app"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		_, err = conn.Exec(t.Context(), sql)
		if err != nil && stateOf(err) != "42501" {
			t.Fatalf("%s: %v", sql, err)
		}
		return err == nil
	}
	run(t, c.srv.URL("app"), "SET ROLE app_owner", "CREATE TABLE sc.tomorrow (a serial)")
	for _, probe := range []struct {
		profile grants.Profile
		sql     string
		want    bool
	}{
		{readOnly, "SELECT * FROM sc.orders", true},
		{readOnly, "SELECT * FROM sc.tomorrow", true},
		{readOnly, "DELETE FROM sc.orders", false},
		{readOnly, `SELECT * FROM "wéird ""x"."it's"`, false},
		{readOnly, "CREATE TABLE public.x (a int)", false},
		{readOnly, "CREATE TEMP TABLE x (a int)", false},
		{readOnly, "SET ROLE app_owner", false},
		{support, "SELECT id, email FROM sc.orders", true},
		{support, "UPDATE sc.orders SET email = 'x' WHERE id = 0", true},
		{support, "SELECT secret FROM sc.orders", false},
		{support, "SELECT * FROM sc.tomorrow", false},
		{support, `DELETE FROM "wéird ""x"."it's"`, true},
		{dataFix, "INSERT INTO sc.orders (email) VALUES ('x')", true},
		{dataFix, "INSERT INTO sc.tomorrow DEFAULT VALUES", true},
		{dataFix, "DELETE FROM sc.orders", false},
		{dataFix, "SELECT sc.f(1)", true},
	} {
		if got := may(probe.profile, probe.sql); got != probe.want {
			t.Errorf("%s may %q: %v", probe.profile.Name, probe.sql, got)
		}
	}
	for _, database := range []string{"postgres", "template1"} {
		o := d.testOrder(t, readOnly)
		if conn, err := pgx.Connect(t.Context(), c.srv.UserURL(o.Login, o.Password.Reveal(), database)); err == nil {
			conn.Close(context.Background())
			t.Errorf("a visitor can enter database %s", database)
		}
	}
	conn, err := pgx.Connect(t.Context(), c.srv.UserURL("app", "app", "app"))
	if err != nil {
		t.Errorf("an existing login was shut out: %v", err)
	} else {
		conn.Close(context.Background())
	}
	drifts(t, c, d, profiles)
}

// drifts spoils one thing at a time: Check must name it, Plan and Apply must mend it unless a person has to.
func drifts(t *testing.T, c *cluster, d *Driver, profiles []grants.Profile) {
	for _, drift := range []struct {
		spoil, says string
		byHand      bool
	}{
		{spoil: "REVOKE SELECT ON sc.orders FROM pa_read_only", says: "pa_read_only needs this"},
		{spoil: "REVOKE USAGE ON SCHEMA sc FROM pa_read_only", says: "pa_read_only needs this"},
		{spoil: "GRANT DELETE ON sc.orders TO pa_read_only", says: "more than its profile"},
		{spoil: "GRANT SELECT (secret) ON sc.orders TO pa_support", says: "more than its profile"},
		{spoil: "GRANT CREATE ON SCHEMA sc TO pa_support", says: "more than its profile"},
		{spoil: "GRANT CREATE ON DATABASE app TO pa_support", says: "more than its profile"},
		{spoil: "GRANT EXECUTE ON FUNCTION sc.f TO pa_support", says: "more than its profile"},
		{spoil: "GRANT USAGE ON SEQUENCE sc.orders_id_seq TO pa_support", says: "more than its profile"},
		{spoil: "ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA sc REVOKE SELECT ON TABLES FROM pa_read_only", says: "needs this"},
		{spoil: "ALTER DEFAULT PRIVILEGES FOR ROLE app_owner GRANT UPDATE ON TABLES TO pa_read_only", says: "more than its profile"},
		{spoil: "GRANT CONNECT ON DATABASE app TO PUBLIC", says: "everybody may enter"},
		{spoil: "GRANT TEMPORARY ON DATABASE postgres TO PUBLIC", says: "everybody may enter"},
		{spoil: "ALTER ROLE pa_read_only LOGIN", says: "must not be able to log in"},
		{spoil: "ALTER ROLE pa_read_only BYPASSRLS", says: "nor have attributes"},
		{spoil: "REVOKE pg_signal_backend FROM prodaccess_admin", says: "able to end sessions"},
		{spoil: "REVOKE pa_quarantine FROM prodaccess_admin", says: "hands objects over"},
		{spoil: "ALTER ROLE prodaccess_admin NOCREATEROLE", says: "makes and drops logins"},
		{spoil: "GRANT pa_read_only TO app", says: "app is a member of pa_read_only", byHand: true},
		{spoil: "GRANT CREATE ON SCHEMA sc TO PUBLIC", says: "everybody can create objects", byHand: true},
		{spoil: "CREATE ROLE pa_gone", says: "belongs to no profile", byHand: true},
	} {
		if c.major != 18 && !strings.Contains(drift.spoil, "prodaccess_admin") {
			continue // what differs between the versions is what the administrator needs
		}
		run(t, c.srv.URL("app"), drift.spoil)
		findings, err := drifted(t, d, profiles)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(findings, func(f grants.Finding) bool { return strings.Contains(f.What, drift.says) && f.Mend != "" }) {
			t.Errorf("%s: not found; findings: %+v", drift.spoil, findings)
		}
		if drift.byHand {
			for _, undo := range []string{"REVOKE pa_read_only FROM app", "REVOKE CREATE ON SCHEMA sc FROM PUBLIC", "DROP ROLE IF EXISTS pa_gone"} {
				run(t, c.srv.URL("app"), undo)
			}
		} else {
			mustApply(t, d, mustPlan(t, d, profiles...))
		}
		if findings, err := drifted(t, d, profiles); err != nil || len(findings) > 0 {
			t.Fatalf("%s: not mended: %+v, %v", drift.spoil, findings, err)
		}
	}
	run(t, c.srv.URL("app"), "ALTER ROLE prodaccess_admin SUPERUSER")
	if findings, err := drifted(t, d, profiles); err != nil || len(findings) != 1 || !strings.Contains(findings[0].What, "superuser") {
		t.Errorf("a superuser as administrator: %+v, %v", findings, err)
	}
	// The administrator lost its ADMIN OPTION, from 16 on.
	run(t, c.srv.URL("app"), "ALTER ROLE prodaccess_admin NOSUPERUSER", "REVOKE pa_read_only FROM prodaccess_admin CASCADE")
	findings, err := drifted(t, d, profiles)
	if err != nil || (c.major >= 16) != (len(findings) == 1) {
		t.Errorf("without ADMIN OPTION: %+v, %v", findings, err)
	}
}

// What a DBA pipes into psql does the same as Apply.
func TestPlanInPsql(t *testing.T) {
	t.Parallel()
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Fatal("psql is missing: run scripts/setup.sh test")
	}
	c := fresh(t, 0)
	d := c.open(t, func(cfg *Config) { cfg.PrepareURL = secret.New(c.srv.URL("app")) })
	plan := mustPlan(t, d, readOnly, support)
	for steps := range chunks(plan.Steps) {
		var script strings.Builder
		for _, s := range steps {
			script.WriteString("-- " + s.Why + "\n" + s.SQL + ";\n")
		}
		cmd := exec.CommandContext(t.Context(), psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", c.srv.URL(steps[0].Database))
		cmd.Stdin = strings.NewReader(script.String())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s\n%s", err, out, script.String())
		}
	}
	if again := mustPlan(t, d, readOnly, support); len(again.Steps) != 0 {
		t.Errorf("still planned: %+v", again.Steps)
	}
}

// The administrator alone makes the roles; what needs the owner of tables or databases is listed for somebody else.
func TestApplyWithoutRights(t *testing.T) {
	t.Parallel()
	for _, major := range []int{15, 18} {
		c := fresh(t, major)
		for _, step := range Bootstrap("prodaccess_admin") {
			run(t, c.srv.URL("app"), step.SQL)
		}
		run(t, c.srv.URL("app"), "ALTER ROLE prodaccess_admin PASSWORD '"+localpg.Verifier("admin")+"'")
		d := c.open(t, nil)
		err := d.Apply(t.Context(), mustPlan(t, d, readOnly))
		if grants.ReasonOf(err) != grants.FailPrivilege || !strings.Contains(err.Error(), `GRANT SELECT ON ALL TABLES IN SCHEMA "sc" TO "pa_read_only"; -- in database app`) ||
			!strings.Contains(err.Error(), `REVOKE CONNECT, TEMPORARY ON DATABASE "app" FROM PUBLIC`) || strings.Contains(err.Error(), "CREATE ROLE") {
			t.Errorf("%d: %v", major, err)
		}
		// A DBA does the rest.
		dba := c.open(t, func(cfg *Config) { cfg.PrepareURL = secret.New(c.srv.URL("app")) })
		mustApply(t, dba, mustPlan(t, dba, readOnly))
		if findings, err := drifted(t, d, []grants.Profile{readOnly}); err != nil || len(findings) > 0 {
			t.Errorf("%d: findings %+v, %v", major, findings, err)
		}
		o := d.testOrder(t, readOnly)
		run(t, c.srv.UserURL(o.Login, o.Password.Reveal(), "app"), "SELECT * FROM sc.orders")
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	c := fresh(t, 0)
	d := c.open(t, func(cfg *Config) {
		cfg.PrepareURL = secret.New(c.srv.URL("app"))
		cfg.Target.Databases = []string{"app", "nowhere"}
	})
	run(t, c.srv.URL("app"), "CREATE VIEW sc.seen AS SELECT * FROM sc.orders")
	one := func(p grants.Privilege) grants.Profile {
		return grants.Profile{Name: "p", Privileges: []grants.Privilege{p}}
	}
	good := grants.Privilege{Schema: "sc", Tables: []string{"orders"}, Privileges: []string{"select"}}
	with := func(change func(*grants.Privilege)) grants.Profile {
		p := good
		change(&p)
		return one(p)
	}
	for says, p := range map[string]grants.Profile{
		"app has a column nosuch":       with(func(p *grants.Privilege) { p.Mask = map[string]string{"nosuch": "hide"} }),
		"does not fit the type integer": with(func(p *grants.Privilege) { p.Mask = map[string]string{"id": "partial"} }),
		"invalid input syntax":          with(func(p *grants.Privilege) { p.Mask = map[string]string{"id": "constant:x"} }),
		"does not exist":                with(func(p *grants.Privilege) { p.Rows = "nosuch = 1" }),
		"has no such parameter":         with(func(p *grants.Privilege) { p.Rows = "id = :nosuch" }),
		"has a semicolon":               with(func(p *grants.Privilege) { p.Rows = "true; DROP TABLE x" }),
		"it has SELECT":                 with(func(p *grants.Privilege) { p.Rows = "id IN (SELECT 1)" }),
		"so they need select":           with(func(p *grants.Privilege) { p.Rows, p.Privileges = "true", []string{"delete"} }),
		"nothing to do with rows":       with(func(p *grants.Privilege) { p.Rows, p.Privileges = "true", []string{"select", "execute"} }),
		"which columns leaves out":      with(func(p *grants.Privilege) { p.Columns, p.Mask = []string{"id"}, map[string]string{"email": "hide"} }),
		"every column is masked": with(func(p *grants.Privilege) {
			p.Privileges, p.Columns, p.Mask = []string{"select", "update"}, []string{"email"}, map[string]string{"email": "hide"}
		}),
		"needs a plain table": with(func(p *grants.Privilege) {
			p.Tables, p.Privileges, p.Rows = []string{"seen"}, []string{"select", "update"}, "true"
		}),
		"limited twice": {Name: "p", Privileges: []grants.Privilege{
			{Schema: "sc", Tables: []string{"orders"}, Privileges: []string{"select"}, Rows: "true"},
			{Schema: "sc", Tables: []string{"ord*"}, Privileges: []string{"select"}, Rows: "id > 1"},
		}},
		"with a limit and without": {Name: "p", Privileges: []grants.Privilege{
			{Schema: "sc", Tables: []string{"orders"}, Privileges: []string{"select"}, Rows: "true"}, good,
		}},
		"limits nothing": {Name: "p", Privileges: []grants.Privilege{good}, Parameters: []grants.Parameter{{Name: "x", Type: "text"}}},
		"make two profiles": {Name: "p", Privileges: []grants.Privilege{
			{Schema: "sc", Tables: []string{"orders"}, Privileges: []string{"select"}, Rows: "true"}, {Schema: "sc", Privileges: []string{"create"}},
		}},
		"reads past rows": {Name: "p", MemberOf: []string{"pg_read_all_data"}, Privileges: []grants.Privilege{
			{Schema: "sc", Tables: []string{"orders"}, Privileges: []string{"select"}, Rows: "true"},
		}},
		"cannot be a member of pg_write_all_data": {Name: "p", MemberOf: []string{"pg_write_all_data"}, Privileges: []grants.Privilege{good}},
		"keeps for itself":                        {Name: "internal", Privileges: []grants.Privilege{good}},
		"names that end in":                       {Name: "p--views", Privileges: []grants.Privilege{good}},
		"no sequence sc.nosuch":                   with(func(p *grants.Privilege) { p.Sequences, p.Privileges = []string{"nosuch"}, []string{"usage"} }),
		"no routine sc.nosuch":                    with(func(p *grants.Privilege) { p.Functions, p.Privileges = []string{"nosuch"}, []string{"execute"} }),
		`"trigger" is not supported`:              with(func(p *grants.Privilege) { p.Privileges = []string{"trigger"} }),
		`"all" is not supported`:                  with(func(p *grants.Privilege) { p.Privileges = []string{"all"} }),
		"no schema nosuch":                        with(func(p *grants.Privilege) { p.Schema = "nosuch" }),
		"no table sc.nosuch":                      with(func(p *grants.Privilege) { p.Tables = []string{"nosuch"} }),
		"no column nosuch":                        with(func(p *grants.Privilege) { p.Columns = []string{"nosuch"} }),
		"limited to columns":                      with(func(p *grants.Privilege) { p.Columns, p.Privileges = []string{"id"}, []string{"delete"} }),
		"named tables only":                       with(func(p *grants.Privilege) { p.Columns, p.Tables = []string{"id"}, []string{"*"} }),
		"stands alone":                            with(func(p *grants.Privilege) { p.Tables = []string{"*", "orders"} }),
		"is for sequences":                        with(func(p *grants.Privilege) { p.Privileges = []string{"usage"} }),
		"needs a schema":                          with(func(p *grants.Privilege) { p.Tables = nil }),
		"the quarantine role":                     {Name: "quarantine", Privileges: []grants.Privilege{good}},
		"no database nowhere":                     one(good),
	} {
		plan, err := d.Plan(t.Context(), []grants.Profile{p})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(plan.Problems, func(p string) bool { return strings.Contains(p, says) }) {
			t.Errorf("no problem says %q: %q", says, plan.Problems)
		}
	}
	other := one(good)
	other.Engines = []string{"mysql"}
	plan, err := d.Plan(t.Context(), []grants.Profile{other})
	if err != nil {
		t.Fatal(err)
	}
	if s := slices.IndexFunc(plan.Steps, func(s grants.PreparationStep) bool { return strings.Contains(s.SQL, "pa_p") }); s >= 0 {
		t.Errorf("a profile for another engine is prepared: %+v", plan.Steps[s])
	}
}

func TestGroupsOfStatements(t *testing.T) {
	t.Parallel()
	var got []string
	for _, s := range group([]entry{
		{role: "pa_r", kind: onTable, schema: "s", object: "a", privilege: "SELECT"},
		{role: "pa_r", kind: onTable, schema: "s", object: "b", privilege: "SELECT"},
		{role: "pa_r", kind: onTable, schema: "s", object: "c", privilege: "SELECT"},
		{role: "pa_r", kind: onTable, schema: "s", object: "c", privilege: "DELETE"},
		{role: "pa_r", kind: onTable, schema: "s", object: "d", column: "x", privilege: "SELECT"},
		{role: "pa_r", kind: onTable, schema: "s", object: "d", column: "y", privilege: "SELECT"},
		{role: "pa_r", kind: onFunction, schema: "s", object: `"f"(integer)`, privilege: "EXECUTE"},
		{role: "pa_r", kind: byDefault, schema: "s", object: "o", privilege: "SELECT"},
		{role: "pa_r", kind: byDefault, object: "o", privilege: "SELECT"},
	}) {
		got = append(got, s.sql("GRANT", "TO", false))
	}
	want := []string{
		`GRANT SELECT ON TABLE "s"."a", "s"."b" TO "pa_r"`,
		`GRANT DELETE, SELECT ON TABLE "s"."c" TO "pa_r"`,
		`GRANT SELECT ("x", "y") ON TABLE "s"."d" TO "pa_r"`,
		`GRANT EXECUTE ON ROUTINE "s"."f"(integer) TO "pa_r"`,
		`ALTER DEFAULT PRIVILEGES FOR ROLE "o" GRANT SELECT ON TABLES TO "pa_r"`,
		`ALTER DEFAULT PRIVILEGES FOR ROLE "o" IN SCHEMA "s" GRANT SELECT ON TABLES TO "pa_r"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
