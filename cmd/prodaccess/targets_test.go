package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A policy with everything a plan can have: views, parameters, a hash key, a durable owner, a predefined role.
const widePolicy = `version: 1
profiles:
  - name: psql-support
    risk: medium
    parameters: [{ name: customer_id, type: bigint, required: true }]
    lock_timeout: 5s
    member_of: [pg_read_all_settings]
    grants:
      - { schema: public, tables: [customers], privileges: [select], rows: "id = :customer_id", mask: { email: hash, "na'me": "constant:it's" } }
      - { schema: public, tables: "*", privileges: [select] }
  - name: psql-ddl
    risk: critical
    grants: [{ schema: public, tables: "*", privileges: [select, create] }]
rules: [{ name: all, who: [anyone], approve: automatically }]
`

// What a DBA pipes into psql can be piped twice, and then nothing is left to plan.
func TestPlanThroughPsql(t *testing.T) {
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Fatal("psql is missing: run scripts/setup.sh test")
	}
	p := setup(t)
	write(t, filepath.Join(p.dir, "policy.yaml"), widePolicy)
	dba := readFile(t, filepath.Join(p.dir, "dba-url"))
	execSQL(t, dba, `CREATE TABLE customers (id bigint PRIMARY KEY, email text, "na'me" varchar(30)); CREATE SCHEMA trap;
		CREATE FUNCTION trap.never(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true';
		CREATE OPERATOR trap.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = trap.never);
		DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = trap, pg_catalog, public', current_database()); END $$`)
	plan := func() said {
		return prodaccess(t, "targets", "plan", "--config", p.config, "--as-file", filepath.Join(p.dir, "dba-url"))
	}
	script := plan()
	script.wants(t, exitOK, "BEGIN;", "security_barrier", "COMMIT;")
	for range 2 {
		cmd := exec.CommandContext(t.Context(), psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", dba)
		cmd.Stdin = strings.NewReader(script.out)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s\n%s", err, out, script.out)
		}
	}
	// An operator of somebody else's has not become part of a condition.
	execSQL(t, dba, `DO $$ BEGIN IF pg_get_viewdef('pa_psql_support.customers'::regclass) LIKE '%trap%' OR pg_get_viewdef('pa_psql_support.customers'::regclass) LIKE '%id = (%' THEN RAISE 'the trap caught'; END IF; END $$`)
	if again := plan(); !strings.Contains(again.out, ": 0 statements") {
		t.Errorf("there is still something to plan:\n%s", again.out)
	}
}
