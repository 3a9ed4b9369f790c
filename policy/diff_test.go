package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestDiffIsExact compares Diff with trying everybody, in worlds small enough for that: every address, every membership,
// every shift, every target and profile, and durations around every limit.
func TestDiffIsExact(t *testing.T) {
	t.Parallel()
	targets := []Target{{"orders", "postgres", "prod"}, {"billing", "postgres", "prod"}, {"other", "mysql", "staging"}}
	rapid.Check(t, func(t *rapid.T) {
		before, after := drawWorld(t), smallWorld{}
		after = smallWorld{append([]string{}, before.groups...), append([]smallRule{}, before.rules...), before.glass}
		if rapid.Bool().Draw(t, "regroup") {
			after.groups[0] = "ga: { emails: [bo@example.com, eve@example.com] }"
		}
		if rapid.Bool().Draw(t, "undefine") {
			after.groups = after.groups[:3]
		}
		if n := len(after.rules); n > 0 && rapid.Bool().Draw(t, "remove") {
			i := rapid.IntRange(0, n-1).Draw(t, "which")
			after.rules = append(after.rules[:i:i], after.rules[i+1:]...)
		}
		if rapid.Bool().Draw(t, "add") {
			i := rapid.IntRange(0, len(after.rules)).Draw(t, "where")
			after.rules = append(after.rules[:i:i], append([]smallRule{drawRule(t, "added")}, after.rules[i:]...)...)
		}
		if n := len(after.rules); n > 0 && rapid.Bool().Draw(t, "change") {
			i, other := rapid.IntRange(0, n-1).Draw(t, "which"), drawRule(t, "other")
			r := &after.rules[i]
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				r.inOrder = !r.inOrder && len(r.approvals) > 0
			case 1:
				r.extend = other.extend
			case 2:
				r.waits.Take = other.waits.Take
			case 3:
				if len(r.approvals) > 0 {
					r.waits.Answer = other.waits.Answer
				}
			case 4:
				if len(r.approvals) > 0 {
					r.escalate = other.escalate
				}
			}
		}
		if rapid.IntRange(0, 2).Draw(t, "other glass") == 0 {
			after.glass = drawGlass(t, "other glass")
		}
		old, new := before.load(t), after.load(t)
		// A key is who by address, target and profile; crowds of several addresses say the same of each.
		type change struct{ wider, narrower bool }
		got, want := map[string]change{}, map[string]change{}
		comparison := Diff(old, new, targets)
		for _, d := range comparison.Differences {
			for _, email := range []string{"ana@example.com", "bo@example.com", "eve@example.com", "anybody else"} {
				if crowd, _, _ := strings.Cut(d.Who, ", in "); strings.Contains(strings.Split(crowd, ", on call")[0], email) {
					key := email + " " + d.Target + " " + d.Profile + map[bool]string{true: " glass"}[d.BreakGlass]
					got[key] = change{got[key].wider || d.Wider, got[key].narrower || d.Narrower}
				}
			}
		}
		named := map[string]bool{}
		for _, c := range crowdsOf(old, new) {
			for _, email := range c.emails {
				named[email] = true
			}
		}
		for email, name := range map[string]string{"ana@example.com": "ana@example.com", "bo@example.com": "bo@example.com", "eve@example.com": "eve@example.com", "zoe@example.com": "anybody else"} {
			if !named[email] && name != "anybody else" {
				continue
			}
			for _, target := range targets {
				for _, profile := range smallProfiles {
					var c, glass change
					for world := range 16 {
						facts := Facts{Usergroups: map[string]Membership{"SB": {Member: world&1 != 0}, "SC": {Member: world&2 != 0}}, Schedules: map[string]Standing{}}
						for i, schedule := range []string{"pa", "pb"} {
							facts.Schedules[schedule] = Standing{On: world&(4<<i) != 0, Level: 1, Start: morning, End: morning.Add(time.Hour)}
						}
						for _, hours := range []int{1, 2, 3, 4, 12, 13} {
							request := Request{User: Person{Email: email}, Target: target, Profile: profile, Duration: time.Duration(hours) * time.Hour, At: morning}
							a, b := old.Decide(request, facts), new.Decide(request, facts)
							c.wider = c.wider || !lessOrEqual(new, b, old, a)
							c.narrower = c.narrower || !lessOrEqual(old, a, new, b)
						}
						request := Request{User: Person{Email: email}, Target: target, Profile: profile, At: morning}
						for times := range 3 {
							a, b := lasts(old, request, facts, times), lasts(new, request, facts, times)
							c.wider, c.narrower = c.wider || b > a, c.narrower || a > b
						}
						a, b := old.DecideBreakGlass(request, facts), new.DecideBreakGlass(request, facts)
						glass.wider, glass.narrower = glass.wider || !brokenWithin(new, b, old, a), glass.narrower || !brokenWithin(old, a, new, b)
					}
					if c.wider || c.narrower {
						want[name+" "+target.place()+" "+profile] = c
					}
					if glass.wider || glass.narrower {
						want[name+" "+target.place()+" "+profile+" glass"] = glass
					}
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("Diff says\n%v\ntrying everybody says\n%v\n%s\n----\n%s", got, want, old.source, new.source)
		}
		for _, c := range want {
			if c.wider && !comparison.Wider() {
				t.Fatal("something is wider and Wider says no")
			}
		}
		if len(Diff(old, old, targets).Differences) > 0 {
			t.Fatal("a policy differs from itself")
		}
	})
}

func (c Comparison) same() bool { return len(c.Profiles)+len(c.Differences) == 0 }

// lasts is how long access that somebody was given may last in all once it was extended so many times before; 0 when it
// cannot be extended.
func lasts(p *Policy, request Request, facts Facts, times int) time.Duration {
	given := p.Decide(request, facts)
	if given.Outcome == Denied {
		return 0
	}
	if d := p.DecideExtension(Extending{request, given, times}, facts); d.Outcome == Approved {
		return d.MaxDuration
	}
	return 0
}

// lessOrEqual says whether decision a allows nothing that decision b does not.
func lessOrEqual(pa *Policy, a Decision, pb *Policy, b Decision) bool {
	switch {
	case a.Outcome == Denied:
		return true
	case b.Outcome == Denied:
		return false
	case b.Shift != nil && a.Shift == nil, !waitsNoLonger(a, b), a.StartWithin > b.StartWithin:
		return false
	}
	return meets(needsOf(a.Approvals, a.Escalations, pa.peopleOf), needsOf(b.Approvals, b.Escalations, pb.peopleOf), a.InOrder, b.InOrder)
}

// brokenWithin says the same of broken glass.
func brokenWithin(pa *Policy, a Decision, pb *Policy, b Decision) bool {
	switch {
	case a.Outcome == Denied:
		return true
	case b.Outcome == Denied, b.Shift != nil && a.Shift == nil, a.MaxDuration > b.MaxDuration, a.Review.Within > b.Review.Within:
		return false
	}
	for _, channel := range b.Review.Notify {
		if !slices.Contains(a.Review.Notify, channel) {
			return false
		}
	}
	// Whoever may close the review under a, and from when on, may under b.
	closers := func(p *Policy, r *Review) map[string]time.Duration {
		out := map[string]time.Duration{}
		if r.Escalate != nil {
			for _, who := range p.peopleOf(r.Escalate.To) {
				out[who] = r.Escalate.After
			}
		}
		for _, who := range p.peopleOf(r.Reviewers) {
			out[who] = 0
		}
		return out
	}
	may := closers(pb, b.Review)
	for who, from := range closers(pa, a.Review) {
		everybody, all := may["anyone"]
		own, named := may[who]
		if !(all && everybody <= from || named && own <= from) {
			return false
		}
	}
	return true
}

func TestDiff(t *testing.T) {
	t.Parallel()
	const head = `
version: 1
groups: { dba: { slack_usergroup: S0DBA }, backend: { emails: [ana@example.com, bo@example.com] } }
schedules: { payments: { pagerduty_schedule: P1, levels: [1] } }
profiles:
  - { name: read, risk: low, engines: [postgres], grants: [{ schema: public, tables: [a], privileges: [select] }] }
  - { name: fix, risk: high, parameters: [{ name: id, type: bigint, required: true }], grants: [{ schema: public, tables: [a], privileges: [update], rows: "id = :id" }] }
rules:
`
	const base = head + `
  - { name: on call, who: oncall:payments, profiles: read, approve: automatically, budget: { grants: 3, per: shift }, max_duration: 2h }
  - { name: reads, who: group:backend, profiles: read, approvals: [{ from: group:dba }] }
  - { name: fixes, who: group:backend, profiles: fix, approvals: [{ from: group:dba, count: 2 }], require: { ticket: 'INC-\d+' }, hours: { days: mon-fri, timezone: UTC } }
`
	for _, test := range []struct {
		name, from, to string
		want           string // each difference as who: old -> new (wider, narrower)
	}{
		{"nothing", "", "", ""},
		{"another name", "name: reads", "name: backend reads", ""},
		{"one approval fewer", "count: 2", "count: 1", "ana@example.com and bo@example.com, fix, within mon to fri 00:00 to 24:00 (UTC): with approval by 2 from group dba, for up to 4h, with a ticket like INC-\\d+ -> with approval by 1 from group dba, for up to 4h, with a ticket like INC-\\d+ (wider)"},
		{"no ticket", ", require: { ticket: 'INC-\\d+' }", "", "ana@example.com and bo@example.com, fix, within mon to fri 00:00 to 24:00 (UTC): with approval by 2 from group dba, for up to 4h, with a ticket like INC-\\d+ -> with approval by 2 from group dba, for up to 4h (wider)"},
		{"every day", "{ days: mon-fri, timezone", "{ timezone", "ana@example.com and bo@example.com, fix, within every day 00:00 to 24:00 (UTC): denied -> with approval by 2 from group dba, for up to 4h, with a ticket like INC-\\d+ (wider)"},
		{"shorter", "max_duration: 2h", "max_duration: 1h", "ana@example.com and bo@example.com, on call for payments on level 1, read: at once, for up to 2h of the shift, 3 times a shift -> at once, for up to 1h of the shift, 3 times a shift (narrower)\n" +
			"anybody else, on call for payments on level 1, read: at once, for up to 2h of the shift, 3 times a shift -> at once, for up to 1h of the shift, 3 times a shift (narrower)"},
		{"a level more", "levels: [1]", "levels: [1, 2]", "ana@example.com and bo@example.com, on call for payments on level 2, read: with approval by 1 from group dba, for up to 12h -> at once, for up to 2h of the shift, 3 times a shift (wider, narrower)\n" +
			"anybody else, on call for payments on level 2, read: denied -> at once, for up to 2h of the shift, 3 times a shift (wider)"},
		{"a larger budget", "grants: 3", "grants: 4", "ana@example.com and bo@example.com, on call for payments on level 1, read: at once, for up to 2h of the shift, 3 times a shift -> at once, for up to 2h of the shift, 4 times a shift (wider)\n" +
			"anybody else, on call for payments on level 1, read: at once, for up to 2h of the shift, 3 times a shift -> at once, for up to 2h of the shift, 4 times a shift (wider)"},
		{"a person more", "bo@example.com]", "bo@example.com, eve@example.com]", "eve@example.com, read: denied -> with approval by 1 from group dba, for up to 12h (wider)\n" +
			"eve@example.com, fix, within mon to fri 00:00 to 24:00 (UTC): denied -> with approval by 2 from group dba, for up to 4h, with a ticket like INC-\\d+ (wider)"},
		{"other approvers", "slack_usergroup: S0DBA", "slack_usergroup: S0DBB", "ana@example.com and bo@example.com, read: with approval by 1 from group dba, for up to 12h -> with approval by 1 from group dba, for up to 12h (wider, narrower)\n" +
			"ana@example.com and bo@example.com, fix, within mon to fri 00:00 to 24:00 (UTC): with approval by 2 from group dba, for up to 4h, with a ticket like INC-\\d+ -> with approval by 2 from group dba, for up to 4h, with a ticket like INC-\\d+ (wider, narrower)"},
	} {
		if !strings.Contains(base, test.from) {
			t.Fatalf("%s: nothing to replace", test.name)
		}
		changed := base
		if test.from != "" {
			changed = strings.Replace(base, test.from, test.to, 1)
		}
		comparison := Diff(loaded(t, base), loaded(t, changed), []Target{{"orders", "postgres", "production"}})
		var got []string
		for _, d := range comparison.Differences {
			text := d.Who + ", " + d.Profile
			if d.When != "" {
				text += ", " + d.When
			}
			var how []string
			if d.Wider {
				how = append(how, "wider")
			}
			if d.Narrower {
				how = append(how, "narrower")
			}
			got = append(got, fmt.Sprintf("%s: %s -> %s (%s)", text, d.Old, d.New, strings.Join(how, ", ")))
		}
		if !sameLines(got, strings.Split(test.want, "\n")) {
			t.Errorf("%s: got\n%s", test.name, strings.Join(got, "\n"))
		}
		if comparison.Wider() != strings.Contains(test.want, "wider") {
			t.Errorf("%s: wider is %t", test.name, comparison.Wider())
		}
		// Without targets the same is found on targets made up from the file.
		if test.want != "" && len(Diff(loaded(t, base), loaded(t, changed), nil).Differences) == 0 {
			t.Errorf("%s: nothing found on imagined targets", test.name)
		}
	}
}

func sameLines(got, want []string) bool {
	if len(want) == 1 && want[0] == "" {
		return len(got) == 0
	}
	return strings.Join(sorted(got), "\n") == strings.Join(sorted(want), "\n")
}

func TestDiffProfiles(t *testing.T) {
	t.Parallel()
	load := func(text string) *Policy {
		return loaded(t, "version: 1\nprofiles: [{ name: r, risk: low, "+text+" }]\n")
	}
	const base = `grants: [{ schema: public, tables: [a, b], privileges: [select] }]`
	for _, test := range []struct{ from, to, what, how string }{
		{base, `max_duration: 1h, ` + base, "", ""},
		{base, `grants: [{ schema: public, tables: ["*"], privileges: [select] }]`, "gains select on public.*", "wider"},
		{base, `grants: [{ schema: public, tables: [a], privileges: [select] }]`, "loses select on public.b", "narrower"},
		{base, `grants: [{ schema: public, tables: [a, c], privileges: [select] }]`, "gains select on public.c; loses select on public.b", "wider narrower"},
		{base, `grants: [{ schema: public, tables: [a], privileges: [select] }, { schema: public, tables: [b], privileges: [select] }]`, "reaches the same", ""},
		{base, `grants: [{ schema: public, tables: [a, b], privileges: [select], rows: "x = 1" }]`, "loses select on public.a", "narrower"},
		{base, `grants: [{ schema: public, tables: [a, b], privileges: [select], columns: [x, y] }]`, "loses select on public.a", "narrower"},
		{`grants: [{ schema: public, tables: [a], privileges: [select], mask: { x: hide } }]`, `grants: [{ schema: public, tables: [a], privileges: [select] }]`, "gains select on public.a", "wider"},
		{base, `engines: [mysql], ` + base, "loses the engine postgres", "narrower"},
		{`connection_limit: 5, ` + base, base, "gains connections beyond 5", "wider"},
		{`statement_timeout: 5s, ` + base, `statement_timeout: 1m, ` + base, "gains statements longer than 5s", "wider"},
		{`parameters: [{ name: x, type: text, required: true }], ` + base, base, "gains requests without x", "wider"},
	} {
		got := Diff(load(test.from), load(test.to), nil)
		what, how := "", ""
		for _, d := range got.Profiles {
			what = d.What
			if d.Wider {
				how += "wider "
			}
			if d.Narrower {
				how += "narrower"
			}
		}
		if !strings.Contains(what, test.what) || (what == "") != (test.what == "") || strings.TrimSpace(how) != test.how {
			t.Errorf("%s\n%s\ngot %q %q", test.from, test.to, what, how)
		}
	}
}
