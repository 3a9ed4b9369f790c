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
	inOrder           bool
	ahead             int // days; 0 means not said, -1 never
	waits             Waits
	escalate          []Escalation
	extend            *Extend
}

// smallGlass is a break_glass section.
type smallGlass struct {
	who, on, profiles []string
	max               int // hours; 0 means none
	review            Review
}

type smallWorld struct {
	groups []string // lines
	rules  []smallRule
	glass  *smallGlass
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

// drawSome draws one or two, drawAny perhaps none.
func drawSome(t *rapid.T, label string, from []string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, 2, rapid.ID[string]).Draw(t, label)
}

func drawAny(t *rapid.T, label string, from []string) []string {
	if rapid.IntRange(0, 3).Draw(t, "any "+label) == 0 {
		return nil
	}
	return drawSome(t, label, from)
}

func drawRule(t *rapid.T, label string) smallRule {
	minutes := func(what string, some ...int) time.Duration {
		return time.Duration(rapid.SampledFrom(append([]int{0, 0}, some...)).Draw(t, label+" "+what)) * time.Minute
	}
	r := smallRule{
		deny: rapid.IntRange(0, 4).Draw(t, label+" deny") == 0,
		who:  drawAny(t, label+" who", smallWho), on: drawAny(t, label+" targets", smallTargets), profiles: drawAny(t, label+" profiles", smallProfiles),
		max: rapid.IntRange(0, 3).Draw(t, label+" max"),
	}
	r.waits.Take = minutes("take", 10, 40)
	r.ahead = rapid.SampledFrom([]int{0, 0, -1, 1, 30}).Draw(t, label+" ahead")
	if rapid.IntRange(0, 2).Draw(t, label+" extends") == 0 {
		r.extend = &Extend{Times: rapid.IntRange(0, 2).Draw(t, label+" times")}
		if r.extend.Times > 0 {
			r.extend.Total = time.Duration(rapid.IntRange(3, 5).Draw(t, label+" total")) * time.Hour
		}
	}
	for i := range rapid.IntRange(0, 2).Draw(t, label+" approvals") {
		r.approvals = append(r.approvals, Requirement{
			From:  drawSome(t, fmt.Sprint(label, " from ", i), smallWho),
			Count: rapid.IntRange(1, 3).Draw(t, fmt.Sprint(label, " count ", i)),
		})
	}
	if len(r.approvals) == 0 {
		return r
	}
	r.inOrder = rapid.Bool().Draw(t, label+" in order")
	r.waits.Answer, r.waits.Remind = minutes("answer", 60, 120), minutes("remind", 5, 10)
	for i := range max(0, rapid.IntRange(-2, 2).Draw(t, label+" steps")) {
		after := time.Duration(i*20+rapid.IntRange(1, 2).Draw(t, fmt.Sprint(label, " after ", i))*10) * time.Minute
		r.escalate = append(r.escalate, Escalation{after, drawSome(t, fmt.Sprint(label, " to ", i), smallWho)})
	}
	return r
}

func drawGlass(t *rapid.T, label string) *smallGlass {
	if rapid.IntRange(0, 2).Draw(t, label) == 0 {
		return nil
	}
	g := &smallGlass{
		who: drawSome(t, label+" who", smallWho), on: drawAny(t, label+" targets", smallTargets), profiles: drawAny(t, label+" profiles", smallProfiles),
		max: rapid.IntRange(0, 3).Draw(t, label+" max"),
		review: Review{
			Reviewers: drawSome(t, label+" reviewers", smallWho), Notify: drawSome(t, label+" notify", notices),
			Within: time.Duration(rapid.IntRange(1, 2).Draw(t, label+" within")) * time.Hour,
		},
	}
	if rapid.Bool().Draw(t, label+" escalates") {
		g.review.Escalate = &Escalation{time.Duration(rapid.IntRange(1, 3).Draw(t, label+" after")) * time.Hour, drawSome(t, label+" to", smallWho)}
	}
	return g
}

func drawWorld(t *rapid.T) smallWorld {
	w := smallWorld{groups: slices.Clone(smallGroups)}
	for i := range rapid.IntRange(0, 6).Draw(t, "rules") {
		w.rules = append(w.rules, drawRule(t, fmt.Sprint("rule ", i)))
	}
	w.glass = drawGlass(t, "glass")
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
	step := func(e Escalation) string {
		return fmt.Sprintf("{ after: %s, to: [\"%s\"] }", FormatDuration(e.After), strings.Join(e.To, `", "`))
	}
	wait := func(key string, d time.Duration) {
		if d > 0 {
			fmt.Fprintf(&out, "    %s: %s\n", key, FormatDuration(d))
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
		wait("max_duration", time.Duration(r.max)*time.Hour)
		if r.ahead < 0 {
			out.WriteString("    start_within: never\n")
		}
		wait("start_within", time.Duration(r.ahead)*24*time.Hour)
		wait("activate_within", r.waits.Take)
		wait("lapse_after", r.waits.Answer)
		wait("remind_every", r.waits.Remind)
		if r.inOrder {
			out.WriteString("    in_order: true\n")
		}
		if r.extend != nil && r.extend.Times > 0 {
			fmt.Fprintf(&out, "    extend: { times: %d, total: %s }\n", r.extend.Times, FormatDuration(r.extend.Total))
		} else if r.extend != nil {
			out.WriteString("    extend: { times: 0 }\n")
		}
		for i, e := range r.escalate {
			if i == 0 {
				out.WriteString("    escalate:\n")
			}
			fmt.Fprintf(&out, "      - %s\n", step(e))
		}
	}
	if len(w.rules) == 0 {
		out.WriteString("  []\n")
	}
	if g := w.glass; g != nil {
		out.WriteString("break_glass:\n")
		list("who", g.who)
		list("targets", g.on)
		list("profiles", g.profiles)
		wait("max_duration", time.Duration(g.max)*time.Hour)
		wait("review_within", g.review.Within)
		list("reviewers", g.review.Reviewers)
		list("notify", g.review.Notify)
		if g.review.Escalate != nil {
			fmt.Fprintf(&out, "    escalate: %s\n", step(*g.review.Escalate))
		}
	}
	text := out.String()
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

// outlives says whether access by one decision may last beyond the shift that bounds another.
func outlives(a, b Decision) bool {
	return b.Shift != nil && (a.Shift == nil || a.Shift.End.After(b.Shift.End))
}

// offCall are the same facts for somebody who is on call for none of the schedules that are unknown in less.
func offCall(facts, less Facts) Facts {
	out := Facts{Usergroups: facts.Usergroups, Schedules: maps.Clone(facts.Schedules)}
	for name := range out.Schedules {
		if standing, given := less.Schedules[name]; !given || standing.Unknown != "" {
			out.Schedules[name] = Standing{}
		}
	}
	return out
}

func TestUnknownNeverHelps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, request, facts := drawWorld(t).load(t), drawRequest(t), drawFacts(t)
		if rapid.IntRange(0, 3).Draw(t, "later") == 0 {
			request.StartsAt = request.At.Add(2 * time.Hour)
		}
		known := p.Decide(request, facts)
		knownGlass, asked := p.DecideBreakGlass(request, facts), request
		less := forget(t, facts, &request.User)
		if d := p.DecideBreakGlass(request, less); d.Outcome == Approved && (knownGlass.Outcome != Approved || d.Duration > knownGlass.Duration || outlives(d, knownGlass)) {
			t.Fatalf("forgetting broke glass: %+v\n%+v", d, knownGlass)
		}
		d := p.Decide(request, less)
		for _, given := range []Decision{known, d} {
			for before := range 3 {
				if given.Outcome == Denied {
					continue
				}
				a := p.DecideExtension(Extending{request, given, before}, less)
				b := p.DecideExtension(Extending{asked, given, before}, facts)
				if a.Outcome == Approved && (b.Outcome != Approved || a.MaxDuration > b.MaxDuration) {
					t.Fatalf("forgetting made it last: %+v\n%+v", a, b)
				}
				off := p.DecideExtension(Extending{asked, given, before}, offCall(facts, less))
				if a.Outcome == Approved && outlives(a, b) && (off.Outcome != Approved || a.MaxDuration > off.MaxDuration || outlives(a, off)) {
					t.Fatalf("forgetting made it last beyond the shift, and being off call does not: %+v\n%+v\n%+v", a, b, off)
				}
			}
		}
		if rank[d.Outcome] > rank[known.Outcome] {
			t.Fatalf("forgetting made %s (%s) out of %s (%s)", d.Outcome, d.Why, known.Outcome, known.Why)
		}
		if d.Outcome == Denied {
			return
		}
		if d.MaxDuration > known.MaxDuration || d.Duration > known.Duration || d.StartWithin > known.StartWithin {
			t.Fatalf("forgetting made it longer, or start later: %+v\n%+v", d, known)
		}
		// The end of an unknown shift cannot bound anything. What then lasts longer must be what is given off call anyway.
		if off := p.Decide(asked, offCall(facts, less)); d.Outcome == Approved && outlives(d, known) &&
			(off.Outcome != Approved || d.MaxDuration > off.MaxDuration || d.Duration > off.Duration || outlives(d, off)) {
			t.Fatalf("forgetting gave more than being off call does: %+v\n%+v\n%+v", d, known, off)
		}
		for _, requirement := range known.Approvals {
			from := sorted(requirement.From)
			if total(d.Approvals, from) < total(known.Approvals, from) {
				t.Fatalf("forgetting lost an approval: %+v\n%+v", d.Approvals, known.Approvals)
			}
		}
		if known.InOrder && (!d.InOrder || !follows(d.Approvals, known.Approvals)) {
			t.Fatalf("forgetting lost the order: %+v\n%+v", d.Approvals, known.Approvals)
		}
		if !waitsNoLonger(d, known) {
			t.Fatalf("forgetting made it wait: %+v\n%+v", d, known)
		}
		for _, step := range d.Escalations {
			for _, who := range step.To {
				if known.Outcome == NeedsApproval && !slices.ContainsFunc(known.Escalations, func(e Escalation) bool { return e.After <= step.After && slices.Contains(e.To, who) }) {
					t.Fatalf("forgetting lets %s answer: %+v\n%+v", who, d.Escalations, known.Escalations)
				}
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

// waitsNoLonger says whether one decision never waits longer than another, whatever the configuration says.
func waitsNoLonger(a, b Decision) bool {
	for _, configured := range []time.Duration{time.Second, 25 * time.Minute, 90 * time.Minute, 24 * time.Hour} {
		waits := func(d Decision, said time.Duration) time.Duration {
			switch {
			case said == 0:
				return configured
			case d.Waits.OrSooner:
				return min(said, configured)
			}
			return said
		}
		if waits(a, a.Waits.Take) > waits(b, b.Waits.Take) ||
			a.Outcome == NeedsApproval && b.Outcome == NeedsApproval && waits(a, a.Waits.Answer) > waits(b, b.Waits.Answer) {
			return false
		}
	}
	return true
}

func TestDenyNeverWidens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, request, facts := drawWorld(t), drawRequest(t), drawFacts(t)
		before := w.load(t).Decide(request, facts)
		deny := drawRule(t, "deny")
		deny.deny = true
		more := smallWorld{w.groups, append(slices.Clone(w.rules), deny), w.glass}
		p, denying := w.load(t), more.load(t)
		after := denying.Decide(request, facts)
		for _, ask := range []func(*Policy) Decision{
			func(p *Policy) Decision { return p.DecideBreakGlass(request, facts) },
			func(p *Policy) Decision { return p.DecideExtension(Extending{request, before, 0}, facts) },
		} {
			a, b := ask(denying), ask(p)
			a.Policy, a.Steps, b.Policy, b.Steps = "", nil, "", nil
			if a.Outcome != Denied && !reflect.DeepEqual(a, b) {
				t.Fatalf("a rule that denies changed %+v into %+v", b, a)
			}
		}
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
		if w.glass != nil {
			g := *w.glass
			for _, list := range []*[]string{&g.who, &g.on, &g.profiles} {
				*list = slices.Clone(*list)
				slices.Reverse(*list)
			}
			mixed.glass = &g
		}
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
			r.escalate = slices.Clone(r.escalate)
			for i, e := range r.escalate {
				r.escalate[i].To = slices.Clone(e.To)
				slices.Reverse(r.escalate[i].To)
			}
			mixed.rules = append(mixed.rules, r)
		}
		p, q := w.load(t), mixed.load(t)
		a, b := p.Decide(request, facts), q.Decide(request, facts)
		for _, one := range [][2]Decision{
			{p.DecideBreakGlass(request, facts), q.DecideBreakGlass(request, facts)},
			{p.DecideExtension(Extending{request, a, 0}, facts), q.DecideExtension(Extending{request, b, 0}, facts)},
		} {
			if x, y := one[0], one[1]; x.Outcome != y.Outcome || x.Rule != y.Rule || x.MaxDuration != y.MaxDuration || !reflect.DeepEqual(x.Shift, y.Shift) {
				t.Fatalf("%+v\n%+v", x, y)
			}
		}
		for _, d := range []*Decision{&a, &b} {
			for i := range d.Escalations {
				slices.Sort(d.Escalations[i].To)
			}
		}
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
		p := w.load(t)
		d := p.Decide(request, facts)
		switch rapid.IntRange(0, 2).Draw(t, "what") {
		case 1:
			d = p.DecideBreakGlass(request, facts)
		case 2:
			if d.Outcome != Denied {
				d = p.DecideExtension(Extending{request, d, rapid.IntRange(0, 2).Draw(t, "before")}, facts)
			}
		}
		step := slices.IndexFunc(d.Steps, func(s Step) bool { return s.Rule == d.Rule })
		switch {
		case d.Rule == "" && (d.Outcome != Denied || !strings.HasPrefix(d.Why, "No rule ") && w.glass != nil):
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
