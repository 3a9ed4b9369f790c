package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// shop is a policy that uses every key a rule can have. The table below reads beside it.
const shop = `
version: 1
groups:
  backend:     { emails: [ana@example.com, bo@example.com] }
  dba:         { slack_usergroup: S0DBA, emails: [dora@example.com] }
  security:    { emails: [sam@example.com, sue@example.com] }
  managers:    { emails: [mia@example.com] }
  contractors: { emails: [cy@example.com] }
schedules:
  payments: { pagerduty_schedule: PABC123, levels: [1] }
profiles:
  - { name: read,  risk: low,      grants: [{ schema: public, tables: "*", privileges: [select] }], max_duration: 6h }
  - { name: write, risk: high,     grants: [{ schema: public, tables: "*", privileges: [select, update] }] }
  - { name: ddl,   risk: critical, grants: [{ schema: public, tables: "*", privileges: [create] }] }
rules:
  - name: contractors never write
    deny: true
    who: [group:contractors]
    profiles: [write, ddl]
    advice: Ask the owners

  - name: on call
    who: [oncall:payments]
    targets: [env:production]
    profiles: [read]
    approve: automatically
    budget: { grants: 3, per: shift }
    max_duration: 2h
    default_duration: 30m
    extend: { times: 2, total: 5h }
    activate_within: 10m

  - name: staging
    who: [group:backend, group:contractors]
    targets: ["env:staging", scratch-*]
    profiles: [read]
    approve: automatically

  - name: never longer
    who: [group:managers]
    profiles: [read]
    approve: automatically
    extend: { times: 0 }

  - name: reading
    who: [group:backend, oncall:payments]
    profiles: [read]
    approvals: [{ from: [group:dba] }]
    extend: { times: 1, total: 8h }
    lapse_after: 4h
    remind_every: 10m
    escalate:
      - { after: 20m, to: [group:managers] }
      - { after: 1h, to: [group:security, "user:bo@example.com"] }

  - name: writing
    who: [group:backend, group:dba]
    profiles: [write]
    approvals: [{ from: [group:dba], count: 2 }]
    require: { ticket: 'INC-\d+', reason: 10, message: Say what you change }
    advice: Use a transaction

  - name: schema
    who: [group:backend]
    profiles: [ddl]
    approvals: [{ from: [group:dba] }, { from: [group:security], count: 2 }]
    in_order: true
    hours: { days: mon-fri, from: "08:00", to: "18:00", timezone: Europe/Paris }
    activate_within: 5m
    extend: { times: 1, total: 1h30m }

break_glass:
  who: [oncall:payments, group:dba]
  targets: [env:production]
  profiles: [read, write]
  max_duration: 45m
  review_within: 8h
  reviewers: [group:security]
  notify: [security_channel, pagerduty]
  escalate: { after: 4h, to: [group:managers] }
  require: { reason: 8, message: Say what is broken }
`

// TestLanguage is the policy in sentences: who gets what, on whose word, for how long, and what comes after.
func TestLanguage(t *testing.T) {
	t.Parallel()
	p := loaded(t, shop)
	s := sentences{t, p}
	allow, needs, deny := s.allow, s.needs, s.deny
	staging, scratch := on("orders-staging", "staging"), on("scratch-7", "")
	onCallNow, night := onCall("payments", 1), at(time.Date(2026, time.March, 4, 23, 0, 0, 0, time.UTC))
	longReason := because("the checkout page fails")

	// Nobody gets what no rule says.
	deny("eve", "read", "No rule lets this person have read")
	deny("eve", "nothing", `no profile "nothing"`)

	// Who: an address, a group of addresses, a Slack user group, a shift.
	needs("ana", "read", "1 approval from group dba")
	needs("Bo", "read", "1 approval from group dba")
	needs("eve", "write", "2 approvals from group dba", member("S0DBA"), longReason)
	allow("eve", "read", "1h of 2h, until the shift ends, twice to 5h in all, 3 a shift, taken in 10m", onCallNow)
	deny("eve", "read", "No rule", onCall("payments", 2))

	// Where, and for how long.
	allow("ana", "read", "1h of 6h", staging)
	allow("ana", "read", "1h of 6h", scratch)
	allow("ana", "read", "6h of 6h", staging, lasting(6*time.Hour))
	deny("ana", "read", "At most 6h", staging, lasting(7*time.Hour))
	allow("eve", "read", "30m of 2h, until the shift ends, twice to 5h in all, 3 a shift, taken in 10m", onCallNow, lasting(0))

	// A denial wins, whatever else holds, and says what to do.
	deny("cy", "write", "Ask the owners.", longReason, member("S0DBA"))
	allow("cy", "read", "1h of 6h", staging)

	// What must be said.
	deny("ana", "write", "Say what you change. The reason must have at least 10 characters and has 4", because("oops"))
	deny("ana", "write", "A ticket is needed", longReason, ticket(""))
	needs("ana", "write", "2 approvals from group dba", longReason)

	// In order, in office hours, taken soon.
	needs("ana", "ddl", "1 approval from group dba, then 2 from group security; taken in 5m; once to 1h30m in all")
	deny("ana", "ddl", "it holds only mon to fri 08:00 to 18:00 (Europe/Paris)", night)

	// Who waits for how long, who is reminded, and who answers once nobody has.
	needs("ana", "read", "1 approval from group dba; lapses after 4h; reminded after 10m; after 20m also group managers; "+
		"after 1h also group security or bo@example.com; once to 8h in all")

	// A budget used up asks a person, and so does everything that is not known.
	needs("ana", "read", "1 approval from group dba", onCallNow, used("on call", time.Minute, 2*time.Minute, 3*time.Minute))
	needs("ana", "read", "1 approval from group dba", noPagerDuty("payments"))
	deny("eve", "read", "because PagerDuty did not answer", noPagerDuty("payments"))

	// More time. At once, as often and as long as the rule says; by others, as long as might have been asked for.
	s.extends("eve", "read", 5*time.Hour, 1, onCallNow)
	s.refuses("eve", "read", 5*time.Hour+time.Second, 1, "At most 5h in all for read on orders-prod", onCallNow)
	s.refuses("eve", "read", 3*time.Hour, 2, `extended twice already, and the rule "on call" allows no more. File a new request.`, onCallNow)
	s.extends("ana", "read", 6*time.Hour, 9, staging)
	s.refuses("ana", "read", 7*time.Hour, 0, "At most 6h in all", staging)
	s.refuses("mia", "read", 2*time.Hour, 0, `The rule "never longer" lets nobody extend access.`)
	// Where people agreed, only as the rule says.
	s.extends("ana", "read", 8*time.Hour, 0)
	s.refuses("ana", "read", 8*time.Hour, 1, "extended once already")
	s.refuses("ana", "write", 2*time.Hour, 0, `The rule "writing" lets nobody exceed the time that was agreed to. File a new request.`, longReason)
	s.extends("ana", "ddl", 90*time.Minute, 0)

	// Broken glass: at once, for those whom the section names, reviewed by somebody else.
	s.breaks("dora", "write", "45m", longReason)
	s.breaks("eve", "read", "45m, until the shift ends", onCallNow, longReason)
	s.keeps("dora", "ddl", "the profile is not among read, write", longReason)
	s.keeps("dora", "write", "the target is not among env:production", staging, longReason)
	s.keeps("eve", "write", "it is for whoever is on call for payments or group dba", longReason)
	s.keeps("dora", "write", "Say what is broken. The reason must have at least 8 characters", because("broken"))
	s.keeps("dora", "write", "At most 45m for write on orders-prod", lasting(time.Hour), longReason)
	s.keeps("eve", "write", "because PagerDuty did not answer", noPagerDuty("payments"), longReason)
	s.keeps("cy", "write", `The rule "contractors never write" forbids this`, member("S0DBA"), longReason)
}

// sentences are claims about what a policy does.
type sentences struct {
	t *testing.T
	p *Policy
}

// allow: at once. What is said of it is "1h of 2h", and what else holds.
func (s sentences) allow(user, profile, said string, changes ...change) {
	s.t.Helper()
	a := request(s.t, s.p, user, profile, changes...)
	d := s.p.Decide(a.Request, a.Facts)
	s.check(a, d, Approved, said, func() string {
		out := FormatDuration(d.Duration) + " of " + FormatDuration(d.MaxDuration)
		if d.Shift != nil {
			out += ", until the shift ends"
		}
		if d.Extend != nil {
			out += fmt.Sprintf(", %s to %s in all", times(d.Extend.Times), FormatDuration(d.Extend.Total))
		}
		if d.Budget != nil {
			out += fmt.Sprintf(", %d a shift", d.Budget.Grants)
			if !d.Budget.Since.Equal(d.Shift.Start) {
				out += " counted from " + clockText(d.Budget.Since)
			}
		}
		if d.Waits.Take > 0 {
			out += ", taken in " + FormatDuration(d.Waits.Take)
		}
		return out
	}())
}

// needs: people have to agree, who and how. Only what is said is compared; it begins with the approvals.
func (s sentences) needs(user, profile, said string, changes ...change) {
	s.t.Helper()
	a := request(s.t, s.p, user, profile, changes...)
	d := s.p.Decide(a.Request, a.Facts)
	out := []string{approvalsText(d.Approvals, d.InOrder)}
	for _, wait := range []struct {
		words string
		d     time.Duration
	}{{"lapses after ", d.Waits.Answer}, {"reminded after ", d.Waits.Remind}, {"taken in ", d.Waits.Take}} {
		if wait.d > 0 {
			out = append(out, wait.words+FormatDuration(wait.d))
		}
	}
	for _, e := range d.Escalations {
		out = append(out, "after "+FormatDuration(e.After)+" also "+phraseOf(Requirement{From: e.To}))
	}
	if d.Extend != nil {
		out = append(out, fmt.Sprintf("%s to %s in all", times(d.Extend.Times), FormatDuration(d.Extend.Total)))
	}
	got := strings.Join(out, "; ")
	if !strings.Contains(said, ";") {
		got = out[0]
	}
	s.check(a, d, NeedsApproval, said, got)
}

// deny: no, and why.
func (s sentences) deny(user, profile, why string, changes ...change) {
	s.t.Helper()
	a := request(s.t, s.p, user, profile, changes...)
	s.refused(a, s.p.Decide(a.Request, a.Facts), why)
}

// extension asks for access that was given (people agreed where they had to) to last so long in all.
func (s sentences) extension(user, profile string, inAll time.Duration, before int, changes ...change) (*ask, Decision) {
	s.t.Helper()
	a := request(s.t, s.p, user, profile, changes...)
	a.Duration = 0
	given := s.p.Decide(a.Request, a.Facts)
	if given.Outcome == Denied {
		s.t.Fatalf("%s has no %s to extend: %s", user, profile, given.Why)
	}
	a.Duration = inAll
	return a, s.p.DecideExtension(Extending{a.Request, given, before}, a.Facts)
}

func (s sentences) extends(user, profile string, inAll time.Duration, before int, changes ...change) {
	s.t.Helper()
	a, d := s.extension(user, profile, inAll, before, changes...)
	s.check(a, d, Approved, "", "")
	if d.Duration != inAll || d.MaxDuration < inAll || (d.Shift != nil) != a.Schedules["payments"].On {
		s.t.Errorf("%s extends %s: %+v", user, profile, d)
	}
}

func (s sentences) refuses(user, profile string, inAll time.Duration, before int, why string, changes ...change) {
	s.t.Helper()
	a, d := s.extension(user, profile, inAll, before, changes...)
	s.refused(a, d, why)
}

// breaks: glass is broken, for so long.
func (s sentences) breaks(user, profile, said string, changes ...change) {
	s.t.Helper()
	a := request(s.t, s.p, user, profile, append([]change{lasting(0)}, changes...)...)
	d := s.p.DecideBreakGlass(a.Request, a.Facts)
	got := FormatDuration(d.Duration)
	if d.Shift != nil {
		got += ", until the shift ends"
	}
	s.check(a, d, Approved, said, got)
	if d.Rule != BreakGlassRule || d.Review == nil || !slices.Equal(d.Review.Reviewers, []string{"group:security"}) || d.Review.Within != 8*time.Hour ||
		d.Review.Remind != 2*time.Hour || d.Review.Escalate.After != 4*time.Hour || !slices.Equal(d.Review.Notify, []string{"security_channel", "pagerduty"}) {
		s.t.Errorf("%s breaks glass for %s: %+v", user, profile, d)
	}
}

// keeps: the glass stays whole, and why.
func (s sentences) keeps(user, profile, why string, changes ...change) {
	s.t.Helper()
	a := request(s.t, s.p, user, profile, append([]change{lasting(0)}, changes...)...)
	d := s.p.DecideBreakGlass(a.Request, a.Facts)
	s.refused(a, d, why)
	if d.Review != nil {
		s.t.Errorf("%s is refused and reviewed: %+v", user, d)
	}
}

func (s sentences) refused(a *ask, d Decision, why string) {
	s.t.Helper()
	s.check(a, d, Denied, "", "")
	if !strings.Contains(d.Why, why) {
		s.t.Errorf("%s for %s is told %q, wanted %q", a.User.Email, a.Profile, d.Why, why)
	}
	if len(d.Approvals)+len(d.Escalations) > 0 || d.InOrder || d.Waits != (Waits{}) || d.Extend != nil || d.Shift != nil || d.Budget != nil {
		s.t.Errorf("a denial promises something: %+v", d)
	}
}

func (s sentences) check(a *ask, d Decision, outcome Outcome, said, got string) {
	s.t.Helper()
	if d.Outcome != outcome || said != got {
		s.t.Errorf("%s for %s on %s: %s, %q\n(%s), wanted %s, %q", a.User.Email, a.Profile, a.Target.Name, d.Outcome, got, d.Why, outcome, said)
	}
	if d.Why == "" || d.Policy != s.p.Hash() {
		s.t.Errorf("the decision has no explanation or no policy: %+v", d)
	}
}
