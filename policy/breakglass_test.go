package policy

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

const glass = `
version: 1
groups: { dba: { slack_usergroup: S0DBA }, security: { emails: [sam@example.com] }, interns: { slack_usergroup: S0INT } }
schedules: { pay: { pagerduty_schedule: P1 } }
profiles:
  - { name: r, risk: low, engines: [postgres], grants: [{ schema: public, tables: "*", privileges: [select] }] }
  - { name: w, risk: high, max_duration: 20m, parameters: [{ name: id, type: bigint, required: true }], grants: [{ schema: public, tables: "*", privileges: [update] }] }
rules:
  - { name: no interns, deny: true, who: group:interns, profiles: w }
  - { name: everybody, approve: automatically }
break_glass: { who: [oncall:pay, group:dba], reviewers: [group:security], %s }
`

func TestBreakGlass(t *testing.T) {
	t.Parallel()
	p := loaded(t, strings.Replace(glass, ", %s", "", 1))
	breaks := func(user, profile string, changes ...change) Decision {
		a := request(t, p, user, profile, append([]change{lasting(0)}, changes...)...)
		return p.DecideBreakGlass(a.Request, a.Facts)
	}
	// What the section does not say: an hour, a day, a quarter of it, the security channel.
	d := breaks("dora", "r", member("S0DBA"))
	want := &Review{Reviewers: []string{"group:security"}, Within: 24 * time.Hour, Remind: 6 * time.Hour, Notify: []string{"security_channel"}}
	if d.Outcome != Approved || d.Duration != time.Hour || d.MaxDuration != time.Hour || d.Shift != nil || !reflect.DeepEqual(d.Review, want) {
		t.Errorf("got %+v", d)
	}
	if d.Why != `Access at once, approved by nobody (rule "break-glass"): dora@example.com is in group dba. It must be reviewed within 24h by group security.` {
		t.Errorf("got %q", d.Why)
	}
	if len(d.Steps) != 2 || d.Steps[0].Rule != "no interns" || d.Steps[1] != (Step{Rule: BreakGlassRule, Matched: true, Why: "dora@example.com is in group dba"}) {
		t.Errorf("got %+v", d.Steps)
	}
	// Membership counts before a shift that ends.
	if d := breaks("dora", "r", member("S0DBA"), onCall("pay", 1)); d.Shift != nil {
		t.Errorf("got %+v", d.Shift)
	}
	if d := breaks("eve", "r", onCall("pay", 1)); d.Outcome != Approved || d.Shift == nil || !d.Shift.End.Equal(morning.Add(5*time.Hour)) {
		t.Errorf("got %+v", d)
	}
	if d := breaks("dora", "w", member("S0DBA"), with("id", "7")); d.Outcome != Approved || d.Duration != 20*time.Minute {
		t.Errorf("the profile's longest is less: %+v", d)
	}
	for _, test := range []struct {
		name, user, profile, rule, why string
		with                           []change
	}{
		{"somebody else, whom a rule would let at once", "eve", "r", "", "No rule lets this person break glass for r on orders-prod: it is for whoever is on call for pay or group dba. File a normal request.", nil},
		{"Slack does not say", "eve", "r", "", "as far as is known. The rule \"break-glass\": it is not known whether eve@example.com is in group dba, because Slack did not answer.", []change{noSlack("S0DBA")}},
		{"off call", "eve", "r", "", "No rule", []change{onCall("pay", 1), at(morning.Add(6 * time.Hour))}},
		{"denied", "eve", "w", "no interns", `The rule "no interns" forbids this`, []change{member("S0DBA"), member("S0INT"), with("id", "7")}},
		{"perhaps denied", "eve", "w", "no interns", "cannot be ruled out", []change{member("S0DBA"), noSlack("S0INT"), with("id", "7")}},
		{"too long", "dora", "r", BreakGlassRule, "At most 1h for r on orders-prod (rule \"break-glass\"); 2h was asked for", []change{member("S0DBA"), lasting(2 * time.Hour)}},
		{"no parameter", "dora", "w", "", "needs id=", []change{member("S0DBA")}},
		{"another engine", "dora", "r", "", "r is for postgres", []change{member("S0DBA"), engine("mysql")}},
		{"no such profile", "dora", "x", "", `no profile "x"`, []change{member("S0DBA")}},
		{"no time", "dora", "r", "", "says no time", []change{member("S0DBA"), at(time.Time{})}},
	} {
		if d := breaks(test.user, test.profile, test.with...); d.Outcome != Denied || d.Rule != test.rule || !strings.Contains(d.Why, test.why) || d.Review != nil || d.Policy != p.Hash() {
			t.Errorf("%s: %+v", test.name, d)
		}
	}

	none := loaded(t, extending)
	if d := none.DecideBreakGlass(request(t, none, "ana", "r").Request, Facts{}); d.Outcome != Denied || !strings.Contains(d.Why, "it has no break_glass section") {
		t.Errorf("without a section: %+v", d)
	}

	// What was broken is never made longer, whoever asks and whatever rules say.
	a := request(t, p, "dora", "r", member("S0DBA"))
	for _, given := range []Decision{breaks("dora", "r", member("S0DBA")), {Outcome: Approved, Rule: BreakGlassRule}, {Outcome: Approved, Review: &Review{}}} {
		if d := longer(a, given, time.Hour, 0); d.Outcome != Denied || !strings.Contains(d.Why, "File a normal request") || d.Policy != p.Hash() {
			t.Errorf("extending: %+v", d)
		}
	}
}

func TestBreakGlassLookups(t *testing.T) {
	t.Parallel()
	p := loaded(t, strings.Replace(glass, "%s", "profiles: [w], targets: orders-*", 1))
	for _, test := range []struct {
		user, profile, target string
		groups, schedules     int
	}{{"ana", "w", "orders-prod", 2, 1}, {"ana", "w", "billing", 1, 0}, {"ana", "r", "orders-prod", 0, 0}, {"ana", "x", "orders-prod", 0, 0}} {
		got := p.BreakGlassLookups(request(t, p, test.user, test.profile, on(test.target, "")).Request)
		if len(got.Usergroups) != test.groups || len(got.Schedules) != test.schedules || got.History {
			t.Errorf("%s on %s looks up %+v", test.profile, test.target, got)
		}
	}
	none := loaded(t, extending)
	if got := none.BreakGlassLookups(request(t, none, "ana", "r").Request); len(got.Usergroups)+len(got.Schedules) > 0 {
		t.Errorf("without a section: %+v", got)
	}
}

// TestBreakGlassIsCopied changes what a decision and the accessor carry; the policy must not change with it.
func TestBreakGlassIsCopied(t *testing.T) {
	t.Parallel()
	p := loaded(t, strings.Replace(glass, "%s", "escalate: { after: 1h, to: [group:dba] }, profiles: r, targets: orders-*", 1))
	a := request(t, p, "dora", "r", member("S0DBA"), lasting(0))
	d := p.DecideBreakGlass(a.Request, a.Facts)
	d.Review.Reviewers[0], d.Review.Notify[0], d.Review.Escalate.To[0] = "changed", "changed", "changed"
	b, _ := p.BreakGlass()
	b.Who[0], b.Profiles[0], b.Targets[0], b.Reviewers[0], b.Escalate.To[0] = "changed", "changed", "changed", "changed", "changed"
	again := p.DecideBreakGlass(a.Request, a.Facts)
	b, _ = p.BreakGlass()
	if strings.Contains(strings.Join(append(again.Review.Reviewers, append(again.Review.Notify, again.Review.Escalate.To...)...), " "), "changed") || b.Who[0] != "oncall:pay" ||
		b.Profiles[0] != "r" || b.Targets[0] != "orders-*" || b.Escalate.To[0] != "group:dba" {
		t.Errorf("got %+v and %+v", again.Review, b)
	}
}
