package policy

import (
	"strings"
	"testing"
	"time"
)

// world is the policy most tests read.
const world = `
version: 1
groups:
  dba:         { slack_usergroup: S0DBA }
  security:    { slack_usergroup: S0SEC, emails: [sam@example.com] }
  backend:     { emails: [Ana@Example.com, bo@example.com] }
  contractors: { emails: [cy@example.com], slack_usergroup: S0CON }
schedules:
  payments: { pagerduty_schedule: PABC123 }
  backup:   { pagerduty_schedule: PXYZ789, levels: [2, 1] }
profiles:
  - { name: read-only, risk: low, engines: [postgres, mysql], max_duration: 4h, grants: [{ schema: public, tables: "*", privileges: [select] }] }
  - { name: data-fix, risk: high, engines: [postgres], grants: [{ schema: public, tables: "*", privileges: [select, update] }] }
  - { name: ddl, risk: critical, max_duration: 1h, grants: [{ schema: public, tables: "*", privileges: [create] }] }
  - name: support
    risk: medium
    parameters: [{ name: customer_id, type: bigint, required: true }]
    grants: [{ schema: public, tables: orders, privileges: select, rows: "customer_id = :customer_id" }]
rules:
  - { name: contractors never write, deny: true, who: group:contractors, profiles: [data-fix, ddl], advice: Ask the owners }
  - { name: frozen, deny: true, targets: "*-frozen" }
  - name: on-call reads at once
    who: [oncall:payments]
    targets: [env:production]
    profiles: [read-only]
    approve: automatically
    max_duration: 2h
  - name: on-call five
    who: [oncall:backup]
    targets: [env:production]
    profiles: [read-only]
    approve: automatically
    budget: { grants: 2, per: shift }
  - { name: staging is free, who: [group:backend, oncall:backup], targets: [env:staging], profiles: [read-only, data-fix], approve: automatically, default_duration: 15m, max_duration: 8h }
  - { name: backend reads, who: group:backend, profiles: read-only, approvals: [{ from: [group:dba] }] }
  - { name: fixes, who: [group:backend], profiles: [data-fix], approvals: [{ from: [group:dba], count: 2 }], require: { ticket: 'INC-\d+|CHG-\d+', reason: 5, message: Fixes are recorded }, advice: Use a transaction }
  - name: schema changes
    who: [group:backend]
    profiles: [ddl]
    approvals: [{ from: [group:dba], count: 1 }, { from: [group:security, oncall:payments], count: 1 }]
    hours: { days: mon-fri, from: "08:00", to: "18:00", timezone: Europe/Paris }
  - { name: support, who: user:Sue@example.com, targets: orders-*, profiles: support, approve: automatically, budget: { grants: 1, per: day } }
  - { name: everybody asks security, who: anyone, profiles: support, approvals: [{ from: group:security }] }
`

// morning is a Wednesday, 10:00 in Paris.
var morning = time.Date(2026, time.March, 4, 9, 0, 0, 0, time.UTC)

// ask is a request in a world where every fact is known and nobody is in anything, until a change says otherwise.
type ask struct {
	t *testing.T
	p *Policy
	Request
	Facts
}

type change func(*ask)

func request(t *testing.T, p *Policy, user, profile string, changes ...change) *ask {
	t.Helper()
	a := &ask{t: t, p: p, Request: Request{
		User: Person{ID: "U" + strings.ToUpper(user), Email: user + "@example.com"}, Profile: profile, At: morning,
		Target: Target{Name: "orders-prod", Engine: "postgres", Environment: "production"}, Duration: time.Hour, Ticket: "INC-1", Reason: "checkout fails",
	}, Facts: Facts{Usergroups: map[string]Membership{}, Schedules: map[string]Standing{}, History: &History{}}}
	for _, id := range p.Usergroups() {
		a.Usergroups[id] = Membership{}
	}
	for _, s := range p.Schedules() {
		a.Schedules[s.Name] = Standing{Schedule: s.Name, AsOf: morning}
	}
	for _, c := range changes {
		c(a)
	}
	return a
}

func on(target, environment string) change {
	return func(a *ask) { a.Target.Name, a.Target.Environment = target, environment }
}
func engine(name string) change      { return func(a *ask) { a.Target.Engine = name } }
func lasting(d time.Duration) change { return func(a *ask) { a.Duration = d } }
func ticket(text string) change      { return func(a *ask) { a.Ticket = text } }
func because(text string) change     { return func(a *ask) { a.Reason = text } }
func at(when time.Time) change       { return func(a *ask) { a.At = when } }
func with(name, value string) change {
	return func(a *ask) { a.Params = map[string]string{name: value} }
}

func member(id string) change { return func(a *ask) { a.Usergroups[id] = Membership{Member: true} } }

func noSlack(id string) change {
	return func(a *ask) { a.Usergroups[id] = Membership{Unknown: "Slack did not answer"} }
}

func noPagerDuty(name string) change {
	return func(a *ask) { a.Schedules[name] = Standing{Unknown: "PagerDuty did not answer within 2 s"} }
}

func onCall(name string, level int) change {
	return func(a *ask) {
		a.Schedules[name] = Standing{On: true, Level: level, Start: morning.Add(-time.Hour), End: morning.Add(5 * time.Hour), Source: "pagerduty P1", AsOf: morning}
	}
}

func used(rule string, ages ...time.Duration) change {
	return func(a *ask) {
		for _, age := range ages {
			a.History.Uses = append(a.History.Uses, Use{rule, morning.Add(-age)})
		}
	}
}

// decided decides and checks what holds of every decision.
func (a *ask) decided(outcome Outcome, rule string) Decision {
	a.t.Helper()
	d := a.p.Decide(a.Request, a.Facts)
	if d.Outcome != outcome || d.Rule != rule {
		a.t.Errorf("%s asks for %s on %s: got %s by %q (%s), wanted %s by %q\n%+v", a.User.Email, a.Profile, a.Target.Name, d.Outcome, d.Rule, d.Why, outcome, rule, d.Steps)
	}
	if d.Why == "" || d.Policy != a.p.Hash() {
		a.t.Errorf("the decision has no explanation or no policy: %+v", d)
	}
	return d
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	p := loaded(t, world)
	allow := func(user, profile, rule string, changes ...change) Decision {
		t.Helper()
		return request(t, p, user, profile, changes...).decided(Approved, rule)
	}
	needs := func(user, profile, rule, approvals string, changes ...change) {
		t.Helper()
		if got := approvalsText(request(t, p, user, profile, changes...).decided(NeedsApproval, rule).Approvals, false); got != approvals {
			t.Errorf("%s for %s needs %s, wanted %s", user, profile, got, approvals)
		}
	}
	denied := func(user, profile, rule, why string, changes ...change) {
		t.Helper()
		if got := request(t, p, user, profile, changes...).decided(Denied, rule).Why; !strings.Contains(got, why) {
			t.Errorf("%s for %s is told %q, wanted %q", user, profile, got, why)
		}
	}

	// Nobody may do what no rule says.
	denied("eve", "read-only", "", "No rule lets this person have read-only on orders-prod")
	denied("ana", "read-onyl", "", `did you mean "read-only"`)
	denied("ana", "data-fix", "", "data-fix is for postgres, and orders-prod is not", engine("mysql"))

	// Backend reads with one DBA; addresses are compared without regard to case.
	needs("ana", "read-only", "backend reads", "1 approval from group dba")
	needs("BO", "read-only", "backend reads", "1 approval from group dba")

	// On call: at once, for at most the rule's two hours, resting on the shift.
	d := allow("eve", "read-only", "on-call reads at once", onCall("payments", 1))
	if d.Shift == nil || !d.Shift.End.Equal(morning.Add(5*time.Hour)) || d.Shift.Schedule != "payments" || d.MaxDuration != 2*time.Hour {
		t.Errorf("an approval by shift carries %+v", d)
	}
	denied("eve", "read-only", "on-call reads at once", "At most 2h for read-only on orders-prod (rule \"on-call reads at once\"); 3h was asked for. Ask for 2h or less.",
		onCall("payments", 1), lasting(3*time.Hour))
	denied("eve", "read-only", "", "No rule", onCall("payments", 2))
	denied("eve", "read-only", "", "No rule", onCall("payments", 1), on("orders-staging", "staging"))
	denied("eve", "read-only", "", "No rule", onCall("payments", 1), at(morning.Add(5*time.Hour)))
	denied("eve", "read-only", "", "No rule", onCall("payments", 1), at(morning.Add(-2*time.Hour)))
	// PagerDuty does not answer: a person is asked, or it is no, and the decision says why.
	needs("ana", "read-only", "backend reads", "1 approval from group dba", noPagerDuty("payments"))
	denied("eve", "read-only", "", "because PagerDuty did not answer within 2 s", noPagerDuty("payments"))
	// Asking for longer than the rule that could not be looked at would allow is not made possible by not looking.
	denied("ana", "read-only", "on-call reads at once", "At most 2h", noPagerDuty("payments"), lasting(3*time.Hour))

	// A budget: used up, a person is asked; unknown, too. What happened before the shift does not count.
	allow("ana", "read-only", "on-call five", onCall("backup", 2), used("on-call five", time.Minute, 2*time.Hour))
	needs("ana", "read-only", "backend reads", "1 approval from group dba", onCall("backup", 2), used("on-call five", time.Minute, 2*time.Minute))
	needs("ana", "read-only", "backend reads", "1 approval from group dba", onCall("backup", 2), func(a *ask) { a.History = nil })
	needs("ana", "read-only", "backend reads", "1 approval from group dba", onCall("backup", 2), func(a *ask) { a.History.Since = morning })
	needs("ana", "read-only", "backend reads", "1 approval from group dba", onCall("backup", 2), func(a *ask) { a.History.Unknown = "the store is away" })
	allow("sue", "support", "support", with("customer_id", "42"), used("support", 25*time.Hour), used("other", time.Hour))
	needs("sue", "support", "everybody asks security", "1 approval from group security", with("customer_id", "42"), used("support", 23*time.Hour))

	// Parameters.
	denied("sue", "support", "", "support needs customer_id=…, a bigint")
	denied("sue", "support", "", "must be a bigint", with("customer_id", "1 or 1=1"))
	denied("sue", "support", "", `no parameter "customer"; did you mean "customer_id"`, func(a *ask) { a.Params = map[string]string{"customer_id": "1", "customer": "2"} })
	needs("eve", "support", "everybody asks security", "1 approval from group security", with("customer_id", "42"))

	// Durations: the default where none is asked for, never above what is allowed.
	if d := allow("ana", "read-only", "staging is free", on("s", "staging"), lasting(0)); d.Duration != 15*time.Minute || d.MaxDuration != 4*time.Hour || d.Shift != nil {
		t.Errorf("the default is %+v", d)
	}
	denied("ana", "read-only", "staging is free", "Ask for 4h or less", on("s", "staging"), lasting(4*time.Hour+time.Second))
	allow("ana", "data-fix", "staging is free", on("s", "staging"), lasting(8*time.Hour))
	denied("ana", "read-only", "", "shortest duration is 1s", lasting(time.Millisecond))
	denied("ana", "read-only", "", "shortest duration is 1s", lasting(-time.Hour))

	// Membership that lasts counts before a shift that ends.
	if d := allow("ana", "read-only", "staging is free", on("s", "staging"), onCall("backup", 1)); d.Shift != nil {
		t.Errorf("ana is in backend and was bound to a shift: %+v", d.Shift)
	}

	// Fixes: two DBAs, a ticket and a reason; the tier's four hours.
	needs("ana", "data-fix", "fixes", "2 approvals from group dba")
	denied("ana", "data-fix", "fixes", `Fixes are recorded. A ticket is needed, such as INC-1 (it must match INC-\d+|CHG-\d+) (rule "fixes").`, ticket(""))
	denied("ana", "data-fix", "fixes", `The ticket "INC-1 and more" is not`, ticket("INC-1 and more"))
	denied("ana", "data-fix", "fixes", `is not of the kind`, ticket("XINC-1"))
	denied("ana", "data-fix", "fixes", `The reason must have at least 5 characters and has 4`, because("  oops "))
	denied("ana", "data-fix", "fixes", "Ask for 4h or less", lasting(5*time.Hour))

	// Schema changes in office hours, Paris time.
	needs("bo", "ddl", "schema changes", "1 approval from group dba and 1 from group security or whoever is on call for payments")
	denied("bo", "ddl", "", `but it holds only mon to fri 08:00 to 18:00 (Europe/Paris)`, at(morning.Add(8*time.Hour)))
	denied("bo", "ddl", "", `"schema changes" would match`, at(time.Date(2026, time.March, 7, 12, 0, 0, 0, time.UTC)))

	// Denials win, also over what would be approved at once, also when Slack does not say who is a contractor.
	denied("cy", "data-fix", "contractors never write", "Ask the owners.")
	denied("ana", "data-fix", "contractors never write", "forbids this: ana@example.com is in group contractors", member("S0CON"), on("s", "staging"))
	denied("ana", "data-fix", "contractors never write", "cannot be ruled out: it is not known whether ana@example.com is in group contractors, because Slack did not answer", noSlack("S0CON"))
	denied("ana", "data-fix", "contractors never write", "were not looked up", func(a *ask) { a.Usergroups = nil })
	needs("ana", "read-only", "backend reads", "1 approval from group dba", noSlack("S0CON"))
	denied("eve", "read-only", "frozen", "it is for anyone", onCall("payments", 1), on("orders-frozen", "production"))
	denied("", "data-fix", "contractors never write", "their e-mail address is not known", func(a *ask) { a.User.Email = "" })

	// Without a time nothing that depends on time can be decided.
	denied("ana", "read-only", "", "says no time", at(time.Time{}))
}

// TestSteps shows that every rule that was looked at has its step, and that none comes after the one that decided.
func TestSteps(t *testing.T) {
	t.Parallel()
	p := loaded(t, world)
	d := request(t, p, "ana", "read-only", noPagerDuty("payments")).decided(NeedsApproval, "backend reads")
	var got []string
	for _, s := range d.Steps {
		state := "no"
		if s.Unknown {
			state = "unknown"
		} else if s.Matched {
			state = "yes"
		}
		got = append(got, s.Rule+": "+state+": "+s.Why)
	}
	want := []string{
		"contractors never write: no: the profile is not among data-fix, ddl",
		"frozen: no: the target is not among *-frozen",
		"on-call reads at once: unknown: it is not known whether ana@example.com is on call for payments, because PagerDuty did not answer within 2 s",
		"on-call five: no: it is for whoever is on call for backup",
		"staging is free: no: the target is not among env:staging",
		"backend reads: yes: ana@example.com is in group backend",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if len(d.Unknowns) != 1 || !strings.Contains(d.Unknowns[0], "PagerDuty") {
		t.Errorf("unknowns are %q", d.Unknowns)
	}
}

// TestHeldBack passes a strict rule over for a fact that is not known; the laxer one after it must not profit.
func TestHeldBack(t *testing.T) {
	t.Parallel()
	p := loaded(t, strings.ReplaceAll(`
version: 1
groups: { interns: { slack_usergroup: S0INT }, dba: { slack_usergroup: S0DBA } }
profiles: [{ name: r, risk: low, grants: [{ schema: public, tables: "*", privileges: [select] }] }]
rules:
  - { name: interns are watched, who: group:interns, approvals: [{ from: group:dba, count: 2 }], max_duration: 1h }
  - { name: dbas, who: group:dba, approvals: [{ from: group:dba, count: 1 }, { from: group:interns }] }
  - { name: security, who: "user:sam@example.com", approvals: [{ from: group:dba, count: 3 }] }
  - { name: free, approve: automatically, max_duration: 8h }
`, "\t", ""))
	request(t, p, "ana", "r").decided(Approved, "free")
	if d := request(t, p, "ana", "r", noSlack("S0INT")).decided(NeedsApproval, "interns are watched"); approvalsText(d.Approvals, d.InOrder) != "2 approvals from group dba" || d.MaxDuration != time.Hour {
		t.Errorf("got %+v", d)
	}
	if d := request(t, p, "ana", "r", noSlack("S0INT"), member("S0DBA")).decided(NeedsApproval, "dbas"); approvalsText(d.Approvals, d.InOrder) != "2 approvals from group dba and 1 from group interns" {
		t.Errorf("got %s", approvalsText(d.Approvals, d.InOrder))
	}
	if d := request(t, p, "sam", "r", noSlack("S0INT")).decided(NeedsApproval, "security"); approvalsTotal(d) != 3 {
		t.Errorf("the larger of two counts is asked for, not %+v", d.Approvals)
	}
	request(t, p, "ana", "r", noSlack("S0INT"), lasting(2*time.Hour)).decided(Denied, "interns are watched")
	request(t, p, "ana", "r", lasting(2*time.Hour)).decided(Approved, "free")
}

// TestBudgetSettles: a rule whose budget for the day is used up cannot match, known facts or not.
func TestBudgetSettles(t *testing.T) {
	t.Parallel()
	p := loaded(t, `
version: 1
groups: { g: { slack_usergroup: S0G } }
profiles: [{ name: r, risk: low, grants: [{ schema: public, tables: "*", privileges: [select] }] }]
rules:
  - { name: a, who: group:g, approve: automatically, max_duration: 1h, budget: { grants: 1, per: day } }
  - { name: b, approve: automatically, max_duration: 8h }
`)
	request(t, p, "ana", "r", noSlack("S0G"), lasting(2*time.Hour)).decided(Denied, "a")
	d := request(t, p, "ana", "r", noSlack("S0G"), lasting(2*time.Hour), used("a", time.Hour)).decided(Approved, "b")
	if len(d.Unknowns) > 0 || d.Steps[0].Unknown || !strings.Contains(d.Steps[0].Why, "1 of 1 in the last 24 hours") {
		t.Errorf("got %+v", d)
	}
}

func approvalsTotal(d Decision) int { return total(d.Approvals, []string{"group:dba"}) }

func TestUndefinedNames(t *testing.T) {
	t.Parallel()
	p := loaded(t, `
version: 1
profiles: [{ name: r, risk: low, grants: [{ schema: public, tables: "*", privileges: [select] }] }]
rules:
  - { name: typo, deny: true, who: group:contractor, targets: a }
  - { name: gone, who: oncall:gone, approve: automatically }
  - { name: free, approvals: [{ from: group:nobody }] }
`)
	request(t, p, "ana", "r", on("a", "")).decided(Denied, "typo")
	d := request(t, p, "ana", "r").decided(NeedsApproval, "free")
	if v := p.MayApprove(d.Approvals[0], Person{Email: "bo@example.com"}, Facts{}); v.OK || !v.Unknown {
		t.Errorf("got %+v", v)
	}
}

// TestUnknownShift is about the one thing that a rule which was passed over cannot hold back: when its shift ends.
func TestUnknownShift(t *testing.T) {
	t.Parallel()
	const head = "version: 1\ngroups: { team: { emails: [ana@example.com] } }\nschedules: { pay: { pagerduty_schedule: P1 } }\n" +
		"profiles: [{ name: read, risk: low, grants: [{ schema: public, tables: \"*\", privileges: [select] }] }]\nrules:\n" +
		"  - { name: shift, who: oncall:pay, approve: automatically, max_duration: 1h }\n"
	request := Request{User: Person{ID: "U1", Email: "ana@example.com"}, Target: Target{Name: "orders", Engine: "postgres"}, Profile: "read", At: morning}
	standings := map[string]Standing{
		"on":      {On: true, Schedule: "pay", Level: 1, Start: morning.Add(-time.Hour), End: morning.Add(5 * time.Minute)},
		"off":     {},
		"unknown": {Unknown: "PagerDuty is away"},
	}
	for _, test := range []struct{ then, on, off, unknown string }{
		{"approve: automatically, max_duration: 2h", "approved 1h by shift, bounded", "approved 2h by team", "approved 1h by team"},
		{"approve: automatically, max_duration: 30m", "approved 1h by shift, bounded", "approved 30m by team", "approved 30m by team"},
		{"approvals: [{ from: user:bo@example.com }], max_duration: 2h", "approved 1h by shift, bounded", "needs-approval 2h by team", "needs-approval 1h by team"},
	} {
		p := loaded(t, head+"  - { name: team, who: group:team, "+test.then+" }\n")
		for which, want := range map[string]string{"on": test.on, "off": test.off, "unknown": test.unknown} {
			d := p.Decide(request, Facts{Schedules: map[string]Standing{"pay": standings[which]}})
			got := string(d.Outcome) + " " + FormatDuration(d.MaxDuration) + " by " + d.Rule
			if d.Shift != nil {
				got += ", bounded"
			}
			if got != want {
				t.Errorf("%s, %s: %s, wanted %s", test.then, which, got, want)
			}
		}
	}
}
