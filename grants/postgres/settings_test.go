package postgres

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// hostile is what somebody set for the administrator, or for a database, with other programs in mind.
func hostile(major int) map[string]string {
	settings := map[string]string{
		"default_transaction_read_only": "on", "default_transaction_isolation": "serializable", "default_transaction_deferrable": "on",
		"statement_timeout": "'1ms'", "lock_timeout": "'1ms'", "idle_in_transaction_session_timeout": "'1ms'", "idle_session_timeout": "'1ms'",
		"search_path": "hostile", "role": "hostile", "row_security": "off", "standard_conforming_strings": "off",
		"client_min_messages": "error", "DateStyle": "'SQL, DMY'", "IntervalStyle": "iso_8601", "TimeZone": "'Pacific/Kiritimati'",
		"bytea_output": "escape", "extra_float_digits": "-15", "transform_null_equals": "on", "quote_all_identifiers": "on",
		"exit_on_error": "on", "synchronous_commit": "remote_apply", "client_encoding": "latin1",
		"array_nulls": "off", "backslash_quote": "on", "check_function_bodies": "off",
	}
	if major >= 16 {
		settings["createrole_self_grant"] = "'set, inherit'"
	}
	if major >= 17 {
		settings["transaction_timeout"] = "'50ms'"
	}
	return settings
}

// harmless are settings that need no pin.
var harmless = map[string]bool{
	"array_nulls": true, "backslash_quote": true, "check_function_bodies": true,
}

// beset sets it all, for the administrator everywhere and in each database, and for the databases what a session of the
// test's own can be in.
func (c *cluster) beset(t *testing.T) map[string]string {
	t.Helper()
	settings := hostile(c.major)
	statements := []string{"CREATE ROLE hostile", "GRANT hostile TO prodaccess_admin"}
	for name, value := range settings {
		for _, where := range []string{"", " IN DATABASE app", " IN DATABASE other"} {
			statements = append(statements, "ALTER ROLE prodaccess_admin"+where+" SET "+name+" = "+value)
		}
	}
	statements = append(statements, "ALTER DATABASE other SET default_transaction_read_only = on", "ALTER DATABASE app SET default_transaction_read_only = on")
	run(t, c.srv.URL("postgres"), statements...)
	return settings
}

// What is set for the administrator and for the databases is of no consequence for anything that the driver does.
func TestNoSettingOfTheRoleOrTheDatabaseMatters(t *testing.T) {
	t.Parallel()
	t.Run("ordinary", func(t *testing.T) {
		t.Parallel()
		onApart(t, majors, prepare, func(t *testing.T, c *cluster) { c.wholeLife(t) })
	})
	t.Run("least privilege", func(t *testing.T) {
		t.Parallel()
		onApart(t, majors, prepareFunctions, func(t *testing.T, c *cluster) { c.wholeLife(t) })
	})
}

// selfGranted counts what whoever makes logins has of them besides ADMIN OPTION.
func (c *cluster) selfGranted(t *testing.T) int {
	t.Helper()
	if c.major < 16 {
		return 0
	}
	return value[int](t, c, "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles o ON o.oid = m.member"+
		" WHERE o.rolname IN ('prodaccess_admin', 'prodaccess_functions') AND starts_with(r.rolname, 'pa_')"+
		" AND shobj_description(r.oid, 'pg_authid') LIKE 'prodaccess installation=%' AND (m.inherit_option OR m.set_option)")
}

// wholeLife does everything that there is to do, on a cluster with hostile settings.
func (c *cluster) wholeLife(t *testing.T) {
	c.beset(t)
	ctx := t.Context()
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	d := c.asDBA(t)
	profiles := []grants.Profile{readOnly}
	// A DBA prepares another profile, through the same settings of the database.
	support := grants.Profile{Name: "support", Privileges: []grants.Privilege{{Schema: "sc", Tables: []string{"orders"}, Privileges: []string{"select", "insert"}}}}
	profiles = append(profiles, support)
	plan, err := d.Plan(ctx, profiles)
	must("planning", err)
	must("applying", d.Apply(ctx, plan))
	findings, err := d.Check(ctx, profiles)
	must("checking", err)
	for _, f := range findings {
		if !f.Advice {
			t.Errorf("found after applying: %+v", f)
		}
	}
	cluster, err := d.Fingerprint(ctx)
	must("asking for the fingerprint", err)

	for _, text := range []string{"head 1:ab", "head 2:cd"} { // the first makes the role
		must("remembering", d.Remember(ctx, text))
	}
	if text, err := d.Remembered(ctx); err != nil || text != "head 2:cd" {
		t.Errorf("remembered %q, %v", text, err)
	}

	var orders []grants.Order
	var logins []grants.Login
	for range 3 {
		o := d.newOrder(t, readOnly)
		issued, err := d.Issue(ctx, o)
		must("issuing", err)
		if issued.OID != c.oid(t, o.Login) {
			t.Errorf("issued with OID %d", issued.OID)
		}
		login := loginOf(o)
		login.OID, login.Fingerprint = issued.OID, cluster
		orders, logins = append(orders, o), append(logins, login)
	}
	if n := c.selfGranted(t); n != 0 {
		t.Errorf("whoever made the logins and the mark can act as %d of them", n)
	}
	o := orders[0]
	old := o.Password
	o.Password = d.newOrder(t, readOnly).Password
	must("rotating", d.Rotate(ctx, loginOf(o), o.Password))
	refusesFrom(t, c.srv.UserURL(o.Login, old.Reveal(), "app"), "28P01", "SELECT 1")
	end := o.ValidUntil.Add(time.Hour)
	must("extending", d.Extend(ctx, loginOf(o), end))
	listed, err := d.Logins(ctx)
	must("listing", err)
	if !slices.ContainsFunc(listed, func(l grants.Login) bool { return l.Name == o.Login && l.ValidUntil.Sub(end).Abs() < time.Second }) {
		t.Errorf("the extended login is not listed with its end: %+v", listed)
	}

	// The visitor leaves something in each database, and somebody makes a member of the login.
	session := c.connect(t, c.srv.UserURL(o.Login, o.Password.Reveal(), "app"))
	run(t, c.srv.URL("app"), "SET default_transaction_read_only = off", "GRANT CONNECT ON DATABASE other TO PUBLIC")
	for _, database := range []string{"app", "other"} {
		run(t, c.srv.UserURL(o.Login, o.Password.Reveal(), database), "SET default_transaction_read_only = off", "SELECT lo_create(0)")
	}
	run(t, c.srv.URL("app"), "SET default_transaction_read_only = off", "CREATE ROLE friend LOGIN", "GRANT "+o.Login+" TO friend")

	c.comesDownTo(t, 1, o.Login)
	done, err := d.Secure(ctx, loginOf(o))
	must("securing", err)
	if done.Killed < 1 || // the server may not be done with sessions that were closed a moment ago
		session.Ping(ctx) == nil {
		t.Errorf("killed %d sessions", done.Killed)
	}
	cleaned, err := d.Clean(ctx, loginOf(o))
	must("cleaning", err)
	holds(t, cleaned.Checks)
	if value[int](t, c, "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = 'friend'") != 0 {
		t.Error("the friend is still a member")
	}

	d.FinishMany(ctx, logins[1:], func(i int, _ grants.Secured, cleaned *grants.Cleaned, err error) {
		must("finishing many", err)
		if cleaned == nil {
			t.Errorf("login %d was not dropped along with the others", i)
		}
	})
	if left, err := d.Logins(ctx); err != nil || len(left) != 0 {
		t.Errorf("left over: %+v, %v", left, err)
	}
}

// Each setting is what the driver needs on its connections, whatever it is set to for the role and the database; that of
// those who plan and check, too.
func TestSettingsArePinned(t *testing.T) {
	t.Parallel()
	onApart(t, majors, prepare, func(t *testing.T, c *cluster) {
		settings := c.beset(t)
		d := c.open(t, func(cfg *Config) { cfg.PrepareURL = secret.New(c.admin.Reveal()) })
		everyday, err := d.everyday.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer everyday.Release()
		connections := map[string]*pgx.Conn{"of the pool": everyday.Conn()}
		for what, config := range map[string]*pgx.ConnConfig{"of the administrator": d.admin, "for preparing": d.prepare} {
			conn, err := pgx.ConnectConfig(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(t.Context())
			connections[what] = conn
		}
		for name, theirs := range settings {
			if harmless[name] {
				continue
			}
			for what, conn := range connections {
				var ours string
				if err := conn.QueryRow(t.Context(), "SELECT current_setting('"+name+"')", pgx.QueryExecModeSimpleProtocol).Scan(&ours); err != nil {
					t.Fatal(err)
				}
				if ours == strings.Trim(theirs, "'") {
					t.Errorf("%s is %q on a connection %s", name, ours, what)
				}
			}
		}
	})
}

// What a server says of its version is read, whoever built it.
func TestTheVersionThatAServerReports(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]int{"15.18": 15, "17.10 (Debian 17.10-1.pgdg12+1)": 17, "18beta1": 18, "18": 18, "": 0, "devel": 0} {
		if got := majorOf(said); got != want {
			t.Errorf("%q is read as %d", said, got)
		}
	}
}
