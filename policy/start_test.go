package policy

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// starting is a policy whose rules differ in how far ahead access may begin.
const starting = `
version: 1
groups: { dba: { slack_usergroup: S0DBA }, backend: { emails: [ana@example.com] } }
schedules: { payments: { pagerduty_schedule: PABC123 } }
profiles:
  - { name: read-only, risk: low, grants: [{ schema: public, tables: "*", privileges: [select] }] }
  - { name: ddl, risk: low, grants: [{ schema: public, tables: "*", privileges: [create] }] }
  - { name: fix, risk: low, grants: [{ schema: public, tables: "*", privileges: [update] }] }
  - { name: dump, risk: low, grants: [{ schema: public, tables: a, privileges: [select] }] }
  - name: support
    risk: low
    parameters: [{ name: customer_id, type: bigint, required: true }]
    grants: [{ schema: public, tables: orders, privileges: select, rows: "customer_id = :customer_id" }]
rules:
  - { name: on-call, who: oncall:payments, profiles: read-only, approve: automatically }
  - { name: backend, who: group:backend, profiles: read-only, approvals: [{ from: group:dba }], max_duration: 2h, require: { ticket: 'INC-\d+', reason: 5 } }
  - { name: windows, profiles: ddl, approvals: [{ from: group:dba }], start_within: 2d, hours: { days: mon-fri, from: "08:00", to: "18:00", timezone: Europe/Paris } }
  - { name: fixes, profiles: fix, approve: automatically, start_within: never }
  - { name: only on call, who: oncall:payments, profiles: dump, approve: automatically }
  - { name: support, profiles: support, approve: automatically }
break_glass: { who: [group:backend], profiles: [fix], max_duration: 1h, review_within: 24h, reviewers: [group:dba], notify: [security_channel] }
`

func TestStart(t *testing.T) {
	t.Parallel()
	p := loaded(t, starting)
	onCall := Facts{
		Usergroups: map[string]Membership{"S0DBA": {}},
		Schedules:  map[string]Standing{"payments": {On: true, Level: 1, Start: morning.Add(-time.Hour), End: morning.Add(300 * time.Hour)}},
	}
	hour := time.Hour
	for _, tc := range []struct {
		name, profile string
		in            time.Duration // until the start; 0 is at once
		outcome       Outcome
		field, why    string
		within        time.Duration
	}{
		{"on call now", "read-only", 0, Approved, "", "on call for payments", 7 * 24 * hour},
		{"on call, and who is then nobody knows", "read-only", hour, NeedsApproval, "", "Needs 1 approval from group dba", 7 * 24 * hour},
		{"only a shift would do", "dump", hour, Denied, FieldStart, "a shift is known for now only, and this starts later", 0},
		{"as far ahead as may be", "read-only", 7 * 24 * hour, NeedsApproval, "", "", 7 * 24 * hour},
		{"a second further", "read-only", 7*24*hour + time.Second, Denied, FieldStart, `may start at most 7d ahead (rule "backend"); this would start in 7d1s. Choose a start before 2026-03-11 09:00 UTC`, 7 * 24 * hour},
		{"before it was asked for", "read-only", -time.Second, Denied, FieldStart, "The start is past", 0},
		{"a rule's own bound", "ddl", 48 * hour, NeedsApproval, "", "", 48 * hour},
		{"beyond a rule's own bound", "ddl", 49 * hour, Denied, FieldStart, "at most 2d ahead", 48 * hour},
		{"hours are those of the start", "ddl", 10 * hour, Denied, FieldStart, "mon to fri 08:00 to 18:00", 0},
		{"never later", "fix", time.Second, Denied, FieldStart, `fix on orders starts at once or not at all (rule "fixes")`, 0},
		{"never later, at once", "fix", 0, Approved, "", "", 0},
	} {
		r := Request{User: Person{ID: "U1", Email: "ana@example.com"}, Target: Target{"orders", "postgres", "production"}, Profile: tc.profile, At: morning, Ticket: "INC-1", Reason: "because"}
		if tc.in != 0 {
			r.StartsAt = morning.Add(tc.in)
		}
		d := p.Decide(r, onCall)
		if d.Outcome != tc.outcome || d.Field != tc.field || !strings.Contains(d.Why, tc.why) || d.StartWithin != tc.within {
			t.Errorf("%s: %s, field %q, within %s: %s", tc.name, d.Outcome, d.Field, d.StartWithin, d.Why)
		}
		if tc.in > 0 && d.Shift != nil {
			t.Errorf("%s: it rests on a shift: %+v", tc.name, d.Shift)
		}
	}
	r := Request{User: Person{Email: "ana@example.com"}, Target: Target{"orders", "postgres", "production"}, Profile: "ddl", At: morning.Add(10 * hour), StartsAt: morning.Add(24 * hour)}
	if d := p.Decide(r, onCall); d.Outcome != NeedsApproval {
		t.Errorf("asked for in the evening, to start in the morning: %s", d.Why)
	}
	r.Profile = "fix"
	if d := p.DecideBreakGlass(r, onCall); d.Outcome != Denied || d.Field != FieldStart || !strings.Contains(d.Why, "Broken glass never starts later") {
		t.Errorf("broken glass: %+v", d)
	}
}

// What a rule asks of people on call does not bind others because nobody knows who is on call then.
func TestAnOnCallRuleDoesNotBindALaterStart(t *testing.T) {
	t.Parallel()
	const rule = "  - { name: on-call, who: oncall:payments, profiles: read-only, approve: automatically"
	if strings.Count(starting, rule+" }") != 1 {
		t.Fatal("the rule is not there once")
	}
	bound := strings.Replace(starting, rule, rule+", max_duration: 1h, start_within: 2h, require: { reason: 500 }", 1)
	r := Request{
		User: Person{ID: "U1", Email: "ana@example.com"}, Target: Target{"orders", "postgres", "production"}, Profile: "read-only",
		Duration: 2 * time.Hour, At: morning, StartsAt: morning.Add(24 * time.Hour), Ticket: "INC-1", Reason: "because",
	}
	for name, facts := range map[string]Facts{
		"off call":  {Schedules: map[string]Standing{"payments": {}}},
		"on call":   {Schedules: shift(1, morning)},
		"not known": {Schedules: map[string]Standing{"payments": {Unknown: "PagerDuty is away"}}},
	} {
		p := loaded(t, bound)
		d := p.Decide(r, facts)
		if d.Outcome != NeedsApproval || d.Rule != "backend" || d.MaxDuration != 2*time.Hour || len(d.Unknowns) > 0 {
			t.Errorf("%s: %s by %q, unknown %v: %s", name, d.Outcome, d.Rule, d.Unknowns, d.Why)
		}
		if s := d.Steps[0]; s.Matched || s.Unknown || s.Why != "who is on call for payments then is not known" {
			t.Errorf("%s: the step says %+v", name, s)
		}
		if e := p.Explain(r, facts).Rules[0]; e.Matches != "no" || e.Would != "who: who is on call for payments then is not known" {
			t.Errorf("%s: explained as %+v", name, e)
		}
		p = loaded(t, strings.Replace(bound, rule, "  - { name: not on call, who: oncall:payments, deny: true }\n"+rule, 1))
		if d := p.Decide(r, facts); d.Outcome != Denied || d.Rule != "not on call" || len(d.Unknowns) != 1 {
			t.Errorf("%s: a rule that denies: %s by %q: %s", name, d.Outcome, d.Rule, d.Why)
		}
	}
	// A group that nobody knows is unknown as ever, beside a shift as well.
	p := loaded(t, strings.Replace(bound, "who: oncall:payments, profiles: read-only", "who: [oncall:payments, group:dba], profiles: read-only", 1))
	d := p.Decide(r, Facts{Usergroups: map[string]Membership{"S0DBA": {Unknown: "Slack is away"}}, Schedules: shift(1, morning)})
	if d.Outcome != Denied || d.Rule != "on-call" || len(d.Unknowns) != 1 || strings.Contains(d.Unknowns[0], "on call for") {
		t.Errorf("%s by %q, unknown %q: %s", d.Outcome, d.Rule, d.Unknowns, d.Why)
	}
}

// What a denial is about is said where it is made, not read out of its words.
func TestFieldOfADenial(t *testing.T) {
	t.Parallel()
	p := loaded(t, starting)
	for _, tc := range []struct {
		r     Request
		field string
	}{
		{Request{Profile: "read-only", Ticket: "INC-1", Reason: "because", Duration: 3 * time.Hour}, FieldDuration},
		{Request{Profile: "read-only", Ticket: "INC-1", Reason: "because", Duration: time.Millisecond}, FieldDuration},
		{Request{Profile: "read-only", Reason: "because of the ticket"}, FieldTicket},
		{Request{Profile: "read-only"}, FieldTicket},
		{Request{Profile: "read-only", Ticket: "INC-1", Reason: "tick"}, FieldReason},
		{Request{Profile: "nothing"}, FieldProfile},
		{Request{Profile: "support"}, ParameterField("customer_id")},
		{Request{Profile: "support", Params: map[string]string{"customer_id": "x"}}, ParameterField("customer_id")},
		{Request{Profile: "support", Params: map[string]string{"customer_id": "1", "color": "x", "zone": "y"}}, ParameterField("color")},
		{Request{Profile: "dump"}, ""},
	} {
		tc.r.User, tc.r.Target, tc.r.At = Person{ID: "U1", Email: "ana@example.com"}, Target{"orders", "postgres", "production"}, morning
		d := p.Decide(tc.r, Facts{Schedules: map[string]Standing{"payments": {}}})
		if d.Outcome != Denied || d.Field != tc.field {
			t.Errorf("%+v: %s at %q, wanted %q: %s", tc.r, d.Outcome, d.Field, tc.field, d.Why)
		}
		if name, ok := ParameterOf(d.Field); ok && strings.Contains(d.Why, strings.ToUpper(name[:1])+name[1:]) {
			t.Errorf("a parameter's name is not written as it is: %s", d.Why)
		}
	}
}

// A rule that might have decided, had a fact been known, holds the start back as well.
func TestUnknownHoldsTheStartBack(t *testing.T) {
	t.Parallel()
	p := loaded(t, strings.Replace(starting, "rules:\n", "rules:\n  - { name: first, who: group:dba, profiles: ddl, approve: automatically, start_within: 3h }\n", 1))
	r := Request{User: Person{ID: "U1", Email: "ana@example.com"}, Target: Target{"orders", "postgres", "production"}, Profile: "ddl", At: morning}
	away := Facts{Usergroups: map[string]Membership{"S0DBA": {Unknown: "Slack is away"}}}
	if d := p.Decide(r, away); d.Outcome != NeedsApproval || d.StartWithin != 3*time.Hour {
		t.Errorf("%s, to start within %s: %s", d.Outcome, d.StartWithin, d.Why)
	}
	r.StartsAt = morning.Add(4 * time.Hour)
	if d := p.Decide(r, away); d.Outcome != Denied || d.Field != FieldStart || d.Rule != "first" {
		t.Errorf("%s by %q: %s", d.Outcome, d.Rule, d.Why)
	}
}

// A later start is decided as a request at the instant of the start would be by somebody who is off call; only rules that
// deny take it into account that they may be on call then.
func TestLaterIsThen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, request, facts := drawWorld(t).load(t), drawRequest(t), drawFacts(t)
		blind := Facts{Usergroups: facts.Usergroups, Schedules: map[string]Standing{"pa": {Unknown: "x"}, "pb": {Unknown: "x"}}}
		offCall := Facts{Usergroups: facts.Usergroups, Schedules: map[string]Standing{"pa": {}, "pb": {}}}
		later := request
		later.StartsAt = request.At.Add(time.Duration(rapid.IntRange(1, 8*24).Draw(t, "hours ahead")) * time.Hour)
		request.At = later.StartsAt
		then, now := p.Decide(request, offCall), p.Decide(later, facts)
		if p.Forbids(request, blind) != "" {
			then = p.Decide(request, blind)
		}
		if now.Field == FieldStart && now.StartWithin < later.StartsAt.Sub(later.At) {
			return // further ahead than any rule lets it start
		}
		for _, d := range []*Decision{&then, &now} {
			d.Why, d.Unknowns, d.Field = "", nil, ""
			for i := range d.Steps {
				d.Steps[i].Why = ""
			}
		}
		if !reflect.DeepEqual(then, now) {
			t.Fatalf("later:\n%+v\nthen:\n%+v", now, then)
		}
	})
}

func TestStartWithinIsCompared(t *testing.T) {
	t.Parallel()
	old := loaded(t, starting)
	for _, tc := range []struct {
		from, to string
		wider    bool
		words    string
	}{
		{"start_within: 2d", "start_within: 3d", true, ", starting at most 3d ahead"},
		{"start_within: 2d", "start_within: 1h", false, ", starting at most 1h ahead"},
		{"start_within: never", "start_within: 7d", true, ""},
		{"profiles: support, approve: automatically", "profiles: support, approve: automatically, start_within: never", false, ", starting at once only"},
	} {
		if strings.Count(starting, tc.from) != 1 {
			t.Fatalf("%q is not there once", tc.from)
		}
		c := Diff(old, loaded(t, strings.Replace(starting, tc.from, tc.to, 1)), nil)
		if len(c.Differences) == 0 {
			t.Errorf("%s: nothing differs", tc.to)
		}
		for _, d := range c.Differences {
			if d.Wider != tc.wider || d.Narrower == tc.wider || !strings.Contains(d.New, tc.words) {
				t.Errorf("%s: %+v", tc.to, d)
			}
		}
	}
}

func TestStartWithinIsRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"start_within: 31d":  "start_within is at most 30d",
		"start_within: soon": `"soon" is not a duration`,
	} {
		_, _, err := Load([]byte(strings.Replace(starting, "start_within: 2d", text, 1)), "policy.yaml")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	_, _, err := Load([]byte(strings.Replace(starting, "rules:\n", "rules:\n  - { name: no, deny: true, profiles: ddl, start_within: 1d }\n", 1)), "policy.yaml")
	if err == nil || !strings.Contains(err.Error(), "a rule that denies cannot have start_within") {
		t.Errorf("a denying rule: %v", err)
	}
	_, warnings, err := Load([]byte(strings.Replace(starting, "profiles: dump, approve: automatically", "profiles: dump, approve: automatically, start_within: 1d", 1)), "policy.yaml")
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0].String(), "nobody starts later by it") {
		t.Errorf("a shift is known for now only: %v %v", warnings, err)
	}
	p := loaded(t, starting+`
tests:
  - name: starts in the morning
    given: { user: ana@example.com, at: 2026-03-04T20:00:00Z }
    request: { target: orders, profile: ddl, start: 2026-03-05T09:00:00Z }
    expect: { outcome: needs-approval, start_within: 2d }
  - name: starts in the evening
    given: { user: ana@example.com, at: 2026-03-04T09:00:00Z }
    request: { target: orders, profile: ddl, start: 2026-03-04T20:00:00Z }
    expect: { outcome: denied }
  - name: another bound
    given: { user: ana@example.com }
    request: { target: orders, profile: ddl }
    expect: { start_within: 3d }
`)
	results := p.Test()
	if !results[0].OK || !results[1].OK || results[2].OK || !strings.Contains(results[2].Differences[0].String(), "start_within: expected 3d, got 2d") {
		t.Errorf("the file's own tests: %+v", results)
	}
}

// A budget per day is one for the day of the start, whenever the access is asked for.
func TestADaysBudgetIsThatOfTheStart(t *testing.T) {
	t.Parallel()
	p := loaded(t, strings.Replace(replayed, "who: [oncall:payments], approve: automatically, max_duration: 2h, budget: { grants: 2, per: day }",
		"who: [group:backend], approve: automatically, max_duration: 2h, budget: { grants: 1, per: day }", 1))
	sunday := morning.Add(5*24*time.Hour + time.Hour)
	request := Request{
		User: Person{ID: "UANA", Email: "ana@example.com"}, Target: Target{"orders", "postgres", "production"}, Profile: "read", Duration: time.Hour,
	}
	var uses []Use
	ask := func(at, starts time.Time) Decision {
		request.At, request.StartsAt = at, starts
		return p.Decide(request, Facts{History: &History{Since: morning.Add(-ReplayMemory), Uses: uses}})
	}
	replay := NewReplay(p, known(p), morning.Add(-time.Hour))
	var pasts []Past
	for day := range 5 {
		d := ask(morning.Add(time.Duration(day)*24*time.Hour), sunday)
		if want := map[bool]Outcome{true: Approved, false: NeedsApproval}[day == 0]; d.Outcome != want {
			t.Errorf("day %d: %s: %s", day+1, d.Outcome, d.Why)
		}
		if d.Outcome == Approved {
			uses = append(uses, Use{d.Rule, sunday})
			if !d.Budget.Since.Equal(sunday.Add(-24 * time.Hour)) {
				t.Errorf("counted from %s on", d.Budget.Since)
			}
		} else if why := d.Steps[0].Why; why != "its budget is used up: 1 of 1 from 2026-03-08 10:00 UTC on" {
			t.Error(why)
		}
		pasts = append(pasts, Past{ID: "r", Kept: true, Question: Question{Request: request}, Decision: d})
	}
	for _, past := range pasts {
		replay.Add([]Past{past})
	}
	if r := replay.Report(); r.Same != 5 {
		t.Errorf("replayed under the same policy: %+v", r)
	}
	if d := ask(sunday.Add(-23*time.Hour), time.Time{}); d.Outcome != NeedsApproval || !strings.Contains(d.Steps[0].Why, "from 2026-03-07 11:00 UTC on") {
		t.Errorf("at once, the day before: %s: %+v", d.Outcome, d.Steps)
	}
	if d := ask(morning, sunday.Add(24*time.Hour)); d.Outcome != NeedsApproval {
		t.Errorf("a day after, to the instant: %s", d.Why)
	}
	if d := ask(morning, sunday.Add(24*time.Hour+time.Second)); d.Outcome != Approved {
		t.Errorf("more than a day after: %s: %s", d.Outcome, d.Why)
	}
}
