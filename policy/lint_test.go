package policy

import (
	"slices"
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	t.Parallel()
	const head = `
version: 1
groups:
  dba: { slack_usergroup: S0DBA }
  all: { emails: [ana@example.com, bo@example.com] }
  one: { emails: [ana@example.com] }
  none: { emails: [] }
schedules: { pay: { pagerduty_schedule: P1 } }
profiles:
  - { name: low, risk: low, grants: [{ schema: public, tables: [a], privileges: [select] }] }
  - { name: high, risk: high, grants: [{ schema: public, tables: [a], privileges: [select] }] }
rules:
  - { name: mentions everything, deny: true, who: [group:dba, group:all, group:one, group:none, oncall:pay], targets: none, profiles: [low, high] }
`
	// A quiet rule before the section under test.
	glass := func(text string) string {
		return "  - { name: a, approvals: [{ from: group:dba }] }\nbreak_glass: { " + text + " }"
	}
	for rules, want := range map[string]string{
		// Quiet.
		"  - { name: a, who: group:all, profiles: low, approve: automatically }\n  - { name: b, profiles: high, approvals: [{ from: group:dba }] }":                                                                                              "",
		"  - { name: a, targets: env:x, approvals: [{ from: group:dba }] }\n  - { name: b, approvals: [{ from: group:dba }] }":                                                                                                                   "",
		"  - { name: a, hours: { days: mon, timezone: UTC }, approvals: [{ from: group:dba }] }\n  - { name: b, approvals: [{ from: group:dba }] }":                                                                                              "",
		"  - { name: a, who: oncall:pay, profiles: low, approve: automatically, budget: { grants: 1, per: shift } }\n  - { name: b, who: oncall:pay, profiles: low, approve: automatically }\n  - { name: c, approvals: [{ from: group:dba }] }": "",
		// Laxer than the tier.
		"  - { name: a, approve: automatically }":                             `the rule "a" approves high automatically, and its risk is high`,
		"  - { name: a, max_duration: 1d, approvals: [{ from: group:dba }] }": `allows 24h for low, and its risk is low: that tier expects at most 12h`,
		// Nobody can agree.
		"  - { name: a, approvals: [{ from: group:one, count: 2 }] }": `asks for 2 approvals from group one, and only 1 people can give it`,
		// Shadowed.
		"  - { name: a, approvals: [{ from: group:dba }] }\n  - { name: b, profiles: low, approve: automatically }":                                                                                                         `the rule "b" never decides: the earlier rule "a" always matches first`,
		"  - { name: a, who: group:all, targets: orders-*, approvals: [{ from: group:dba }] }\n  - { name: b, who: [group:one, user:bo@example.com], targets: [orders-prod, orders-x*], approvals: [{ from: group:dba }] }": `the rule "b" never decides`,
		"  - { name: no, deny: true, profiles: high }\n  - { name: b, profiles: high, approvals: [{ from: group:dba }] }\n  - { name: c, profiles: low, approve: automatically }":                                           `everything it is for is denied by "no"`,
		"  - { name: a, profiles: [low, high], who: anyone, approvals: [{ from: group:dba }] }\n  - { name: b, approvals: [{ from: group:dba }] }":                                                                          `the rule "b" never decides`,
		// Waiting, answering and lasting.
		"  - { name: a, approvals: [{ from: group:dba }], in_order: true }":                                         `the rule "a" asks for one approval, so in_order says nothing`,
		"  - { name: a, approvals: [{ from: group:dba }], escalate: { after: 20m, to: [group:none] } }":             `the rule "a" escalates to group none, and nobody is in it`,
		"  - { name: a, approvals: [{ from: group:dba }], escalate: { after: 20m, to: [group:dbb] } }":              `no group is called "dbb"; did you mean "dba"?`,
		"  - { name: a, approvals: [{ from: group:dba }], escalate: { after: 20m, to: [oncall:payy] } }":            `no schedule is called "payy"; did you mean "pay"?`,
		"  - { name: a, approvals: [{ from: [group:dba, group:all] }], escalate: { after: 20m, to: [group:all] } }": `the rule "a" escalates after 20m to people who may answer all the time`,
		"  - { name: a, approvals: [{ from: group:dba }], escalate: { after: 20m, to: anyone } }":                   `the rule "a" lets anyone approve high after 20m, and its risk is high`,
		"  - { name: a, approvals: [{ from: group:dba }], extend: { times: 1, total: 13h } }":                       `the rule "a" lets low be extended to 13h in all, and its risk is low: that tier expects at most 12h`,
		"  - { name: a, approvals: [{ from: group:dba }], extend: { times: 1, total: 5h } }":                        `the rule "a" gives low for up to 12h, and lets it be extended to 5h in all only`,
		"  - { name: a, profiles: low, max_duration: 2h, approve: automatically, extend: { times: 1, total: 12h } }\n  - { name: b, profiles: high, approvals: [{ from: group:dba }], max_duration: 2h, extend: { times: 2, total: 4h }, lapse_after: 1h, escalate: { after: 20m, to: [group:all] }, remind_every: 5m }": "",
		// Broken glass.
		glass("who: group:all, profiles: low, reviewers: group:dba"):                                            "",
		glass("who: group:all, reviewers: group:dba, max_duration: 5h"):                                         `break_glass gives high for up to 5h, and its risk is high: that tier expects at most 4h`,
		glass("who: group:all, reviewers: group:dba, profiles: [low, crit]"):                                    `no profile is called "crit"`,
		glass("who: group:all, profiles: low, reviewers: [group:one, user:bo@example.com]"):                     `everybody who may review broken glass may break it as well`,
		glass("who: group:all, profiles: low, reviewers: [group:one, user:eve@example.com]"):                    "",
		glass("who: [group:dba, oncall:pay], profiles: low, reviewers: [group:dba]"):                            `everybody who may review broken glass may break it as well`,
		glass("who: anyone, profiles: low, reviewers: [group:dba]"):                                             `everybody who may review broken glass may break it as well`,
		glass("who: group:all, profiles: low, reviewers: group:one"):                                            `only one person may review broken glass, and may break it too`,
		glass("who: group:all, profiles: low, reviewers: group:none"):                                           `break_glass is reviewed by group none, and nobody is in it`,
		glass("who: group:none, profiles: low, reviewers: group:none"):                                          `nobody can review broken glass`,
		glass("who: group:all, profiles: low, reviewers: group:dab"):                                            `no group is called "dab"`,
		glass("who: group:all, profiles: low, reviewers: group:dba, escalate: { after: 1h, to: [group:none] }"): `a review of break_glass escalates to group none, and nobody is in it`,
		glass("who: group:all, profiles: low, reviewers: group:dba, notify: pagerduty"):                         `broken glass is not said in the security channel`,
		glass("who: group:all, profiles: low, targets: none, reviewers: group:dba"):                             `break_glass lets nobody do anything: everything it is for is denied by "mentions everything"`,
		// Not defined, not used.
		"  - { name: a, approvals: [{ from: group:dab }] }":                              `no group is called "dab"; did you mean "dba"?`,
		"  - { name: a, who: oncall:payy, approvals: [{ from: anyone }] }":               `no schedule is called "payy"; did you mean "pay"?`,
		"  - { name: a, profiles: [low, hihg], approvals: [{ from: group:dba }] }":       `no profile is called "hihg"; did you mean "high"?`,
		"  - { name: a, profiles: low, approve: automatically }":                         `no rule lets anybody have the profile high`,
		"  - { name: d, deny: true }":                                                    `no rule allows anything`,
		"  - { name: a, who: [group:all, group:all], approvals: [{ from: group:dba }] }": `"group:all" is in who twice`,
	} {
		_, warnings, err := Load([]byte(head+rules+"\n"), "p.yaml")
		if err != nil {
			t.Error(err)
			continue
		}
		var texts []string
		for _, w := range warnings {
			texts = append(texts, w.String())
		}
		texts = slices.DeleteFunc(texts, func(text string) bool { return strings.Contains(text, "p.yaml:7:3: nobody is in the group none") })
		if all := strings.Join(texts, "\n"); want == "" && all != "" || !strings.Contains(all, want) {
			t.Errorf("wanted %q, got\n%s\nfor\n%s", want, all, rules)
		}
	}
	_, warnings, err := Load([]byte(`
version: 1
groups: { empty: { emails: [] }, unused: { emails: [a@b.c] } }
schedules: { unused: { pagerduty_schedule: P1 } }
profiles:
  - { name: bare }
  - { name: reach, risk: high, grants: [{ schema: public, tables: [a], privileges: [trigger, references] }] }
rules: [{ name: a, approvals: [{ from: anyone }] }]
`), "p.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all string
	for _, w := range warnings {
		all += w.String() + "\n"
	}
	for _, want := range []string{
		"p.yaml:3:11: nobody is in the group empty", "no rule mentions the group unused", "no rule mentions the schedule unused",
		"the profile bare has no risk, so it counts as high", "the profile bare grants nothing", "TRIGGER lets a visitor", "REFERENCES lets a visitor",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no warning %q in\n%s", want, all)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	version := func(text string) string {
		p := loaded(t, "version: 1\nprofiles: [{ name: r, risk: low, "+text+" }]\n")
		profile, _ := p.Profile("r")
		return profile.Version()
	}
	const grants = `engines: [mysql, postgres], grants: [{ schema: public, tables: [a, b], privileges: [select, insert] }, { schema: x, tables: "*", privileges: [select] }]`
	base := version(grants)
	if len(base) != 64 {
		t.Errorf("the version is %q", base)
	}
	for _, same := range []string{
		`description: other, max_duration: 1h, ` + grants,
		`engines: [postgres, mysql], grants: [{ schema: x, tables: ["*"], privileges: select }, { privileges: [insert, select], tables: [b, a], schema: public }]`,
	} {
		if version(same) != base {
			t.Errorf("this is the same to a database and has another version: %s", same)
		}
	}
	seen := map[string]string{base: grants}
	for _, other := range []string{
		strings.Replace(grants, "a, b", "a", 1), strings.Replace(grants, "insert", "update", 1), strings.Replace(grants, "mysql, ", "", 1),
		"connection_limit: 3, " + grants, "statement_timeout: 1m, " + grants, "parameters: [{ name: x, type: text }], " + grants,
		strings.Replace(grants, "select]", "select], rows: a = 1", 1), strings.Replace(grants, "select]", "select], mask: { a: hide }", 1),
		strings.Replace(grants, "select]", "select], columns: [a]", 1), strings.Replace(grants, "schema: x", "schema: y", 1),
	} {
		v := version(other)
		if earlier, taken := seen[v]; taken {
			t.Errorf("these have the same version:\n%s\n%s", earlier, other)
		}
		seen[v] = other
	}
}

func TestParameterTypes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ kind, good, bad string }{
		{"bigint", "-9223372036854775808 42", "9223372036854775808 4.2 0x10 1_000"},
		{"integer", "2147483647", "2147483648 one"},
		{"numeric", "-1.50 7", "1e9 1/3 NaN . 1."},
		{"uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000 x"},
		{"date", "2026-02-28", "2026-02-30 28.2.2026"},
		{"timestamptz", "2026-02-28T10:00:00Z", "2026-02-28"},
		{"boolean", "true false", "yes 1"},
		{"text", "anything 'goes'", "a\x00b a\nb \xff"},
	} {
		p := Parameter{Type: test.kind}
		for _, value := range strings.Fields(test.good) {
			if !p.accepts(value) {
				t.Errorf("%s refuses %q", test.kind, value)
			}
		}
		for _, value := range append(strings.Split(test.bad, " "), "", strings.Repeat("1", 201)) {
			if p.accepts(value) {
				t.Errorf("%s accepts %q", test.kind, value)
			}
		}
	}
}

func TestCheckTargets(t *testing.T) {
	t.Parallel()
	p := loaded(t, world)
	got := p.CheckTargets([]Target{{"orders-prod", "postgres", "prodution"}, {"x-frozen", "postgres", "staging"}})
	if len(got) != 2 || !strings.Contains(got[0].Text, `names env:production, and no configured target is that; did you mean "prodution"?`) || got[0].Line == 0 {
		t.Errorf("got %v", got)
	}
}

func TestCriticalGlassIsAWarning(t *testing.T) {
	t.Parallel()
	_, warnings, err := Load([]byte(`
version: 1
profiles: [{ name: ddl, risk: critical, grants: [{ schema: public, tables: [a], privileges: [create] }] }]
break_glass: { who: [user:ana@example.com], targets: [orders-*], reviewers: [user:sam@example.com] }
`), "p.yaml")
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0].String(), "p.yaml:4:14: break_glass gives ddl on nobody's word, and its risk is critical") {
		t.Errorf("got %v, %v", warnings, err)
	}
	p := loaded(t, strings.Replace(glass, ", %s", "", 1))
	if got := p.CheckTargets([]Target{{Name: "orders"}}); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	p = loaded(t, strings.Replace(glass, "%s", "targets: [order]", 1))
	if got := p.CheckTargets([]Target{{Name: "orders"}}); len(got) != 1 || !strings.Contains(got[0].Text, `the rule "break-glass" names order, and no configured target is that; did you mean "orders"?`) {
		t.Errorf("got %v", got)
	}
}
