package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// The two policies differ in how long reading lasts, and in who may correct data.
const (
	oldPolicy = `version: 1
groups:
  backend:  { emails: [ana@example.com, bo@example.com] }
  dba:      { emails: [dora@example.com] }
  security: { slack_usergroup: S0SEC }
schedules: { payments: { pagerduty_schedule: PABC123 } }
profiles:
  - { name: read-only, risk: low, grants: [{ schema: public, tables: "*", privileges: [select] }] }
  - { name: data-fix, risk: high, grants: [{ schema: public, tables: "*", privileges: [update] }] }
rules:
  - { name: security never writes, deny: true, who: [group:security], profiles: [data-fix] }
  - { name: on-call reads at once, who: [oncall:payments], targets: [env:production], profiles: [read-only],
      approve: automatically, max_duration: 2h, budget: { grants: 2, per: shift } }
  - { name: backend reads, who: [group:backend], profiles: [read-only], approvals: [{ from: [group:dba] }], max_duration: 4h,
      advice: Ask in the channel }
  - { name: backend fixes, who: [group:backend], profiles: [data-fix], approvals: [{ from: [group:dba] }] }
tests:
  - name: reading asks a dba
    given: { user: ana@example.com }
    request: { target: orders-prod, profile: read-only, duration: 1h }
    expect: { outcome: needs-approval, rule: backend reads }
`
	failing = `  - name: on call is enough to write
    given: { user: ana@example.com, on_call: [payments] }
    request: { target: orders-prod, profile: data-fix, duration: 1h }
    expect: { outcome: approved, rule: on-call reads at once, max_duration: 2h }
`
	// What is left out has to be right where secrets are at hand, and nowhere else.
	targetsOnly = `
slack: { bot_token_file: no-such-file }
targets:
  - { name: orders-prod, engine: postgres, environment: production, admin_url_file: no-such-file }
  - { name: orders-test, engine: postgres, environment: staging }
`
)

// policies writes the files and gives their paths.
func policies(t *testing.T) (before, after, config string) {
	t.Helper()
	dir := t.TempDir()
	before, after, config = filepath.Join(dir, "old.yaml"), filepath.Join(dir, "new.yaml"), filepath.Join(dir, "config.yaml")
	write(t, before, oldPolicy)
	write(t, after, strings.NewReplacer("max_duration: 4h", "max_duration: 1h", "name: backend fixes, who: [group:backend]",
		"name: backend fixes, who: [group:backend, group:dba]").Replace(oldPolicy))
	write(t, config, targetsOnly)
	return before, after, config
}

func decoded(t *testing.T, s said) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(s.out), &out); err != nil {
		t.Fatalf("%v: %s", err, s)
	}
	return out
}

func TestPolicyTest(t *testing.T) {
	t.Parallel()
	before, _, config := policies(t)
	prodaccess(t, "policy", "test", before).wants(t, exitOK, "ok    reading asks a dba\n\n1 test passed.")
	write(t, before, oldPolicy+failing)
	got := prodaccess(t, "policy", "test", before, "--targets-from", config)
	got.wants(t, exitFindings, "ok    reading asks a dba", "FAIL  on call is enough to write ("+before+":22:5)",
		"      - outcome: approved\n      + outcome: needs-approval\n        Needs 1 approval from group dba",
		"      - rule: on-call reads at once\n      + rule: backend fixes\n", "      - max_duration: 2h\n      + max_duration: 4h\n",
		"1 of 2 tests failed")
	got = prodaccess(t, "policy", "test", before, "--json")
	if all := decoded(t, got); got.code != exitFindings || all["failed"] != 1.0 || len(all["tests"].([]any)) != 2 {
		t.Errorf("got %s", got)
	}
	// A target in an environment that the rule is not about.
	write(t, before, oldPolicy+strings.NewReplacer("data-fix", "read-only", "orders-prod", "orders-test").Replace(failing))
	prodaccess(t, "policy", "test", before).wants(t, exitOK)
	prodaccess(t, "policy", "test", before, "--config", config).wants(t, exitFindings, "+ rule: backend reads")
	prodaccess(t, "policy", "test", before+".not").wants(t, exitFailed, "reading the policy", "no such file")
	write(t, before, "version: 1\n")
	prodaccess(t, "policy", "test", before).wants(t, exitOK, "has no tests")
	write(t, before, "version: 2\n")
	prodaccess(t, "policy", "test", before).wants(t, exitFailed, "version")
}

func TestPolicyExplain(t *testing.T) {
	t.Parallel()
	file, _, config := policies(t)
	explain := func(args ...string) said {
		return prodaccess(t, append([]string{
			"policy", "explain", file, "--user", "ana@example.com", "--target", "orders-prod", "--profile", "read-only",
			"--at", "2026-03-02T03:00:00Z",
		}, args...)...)
	}
	explain("--duration", "30m").wants(t, exitOK,
		"ana@example.com asks for read-only on orders-prod for 30m\n(postgres, production; Monday 2026-03-02 03:00 UTC)\n\n"+
			"NEEDS APPROVAL\n  Needs 1 approval from group dba (rule \"backend reads\").\n  For 30m; at most 4h may be asked for.\n  Advice: Ask in the channel\n",
		"  - on-call reads at once  [line 12: approves at once]\n      does not match\n      - who       it is for whoever is on call for payments\n      + targets   orders-prod is among them",
		"  + backend reads  [line 14: needs 1 approval from group dba]\n      matches, and decides\n      + who       ana@example.com is in group backend\n",
		"One thing keeps each of these from deciding:\n  on-call reads at once (approves at once): it is for whoever is on call for payments\n")
	explain("--on-call", "payments", "--shift-ends", "2026-03-02T08:00:00Z").wants(t, exitOK, "APPROVED AT ONCE",
		"It ends with the shift for payments, 2026-03-02 08:00 UTC at the latest.", "For 1h; at most 2h may be asked for.")
	explain("--on-call", "payments", "--used", "on-call reads at once=2").wants(t, exitOK, "NEEDS APPROVAL",
		"its budget is used up: 2 of 2 in this shift")
	explain("--unknown", "oncall:payments").wants(t, exitOK, "NEEDS APPROVAL", "  Not known: The rule \"on-call reads at once\"",
		"  ? on-call reads at once", "might match", "? who       it is not known whether ana@example.com is on call for payments")
	explain("--profile", "data-fix", "--group", "security").wants(t, exitOK, "DENIED\n  The rule \"security never writes\" forbids this")
	explain("--duration", "9h").wants(t, exitOK, "DENIED", "Ask for 4h or less.")
	explain("--config", config, "--target", "orders-test", "--on-call", "payments").wants(t, exitOK, "(postgres, staging;",
		"- targets   the target is not among env:production")

	explain("--break-glass").wants(t, exitOK, "ana@example.com breaks glass for read-only on orders-prod\n", "DENIED\n  The policy lets nobody break glass")

	explain("--start", "2026-03-03T09:00:00Z").wants(t, exitOK, "read-only on orders-prod, to start Tuesday 2026-03-03 09:00 UTC\n", "NEEDS APPROVAL")
	explain("--start", "2026-03-03T09:00:00Z", "--on-call", "payments").wants(t, exitOK, "NEEDS APPROVAL", "  - on-call reads at once", "- who       who is on call for payments then is not known")
	explain("--start", "2026-04-03T09:00:00Z").wants(t, exitOK, "DENIED", "may start at most 7d ahead")
	explain("--start", "2026-03-02T02:00:00Z").wants(t, exitOK, "DENIED\n  The start is past.")
	explain("--start", "2026-03-03T09:00:00Z", "--break-glass").wants(t, exitOK, "DENIED")

	got := explain("--json", "--on-call", "payments")
	answer := decoded(t, got)["explanation"].(map[string]any)
	if decision := answer["decision"].(map[string]any); decision["outcome"] != "approved" || len(answer["rules"].([]any)) != 4 {
		t.Errorf("got %s", got)
	}

	for _, wrong := range []struct {
		args []string
		says string
	}{
		{[]string{"--user", "ana"}, "is not an e-mail address"},
		{[]string{"--profile", "read-onyl"}, `did you mean "read-only"?`},
		{[]string{"--config", config, "--target", "order-prod"}, `no configured target is called "order-prod"; did you mean "orders-prod"?`},
		{[]string{"--at", "yesterday"}, `--at "yesterday" is not a time such as`},
		{[]string{"--start", "14:30"}, `--start "14:30" is not a time such as`},
		{[]string{"--duration", "30"}, "reading --duration"},
		{[]string{"--param", "customer"}, "is not NAME=VALUE"},
		{[]string{"--used", "backend reads"}, "is not RULE=COUNT"},
		{[]string{"--used", "backend read=1"}, `did you mean "backend reads"?`},
		{[]string{"--on-call", "payment"}, `did you mean "payments"?`},
		{[]string{"--group", "dba"}, "dba is a list of addresses"},
		{[]string{"--unknown", "security"}, "write group:NAME or oncall:SCHEDULE"},
		{[]string{"--unknown", "oncall:payment"}, `did you mean "payments"?`},
	} {
		explain(wrong.args...).wants(t, exitFailed, wrong.says)
	}
	write(t, file, strings.Replace(oldPolicy, "profiles: [data-fix] }", "profiles: [data-fix], targets: [env:staging] }", 1))
	explain().wants(t, exitFailed, "the environment of orders-prod is not known, and rules name production, staging; add --target-env")
	explain("--target-env", "staging").wants(t, exitOK, "(postgres, staging;")
}

// TestPolicyExplainsWhatFollows shows everything a decision can have come after it.
func TestPolicyExplainsWhatFollows(t *testing.T) {
	t.Parallel()
	file, _, _ := policies(t)
	write(t, file, strings.NewReplacer(
		"max_duration: 2h, budget: { grants: 2, per: shift }", "max_duration: 2h, budget: { grants: 2, per: shift }, extend: { times: 0 }, activate_within: 5m",
		"max_duration: 4h,", "max_duration: 4h, extend: { times: 1, total: 8h }, lapse_after: 2h, remind_every: 15m, escalate: { after: 30m, to: [group:security] },",
	).Replace(oldPolicy)+"break_glass: { who: [group:dba], max_duration: 30m, reviewers: [group:security], escalate: { after: 20h, to: [group:dba] } }\n")
	explain := func(args ...string) said {
		return prodaccess(t, append([]string{
			"policy", "explain", file, "--user", "ana@example.com", "--target", "orders-prod", "--profile", "read-only",
			"--at", "2026-03-02T03:00:00Z",
		}, args...)...)
	}
	explain().wants(t, exitOK, "  After 30m without an answer also: group:security.\n  Whoever may approve is reminded after 15m, then ever more seldom.\n"+
		"  It lapses after 2h without approval.\n  It can be extended once, to 8h in all.\n",
		"needs 1 approval from group dba, after 30m also group security, extended once, to 8h in all]")
	explain("--on-call", "payments").wants(t, exitOK, "  It must be taken within 5m.\n  It cannot be extended.\n  It draws on a budget of 2 since 2026-03-02 02:00 UTC.\n")
	explain("--unknown", "oncall:payments").wants(t, exitOK, "It must be taken within 5m, or sooner if the configuration says so.")
	explain("--break-glass").wants(t, exitOK, "DENIED\n  No rule lets this person break glass for read-only on orders-prod: it is for group dba. File a normal request.",
		"  - break-glass  [line 22: gives access at once for up to 30m, reviewed within 24h by group security, after 20h also group dba]\n      does not match\n")
	explain("--break-glass", "--user", "dora@example.com").wants(t, exitOK, "dora@example.com breaks glass for read-only on orders-prod\n",
		"APPROVED AT ONCE\n  Access at once, approved by nobody (rule \"break-glass\")", "For 30m; at most 30m may be asked for.",
		"  Review: within 24h, by one of group:security; told at once: security_channel.\n  After 20h also: group:dba.\n", "+ break-glass", "matches, and decides")
	got := explain("--break-glass", "--user", "dora@example.com", "--json")
	all := decoded(t, got)
	decision := all["explanation"].(map[string]any)["decision"].(map[string]any)
	if all["break_glass"] != true || decision["rule"] != "break-glass" || decision["review"].(map[string]any)["reviewers"].([]any)[0] != "group:security" {
		t.Errorf("got %s", got)
	}
}

func TestPolicyDiffOfWhatFollows(t *testing.T) {
	t.Parallel()
	before, after, config := policies(t)
	const reads = "max_duration: 4h,"
	for _, test := range []struct {
		name, old, new string
		code           int
		says           []string
	}{
		{"longer in all", reads, reads + " extend: { times: 1, total: 8h },", exitFindings, []string{
			"WIDER     read-only\n", "was  with approval by 1 from group dba, for up to 4h  (rule", "now  with approval by 1 from group dba, for up to 4h, extended at most once, to 8h in all  (rule",
		}},
		{"others answer late", reads, reads + " escalate: { after: 30m, to: [group:security] },", exitFindings, []string{
			"WIDER     read-only\n", "now  with approval by 1 from group dba (after 30m also group security), for up to 4h",
		}},
		{"waits are said", reads, reads + " lapse_after: 1h, activate_within: 5m,", exitFindings, []string{
			"WIDER AND NARROWER  read-only\n", "now  with approval by 1 from group dba, for up to 4h, answered within 1h, taken within 5m  (rule",
		}},
		{"reminders are no difference", reads, reads + " remind_every: 5m,", exitOK, []string{"Nobody gets more or less than before."}},
		{"glass can be broken", "tests:", "break_glass: { who: [group:dba], profiles: [data-fix], max_duration: 30m, reviewers: [group:security] }\ntests:", exitFindings, []string{
			"WIDER     breaking glass for data-fix\n          on   orders-prod (production); orders-test (staging)\n          for  dora@example.com\n          was  denied  (no rule)\n" +
				"          now  at once, for up to 30m, reviewed within 24h by group security, said in security_channel  (rule \"break-glass\")\n", "2 wider, 0 narrower",
		}},
	} {
		if !strings.Contains(oldPolicy, test.old) {
			t.Fatalf("%s: nothing to replace", test.name)
		}
		write(t, after, strings.Replace(oldPolicy, test.old, test.new, 1))
		prodaccess(t, "policy", "diff", before, after, "--config", config, "--fail-on-widening").wants(t, test.code, test.says...)
	}
	got := prodaccess(t, "policy", "diff", before, after, "--config", config, "--json")
	first := decoded(t, got)["differences"].([]any)[0].(map[string]any)
	if first["break_glass"] != true || first["profile"] != "data-fix" || first["wider"] != true {
		t.Errorf("got %s", got)
	}
}

func TestPolicyDiff(t *testing.T) {
	t.Parallel()
	before, after, config := policies(t)
	got := prodaccess(t, "policy", "diff", before, after, "--config", config)
	got.wants(t, exitOK,
		"WIDER     data-fix\n          on   orders-prod (production); orders-test (staging)\n          for  dora@example.com\n"+
			"          was  denied  (no rule)\n          now  with approval by 1 from group dba, for up to 4h  (rule \"backend fixes\")\n",
		"NARROWER  read-only\n          on   orders-prod (production); orders-test (staging)\n          for  ana@example.com and bo@example.com\n"+
			"          was  with approval by 1 from group dba, for up to 4h  (rule \"backend reads\")\n"+
			"          now  with approval by 1 from group dba, for up to 1h  (rule \"backend reads\")\n",
		"2 wider, 2 narrower")
	prodaccess(t, "policy", "diff", before, after, "--fail-on-widening").wants(t, exitFindings, "WIDER", "on   any other target")
	prodaccess(t, "policy", "diff", before, before, "--fail-on-widening").wants(t, exitOK, "The files are the same.")

	write(t, config+".narrow", strings.Replace(oldPolicy, "max_duration: 4h", "max_duration: 3h", 1))
	prodaccess(t, "policy", "diff", before, config+".narrow", "--fail-on-widening").wants(t, exitOK, "NARROWER")
	write(t, config+".comment", oldPolicy+"# a comment\n")
	prodaccess(t, "policy", "diff", before, config+".comment").wants(t, exitOK, "Nobody gets more or less than before.")

	got = prodaccess(t, "policy", "diff", before, after, "--json", "--fail-on-widening")
	if all := decoded(t, got); got.code != exitFindings || all["wider"] != true || len(all["differences"].([]any)) == 0 {
		t.Errorf("got %s", got)
	}
	write(t, after, "version: 2\n")
	prodaccess(t, "policy", "diff", before, after).wants(t, exitFailed, after)

	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"policy", "diff", "-", before}, strings.NewReader(oldPolicy), &out, &errs)
	said{code, out.String(), errs.String()}.wants(t, exitOK, "The files are the same.")
}
