package policy

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// mostFacts bounds the combinations tried for one target and profile: above it, only people of whom at most
// fewFacts hold at once are compared.
const (
	mostFacts = 12
	fewFacts  = 2
)

// differ compares two policies for one target and profile.
type differ struct {
	old, new *Policy
	target   Target
	profile  string
	// glass is set to compare breaking glass instead of requests.
	glass bool
	// facts are what may or may not hold of a person, as far as it matters here.
	facts   []fact
	moments []moment
	found   []Difference
	inexact bool
}

// fact is something that holds of a person or does not.
type fact struct {
	// kind is usergroup, schedule or budget; id the user group's ID, the schedule's ID at PagerDuty, or the rule's name.
	kind, id string
	level    int
	words    string
}

// moment is an instant that stands for all at which the same windows are open.
type moment struct {
	at    time.Time
	words string
}

// prepare finds the facts and moments that rules for this target and profile look at.
func (d *differ) prepare() {
	var windows [][]window
	seen, words := map[fact]bool{}, map[string]bool{}
	add := func(f fact) {
		key := f
		key.words = ""
		if !seen[key] {
			seen[key] = true
			d.facts = append(d.facts, f)
		}
	}
	for _, p := range []*Policy{d.old, d.new} {
		number, ok := p.profileIndex[d.profile]
		if !ok {
			continue
		}
		for _, r := range d.relevant(p, number) {
			for _, id := range r.who {
				switch s := p.who.values[id]; s.kind {
				case "group":
					if g := p.groupIndex[s.name]; g != nil && g.usergroup != "" {
						add(fact{"usergroup", g.usergroup, 0, fmt.Sprintf("in Slack group %s (%s)", g.usergroup, g.name)})
					}
				case "oncall":
					if i, ok := p.scheduleIndex[s.name]; ok {
						for _, level := range p.schedules[i].Levels {
							add(fact{"schedule", p.schedules[i].PagerDuty, level, fmt.Sprintf("on call for %s on level %d", s.name, level)})
						}
					}
				}
			}
			if r.budget != nil {
				add(fact{"budget", r.name, 0, fmt.Sprintf("whose budget of %q is used up", r.name)})
			}
			if r.hours >= 0 && !words[string(p.hours.values[r.hours])] {
				words[string(p.hours.values[r.hours])] = true
				windows = append(windows, p.windows[r.hours])
			}
		}
	}
	d.inexact = len(d.facts) > mostFacts
	d.moments = momentsOf(windows)
}

// momentsOf finds an instant for every combination of windows that occurs in a year. What is open changes only where a
// window begins or ends and where clocks change, so those instants are tried.
func momentsOf(windows [][]window) []moment {
	start := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	if len(windows) == 0 {
		return []moment{{at: start}}
	}
	var tries []time.Time
	for day := range 367 {
		for hour := range 24 {
			tries = append(tries, start.Add(time.Duration(day*24+hour)*time.Hour))
		}
		for _, list := range windows {
			for _, w := range list {
				for _, minute := range []int{w.from, w.to} {
					tries = append(tries, time.Date(2026, time.January, day, 0, minute, 0, 0, w.zone))
				}
			}
		}
	}
	var out []moment
	seen := map[string]bool{}
	for _, at := range tries {
		var open []string
		key := ""
		for _, list := range windows {
			in := slices.ContainsFunc(list, func(w window) bool { return w.contains(at) })
			key += fmt.Sprint(in)
			if in {
				open = append(open, describeWindows(list))
			}
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		text := "outside of all hours"
		if len(open) > 0 {
			text = "within " + join(open, "and")
		}
		out = append(out, moment{at, text})
	}
	return out
}

// untouched says that both policies have the same rules for this target and profile, so that nothing can differ.
func (d *differ) untouched() bool {
	digest := func(p *Policy) string {
		var out strings.Builder
		number, ok := p.profileIndex[d.profile]
		if !ok {
			return "no such profile"
		}
		profile := p.profiles[number]
		fmt.Fprintln(&out, profile.Risk, profile.MaxDuration, sorted(profile.Engines))
		for _, r := range d.relevant(p, number) {
			fmt.Fprintln(&out, r.deny, r.allWho, r.automatic, r.maxDuration, r.notHours, r.inOrder, r.waits.Answer, r.waits.Take, r.ahead())
			for _, id := range r.who {
				selector := p.who.values[id]
				// An undefined name is not the same as a group of nobody.
				fmt.Fprintln(&out, " who", selector.kind, p.groupIndex[selector.name] == nil, p.peopleOf([]string{selector.String()}))
			}
			for _, approval := range r.approvals {
				fmt.Fprintln(&out, " from", p.peopleOf(approval.From), approval.Count)
			}
			for _, step := range r.escalate {
				fmt.Fprintln(&out, " then", step.After, p.peopleOf(step.To))
			}
			if r.extend != nil {
				fmt.Fprintln(&out, " extend", *r.extend)
			}
			if r == p.glass {
				fmt.Fprintln(&out, " review", *reviewOf(p.review(), p.peopleOf))
			}
			if r.require != nil {
				fmt.Fprintln(&out, " require", r.require.ticket, r.require.reason)
			}
			if r.budget != nil {
				fmt.Fprintln(&out, " budget", r.name, *r.budget)
			}
		}
		return out.String()
	}
	return digest(d.old) == digest(d.new)
}

// what is compared, in words.
func (d *differ) what() string {
	if d.glass {
		return "breaking glass for " + d.profile + " on " + d.target.Name
	}
	return d.profile + " on " + d.target.Name
}

// relevant are the rules of a policy whose targets and profiles match. Without a break_glass section no denial matters to
// those who break glass.
func (d *differ) relevant(p *Policy, profile int) []*rule {
	rules := p.asking.rules
	if d.glass {
		rules = p.breaking.rules
	}
	var out []*rule
	for _, r := range rules {
		if (r.allProfiles || r.profileSet[profile]) && (r.allTargets || p.targetAmong(r.targets, d.target)) {
			out = append(out, r)
		}
	}
	return out
}

// compare looks at one crowd under every combination of facts, those with few first, so that what is reported is the
// least that has to hold.
func (d *differ) compare(crowd crowd) {
	times := map[Difference][]int{}
	var order []Difference
	combinations := d.combinations()
	for n, moment := range d.moments {
		reported := map[Difference][]uint64{}
		for _, held := range combinations {
			old, new := d.offer(d.old, crowd, held, moment), d.offer(d.new, crowd, held, moment)
			found := Difference{
				Target: d.target.place(), Profile: d.profile, BreakGlass: d.glass, Old: old.String(), OldRule: old.rule, New: new.String(), NewRule: new.rule,
				Wider: !new.within(old), Narrower: !old.within(new),
			}
			if !found.Wider && !found.Narrower || slices.ContainsFunc(reported[found], func(mask uint64) bool { return mask&held == mask }) {
				continue
			}
			reported[found] = append(reported[found], held)
			found.Who = d.describe(crowd, held)
			if times[found] == nil {
				order = append(order, found)
			}
			times[found] = append(times[found], n)
		}
	}
	for _, found := range order {
		if len(times[found]) == len(d.moments) {
			d.found = append(d.found, found)
			continue
		}
		for _, n := range times[found] {
			found.When = d.moments[n].words
			d.found = append(d.found, found)
		}
	}
}

// combinations are sets of facts, as bits, in order of how many hold. Nobody is on two levels of a schedule at once.
func (d *differ) combinations() []uint64 {
	var out []uint64
	if d.inexact {
		out = append(out, 0)
		for i := range d.facts {
			out = append(out, 1<<i)
			for j := range i {
				out = append(out, 1<<i|1<<j)
			}
		}
	} else {
		for held := range uint64(1) << len(d.facts) {
			out = append(out, held)
		}
	}
	out = slices.DeleteFunc(out, func(held uint64) bool {
		on := map[string]bool{}
		for i, f := range d.facts {
			if held&(1<<i) != 0 && f.kind == "schedule" {
				if on[f.id] {
					return true
				}
				on[f.id] = true
			}
		}
		return false
	})
	slices.SortStableFunc(out, func(a, b uint64) int { return bits.OnesCount64(a) - bits.OnesCount64(b) })
	return out
}

// offer is what a policy offers a crowd of whom these facts hold and no others.
func (d *differ) offer(p *Policy, crowd crowd, held uint64, moment moment) terms {
	facts := Facts{Usergroups: map[string]Membership{}, Schedules: map[string]Standing{}, History: &History{}}
	for _, g := range p.groups {
		if g.usergroup != "" {
			facts.Usergroups[g.usergroup] = Membership{}
		}
	}
	for _, s := range p.schedules {
		facts.Schedules[s.Name] = Standing{}
	}
	for i, f := range d.facts {
		if held&(1<<i) == 0 {
			continue
		}
		switch f.kind {
		case "usergroup":
			facts.Usergroups[f.id] = Membership{Member: true}
		case "schedule":
			for _, s := range p.schedules {
				if s.PagerDuty == f.id {
					facts.Schedules[s.Name] = Standing{On: true, Level: f.level, Start: moment.at.Add(-time.Hour), End: moment.at.Add(time.Hour)}
				}
			}
		case "budget":
			for range 1001 {
				facts.History.Uses = append(facts.History.Uses, Use{Rule: f.id, At: moment.at})
			}
		}
	}
	request := Request{User: crowd.person(), Target: d.target, Profile: d.profile, At: moment.at}
	if i, ok := p.profileIndex[d.profile]; ok {
		profile := p.profiles[i]
		if request.Target.Engine == "" && len(profile.Engines) > 0 {
			request.Target.Engine = profile.Engines[0]
		}
		request.Params = profile.sample()
	}
	if d.glass {
		return p.glassTerms(request, facts)
	}
	return p.terms(request, facts)
}

// sample fills every parameter with a value of its type.
func (p Profile) sample() map[string]string {
	values := map[string]string{
		"bigint": "1", "integer": "1", "numeric": "1", "text": "x", "uuid": "00000000-0000-0000-0000-000000000000",
		"date": "2026-01-01", "timestamptz": "2026-01-01T00:00:00Z", "boolean": "true",
	}
	out := map[string]string{}
	for _, parameter := range p.Parameters {
		out[parameter.Name] = values[parameter.Type]
	}
	return out
}

func (d *differ) describe(crowd crowd, held uint64) string {
	words := []string{crowd.String()}
	for i, f := range d.facts {
		if held&(1<<i) != 0 {
			words = append(words, f.words)
		}
	}
	return strings.Join(words, ", ")
}

// place is a target with its environment.
func (t Target) place() string {
	if t.Environment == "" {
		return t.Name
	}
	return t.Name + " (" + t.Environment + ")"
}
