package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/localpg"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(localpg.Around(m, localpg.Options{Fast: true})) }

// said is what a command printed and how it ended.
type said struct {
	code     int
	out, err string
}

func (s said) String() string {
	return fmt.Sprintf("exit code %d\nout:\n%s\nerr:\n%s", s.code, s.out, s.err)
}

// prodaccess runs a command in this process.
func prodaccess(t *testing.T, args ...string) said {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return said{code, out.String(), errs.String()}
}

func (s said) wants(t *testing.T, code int, words ...string) {
	t.Helper()
	if s.code != code {
		t.Fatalf("wanted exit code %d, got %s", code, s)
	}
	for _, w := range words {
		if !strings.Contains(s.out+s.err, w) {
			t.Errorf("%q is not said: %s", w, s)
		}
	}
}

const testPolicy = `version: 1
groups: { backend: { emails: [ana@example.com] } }
profiles:
  - { name: read-only, risk: low, grants: [{ schema: public, tables: "*", privileges: [select] }] }
rules:
  - { name: backend reads, who: [group:backend], profiles: [read-only], approve: automatically, max_duration: 1h }
`

// place is a directory with a configuration, whose store and target are fresh databases.
type place struct {
	dir, config, owner, target string
	srv                        *localpg.Server
}

func setup(t *testing.T) place { return setupOn(t, localpg.Shared(t)) }

func setupOn(t *testing.T, srv *localpg.Server) place {
	t.Helper()
	dir := t.TempDir()
	storeDB, targetDB := localpg.NewDatabase(t, srv, ""), localpg.NewDatabase(t, srv, "")
	suffix := strings.ToLower(filepath.Base(storeDB))
	service, admin := "svc_"+suffix, "adm_"+suffix
	execSQL(t, srv.URL(storeDB), `CREATE ROLE `+service+` LOGIN PASSWORD '`+localpg.Verifier("pw-service-canary")+`'`)
	execSQL(t, srv.URL(targetDB), `CREATE ROLE `+admin+` LOGIN CREATEROLE PASSWORD '`+localpg.Verifier("pw-admin-canary")+`'; GRANT pg_signal_backend TO `+admin+`;
		CREATE TABLE orders (id int)`)
	p := place{
		dir: dir, config: filepath.Join(dir, "config.yaml"), owner: srv.URL(storeDB),
		target: srv.UserURL(admin, "pw-admin-canary", targetDB), srv: srv,
	}
	write(t, filepath.Join(dir, "policy.yaml"), testPolicy)
	write(t, filepath.Join(dir, "dba-url"), srv.URL(targetDB)+"\n")
	write(t, p.config, fmt.Sprintf(`slack: { bot_token: xoxb-test, app_token: xapp-test, approvals_channel: C0000000001, audit_channel: C0000000002 }
store: { url: %q, migrate_url: %q }
policy: { file: policy.yaml }
targets:
  - { name: orders-prod, engine: postgres, environment: production, admin_url: %q, databases: [%s], connect: { host: 127.0.0.1, port: %d, sslmode: disable } }
`, srv.UserURL(service, "pw-service-canary", storeDB), p.owner, p.target, targetDB, srv.Port()))
	return p
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func execSQL(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// TestStoreCommands is the life of a store at the command line: migrated, read, verified, tampered with, taken back.
func TestStoreCommands(t *testing.T) {
	p := setup(t)
	c := []string{"--config", p.config}
	with := func(args ...string) said { return prodaccess(t, append(args, c...)...) }

	with("migrate", "status").wants(t, exitFindings, "missing")
	for _, early := range [][]string{{"grants", "list"}, {"audit", "list"}, {"audit", "verify"}, {"targets", "sweep"}} {
		with(early...).wants(t, exitFailed, "the database is empty; run `prodaccess migrate up`")
	}
	with("migrate", "down", "--to", "0").wants(t, exitFailed, "nothing to take back")
	with("migrate", "up").wants(t, exitOK)
	with("migrate", "status").wants(t, exitOK, "1 ")
	with("migrate", "up").wants(t, exitOK)

	execSQL(t, p.owner, `INSERT INTO audit_events (at, kind, actor_kind, actor_id, actor_name, actor_email, refused, source, request_id, grant_id,
		target, profile, reason, policy, rule, detail) SELECT now() - interval '1 hour', 'request.filed', 'person', 'U1', 'ana', 'ana@example.com', n = 2, 'slack:socket',
		'r' || n, '', 'orders-prod', 'read-only', E'line one\nline two', 'p', 'rule one', '{}' FROM generate_series(1, 3) n`)
	with("audit", "list", "--person", "ana@example.com").wants(t, exitOK, "request.filed", "REFUSED", `"line one\nline two"`)
	if lines := strings.Count(with("audit", "list").out, "\n"); lines != 3 {
		t.Errorf("three events in %d lines", lines)
	}
	// Neither silence nor a full page is taken for all there is.
	with("audit", "list", "--since", "10m").wants(t, exitOK, "No event matches.")
	with("audit", "list", "--person", "ana").wants(t, exitOK, "No event matches. --person", "not with names")
	with("audit", "list", "--limit", "2").wants(t, exitOK, "the newest 2; there may be older ones")
	if all := with("audit", "list", "--limit", "4"); all.err != "" {
		t.Errorf("beside three events of at most four it says %q", all.err)
	}
	with("audit", "list", "--limit", "0").wants(t, exitFailed, "--limit 0", "prodaccess audit export")
	with("audit", "list", "--kind", "request.filled").wants(t, exitFailed, `did you mean "request.filed"?`)
	with("audit", "list", "--kind", "everything").wants(t, exitFailed, "there are request.filed, ")
	// Who was turned away before prodaccess asked who it is stands there with the ID alone.
	execSQL(t, p.owner, `INSERT INTO audit_events (at, kind, actor_kind, actor_id, actor_name, actor_email, refused, source, request_id, grant_id,
		target, profile, reason, policy, rule, detail) SELECT now() - interval '1 hour', 'grant.extended', 'person', id, '', '', true, 'slack:socket',
		'nosuch', '', '', '', 'There is no request', '', '', '{}' FROM unnest(ARRAY['U1', 'U2']) AS id`)
	if hers := with("audit", "list", "--person", "Ana@example.com").out; strings.Count(hers, "\n") != 4 || !strings.Contains(hers, "grant.extended") || strings.Contains(hers, "U2") {
		t.Errorf("of ana's four events: %s", hers)
	}
	execSQL(t, p.owner, `ALTER TABLE audit_events DISABLE TRIGGER USER; DELETE FROM audit_events WHERE request_id = 'nosuch'; ALTER TABLE audit_events ENABLE TRIGGER USER`)
	if got := with("audit", "list", "--refused", "--kind", "request.filed"); strings.Count(got.out, "\n") != 1 {
		t.Errorf("one attempt was refused: %s", got)
	}
	if got := with("audit", "export"); strings.Count(got.out, "\n") != 3 || !strings.Contains(got.out, `"r3"`) {
		t.Errorf("three events exported: %s", got)
	}
	with("audit", "list", "--since", "yesterday").wants(t, exitFailed, "--since")
	listed := with("audit", "list", "--request", "r2", "--json")
	listed.wants(t, exitOK)
	var event map[string]any
	if err := json.Unmarshal([]byte(listed.out), &event); err != nil || event["request"] != "r2" || event["refused"] != true {
		t.Errorf("as JSON: %v, %s", err, listed)
	}

	// Nobody sealed these: they are an hour old, and a service that had run would have.
	with("audit", "verify").wants(t, exitFindings, "FOUND")
	with("audit", "verify", "--head", "nonsense").wants(t, exitFailed, "SEQ:HASH")
	report := with("audit", "verify", "--json")
	if !json.Valid([]byte(report.out)) || report.code != exitFindings {
		t.Errorf("as JSON: %s", report)
	}
	with("grants", "list").wants(t, exitOK, "GRANT")

	with("migrate", "down", "--to", "99").wants(t, exitFailed, "going down to 99 takes nothing back")
	with("migrate", "down", "--to", "-1").wants(t, exitFailed, "-1 is no version")
	down := with("migrate", "down", "--to", "8")
	down.wants(t, exitOK, "would take back 00009", "Nothing was done")
	if strings.Contains(down.out, "00008") {
		t.Errorf("of what stays it says: %s", down)
	}
	with("migrate", "down", "--to", "0").wants(t, exitOK, "would take back 00001", "Nothing was done")
	with("migrate", "status").wants(t, exitOK)
	with("migrate", "down", "--to", "0", "--yes").wants(t, exitOK)
	with("migrate", "status").wants(t, exitFindings, "missing")
}

func TestTargetCommands(t *testing.T) {
	p := setup(t)
	with := func(args ...string) said { return prodaccess(t, append(args, "--config", p.config)...) }
	dba := []string{"--as-file", filepath.Join(p.dir, "dba-url")}

	with("targets", "check").wants(t, exitFindings, "mend:")
	plan := with(append([]string{"targets", "plan"}, dba...)...)
	plan.wants(t, exitOK, "CREATE ROLE", "pa_read_only", `\connect`)
	with(append([]string{"targets", "apply"}, dba...)...).wants(t, exitOK, "nothing was applied", "--yes")
	with(append([]string{"targets", "plan"}, dba...)...).wants(t, exitOK, "CREATE ROLE")
	with(append([]string{"targets", "apply", "--yes"}, dba...)...).wants(t, exitOK, "statements applied")
	with(append([]string{"targets", "apply", "--yes"}, dba...)...).wants(t, exitOK, "nothing is missing")
	with("targets", "check").wants(t, exitOK, "as the policy wants it")
	with("targets", "check", "--json").wants(t, exitOK, "orders-prod")
	with("targets", "check", "order-prod").wants(t, exitFailed, `did you mean "orders-prod"`)
	execSQL(t, readFile(t, filepath.Join(p.dir, "dba-url")), `REVOKE SELECT ON orders FROM pa_read_only`)
	with("targets", "check").wants(t, exitFindings, "orders")
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func TestPolicyCheck(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	write(t, good, testPolicy)
	write(t, bad, strings.Replace(testPolicy, "approve: automatically", "aprove: automatically", 1))
	prodaccess(t, "policy", "check", good).wants(t, exitOK, "valid policy", "1 profiles")
	prodaccess(t, "policy", "check", bad).wants(t, exitFindings, "aprove", "approve", "6:")
	prodaccess(t, "policy", "check", filepath.Join(dir, "none.yaml")).wants(t, exitFailed, "none.yaml")
	for _, file := range []string{good, bad} {
		if out := prodaccess(t, "policy", "check", "--json", file).out; !json.Valid([]byte(out)) {
			t.Errorf("not JSON: %s", out)
		}
	}
}

func TestWrongConfigurationIsSaidAtOnce(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	write(t, config, "slack: { bot_tokn: x }\nstore: { url: \"postgres://u:pw-canary@db.example.com/x\" }\n")
	for _, args := range [][]string{{"serve"}, {"config", "check"}} {
		got := prodaccess(t, append(args, "--config", config)...)
		if got.code == exitOK {
			t.Errorf("%v accepted it", args)
		}
		for _, words := range []string{"bot_tokn", "store.url", "targets", "audit_channel"} {
			if !strings.Contains(got.out+got.err, words) {
				t.Errorf("%v does not mention %s: %s", args, words, got)
			}
		}
		if strings.Contains(got.out+got.err, "pw-canary") {
			t.Errorf("%v prints a password", args)
		}
	}
}

// A policy that wants somebody woken, and nothing to wake them with.
func TestConfigCheckWarnsOfADeafPager(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	text := `slack: { bot_token: xoxb-1, app_token: xapp-1, approvals_channel: C1APPROVALS, audit_channel: C1AUDIT }
store: { url: "postgres://u:p@127.0.0.1/x" }
targets: [{ name: orders-prod, environment: production, admin_url: "postgres://u:p@127.0.0.1/x", databases: [orders], connect: { host: 127.0.0.1 } }]
`
	write(t, config, text)
	write(t, filepath.Join(dir, "policy.yaml"), `version: 1
groups: { dba: { emails: [bo@example.com] }, security: { emails: [cy@example.com] } }
profiles: [{ name: read-only, risk: low, engines: [postgres], max_duration: 4h, grants: [{ schema: public, tables: "*", privileges: [select] }] }]
rules: [{ name: all, who: [group:dba], profiles: [read-only], approve: automatically }]
break_glass: { who: [group:dba], profiles: [read-only], max_duration: 1h, review_within: 24h, reviewers: [group:security], notify: [security_channel, pagerduty] }
`)
	prodaccess(t, "config", "check", "--config", config).wants(t, exitOK, "warning: ", "pagerduty.routing_key", "nobody would be woken")
	write(t, config, text+"pagerduty: { routing_key: 0123456789abcdef0123456789abcdef }\n")
	if got := prodaccess(t, "config", "check", "--config", config); got.code != exitOK || strings.Contains(got.out, "warning") {
		t.Errorf("with a key: %s", got)
	}
}

func TestVersionAndUnknownCommands(t *testing.T) {
	prodaccess(t, "version").wants(t, exitOK, "prodaccess", "schema")
	prodaccess(t, "srve").wants(t, exitFailed, "serve")
	prodaccess(t, "audit", "list", "--nonsense").wants(t, exitFailed, "nonsense")
}

// TestListedActorsAreWhoTheyAre holds that somebody who calls himself like a part of prodaccess is not taken for it.
func TestListedActorsAreWhoTheyAre(t *testing.T) {
	for want, a := range map[string]audit.Actor{
		" eve@example.com ": {Kind: "person", ID: "U2", Name: "system:reaper", Email: "eve@example.com"},
		" U2 ":              {Kind: "person", ID: "U2", Name: "reaper REFUSED"},
		" system:reaper ":   audit.System("reaper"),
		" operator:dora ":   {Kind: "operator", ID: "dora", Name: "dora"},
	} {
		if said := line(audit.Event{Kind: audit.GrantEnding, Actor: a}); !strings.Contains(said, want) || strings.Contains(said, "REFUSED") {
			t.Errorf("%+v is listed as %s", a, said)
		}
	}
}
