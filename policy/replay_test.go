package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// known is a source of the policies that decided then.
func known(policies ...*Policy) func(string) *Policy {
	return func(hash string) *Policy {
		for _, p := range policies {
			if p.Hash() == hash {
				return p
			}
		}
		return nil
	}
}

// asked keeps, as filing does, only the facts a policy asked for.
func asked(p *Policy, request Request, facts Facts) Facts {
	return kept(p.Lookups(request), facts)
}

func kept(needed Lookups, facts Facts) Facts {
	out := Facts{Usergroups: map[string]Membership{}, Schedules: map[string]Standing{}}
	for _, id := range needed.Usergroups {
		out.Usergroups[id] = facts.Usergroups[id]
	}
	for _, s := range needed.Schedules {
		out.Schedules[s.Name] = facts.Schedules[s.Name]
	}
	return out
}

// TestReplayIsExact decides a request under one policy and replays it under another: what is reported must be what
// deciding with every fact gives, or that it cannot be said; and the policy of then changes nothing.
func TestReplayIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		before := drawWorld(t)
		after := smallWorld{before.groups, append(slices.Clone(before.rules), drawRule(t, "added")), before.glass}
		slices.Reverse(after.rules)
		old, new := before.load(t), after.load(t)
		request, facts := drawRequest(t), drawFacts(t)
		past := Past{ID: "r", Kept: true, Question: Question{Request: request, Facts: asked(old, request, facts)}}
		if rapid.IntRange(0, 2).Draw(t, "break glass") == 0 {
			past.Question.BreakGlass, past.Question.Facts = true, kept(old.BreakGlassLookups(request), facts)
			if rapid.Bool().Draw(t, "other glass") {
				after.glass = drawGlass(t, "after")
				new = after.load(t)
			}
		}
		past.Decision = past.Question.ask(old, past.Question.Facts)

		same := NewReplay(old, known(old), morning.Add(-time.Hour))
		same.Add([]Past{past})
		if r := same.Report(); r.Same != 1 || r.Requests != 1 || len(r.Changes) > 0 {
			t.Fatalf("the policy of then decides otherwise: %+v", r)
		}

		r := NewReplay(new, known(old), morning.Add(-time.Hour))
		r.Add([]Past{past})
		report := r.Report()
		full := past.Question.ask(new, facts)
		a, b := new.since(old).both(past.Decision, full, request.At)
		wider, narrower := !b.within(a), !a.within(b)
		if report.Unsure == 1 {
			if report.Wider+report.Narrower+report.Same != 0 || len(report.Changes[0].Unsure) == 0 {
				t.Fatalf("got %+v", report)
			}
			return
		}
		if (report.Wider == 1) != wider || (report.Narrower == 1) != narrower || (report.Same == 1) != (!wider && !narrower) {
			t.Fatalf("was %s\nis %s\nreported %+v", a.said(), b.said(), report)
		}
	})
}

const replayed = `
version: 1
groups:
  backend: { emails: [ana@example.com, bo@example.com] }
  dba: { emails: [dora@example.com] }
  security: { slack_usergroup: S0SEC }
schedules: { payments: { pagerduty_schedule: P1, levels: [1] } }
profiles: [{ name: read, risk: low, grants: [{ schema: s, tables: t, privileges: select }] }]
rules:
  - { name: at once, who: [oncall:payments], approve: automatically, max_duration: 2h, budget: { grants: 2, per: day } }
  - { name: asks, who: [group:backend], approvals: [{ from: [group:dba] }] }
`

// shift is ana on call at an instant, as it was recorded.
func shift(level int, at time.Time) map[string]Standing {
	return map[string]Standing{"payments": {
		On: true, Level: level, Schedule: "payments", Source: "pagerduty P1", Start: at.Add(-time.Hour), End: at.Add(8 * time.Hour),
	}}
}

// filed decides a request as ana's was, with the history so far.
func filed(p *Policy, id string, at time.Time, schedules map[string]Standing, uses *[]Use) Past {
	request := Request{
		User: Person{ID: "UANA", Email: "ana@example.com"}, Target: Target{"orders", "postgres", "production"}, Profile: "read",
		Duration: time.Hour, At: at,
	}
	facts := Facts{Schedules: schedules}
	past := Past{ID: id, Kept: true, Question: Question{Request: request, Facts: facts}}
	facts.History = &History{Since: at.Add(-ReplayMemory), Uses: *uses}
	if past.Decision = p.Decide(request, facts); past.Decision.Outcome == Approved {
		*uses = append(*uses, Use{past.Decision.Rule, at})
	}
	return past
}

func TestReplayCountsTheNewPolicysOwnHistory(t *testing.T) {
	t.Parallel()
	old := loaded(t, replayed)
	var uses []Use
	var pasts []Past
	for i := range 6 { // one of them before the replay begins; two a day are approved at once
		at := morning.Add(time.Duration(i) * time.Hour)
		pasts = append(pasts, filed(old, fmt.Sprint("r", i), at, shift(1, at), &uses))
	}
	run := func(p *Policy) Report {
		r := NewReplay(p, known(old), morning.Add(time.Minute))
		for _, past := range pasts { // a page each, so that history crosses pages
			r.Add([]Past{past})
		}
		return r.Report()
	}
	if r := run(old); r.Same != 5 || r.Requests != 5 {
		t.Errorf("under its own policy: %+v", r)
	}
	// Four a day: r0, before the replay, counts; r1 was approved then and is now; r2 and r3 are approved only now.
	r := run(loaded(t, strings.Replace(replayed, "grants: 2", "grants: 4", 1)))
	var got []string
	for _, c := range r.Changes {
		got = append(got, fmt.Sprintf("%s: %s (%s) -> %s (%s)", c.ID, c.Old, c.OldRule, c.New, c.NewRule))
	}
	want := []string{
		"r2: with approval by 1 from group dba, for 1h (asks) -> at once, for 1h of the shift (at once)",
		"r3: with approval by 1 from group dba, for 1h (asks) -> at once, for 1h of the shift (at once)",
	}
	// The shift ends access that approval would not have ended, so these are both wider and narrower.
	if !slices.Equal(got, want) || r.Wider != 2 || r.Narrower != 2 || r.Same != 3 {
		t.Errorf("got %q\n%+v", got, r)
	}
}

func TestReplayKnowsSchedulesByTheirSource(t *testing.T) {
	t.Parallel()
	old := loaded(t, replayed)
	for _, one := range []struct {
		name     string
		level    int
		on       bool
		old, new string
		then     bool
		want     string
	}{
		{"another name", 1, true, "payments", "checkout", true, "same"},
		{"another name, and the policy of then is lost", 1, true, "payments", "checkout", false, "unsure"},
		{"the policy of then is lost", 1, true, "", "", false, "same"},
		{"another schedule under the name", 1, true, "P1", "P2", true, "unsure"},
		{"a level more, and on call on the old one", 1, true, "levels: [1]", "levels: [1, 2]", true, "same"},
		{"a level more, and not on call on the old one", 0, false, "levels: [1]", "levels: [1, 2]", true, "unsure"},
		{"another level", 1, true, "levels: [1]", "levels: [2]", true, "unsure"},
		{"not on call", 0, false, "", "", true, "same"},
		{"a group nobody looked up", 1, true, "group:backend]", "group:security]", true, "same"}, // the first rule decides
		{"a group nobody looked up, and it matters", 0, false, "group:backend]", "group:security]", true, "unsure"},
		{"shorter", 1, true, "max_duration: 2h", "max_duration: 30m", true, "narrower"},
		{"nobody asked", 0, false, "approvals: [{ from: [group:dba] }]", "approve: automatically", true, "wider"},
		{"more people may approve", 0, false, "dora@example.com", "dora@example.com, dan@example.com", true, "wider"},
		{"more people may approve, and the policy of then is lost", 0, false, "dora@example.com", "dora@example.com, dan@example.com", false, "unsure"},
	} {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			text := replayed
			if one.old != "" {
				text = strings.ReplaceAll(replayed, one.old, one.new)
			}
			p := loaded(t, text)
			schedules := shift(one.level, morning)
			if !one.on {
				schedules = map[string]Standing{"payments": {Schedule: "payments", Source: "pagerduty P1"}}
			}
			var uses []Use
			policies := known(old)
			if !one.then {
				policies = known()
			}
			r := NewReplay(p, policies, morning.Add(-time.Hour))
			r.Add([]Past{filed(old, "r", morning, schedules, &uses)})
			report := r.Report()
			got := map[string]int{"same": report.Same, "unsure": report.Unsure, "wider": report.Wider, "narrower": report.Narrower}
			want := map[string]int{"same": 0, "unsure": 0, "wider": 0, "narrower": 0}
			want[one.want] = 1
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v", report)
			}
		})
	}
}

func TestReplayLooksAtWhatFollows(t *testing.T) {
	t.Parallel()
	const glass = "break_glass: { who: [group:backend], reviewers: [group:dba], review_within: 4h }\n"
	for _, one := range []struct {
		name, was, is string // the end of the second rule
		broken        bool
		want          string // wider, narrower, both or same, and what is said
	}{
		{
			"in order", ", { from: [group:backend] }] }", ", { from: [group:backend] }], in_order: true }", false,
			"narrower: with approval by 1 from group dba and 1 from group backend, for 1h -> with approval by 1 from group dba, then 1 from group backend, for 1h",
		},
		{
			"others answer late", "] }", "], escalate: { after: 5m, to: [group:backend] } }", false,
			"wider: with approval by 1 from group dba, for 1h -> with approval by 1 from group dba (after 5m also group backend), for 1h",
		},
		{"sooner", "], escalate: { after: 9m, to: [group:backend] } }", "], escalate: { after: 5m, to: [group:backend] } }", false, "wider: "},
		{"extended", "] }", "], extend: { times: 2, total: 14h } }", false, "wider: with approval by 1 from group dba, for 1h -> with approval by 1 from group dba, for 1h, extended at most twice, to 14h in all"},
		{"extended less", "], extend: { times: 2, total: 14h } }", "], extend: { times: 2, total: 13h } }", false, "narrower: "},
		{"waits are said", "] }", "], lapse_after: 1h, activate_within: 5m }", false, "same"},
		{"waits are longer", "], lapse_after: 1h, activate_within: 5m }", "], lapse_after: 2h, activate_within: 5m }", false, "wider: "},
		{
			"waits are shorter", "], lapse_after: 1h, activate_within: 5m }", "], lapse_after: 1h, activate_within: 4m }", false,
			"narrower: with approval by 1 from group dba, for 1h, answered within 1h, taken within 5m -> with approval by 1 from group dba, for 1h, answered within 1h, taken within 4m",
		},
		{"reminded", "] }", "], remind_every: 5m }", false, "same"},
		{"the same glass", "] }\n" + glass, "], in_order: true }\n" + glass, true, "same"},
		{"no glass", "] }\n" + glass, "] }", true, "narrower: at once, for 1h, reviewed within 4h by group dba, said in security_channel -> denied"},
		{"glass", "] }", "] }\n" + glass, true, "wider: denied -> at once, for 1h, reviewed within 4h by group dba, said in security_channel"},
		{"a later review", "] }\n" + glass, "] }\n" + strings.Replace(glass, "4h", "5h", 1), true, "wider: "},
		{"other reviewers", "] }\n" + glass, "] }\n" + strings.Replace(glass, "[group:dba]", "[user:dora@example.com]", 1), true, "same"},
		{"shorter", "] }\n" + glass, "] }\n" + strings.Replace(glass, "4h", "4h, max_duration: 5m", 1), true, "narrower: "},
	} {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			const end = "approvals: [{ from: [group:dba] }] }\n"
			was := loaded(t, strings.Replace(replayed, end, "approvals: [{ from: [group:dba] }"+one.was+"\n", 1))
			is := loaded(t, strings.Replace(replayed, end, "approvals: [{ from: [group:dba] }"+one.is+"\n", 1))
			var uses []Use
			past := filed(was, "r", morning, map[string]Standing{"payments": {Schedule: "payments", Source: "pagerduty P1"}}, &uses)
			if past.Question.BreakGlass = one.broken; one.broken {
				past.Decision = past.Question.ask(was, past.Question.Facts)
			}
			r := NewReplay(is, known(was), morning.Add(-time.Hour))
			r.Add([]Past{past})
			got := "same"
			for _, c := range r.Report().Changes {
				how := map[[2]bool]string{{true, false}: "wider", {false, true}: "narrower", {true, true}: "both", {false, false}: "unsure"}[[2]bool{c.Wider, c.Narrower}]
				got = fmt.Sprintf("%s: %s -> %s", how, c.Old, c.New)
			}
			if !strings.HasPrefix(got, one.want) {
				t.Errorf("got %q, wanted %q", got, one.want)
			}
		})
	}
}

func TestReplayLeavesOutWhatWasNotKept(t *testing.T) {
	t.Parallel()
	p := loaded(t, replayed)
	var uses []Use
	past := filed(p, "r", morning, shift(1, morning), &uses)
	past.Kept = false
	r := NewReplay(loaded(t, strings.Replace(replayed, "max_duration: 2h", "max_duration: 30m", 1)), known(p), morning)
	r.Add([]Past{past})
	if report := r.Report(); report.NotKept != 1 || report.Requests != 0 || len(report.Changes) != 0 {
		t.Errorf("got %+v", report)
	}
}

// BenchmarkReplay is what deciding again costs for each request, without the store.
func BenchmarkReplay(b *testing.B) {
	for _, rules := range []int{10, 1000} {
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) {
			p := loaded(b, bigPolicy(rules))
			request, facts := bigRequest(p)
			page := make([]Past, 2000)
			for i := range page {
				request.User = Person{ID: fmt.Sprint("U", i%500), Email: fmt.Sprintf("person%d@example.com", i%500)}
				request.At = morning.Add(time.Duration(i) * time.Minute)
				page[i] = Past{ID: fmt.Sprint(i), Kept: true, Question: Question{Request: request, Facts: facts}, Decision: p.Decide(request, facts)}
			}
			r := NewReplay(p, known(p), morning)
			n := 0
			for b.Loop() {
				r.Add(page)
				n += len(page)
			}
			if report := r.Report(); report.Same != n {
				b.Fatalf("%+v", report)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "µs/request")
		})
	}
}
