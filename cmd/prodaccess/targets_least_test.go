package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/internal/localpg"
)

// The script that `targets plan --least-privilege` prints goes through psql, twice; from then on plan and check go on in
// that mode without the flag, and doctor makes and takes back a login in it.
func TestLeastPrivilegeThroughPsql(t *testing.T) {
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Fatal("psql is missing: run scripts/setup.sh test")
	}
	// The mode belongs to a whole cluster, so that this is one of its own.
	srv, err := localpg.Start(t.Context(), localpg.Options{Major: 15, Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	p := setupOn(t, srv)
	write(t, filepath.Join(p.dir, "policy.yaml"), widePolicy)
	dba := readFile(t, filepath.Join(p.dir, "dba-url"))
	execSQL(t, dba, `CREATE TABLE customers (id bigint PRIMARY KEY, email text, "na'me" varchar(30))`)
	with := func(args ...string) said { return prodaccess(t, append(args, "--config", p.config)...) }
	asDBA := []string{"--as-file", filepath.Join(p.dir, "dba-url")}
	doctor := with("doctor", "orders-prod")
	doctor.wants(t, exitFindings, "WRONG")
	if !strings.Contains(doctor.out, "prodaccess targets plan --least-privilege orders-prod") {
		t.Errorf("doctor does not name the mode on PostgreSQL 15: %s", doctor)
	}

	// The functions work for an installation that the store knows, and there is none yet.
	script := with(append([]string{"targets", "plan", "--least-privilege"}, asDBA...)...)
	script.wants(t, exitOK, "-- PROBLEM: the store does not say which installation this is", "SECURITY DEFINER")
	if strings.Contains(script.out, "COMMENT ON ROLE prodaccess_functions") {
		t.Errorf("an installation that nobody knows is registered:\n%s", script.out)
	}
	with("migrate", "up").wants(t, exitOK)
	script = with(append([]string{"targets", "plan", "--least-privilege"}, asDBA...)...)
	script.wants(t, exitOK, "CREATE ROLE prodaccess_functions NOLOGIN", "SECURITY DEFINER", "NOCREATEROLE", "-- Makes a login without any privilege.",
		"COMMENT ON ROLE prodaccess_functions", "-- the functions accept the logins of this installation")
	if strings.Contains(script.out, "PROBLEM") {
		t.Errorf("there is a problem with the store at hand:\n%s", script.out)
	}
	for range 2 {
		cmd := exec.CommandContext(t.Context(), psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", dba)
		cmd.Stdin = strings.NewReader(script.out)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for _, again := range [][]string{{"targets", "plan"}, {"targets", "plan", "--least-privilege"}} {
		if left := with(append(again, asDBA...)...); !strings.Contains(left.out, ": 0 statements") {
			t.Errorf("there is still something to plan:\n%s", left.out)
		}
	}
	with("targets", "check").wants(t, exitOK, "as the policy wants it")
	execSQL(t, dba, `COMMENT ON ROLE prodaccess_functions IS 'prodaccess installations=somebodys'`)
	with("targets", "check").wants(t, exitFindings, "the functions accept the logins of this installation", "advice: the functions accept logins of installation somebodys")
	with(append([]string{"targets", "apply", "--yes"}, asDBA...)...).wants(t, exitOK, "1 statements applied")
	with("targets", "check").wants(t, exitOK, "as the policy wants it", "advice: the functions accept logins of installation somebodys", "COMMENT ON ROLE prodaccess_functions IS")
	execSQL(t, dba, `DROP FUNCTION prodaccess.lock_login(text, text, oid)`)
	with("targets", "check").wants(t, exitFindings, "the administrator calls it", "CREATE FUNCTION prodaccess.lock_login")
	doctor = with("doctor", "orders-prod")
	doctor.wants(t, exitFindings, "CREATE FUNCTION prodaccess.lock_login")
	with(append([]string{"targets", "apply", "--yes"}, asDBA...)...).wants(t, exitOK, "statements applied")
	doctor = with("doctor", "orders-prod")
	doctor.wants(t, exitFindings, "and the catalogs prove it") // there is no Slack
	if strings.Contains(doctor.out, "WRONG target") || strings.Contains(doctor.out, "pg_execute_server_program") {
		t.Errorf("doctor after the functions were mended: %s", doctor)
	}
}
