package policy

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// smallRule and smallWorld are policies small enough that their meaning can be worked out by looking.
type smallRule struct {
	deny              bool
	who, on, profiles []string
	approvals         []Requirement // none means automatically
	max               int           // hours; 0 means none
}

type smallWorld struct {
	groups []string // lines
	rules  []smallRule
}

var (
	smallGroups = []string{
		"ga: { emails: [ana@example.com, bo@example.com] }", "gb: { slack_usergroup: SB }",
		"gc: { slack_usergroup: SC, emails: [ana@example.com] }", "gd: { emails: [] }",
	}
	smallWho      = []string{"group:ga", "group:gb", "group:gc", "group:gd", "oncall:pa", "oncall:pb", "user:ana@example.com", "anyone"}
	smallTargets  = []string{"orders", "env:prod", "o*", "billing", "env:staging"}
	smallProfiles = []string{"low", "high"}
)

func drawRule(t *rapid.T, label string) smallRule {
	some := func(what string, from []string) []string {
		if rapid.IntRange(0, 3).Draw(t, label+" any "+what) == 0 {
			return nil
		}
		return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, 2, rapid.ID[string]).Draw(t, label+" "+what)
	}
	r := smallRule{
		deny: rapid.IntRange(0, 4).Draw(t, label+" deny") == 0,
		who:  some("who", smallWho), on: some("targets", smallTargets), profiles: some("profiles", smallProfiles),
		max: rapid.IntRange(0, 3).Draw(t, label+" max"),
	}
	for i := range rapid.IntRange(0, 2).Draw(t, label+" approvals") {
		r.approvals = append(r.approvals, Requirement{
			From:  rapid.SliceOfNDistinct(rapid.SampledFrom(smallWho), 1, 2, rapid.ID[string]).Draw(t, fmt.Sprint(label, " from ", i)),
			Count: rapid.IntRange(1, 3).Draw(t, fmt.Sprint(label, " count ", i)),
		})
	}
	return r
}

func drawWorld(t *rapid.T) smallWorld {
	w := smallWorld{groups: slices.Clone(smallGroups)}
	for i := range rapid.IntRange(0, 6).Draw(t, "rules") {
		w.rules = append(w.rules, drawRule(t, fmt.Sprint("rule ", i)))
	}
	return w
}

func (w smallWorld) load(t *rapid.T) *Policy {
	var out strings.Builder
	out.WriteString("version: 1\ngroups:\n  " + strings.Join(w.groups, "\n  ") + "\n")
	out.WriteString("schedules: { pa: { pagerduty_schedule: PA }, pb: { pagerduty_schedule: PB } }\nprofiles:\n")
	for _, name := range smallProfiles {
		fmt.Fprintf(&out, "  - { name: %s, risk: %s, grants: [{ schema: s, tables: t, privileges: select }] }\n", name, name)
	}
	out.WriteString("rules:\n")
	list := func(key string, values []string) {
		if len(values) > 0 {
			fmt.Fprintf(&out, "    %s: [\"%s\"]\n", key, strings.Join(values, `", "`))
		}
	}
	for i, r := range w.rules {
		fmt.Fprintf(&out, "  - name: r%d%t\n", i, r.deny)
		list("who", r.who)
		list("targets", r.on)
		list("profiles", r.profiles)
		switch {
		case r.deny:
			out.WriteString("    deny: true\n")
			continue
		case len(r.approvals) == 0:
			out.WriteString("    approve: automatically\n")
		default:
			out.WriteString("    approvals:\n")
			for _, a := range r.approvals {
				fmt.Fprintf(&out, "      - { from: [\"%s\"], count: %d }\n", strings.Join(a.From, `", "`), a.Count)
			}
		}
		if r.max > 0 {
			fmt.Fprintf(&out, "    max_duration: %dh\n", r.max)
		}
	}
	text := out.String()
	if len(w.rules) == 0 {
		text = strings.TrimSuffix(text, "rules:\n")
	}
	p, _, err := Load([]byte(text), "small.yaml")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}

func drawRequest(t *rapid.T) Request {
	return Request{
		User:     Person{ID: "U1", Email: rapid.SampledFrom([]string{"ana@example.com", "bo@example.com", "eve@example.com"}).Draw(t, "user")},
		Target:   rapid.SampledFrom([]Target{{"orders", "postgres", "prod"}, {"billing", "postgres", "prod"}, {"other", "mysql", "staging"}}).Draw(t, "target"),
		Profile:  rapid.SampledFrom(smallProfiles).Draw(t, "profile"),
		Duration: rapid.SampledFrom([]time.Duration{0, time.Hour, 2 * time.Hour, 9 * time.Hour}).Draw(t, "duration"), At: morning,
	}
}

// drawFacts are facts of which every one is known.
func drawFacts(t *rapid.T) Facts {
	f := Facts{Usergroups: map[string]Membership{}, Schedules: map[string]Standing{}}
	for _, id := range []string{"SB", "SC"} {
		f.Usergroups[id] = Membership{Member: rapid.Bool().Draw(t, "in "+id)}
	}
	for _, name := range []string{"pa", "pb"} {
		if rapid.Bool().Draw(t, "on "+name) {
			f.Schedules[name] = Standing{On: true, Level: 1, Start: morning.Add(-time.Hour), End: morning.Add(time.Duration(rapid.IntRange(1, 2).Draw(t, "until")) * time.Hour)}
		} else {
			f.Schedules[name] = Standing{}
		}
	}
	return f
}

// forget makes some facts unknown, in every way a fact can be.
func forget(t *rapid.T, f Facts, user *Person) Facts {
	out := Facts{Usergroups: maps.Clone(f.Usergroups), Schedules: maps.Clone(f.Schedules)}
	for id := range f.Usergroups {
		switch rapid.IntRange(0, 2).Draw(t, "forget "+id) {
		case 0:
			delete(out.Usergroups, id)
		case 1:
			out.Usergroups[id] = Membership{Member: true, Unknown: "Slack is away"}
		}
	}
	for name := range f.Schedules {
		switch rapid.IntRange(0, 2).Draw(t, "forget "+name) {
		case 0:
			delete(out.Schedules, name)
		case 1:
			out.Schedules[name] = Standing{On: true, Level: 1, Unknown: "PagerDuty is away"}
		}
	}
	if rapid.IntRange(0, 4).Draw(t, "forget the address") == 0 {
		user.Email = ""
	}
	return out
}

var rank = map[Outcome]int{Denied: 0, NeedsApproval: 1, Approved: 2}

// TestMeaning compares decisions with the meaning of the rules worked out naively, where every fact is known.
func TestMeaning(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, request, facts := drawWorld(t), drawRequest(t), drawFacts(t)
		is := func(who string) bool {
			email := request.User.Email
			return map[string]bool{
				"group:ga": email != "eve@example.com", "group:gb": facts.Usergroups["SB"].Member, "group:gd": false,
				"group:gc": facts.Usergroups["SC"].Member || email == "ana@example.com", "oncall:pa": facts.Schedules["pa"].On,
				"oncall:pb": facts.Schedules["pb"].On, "user:ana@example.com": email == "ana@example.com", "anyone": true,
			}[who]
		}
		matches := func(r smallRule) bool {
			target := request.Target
			on := map[string]bool{target.Name: true, "env:" + target.Environment: true, "o*": target.Name[0] == 'o'}
			return (r.who == nil || slices.ContainsFunc(r.who, is)) && (r.on == nil || slices.ContainsFunc(r.on, func(s string) bool { return on[s] })) &&
				(r.profiles == nil || slices.Contains(r.profiles, request.Profile))
		}
		want, rule := Denied, ""
		for i, r := range w.rules {
			if r.deny && matches(r) {
				rule = fmt.Sprintf("r%dtrue", i)
				break
			}
		}
		for i, r := range w.rules {
			if rule != "" || r.deny || !matches(r) {
				continue
			}
			rule, want = fmt.Sprintf("r%dfalse", i), Approved
			if len(r.approvals) > 0 {
				want = NeedsApproval
			}
			most := time.Duration(r.max) * time.Hour
			if r.max == 0 {
				most = tiers[request.Profile].MaxDuration
			}
			if request.Duration > most {
				want = Denied
			}
		}
		if d := w.load(t).Decide(request, facts); d.Outcome != want || d.Rule != rule || len(d.Unknowns) > 0 {
			t.Fatalf("got %s by %q (%s), wanted %s by %q", d.Outcome, d.Rule, d.Why, want, rule)
		}
	})
}

func TestUnknownNeverHelps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, request, facts := drawWorld(t).load(t), drawRequest(t), drawFacts(t)
		known := p.Decide(request, facts)
		less := forget(t, facts, &request.User)
		d := p.Decide(request, less)
		if rank[d.Outcome] > rank[known.Outcome] {
			t.Fatalf("forgetting made %s (%s) out of %s (%s)", d.Outcome, d.Why, known.Outcome, known.Why)
		}
		if d.Outcome == Denied {
			return
		}
		if d.MaxDuration > known.MaxDuration || d.Duration > known.Duration {
			t.Fatalf("forgetting made it longer: %+v\n%+v", d, known)
		}
		for _, requirement := range known.Approvals {
			from := sorted(requirement.From)
			if total(d.Approvals, from) < total(known.Approvals, from) {
				t.Fatalf("forgetting lost an approval: %+v\n%+v", d.Approvals, known.Approvals)
			}
		}
		for _, requirement := range []Requirement{{From: smallWho[:7]}} {
			before, after := p.MayApprove(requirement, request.User, facts), p.MayApprove(requirement, request.User, less)
			if after.OK && !before.OK {
				t.Fatalf("forgetting made an approver: %+v %+v", before, after)
			}
		}
	})
}

func TestDenyNeverWidens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, request, facts := drawWorld(t), drawRequest(t), drawFacts(t)
		before := w.load(t).Decide(request, facts)
		deny := drawRule(t, "deny")
		deny.deny = true
		more := smallWorld{w.groups, append(slices.Clone(w.rules), deny)}
		after := more.load(t).Decide(request, facts)
		if after.Outcome != Denied && (after.Outcome != before.Outcome || after.Rule != before.Rule || after.MaxDuration != before.MaxDuration || !sameRequirements(after.Approvals, before.Approvals)) {
			t.Fatalf("a rule that denies changed %+v into %+v", before, after)
		}
	})
}

func TestOrderOfPeopleNeverMatters(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, request, facts := drawWorld(t), drawRequest(t), drawFacts(t)
		facts = forget(t, facts, &request.User)
		mixed := smallWorld{groups: rapid.Permutation(w.groups).Draw(t, "groups")}
		for _, r := range w.rules {
			for _, list := range []*[]string{&r.who, &r.on, &r.profiles} {
				*list = slices.Clone(*list)
				slices.Reverse(*list)
			}
			r.approvals = slices.Clone(r.approvals)
			for i, a := range r.approvals {
				r.approvals[i].From = slices.Clone(a.From)
				slices.Reverse(r.approvals[i].From)
			}
			mixed.rules = append(mixed.rules, r)
		}
		a, b := w.load(t).Decide(request, facts), mixed.load(t).Decide(request, facts)
		if !sameRequirements(a.Approvals, b.Approvals) {
			t.Fatalf("%+v\n%+v", a.Approvals, b.Approvals)
		}
		for _, d := range []*Decision{&a, &b} {
			d.Policy, d.Approvals, d.Steps = "", nil, nil
			if d.Outcome == NeedsApproval {
				d.Why = ""
			}
		}
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v\n%+v", a, b)
		}
	})
}

func TestDecisionsExplain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, request, facts := drawWorld(t), drawRequest(t), drawFacts(t)
		facts = forget(t, facts, &request.User)
		d := w.load(t).Decide(request, facts)
		step := slices.IndexFunc(d.Steps, func(s Step) bool { return s.Rule == d.Rule })
		switch {
		case d.Rule == "" && (d.Outcome != Denied || !strings.HasPrefix(d.Why, "No rule ")):
			t.Fatalf("no rule decided, and it says %q", d.Why)
		case d.Rule != "" && (!strings.Contains(d.Why, fmt.Sprintf("%q", d.Rule)) || step < 0 || !d.Steps[step].Matched && !d.Steps[step].Unknown):
			t.Fatalf("%q decided: %q, %+v", d.Rule, d.Why, d.Steps)
		case d.Outcome == Approved && (len(d.Approvals) > 0 || d.Duration == 0 || d.Duration > d.MaxDuration):
			t.Fatalf("approved: %+v", d)
		case d.Outcome == NeedsApproval && len(d.Approvals) == 0:
			t.Fatalf("nobody to ask: %+v", d)
		}
		for _, s := range d.Steps {
			if s.Why == "" || s.Rule == "" {
				t.Fatalf("an empty step: %+v", d.Steps)
			}
		}
		if strings.Contains(d.Why, "  ") || strings.Contains(d.Why, "..") {
			t.Fatalf("clumsy: %q", d.Why)
		}
	})
}
