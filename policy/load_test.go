package policy

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// loaded is the policy in a text that must load.
func loaded(t testing.TB, source string) *Policy {
	t.Helper()
	p, _, err := Load([]byte(source), "policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestDesignExample loads the file that DESIGN section 5 shows, word for word.
func TestDesignExample(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("testdata/design.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, warnings, err := Load(source, "design.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		t.Log(w)
	}
	for _, result := range p.Test() {
		if !result.OK {
			t.Errorf("%s: %v", result.Name, result.Differences)
		}
	}
	support, ok := p.Profile("support")
	if !ok || len(support.Parameters) != 1 || !support.Parameters[0].Required || support.Grants[1].Mask["card_number"] != "hide" {
		t.Errorf("support was read as %+v", support)
	}
	readOnly, _ := p.Profile("read-only")
	if readOnly.MaxDuration != 4*time.Hour || readOnly.Grants[0].Tables[0] != "*" {
		t.Errorf("read-only was read as %+v", readOnly)
	}
	if b, ok := p.BreakGlass(); !ok || b.MaxDuration != time.Hour || b.ReviewWithin != 24*time.Hour {
		t.Errorf("break_glass was read as %+v", b)
	}
}

// TestFaults makes one mistake at a time in a small file; each is found where it is.
func TestFaults(t *testing.T) {
	t.Parallel()
	const head = "version: 1\n"
	const profile = "profiles: [{ name: r, risk: low, grants: [{ schema: public, tables: [a], privileges: [select] }] }]\n"
	rule := func(text string) string { return head + profile + "rules:\n  - { name: x, " + text + " }\n" }
	broken := func(text string) string {
		return head + "break_glass: { who: anyone, reviewers: anyone, " + text + " }\n"
	}
	tested := func(text string) string {
		return head + "tests: [{ name: t, given: { user: a@b.c }, expect: { outcome: denied }, " + text + " }]\n"
	}
	for source, want := range map[string]string{
		"":                                       `p.yaml: the file is empty`,
		"\n# only a comment\n":                   `the file is empty`,
		"- a":                                    `p.yaml:1:1: the policy must be a mapping of keys to values, and this is a list`,
		"rules: []":                              `p.yaml:1:1: the version is missing; begin with "version: 1"`,
		"version: 2":                             `p.yaml:1:10: the version must be 1`,
		"version: \"1\"":                         `the version must be 1`,
		head + "rules: [":                        `this is not YAML`,
		head + "\tx: y":                          `this is not YAML`,
		head + "---\nversion: 1":                 `one YAML document`,
		head + "version: 1":                      `p.yaml:2:1: the key "version" is there twice`,
		head + "ruls: []":                        `p.yaml:2:1: the policy has no key "ruls"; did you mean "rules"?`,
		head + "rules: &a []":                    `anchors and aliases are not allowed`,
		head + "rules: *a":                       `anchors and aliases are not allowed`,
		head + "rules: !!seq []":                 `tags such as !!str are not allowed`,
		head + "? a\n: b":                        `only plain keys`,
		head + "rules:":                          `p.yaml:2:1: rules has no value; write one or leave the key out`,
		head + "rules: {}":                       `rules must be a list`,
		head + "groups: []":                      `groups must be a mapping`,
		head + "a: \x00":                         `zero byte`,
		head + "a: " + strings.Repeat("[", 3000): `nested too deeply`,
		head + strings.Repeat("- ", 3000) + "a":  `nested too deeply`,

		head + "groups: { DBA: { slack_usergroup: S0DBA } }":                `the group name "DBA" must be lower-case`,
		head + "groups: { dba: { slack_usergroup: \"@dba\" } }":             `is not the ID of a Slack user group`,
		head + "groups: { dba: { emails: [ana] } }":                         `"ana" is not an e-mail address`,
		head + "groups: { dba: { email: [ana@example.com] } }":              `a group has no key "email"; did you mean "emails"?`,
		head + "groups: { dba: { emails: [[a]] } }":                         `emails must be a single value, and this is a list`,
		head + "schedules: { p: { levels: [1] } }":                          `needs pagerduty_schedule`,
		head + "schedules: { p: { pagerduty_schedule: payments } }":         `not the ID of a PagerDuty schedule`,
		head + "schedules: { p: { pagerduty_schedule: P1, levels: [0] } }":  `whole number from 1 to 10`,
		head + "schedules: { p: { pagerduty_schedule: P1, levels: [11] } }": `whole number from 1 to 10`,
		head + "schedules: { p: { pagerduty_schedule: P1, levels: [] } }":   `levels is empty`,

		head + "profiles: [{ risk: low }]":                                                                         `a profile needs a name`,
		head + "profiles: [{ name: a b }]":                                                                         `the profile name "a b" must be lower-case`,
		head + "profiles: [{ name: a, risk: hihg }]":                                                               `risk must be low, medium, high or critical, not "hihg"; did you mean "high"?`,
		head + "profiles: [{ name: a, engines: [postgresql] }]":                                                    `the engine must be postgres or mysql, not "postgresql"; did you mean "postgres"?`,
		head + "profiles: [{ name: a }, { name: a }]":                                                              `the profile "a" is there twice`,
		head + "profiles: [{ name: a-b }, { name: a_b }]":                                                          `would be the same role in the database`,
		head + "profiles: [{ name: a, max_duration: 30 }]":                                                         `max_duration: "30" has a number without a unit`,
		head + "profiles: [{ name: a, connection_limit: many }]":                                                   `connection_limit must be a whole number from 1 to 1000`,
		head + "profiles: [{ name: a, grants: [] }]":                                                               `grants is empty`,
		head + "profiles: [{ name: a, grants: [{ schema: p, tables: a }] }]":                                       `a grant needs privileges`,
		head + "profiles: [{ name: a, grants: [{ schema: p, tables: a, privileges: [ALL] }] }]":                    `the privilege ALL is not allowed`,
		head + "profiles: [{ name: a, grants: [{ schema: p, tables: a, privileges: [selct] }] }]":                  `"selct" is not a privilege`,
		head + "profiles: [{ name: a, grants: [{ schema: p, tables: [a, \"*\"], privileges: [select] }] }]":        `already means every table`,
		head + "profiles: [{ name: a, grants: [{ schema: p, tables: a, privileges: select, rows: \"x = :y\" }] }]": `rows uses :y, and the profile has no such parameter`,
		head + "profiles: [{ name: a, grants: [{ schema: p, tables: a, privileges: select, mask: { x: hid } }] }]": `not "hid"; did you mean "hide"?`,
		head + "profiles: [{ name: a, parameters: [{ name: X, type: bigint }] }]":                                  `must be a lower-case letter`,
		head + "profiles: [{ name: a, parameters: [{ name: x, type: number }] }]":                                  `type must be bigint`,
		head + "profiles: [{ name: a, parameters: [{ name: x, type: text, required: maybe }] }]":                   `required must be true or false`,

		rule("approve: yes"):                                                                          `approve must be automatically, not "yes"`,
		rule("deny: true, approve: automatically"):                                                    `a rule that denies cannot have approve`,
		rule("deny: true, max_duration: 1h"):                                                          `a rule that denies cannot have max_duration`,
		rule("profiles: [r]"):                                                                         `the rule "x" says nothing`,
		rule("deny: false"):                                                                           `the rule "x" says nothing`,
		rule("approve: automatically, approvals: [{ from: anyone }]"):                                 `either approve or approvals`,
		rule("approvals: []"):                                                                         `approvals is empty`,
		rule("approvals: [{ count: 1 }]"):                                                             `an approval needs from`,
		rule("approvals: [{ from: anyone, count: 0 }]"):                                               `count must be a whole number from 1 to 20`,
		rule("approvals: [{ from: anyone, count: \"2\" }]"):                                           `count must be a whole number`,
		rule("approvals: [{ from: [] }]"):                                                             `from is empty and would match nothing`,
		rule("approve: automatically, who: []"):                                                       `who is empty and would match nothing`,
		rule("approve: automatically, who: ~"):                                                        `who has no value`,
		rule("approve: automatically, who: [\"\"]"):                                                   `who is empty`,
		rule("approve: automatically, who: [backend]"):                                                `"backend" is not somebody: write group:NAME`,
		rule("approve: automatically, who: [gruop:dba]"):                                              `did you mean "group"?`,
		rule("approve: automatically, who: [user:ana]"):                                               `named by e-mail address`,
		rule("approve: automatically, who: { group: dba }"):                                           `who must be a single value`,
		rule("approve: automatically, targets: [environment:x]"):                                      `"environment:x" is not a target`,
		rule("approve: automatically, targets: [\"env:\"]"):                                           `is not a target`,
		rule("approve: automatically, max_duration: soon"):                                            `max_duration: "soon" is not a duration`,
		rule("approve: automatically, max_duration: 1h, default_duration: 2h"):                        `default_duration is longer`,
		rule("approve: automatically, require: {}"):                                                   `require is empty`,
		rule("approve: automatically, require: { ticket: \"(\" }"):                                    `ticket is not a regular expression`,
		rule("approve: automatically, require: { ticket: \"a)|(b\" }"):                                `ticket is not a regular expression`,
		rule("approve: automatically, require: { reason: lots }"):                                     `reason must be a whole number`,
		rule("approve: automatically, budget: { grants: 1 }"):                                         `budget needs per`,
		rule("approve: automatically, budget: { grants: 1, per: shift }"):                             `a budget per shift needs a rule whose who is on-call schedules only`,
		rule("approvals: [{ from: anyone }], budget: { grants: 1, per: day }"):                        `budget counts automatic approvals`,
		rule("approvals: [{ from: anyone, in_order: true }]"):                                         `in_order is a key of the rule, beside approvals`,
		rule("approve: automatically, in_order: true"):                                                `p.yaml:4:40: a rule that approves automatically waits for nobody, so it cannot have in_order`,
		rule("approve: automatically, lapse_after: 1h"):                                               `waits for nobody, so it cannot have lapse_after`,
		rule("approve: automatically, remind_every: 1h"):                                              `waits for nobody, so it cannot have remind_every`,
		rule("approve: automatically, escalate: { after: 1h, to: anyone }"):                           `waits for nobody, so it cannot have escalate`,
		rule("deny: true, in_order: true"):                                                            `a rule that denies cannot have in_order`,
		rule("deny: true, lapse_after: 1h"):                                                           `a rule that denies cannot have lapse_after`,
		rule("deny: true, activate_within: 1h"):                                                       `a rule that denies cannot have activate_within`,
		rule("deny: true, remind_every: 1h"):                                                          `a rule that denies cannot have remind_every`,
		rule("deny: true, escalate: { after: 1h, to: anyone }"):                                       `a rule that denies cannot have escalate`,
		rule("deny: true, extend: { times: 0 }"):                                                      `a rule that denies cannot have extend`,
		rule("approvals: [{ from: anyone }], in_order: yes"):                                          `in_order must be true or false`,
		rule("approvals: [{ from: anyone }], lapse_after: soon"):                                      `lapse_after: "soon" is not a duration`,
		rule("approvals: [{ from: anyone }], activate_within: 5"):                                     `activate_within: "5" has a number without a unit`,
		rule("approvals: [{ from: anyone }], remind_every: 0s"):                                       `remind_every: "0s" is too short`,
		rule("approvals: [{ from: anyone }], lapse_after: 1h, remind_every: 1h"):                      `the request lapses after 1h, before anybody is reminded`,
		rule("approvals: [{ from: anyone }], lapse_after: 20m, escalate: { after: 20m, to: anyone }"): `the request lapses after 20m, before it escalates after 20m`,
		rule("approvals: [{ from: anyone }], lapse_after: 20m, escalate: [{ after: 5m, to: anyone }, { after: 1h, to: anyone }]"): `the request lapses after 20m, before it escalates after 1h`,
		rule("approvals: [{ from: anyone }], escalate: [{ after: 20m, to: anyone }, { after: 20m, to: anyone }]"):                 `must come later and later, and 20m is not after 20m`,
		rule("approvals: [{ from: anyone }], escalate: []"):                                                                       `escalate is empty; write { after: 20m, to: [group:NAME] }`,
		rule("approvals: [{ from: anyone }], escalate: { to: anyone }"):                                                           `escalate needs after, as in`,
		rule("approvals: [{ from: anyone }], escalate: { after: 20m }"):                                                           `escalate needs to, as in`,
		rule("approvals: [{ from: anyone }], escalate: { after: 20m, to: managers }"):                                             `"managers" is not somebody`,
		rule("approvals: [{ from: anyone }], escalate: { after: 20m, to: anyone, from: anyone }"):                                 `escalate has no key "from"`,
		rule("approvals: [{ from: anyone }], escalate: 20m"):                                                                      `escalate must be a mapping`,
		rule("approve: automatically, extend: { total: 1h }"):                                                                     `extend needs times, as in { times: 2, total: 8h }`,
		rule("approve: automatically, extend: { times: 2 }"):                                                                      `extend needs total, the longest the access may last in all`,
		rule("approve: automatically, extend: { times: 0, total: 8h }"):                                                           `extend says 0 times, so leave its total out`,
		rule("approve: automatically, extend: { times: 101, total: 8h }"):                                                         `times must be a whole number from 0 to 100`,
		rule("approve: automatically, extend: { times: 1, total: 8h, of: 2h }"):                                                   `extend has no key "of"`,
		rule("approve: automatically, extend: { times: 1, total: 1h }, max_duration: 2h"):                                         `the total of extend is shorter than max_duration`,
		rule("approve: automatically, aprove: automatically"):                                                                     `a rule has no key "aprove"; did you mean "approve"?`,
		rule("approve: automatically, hours: []"):                                                                                 `hours is empty`,
		rule("approve: automatically, hours: { from: \"08:00\" }"):                                                                `hours needs a timezone`,
		rule("approve: automatically, hours: { from: \"8\", timezone: UTC }"):                                                     `from must be a time such as "08:00", not "8"`,
		rule("approve: automatically, hours: { from: \"25:00\", timezone: UTC }"):                                                 `from must be a time`,
		rule("approve: automatically, hours: { days: mo-fr, timezone: UTC }"):                                                     `"mo-fr" is not a day`,
		rule("approve: automatically, hours: { timezone: Paris }"):                                                                `"Paris" is not a time zone`,
		rule("approve: automatically, hours: { timezone: Local }"):                                                                `"Local" is not a time zone`,
		rule("approve: automatically, hours: { timezone: ../../etc/passwd }"):                                                     `is not a time zone`,
		rule("approve: automatically, hours: { from: \"08:00\", to: \"08:00\", timezone: UTC }"):                                  `from and to are the same time`,
		rule("approve: automatically }\n  - { name: x, deny: true"):                                                               `p.yaml:5:13: the rule "x" is there twice`,
		head + "rules: [{ deny: true }]":                                                                                          `a rule needs a name`,

		head + profile + "rules: [{ name: break-glass, approve: automatically }]":           `no rule may be called "break-glass"`,
		head + "break_glass: { who: anyone }":                                               `break_glass needs reviewers`,
		head + "break_glass: { reviewers: anyone }":                                         `break_glass needs who`,
		head + "break_glass: []":                                                            `break_glass must be a mapping`,
		broken("max_duration: forever"):                                                     `max_duration: "forever" is not a duration`,
		broken("review_within: 0s"):                                                         `review_within: "0s" is too short`,
		broken("review_in: 1h"):                                                             `break_glass has no key "review_in"`,
		broken("review_within: 1h, remind_every: 1h"):                                       `the review is due after 1h, before anybody is reminded`,
		broken("notify: [slack]"):                                                           `notify takes security_channel or pagerduty, not "slack"`,
		broken("notify: [security_chanel]"):                                                 `did you mean "security_channel"?`,
		broken("notify: []"):                                                                `notify is empty`,
		broken("escalate: { after: 1h }"):                                                   `escalate needs to`,
		broken("escalate: [{ after: 1h, to: anyone }]"):                                     `escalate must be a mapping`,
		broken("require: {}"):                                                               `require is empty`,
		broken("targets: [\"env:\"]"):                                                       `is not a target`,
		broken("who: [dba]"):                                                                `the key "who" is there twice`,
		broken("hours: { timezone: UTC }"):                                                  `break_glass has no key "hours"`,
		tested("request: { target: t }"):                                                    `a test's request needs profile`,
		tested("request: { target: t, profile: r, break_glass: perhaps }"):                  `break_glass must be true or false`,
		tested("request: { target: t, profile: r, extend: { before: 1 } }"):                 `extend needs to, how long the access is to last in all`,
		tested("request: { target: t, profile: r, extend: { to: 1h, at: later } }"):         `at must be a time such as`,
		tested("request: { target: t, profile: r, extend: { to: 1h, by: 1h } }"):            `extend has no key "by"`,
		tested("request: { target: t, profile: r, break_glass: true, extend: { to: 1h } }"): `broken glass is never extended; write two tests`,
		head + "tests: [{ name: t }]":                                                       `a test needs request`,
		head + "tests: [{ name: t, given: { user: a@b.c, on_call: [p] }, request: { target: t, profile: r }, expect: { outcome: denied } }]": `no schedule is called "p"`,
		head + "tests: [{ name: t, given: { user: a@b.c }, request: { target: t, profile: r }, expect: { outcome: aproved } }]":              `did you mean "approved"?`,
		head + "tests: [{ name: t, given: { user: a@b.c }, request: { target: t, profile: r }, expect: { rule: gone } }]":                    `no rule is called "gone"`,
		head + "tests: [{ name: t, given: { user: a@b.c, at: noon }, request: { target: t, profile: r }, expect: { rule: none } }]":          `at must be a time such as`,
	} {
		p, warnings, err := Load([]byte(source), "p.yaml")
		failure, ok := err.(*LoadError)
		switch {
		case err == nil:
			t.Errorf("this loaded, wanted %q:\n%s", want, source)
		case !ok || p != nil || warnings != nil || len(failure.Faults) == 0:
			t.Errorf("a failed load gave %v, %v, %T", p, warnings, err)
		case !strings.Contains(err.Error(), want):
			t.Errorf("wanted %q, got %v\n%s", want, err, source)
		}
	}
}

// TestEveryFault reports all that is wrong at once, in the order of the file, each with its line and a mark.
func TestEveryFault(t *testing.T) {
	t.Parallel()
	_, _, err := Load([]byte(`version: 1
groups:
  dba: { emails: [dora] }
rules:
  - name: first
    aprove: automatically
  - name: second
    deny: true
    hours: { timezone: Mars }
`), "policy.yaml")
	const want = `the policy policy.yaml has 4 faults:
policy.yaml:3:19: "dora" is not an e-mail address
     2 | groups:
>    3 |   dba: { emails: [dora] }
       |                   ^
policy.yaml:5:5: the rule "first" says nothing; write deny: true, approve: automatically, or approvals
     4 | rules:
>    5 |   - name: first
       |     ^
policy.yaml:6:5: a rule has no key "aprove"; did you mean "approve"?
     5 |   - name: first
>    6 |     aprove: automatically
       |     ^
policy.yaml:9:24: "Mars" is not a time zone; write one such as Europe/Paris or UTC
     8 |     deny: true
>    9 |     hours: { timezone: Mars }
       |                        ^`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v", err)
	}
}

// TestColons reads selectors inside of braces, where the parser takes a colon for a mapping.
func TestColons(t *testing.T) {
	t.Parallel()
	p := loaded(t, `
version: 1
groups: { dba: { slack_usergroup: S0DBA } }
profiles: [{ name: r, risk: low, grants: [{ schema: public, tables: [a], privileges: [select] }] }]
rules:
  - { name: x, who: [group:dba, user:ana@example.com, "user:bo@example.com"], targets: [env:prod*, 'env:b', c], approvals: [{ from: [group:dba], count: 1 }] }
`)
	var got []string
	for _, s := range p.who.values {
		got = append(got, s.String())
	}
	for _, s := range p.targets.values {
		got = append(got, s.String())
	}
	if strings.Join(got, " ") != "group:dba user:ana@example.com user:bo@example.com env:prod* env:b c" {
		t.Errorf("got %q", got)
	}
}

func FuzzLoad(f *testing.F) {
	for _, file := range []string{"testdata/design.yaml", "../policy.example.yaml"} {
		source, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(source))
	}
	for _, seed := range []string{
		world, shop, glass, extending, "version: 1\nbreak_glass: {who: anyone, reviewers: anyone, escalate: {after: 1s, to: [a:b]}}",
		"version: 1\nrules: [{name: x, approvals: [{from: anyone}], in_order: true, extend: {times: 0}, escalate: [{after: 1d, to: anyone}]}]", "", "version: 1", "version: 1\nrules: [{", "a: &a [*a, *a]", "? [a]: b", "- - - -", "version: 1\nprofiles:\n- name: x\n  grants: [{tables: \"*\"}]",
		"version: 1\nrules: [{name: x, who: [a:b:c], hours: {days: a-b}}]", "{a: [b:c, d:", "!!binary x", "%YAML 9", "a: |\n  b\n c", "version: 1\n\u2028x: y",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		p, _, err := Load([]byte(source), "fuzz.yaml")
		if err != nil {
			failure, ok := err.(*LoadError)
			if !ok || len(failure.Faults) == 0 || failure.Error() == "" {
				t.Fatalf("an error without faults: %v", err)
			}
			return
		}
		p.Test()
		for _, profile := range p.Profiles() {
			request := Request{User: Person{Email: "ana@example.com"}, Profile: profile.Name, At: morning}
			d := p.Decide(request, Facts{})
			for _, d := range []Decision{d, p.DecideBreakGlass(request, Facts{}), p.DecideExtension(Extending{request, d, 1}, Facts{})} {
				if d.Why == "" || d.Policy != p.Hash() {
					t.Fatalf("an empty decision: %+v", d)
				}
			}
			if len(p.Explain(request, Facts{}).Rules) != len(p.rules) {
				t.Fatal("a rule without an explanation")
			}
			for _, narrow := range p.Narrower(profile.Name, "postgres") {
				if slices.ContainsFunc(p.Narrower(narrow.Name, "postgres"), func(other Profile) bool { return other.Name == profile.Name }) {
					t.Fatalf("%s and %s are each narrower than the other", profile.Name, narrow.Name)
				}
			}
		}
		if len(source) < 2000 && len(p.rules) < 10 && !Diff(p, p, nil).same() {
			t.Fatal("a policy differs from itself")
		}
	})
}
