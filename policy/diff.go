package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Difference is one thing a new policy offers otherwise than the old one.
type Difference struct {
	// Who describes the people: their addresses or "anybody else", and what else must hold of them.
	Who     string `json:"who"`
	Target  string `json:"target"`
	Profile string `json:"profile"`
	// BreakGlass is set when this is about breaking glass, and not about requests.
	BreakGlass bool `json:"break_glass,omitempty"`
	// When is empty when the time does not matter.
	When string `json:"when,omitempty"`
	// Old and New say in words what either policy offers, with the rule that decides; a rule is empty when none matches.
	Old     string `json:"old"`
	OldRule string `json:"old_rule,omitempty"`
	New     string `json:"new"`
	NewRule string `json:"new_rule,omitempty"`
	// Wider means that something is possible that was not, Narrower that something was that is not. Both may hold.
	Wider    bool `json:"wider"`
	Narrower bool `json:"narrower"`
}

// ProfileDifference is a profile whose contents changed, whoever may have it.
type ProfileDifference struct {
	Profile  string `json:"profile"`
	What     string `json:"what"`
	Wider    bool   `json:"wider"`
	Narrower bool   `json:"narrower"`
}

// Comparison is what changes between two policies.
type Comparison struct {
	Profiles    []ProfileDifference `json:"profiles,omitempty"`
	Differences []Difference        `json:"differences,omitempty"`
	// Inexact names combinations of target and profile that depend on so many user groups and schedules that only people
	// in few of them at once were compared.
	Inexact []string `json:"inexact,omitempty"`
}

// Wider says whether anything became possible that was not. What could not be compared exactly counts as wider.
func (c Comparison) Wider() bool {
	return len(c.Inexact) > 0 || slices.ContainsFunc(c.Differences, func(d Difference) bool { return d.Wider }) ||
		slices.ContainsFunc(c.Profiles, func(d ProfileDifference) bool { return d.Wider })
}

// Diff compares what two policies offer to everybody on these targets, at every time, with every combination of Slack
// user groups, schedules and used-up budgets: requests with what follows from them (who answers, in which order, for how long
// things wait, how far access is extended) and broken glass. How often people are reminded is no difference. Without targets it makes them up from the names, patterns and environments
// in both files. Differences that only repeat another one for people in more groups are left out.
func Diff(old, new *Policy, targets []Target) Comparison {
	out := Comparison{Profiles: diffProfiles(old, new)}
	if len(targets) == 0 {
		targets = imagine(old, new)
	}
	crowds, names := crowdsOf(old, new), map[string]bool{}
	for _, p := range []*Policy{old, new} {
		for _, profile := range p.profiles {
			names[profile.Name] = true
		}
	}
	for _, target := range targets {
		for _, profile := range sortedKeys(names) {
			for _, glass := range []bool{false, true} {
				d := differ{old: old, new: new, target: target, profile: profile, glass: glass}
				if d.untouched() {
					continue
				}
				d.prepare()
				for _, crowd := range crowds {
					d.compare(crowd)
				}
				out.Differences = append(out.Differences, d.found...)
				if d.inexact {
					out.Inexact = append(out.Inexact, d.what())
				}
			}
		}
	}
	slices.SortStableFunc(out.Differences, func(a, b Difference) int {
		return cmp.Or(-compareBool(a.Wider, b.Wider), compareBool(a.BreakGlass, b.BreakGlass),
			strings.Compare(a.Profile, b.Profile), strings.Compare(a.Target, b.Target))
	})
	return out
}

// crowd is everybody whom both policies treat alike by address.
type crowd struct {
	emails []string
	// other is everybody whom no file names; the address is one that no file has.
	other bool
}

func (c crowd) person() Person { return Person{Email: c.emails[0]} }

func (c crowd) String() string {
	const most = 3
	switch {
	case c.other:
		return "anybody else"
	case len(c.emails) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(c.emails[:most], ", "), len(c.emails)-most)
	}
	return join(c.emails, "and")
}

// crowdsOf groups the addresses either file names by the groups and selectors that name them.
func crowdsOf(policies ...*Policy) []crowd {
	signatures := map[string]string{}
	for n, p := range policies {
		for i, g := range p.groups {
			for email := range g.emails {
				signatures[email] += fmt.Sprintf("%d.%d ", n, i)
			}
		}
		for _, selector := range p.who.values {
			if selector.kind == "user" {
				signatures[selector.name] += fmt.Sprintf("%d.%s ", n, selector.name)
			}
		}
	}
	bySignature := map[string][]string{}
	for _, email := range sortedKeys(signatures) {
		bySignature[signatures[email]] = append(bySignature[signatures[email]], email)
	}
	out := []crowd{}
	for _, signature := range sortedKeys(bySignature) {
		out = append(out, crowd{emails: bySignature[signature]})
	}
	slices.SortFunc(out, func(a, b crowd) int { return strings.Compare(a.emails[0], b.emails[0]) })
	other := "anybody@else"
	for signatures[other] != "" {
		other = "x" + other
	}
	return append(out, crowd{emails: []string{other}, other: true})
}

// imagine makes targets up: one for every name, with a word in place of every star, in every environment named.
func imagine(policies ...*Policy) []Target {
	names, environments := map[string]bool{"any other target": true}, map[string]bool{"": true}
	for _, p := range policies {
		for _, selector := range p.targets.values {
			text := strings.ReplaceAll(selector.pattern, "*", "x")
			if selector.environment {
				environments[text] = true
			} else {
				names[text] = true
			}
		}
	}
	var out []Target
	for _, name := range sortedKeys(names) {
		for _, environment := range sortedKeys(environments) {
			out = append(out, Target{Name: name, Environment: environment})
		}
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for key := range m {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
