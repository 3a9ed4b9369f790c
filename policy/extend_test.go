package policy

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// longer is access that a decision gave and a wish for it to last so long in all.
func longer(a *ask, given Decision, inAll time.Duration, before int) Decision {
	request := a.Request
	request.Duration = inAll
	return a.p.DecideExtension(Extending{request, given, before}, a.Facts)
}

const extending = `
version: 1
groups:
  dba: { slack_usergroup: S0DBA }
  security: { emails: [sam@example.com] }
  managers: { emails: [mia@example.com] }
  interns: { slack_usergroup: S0INT }
schedules: { pay: { pagerduty_schedule: P1 } }
profiles: [{ name: r, risk: low, grants: [{ schema: public, tables: "*", privileges: [select] }] }]
rules:
  - { name: frozen, deny: true, targets: frozen }
  - { name: on call, who: oncall:pay, approve: automatically, budget: { grants: 1, per: day }, max_duration: 2h }
  - { name: asks, approvals: [{ from: group:dba, count: 2 }], extend: { times: 2, total: 6h }, max_duration: 3h, hours: { days: mon-fri, timezone: UTC } }
`

func TestExtensionAsksAfresh(t *testing.T) {
	t.Parallel()
	p := loaded(t, extending)
	with := func(old, new string) *Policy {
		if !strings.Contains(extending, old) {
			t.Fatalf("nothing to replace: %s", old)
		}
		return loaded(t, strings.Replace(extending, old, new, 1))
	}
	agreed := request(t, p, "ana", "r").decided(NeedsApproval, "asks")
	shift := request(t, p, "ana", "r", onCall("pay", 1)).decided(Approved, "on call")
	saturday := at(morning.Add(72 * time.Hour))
	for _, test := range []struct {
		name  string
		p     *Policy
		given Decision
		inAll time.Duration
		rule  string
		why   string // empty for yes
		with  []change
	}{
		{"what people agreed to, longer", p, agreed, 6 * time.Hour, "asks", "", nil},
		{"beyond the total", p, agreed, 7 * time.Hour, "asks", "At most 6h in all for r on orders-prod (rule \"asks\"), and this would make it 7h. Extend it by less, or file a new request.", nil},
		{"hours are over", p, agreed, 4 * time.Hour, "", `The rule "asks" would match, but it holds only`, []change{saturday}},
		{"forbidden by now", p, agreed, 4 * time.Hour, "frozen", "forbids this", []change{on("frozen", "")}},
		{"the profile is gone", with("name: r,", "name: q,"), agreed, 4 * time.Hour, "", `no profile "r"`, nil},
		{"nobody says how long", p, agreed, 0, "asks", "", nil},

		// By the shift; the budget that the access itself used up is not asked again.
		{"on call", p, shift, 2 * time.Hour, "on call", "", []change{onCall("pay", 1), used("on call", time.Hour)}},
		{"on call for longer than the rule", p, shift, 3 * time.Hour, "on call", "At most 2h in all", []change{onCall("pay", 1)}},
		{"agreed to, and on call since, with the budget used up", p, agreed, 2 * time.Hour, "asks", "", []change{onCall("pay", 1), used("on call", time.Hour)}},
		{"agreed to, and on call since", p, agreed, 2 * time.Hour, "on call", "", []change{onCall("pay", 1)}},
		{"off call", p, shift, 90 * time.Minute, "asks", `More time needs 2 approvals from group dba (rule "asks"). File a new request.`, nil},
		{"PagerDuty does not say", p, shift, 90 * time.Minute, "asks", "More time needs 2 approvals", []change{noPagerDuty("pay")}},
		// One of the two would let it last 2h, the other 6h: not known which, so both must.
		{"PagerDuty does not say, and people agreed", p, agreed, 2 * time.Hour, "asks", "", []change{noPagerDuty("pay")}},
		{"PagerDuty does not say, and it is long", p, agreed, 3 * time.Hour, "on call", "At most 2h in all", []change{noPagerDuty("pay")}},

		// The file changed since people agreed.
		{"another name", with("name: asks", "name: asks people"), agreed, 4 * time.Hour, "asks people", "More time needs", nil},
		{"fewer approvals", with("count: 2", "count: 1"), agreed, 4 * time.Hour, "asks", "", nil},
		{"more approvals", with("count: 2", "count: 3"), agreed, 4 * time.Hour, "asks", "3 approvals from group dba by now (rule \"asks\"), and that is not what was agreed to. File a new request.", nil},
		{"other people", with("from: group:dba", "from: group:security"), agreed, 4 * time.Hour, "asks", "not what was agreed to", nil},
		{"more people", with("from: group:dba", "from: [group:dba, group:security]"), agreed, 4 * time.Hour, "asks", "", nil},
		{"people of a group that is gone", with("dba: { slack_usergroup: S0DBA }", "others: { slack_usergroup: S0DBA }"), agreed, 4 * time.Hour, "asks", "", nil},
		{"people of a group that has nobody", loaded(t, strings.NewReplacer("dba: { slack_usergroup: S0DBA }", "dba: { emails: [] }", "from: group:dba", "from: group:security").Replace(extending)), agreed, 4 * time.Hour, "asks", "not what was agreed to", nil},
		{"in order", with("approvals: [{ from: group:dba, count: 2 }]", "approvals: [{ from: group:dba }, { from: [group:dba, group:security] }], in_order: true"), agreed, 4 * time.Hour, "asks", "", nil},
		{"in another order", with("approvals: [{ from: group:dba, count: 2 }]", "approvals: [{ from: group:security }, { from: group:dba }], in_order: true"), agreed, 4 * time.Hour, "asks", "then 1 from group dba by now", nil},
		{"no extension", with("extend: { times: 2, total: 6h }, ", ""), agreed, time.Hour, "asks", "lets nobody exceed the time that was agreed to", nil},
		{"no extension, in so many words", with("extend: { times: 2, total: 6h }", "extend: { times: 0 }"), agreed, time.Hour, "asks", "lets nobody exceed the time that was agreed to", nil},
		{"a ticket by now", with("max_duration: 3h,", "max_duration: 3h, require: { ticket: CHG },"), agreed, 4 * time.Hour, "asks", "The ticket \"INC-1\" is not of the kind that is needed (it must match CHG) (rule \"asks\"). File a new request.", nil},
		{"nobody asked", with("approvals: [{ from: group:dba, count: 2 }]", "approve: automatically"), agreed, 6 * time.Hour, "asks", "", nil},
		{"at once by another rule", with("deny: true, targets: frozen", "approve: automatically, max_duration: 1h"), agreed, time.Hour, "frozen", "", nil},
	} {
		a := request(t, test.p, "ana", "r", test.with...)
		d := longer(a, test.given, test.inAll, 1)
		want := Approved
		if test.why != "" {
			want = Denied
		}
		if d.Outcome != want || d.Rule != test.rule || !strings.Contains(d.Why, test.why) || d.Why == "" || d.Policy != test.p.Hash() {
			t.Errorf("%s: %s by %q: %s", test.name, d.Outcome, d.Rule, d.Why)
		}
		if test.inAll == 0 && d.Duration != 6*time.Hour {
			t.Errorf("%s: the longest is %s", test.name, d.Duration)
		}
		if d.Budget != nil || len(d.Approvals) > 0 || d.Outcome == Approved && (d.MaxDuration < d.Duration || len(d.Steps) == 0) {
			t.Errorf("%s: got %+v", test.name, d)
		}
	}
	if d := longer(request(t, p, "ana", "r"), agreed, 4*time.Hour, 2); d.Outcome != Denied || d.Why != `The access was extended twice already, and the rule "asks" allows no more. File a new request.` {
		t.Errorf("the third time: %+v", d)
	}
	if d := longer(request(t, p, "ana", "r", onCall("pay", 1)), shift, 2*time.Hour, 99); d.Outcome != Approved || d.Shift == nil || !d.Shift.End.Equal(morning.Add(5*time.Hour)) {
		t.Errorf("by the shift: %+v", d)
	}
}

// TestExtensionsHaveOneBound: what is allowed for longer is allowed for less, up to the bound that is said, and the fewer
// times it was extended before the better.
func TestExtensionsHaveOneBound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, request, facts := drawWorld(t).load(t), drawRequest(t), drawFacts(t)
		given := p.Decide(request, facts)
		if given.Outcome == Denied {
			return
		}
		facts = forget(t, facts, &request.User)
		before := rapid.IntRange(0, 2).Draw(t, "before")
		ask := func(inAll time.Duration, before int) Decision {
			request.Duration = inAll
			return p.DecideExtension(Extending{request, given, before}, facts)
		}
		most := ask(0, before)
		inAll := time.Duration(rapid.IntRange(1, 13).Draw(t, "in all")) * time.Hour
		d := ask(inAll, before)
		if want := most.Outcome == Approved && inAll <= most.MaxDuration; (d.Outcome == Approved) != want {
			t.Fatalf("%s in all: %+v\nthe longest: %+v", inAll, d, most)
		}
		if d.Outcome == Approved && (ask(inAll-time.Minute, before).Outcome != Approved || ask(inAll, max(0, before-1)).Outcome != Approved) {
			t.Fatalf("less is refused: %+v", d)
		}
		if d.Outcome == NeedsApproval || d.Budget != nil || d.Outcome == Denied && d.Extend != nil {
			t.Fatalf("got %+v", d)
		}
	})
}

// TestExtensionByEscalation: whoever may answer late may have agreed, so a rule that does not let them any more is not met.
func TestExtensionByEscalation(t *testing.T) {
	t.Parallel()
	const steps = "escalate: { after: 20m, to: [group:managers] }, "
	late := loaded(t, strings.Replace(extending, "extend: { times: 2", steps+"extend: { times: 2", 1))
	given := request(t, late, "ana", "r").decided(NeedsApproval, "asks")
	if d := longer(request(t, late, "ana", "r"), given, 4*time.Hour, 0); d.Outcome != Approved {
		t.Errorf("under the same file: %s", d.Why)
	}
	if d := longer(request(t, loaded(t, extending), "ana", "r"), given, 4*time.Hour, 0); d.Outcome != Denied {
		t.Errorf("without the escalation: %s", d.Why)
	}
	sooner := loaded(t, strings.Replace(extending, "extend: { times: 2", "escalate: { after: 30m, to: [group:managers] }, extend: { times: 2", 1))
	if d := longer(request(t, sooner, "ana", "r"), given, 4*time.Hour, 0); d.Outcome != Denied {
		t.Errorf("with a later escalation: %s", d.Why)
	}
}
