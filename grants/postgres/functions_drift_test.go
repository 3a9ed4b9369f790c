package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// Whatever somebody does to the functions and the roles around them, check names it, and what it says mends it.
func TestDriftOfTheFunctionsIsFoundAndMended(t *testing.T) {
	t.Parallel()
	// 16 and 17 differ from 18 in nothing that is looked at here, and each change takes a while.
	onApart(t, []int{15, 18}, prepareFunctions, func(t *testing.T, c *cluster) {
		d, dba := c.open(t, nil), c.asDBA(t)
		found := func() []grants.Finding {
			t.Helper()
			all, err := d.Check(t.Context(), []grants.Profile{readOnly}) // with the administrator's own eyes
			if err != nil {
				t.Fatal(err)
			}
			var drift []grants.Finding
			for _, f := range all {
				if !f.Advice {
					drift = append(drift, f)
				}
			}
			return drift
		}
		if first := found(); len(first) > 0 {
			t.Fatalf("before anything was changed: %+v", first)
		}
		const body = "CREATE OR REPLACE FUNCTION prodaccess.is_verifier(verifier text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END'"
		for _, test := range []struct{ name, breaks, says string }{
			{"a changed body", body, "its body was changed"},
			{"a changed owner", "ALTER FUNCTION prodaccess.lock_login(text, text, oid) OWNER TO postgres", "it belongs to postgres"},
			{"a setting that is gone", "ALTER FUNCTION prodaccess.disown(text, text, oid) RESET search_path", "its settings are not pinned"},
			{"the caller's say in what the owner gets", "ALTER FUNCTION prodaccess.create_login(text, text, text, timestamptz, integer) RESET " + selfGrant(c.major), "its settings are not pinned"},
			{"a function that became the caller's", "ALTER FUNCTION prodaccess.lend(text, text, oid) SECURITY INVOKER", "it has another kind"},
			{"everybody may call", "GRANT EXECUTE ON FUNCTION prodaccess.lock_login(text, text, oid) TO PUBLIC", "others than it should: PUBLIC EXECUTE, prodaccess_admin EXECUTE"},
			{"an application may call", "GRANT EXECUTE ON FUNCTION prodaccess.expel(text, text, oid) TO app_owner", "app_owner EXECUTE"},
			{"the administrator may not call", "REVOKE EXECUTE ON FUNCTION prodaccess.lock_login(text, text, oid) FROM prodaccess_admin", "nobody"},
			{"the administrator may call what only functions do", "GRANT EXECUTE ON FUNCTION prodaccess.is_alone(oid) TO prodaccess_admin", "prodaccess_admin EXECUTE"},
			{"a function that is gone", "DROP FUNCTION prodaccess.remember(text, text)", "the administrator calls it"},
			{
				"a function that is gone, and default privileges of who mends it", "DROP FUNCTION prodaccess.expel(text, text, oid);" +
					" ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO app_owner", "the administrator calls it",
			},
			{"a function too many", "CREATE FUNCTION prodaccess.backdoor() RETURNS void LANGUAGE sql SECURITY DEFINER AS ''", "none of the functions of this version"},
			{"another arity", "CREATE FUNCTION prodaccess.lock_login(text) RETURNS void LANGUAGE sql AS ''", "none of the functions of this version"},
			{"everybody finds them", "GRANT USAGE ON SCHEMA prodaccess TO PUBLIC", "nobody's to change"},
			{"an application may add to them", "GRANT CREATE ON SCHEMA prodaccess TO app_owner", "nobody's to change"},
			{"the schema is somebody's", "ALTER SCHEMA prodaccess OWNER TO app_owner", "nobody's to change"},
			{"no schema", "DROP SCHEMA prodaccess CASCADE", "the administrator calls it"},
			{"the owner logs in", "ALTER ROLE prodaccess_functions LOGIN", "may make roles, and nothing else"},
			{"the owner is a superuser", "ALTER ROLE prodaccess_functions SUPERUSER", "may make roles, and nothing else"},
			{"the owner cannot make roles", "ALTER ROLE prodaccess_functions NOCREATEROLE", "may make roles, and nothing else"},
			{"nobody is registered", "COMMENT ON ROLE prodaccess_functions IS NULL", "accept the logins of this installation, test"},
			{"somebody else is registered", "COMMENT ON ROLE prodaccess_functions IS 'prodaccess installations=tests'", "accept the logins of this installation, test"},
			{"somebody's own comment", "COMMENT ON ROLE prodaccess_functions IS 'ask Eve about test'", "accept the logins of this installation, test"},
			{"somebody can become the owner", "GRANT prodaccess_functions TO app_owner", "app_owner can become the owner"},
			{"the owner can do more", "GRANT pg_read_all_data TO prodaccess_functions", "does not need it"},
			{"the owner ends no sessions", "REVOKE pg_signal_backend FROM prodaccess_functions", "end sessions"},
			{"the owner has no quarantine", "REVOKE pa_quarantine FROM prodaccess_functions", "hand objects over"},
			{"an access role is not registered", "REVOKE pa_read_only FROM prodaccess_functions", "make logins members of it"},
			{"the administrator has CREATEROLE", "ALTER ROLE prodaccess_admin CREATEROLE", "keeps no right of its own (CREATEROLE)"},
			{"the administrator ends sessions", "GRANT pg_signal_backend TO prodaccess_admin", "membership in pg_signal_backend"},
			{"the administrator has access", "GRANT pa_read_only TO prodaccess_admin", "membership in pa_read_only"},
		} {
			t.Run(test.name, func(t *testing.T) {
				run(t, c.srv.URL("app"), test.breaks)
				named := false
				for _, f := range found() {
					named = named || strings.Contains(f.What, test.says) && f.Mend != ""
				}
				if !named {
					t.Errorf("not found: %+v", found())
				}
				plan, err := dba.Plan(t.Context(), []grants.Profile{readOnly})
				if err != nil {
					t.Fatal(err)
				}
				if err := dba.Apply(t.Context(), plan); err != nil {
					t.Fatal(err)
				}
				if left := found(); len(left) > 0 {
					t.Errorf("not mended: %+v", left)
				}
			})
		}
		run(t, c.srv.URL("app"), "CREATE TABLE prodaccess.loot (a int)")
		if left := found(); len(left) != 1 || !strings.Contains(left[0].What, "table prodaccess.loot") {
			t.Errorf("a table of somebody's in the schema: %+v", left)
		}
		run(t, c.srv.URL("app"), "DROP TABLE prodaccess.loot")
		longer := readOnly
		longer.Longest = 48 * time.Hour
		all, err := d.Check(t.Context(), []grants.Profile{longer})
		if err != nil || len(all) == 0 || !strings.Contains(all[0].What, "48h0m0s") {
			t.Errorf("a policy that lets logins last longer: %v %+v", err, all)
		}
		// After all this, it works.
		if r := c.doctor(t, nil).Rehearse(t.Context(), grants.AccessRole(readOnly.Name)); !r.OK() {
			t.Errorf("%+v", r.Steps)
		}
	})
}

// The longest time that a policy gives is the functions' bound, and an order beyond it is refused with what mends it.
func TestNoLoginLastsLongerThanThePolicyAllows(t *testing.T) {
	t.Parallel()
	c := functionsOn(t, 15)
	d := c.open(t, nil)
	o := d.newOrder(t, readOnly)
	o.ValidUntil = time.Now().Add(longestByDefault + 16*time.Minute)
	if _, err := d.Issue(t.Context(), o); grants.ReasonOf(err) != grants.FailPrivilege || !strings.Contains(err.Error(), "no login may last longer than 24:00:00") {
		t.Errorf("issued for too long: %v", err)
	}
	o = d.testOrder(t, readOnly)
	if err := d.Extend(t.Context(), loginOf(o), time.Now().Add(longestByDefault+16*time.Minute)); grants.ReasonOf(err) != grants.FailPrivilege {
		t.Errorf("extended for too long: %v", err)
	}
	if err := d.Extend(t.Context(), loginOf(o), time.Now().Add(longestByDefault)); err != nil {
		t.Error(err)
	}
}

// A time means the same however the caller writes and reads times.
func TestTimesOfTheFunctionsAreTheServersOwn(t *testing.T) {
	t.Parallel()
	onEachWithFunctions(t, func(t *testing.T, c *cluster) {
		d := c.open(t, nil)
		o := d.testOrder(t, readOnly)
		admin := c.connect(t, c.admin.Reveal())
		can(t, admin, "SET DateStyle = 'SQL, DMY'")
		can(t, admin, "SET TimeZone = 'CST+20'")
		can(t, admin, "SELECT prodaccess.set_valid_until('"+o.Login+"', '"+o.Stamp.String()+"', 0, to_timestamp(extract(epoch FROM now() + '1h')))")
		if off := value[float64](t, c, "SELECT abs(extract(epoch FROM rolvaliduntil - now() - '1h'::interval))::float8 FROM pg_roles WHERE rolname = $1", o.Login); off > 60 {
			t.Errorf("the end is %.0f s from where it was put", off)
		}
	})
}

// Who changes a function changes the version, and its hash here: a DBA compares the number.
func TestTheFunctionsHaveAVersion(t *testing.T) {
	t.Parallel()
	sum := sha256.New()
	for _, f := range functions {
		sum.Write([]byte(f.make(making{admin: "admin", longest: time.Hour, major: 18})))
	}
	known := map[int]string{1: "9de1dbdc864863af", 2: "b05ab8d5960fe6fb", 3: "c0cf589f3af25517", 4: "7cd4be618653b3b1", 5: "c95c29ae4a114ee7"}
	if got := hex.EncodeToString(sum.Sum(nil))[:16]; known[functionsVersion] != got {
		t.Errorf("the functions hash to %s, version %d to %s: raise functionsVersion, and write the hash here", got, functionsVersion, known[functionsVersion])
	}
}

// selfGrant is the setting that says what a role gets of those it makes, and on 15, which has none, any that is pinned.
func selfGrant(major int) string {
	if major < 16 {
		return "TimeZone"
	}
	return "createrole_self_grant"
}
