package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// defaultDuration is what a request that names no duration gets, where the deciding rule does not say and allows it.
const defaultDuration = time.Hour

// Decide decides a request. It never fails: what is not known is treated as doc.go says. The steps show every rule that
// was looked at, the denying ones first, because they win.
//
// A rule that might have matched had a fact been known is passed over, but it still holds the answer back: the decision
// is never laxer than it would have been had that rule matched, but for the end of an unknown shift, which nobody can
// know. It does not cut short what a later rule approves by itself; that is then no more than the same person gets off
// call. So nobody gains by making a fact unknown.
func (p *Policy) Decide(request Request, facts Facts) Decision {
	c, asked := p.decide(request, facts)
	if asked {
		c.tell(&c.Decision)
	}
	return c.Decision
}

// decide is Decide without the steps, which take longer to write down than all else. asked is false when no rule was looked at.
func (p *Policy) decide(request Request, facts Facts) (c *consideration, asked bool) {
	c = p.consider(request, facts, p.asking)
	if c.Why, c.Field = p.impossible(request); c.Why != "" {
		return c, false
	}
	if c.forbidden() {
		return c, true
	}
	if r, held := c.first(); r != nil {
		c.allowedBy(r, held)
	} else {
		c.allowedByNone()
	}
	return c, true
}

// Forbids says why a rule denies a request, or may, as far as is known; empty when none does. Whether a rule allows it is not
// asked.
func (p *Policy) Forbids(request Request, facts Facts) string {
	c := p.consider(request, facts, p.asking)
	if c.profile < 0 {
		return fmt.Sprintf("The policy has no profile %q.", request.Profile)
	}
	c.forbidden()
	return c.Why
}

// forbidden looks at the rules that deny.
func (c *consideration) forbidden() bool {
	for _, r := range c.p.denying {
		if answer := c.match(r); answer == yes || answer == unknown {
			c.deniedBy(r, answer)
			return true
		}
	}
	return false
}

// first finds the first allowing rule that matches, and those before it that might have, had a fact been known.
func (c *consideration) first() (decides *rule, held []*rule) {
	for _, r := range c.p.allowing {
		switch c.match(r) {
		case yes:
			return r, held
		case unknown:
			held = append(held, r)
		}
	}
	return nil, held
}

// consider begins a decision that looks at these rules.
func (p *Policy) consider(request Request, facts Facts, among sequence) *consideration {
	c := &consideration{
		Decision: Decision{Outcome: Denied, Policy: p.hash, Duration: request.Duration},
		people:   p.people(request.User, facts, request), p: p, request: request, profile: -1, among: among,
		targets: make([]tri, len(p.targets.values)), hours: make([]tri, len(p.windows)), failed: make([]failure, len(among.rules)),
	}
	if i, ok := p.profileIndex[request.Profile]; ok {
		c.profile = i
	}
	return c
}

// impossible says what no rule could allow, and at which field. It names no rule, because none was looked at.
func (p *Policy) impossible(request Request) (why, field string) {
	const after = " No rule was looked at."
	if request.At.IsZero() {
		return "The request says no time, so nothing that depends on time can be decided." + after, ""
	}
	i, ok := p.profileIndex[request.Profile]
	if !ok {
		var names []string
		for _, profile := range p.profiles {
			names = append(names, profile.Name)
		}
		return fmt.Sprintf("The policy has no profile %q%s.", request.Profile, strings.TrimSuffix(didYouMean(request.Profile, names), "?")) + after, FieldProfile
	}
	profile := p.profiles[i]
	if len(profile.Engines) > 0 && !slices.Contains(profile.Engines, request.Target.Engine) {
		return fmt.Sprintf("%s is for %s, and %s is not.", profile.Name, either(profile.Engines), request.Target.Name) + after, FieldProfile
	}
	if request.Duration < 0 || request.Duration > 0 && request.Duration < time.Second {
		return "The shortest duration is 1s." + after, FieldDuration
	}
	if !request.StartsAt.IsZero() && !request.later() {
		return "The start is past. Choose a later one, or leave it out to start at once." + after, FieldStart
	}
	if wrong := profile.wrongParam(request.Params); wrong != nil {
		return wrong.Error() + "." + after, ParameterField(wrong.Name)
	}
	return "", ""
}

// consideration is one decision being made.
type consideration struct {
	Decision
	people  *people
	p       *Policy
	request Request
	profile int
	// rests is the rule whose budget is not asked again, because the access that is to last longer drew on it.
	rests string
	// among are the rules that are looked at.
	among sequence
	// targets and hours hold answers by number, so that each is found out once.
	targets, hours []tri
	// failed says for every rule that was looked at, in the order they are looked at, where it failed to match; told are
	// the steps of those for which that is not enough.
	failed []failure
	looked int
	told   []toldStep
	// closed are the windows of rules that would have matched at another time.
	closed []*rule
	// shifts are rules that allow, and are not for this person because nobody knows who is on call at the start.
	shifts []*rule
}

// failure is the first thing about a rule that did not match.
type failure uint8

const (
	failedWho failure = iota
	failedProfile
	failedTarget
	failedHours
	elsewhere
)

type toldStep struct {
	at int
	Step
}

// tell writes the steps. Most rules fail on who, for a reason that is known at loading, so those steps are copied.
func (c *consideration) tell(d *Decision) {
	d.Steps = slices.Clone(c.among.steps[:c.looked])
	for i, failed := range c.failed[:c.looked] {
		switch failed {
		case failedProfile:
			d.Steps[i].Why = c.among.rules[i].notProfile
		case failedTarget:
			d.Steps[i].Why = c.among.rules[i].notTarget
		case failedHours:
			d.Steps[i].Why = c.among.rules[i].notHours
		}
	}
	for _, told := range c.told {
		d.Steps[told.at] = told.Step
	}
}

// match looks at one rule and records the step.
func (c *consideration) match(r *rule) tri {
	at := c.looked
	c.looked++
	if !r.allProfiles && !r.profileSet[c.profile] {
		c.failed[at] = failedProfile
		return no
	}
	if !r.allTargets && !c.targetIn(r.targets) {
		c.failed[at] = failedTarget
		return no
	}
	who, why := c.isFor(r)
	if who == no {
		if why != "" {
			c.failed[at] = elsewhere
			c.told = append(c.told, toldStep{at, Step{Rule: r.name, Why: why}})
			c.shifts = append(c.shifts, r)
		}
		return no
	}
	if r.hours >= 0 && !c.open(r.hours) {
		c.failed[at] = failedHours
		c.closed = append(c.closed, r)
		return no
	}
	answer := yes
	// A budget per shift cannot be counted while the shift is unknown; one per day that is used up settles the matter.
	if who == yes || r.budget != nil && r.budget.per == "day" {
		answer, why = c.withinBudget(r)
	}
	switch {
	case answer == yes && who == yes:
		why, _ = c.reason(r)
	case answer != no && who == unknown:
		answer, why = unknown, c.whyUnknown(r)
	}
	matched := answer == yes || answer == unknown && r.deny
	c.failed[at] = elsewhere
	c.told = append(c.told, toldStep{at, Step{Rule: r.name, Matched: matched, Why: why, Unknown: answer == unknown}})
	if answer == unknown {
		c.Unknowns = append(c.Unknowns, fmt.Sprintf("The rule %q: %s.", r.name, why))
	}
	return answer
}

func (c *consideration) targetIn(ids []int) bool {
	for _, id := range ids {
		if c.targets[id] == unasked {
			c.targets[id] = no
			if c.p.targets.values[id].matches(c.request.Target) {
				c.targets[id] = yes
			}
		}
		if c.targets[id] == yes {
			return true
		}
	}
	return false
}

func (c *consideration) open(id int) bool {
	if c.hours[id] == unasked {
		c.hours[id] = no
		for _, w := range c.p.windows[id] {
			if w.contains(c.request.start()) {
				c.hours[id] = yes
			}
		}
	}
	return c.hours[id] == yes
}

// reason says why a rule's who matched, and the shift it rests on. Membership that does not end comes first; among
// shifts the one that ends last. So the order in which the file lists people never matters.
func (c *consideration) reason(r *rule) (string, *Standing) {
	if r.allWho {
		return "it is for anyone", nil
	}
	var words string
	var best *Standing
	var lasting []string
	for _, id := range r.who {
		answer, why, shift := c.people.explain(c.p.who.values[id])
		switch {
		case answer != yes:
		case shift == nil:
			lasting = append(lasting, why)
		case best == nil || shift.End.After(best.End) || shift.End.Equal(best.End) && shift.Schedule < best.Schedule:
			best, words = shift, why
		}
	}
	if len(lasting) > 0 {
		return slices.Min(lasting), nil
	}
	return words, best
}

func (c *consideration) whyUnknown(r *rule) string {
	var out []string
	for _, id := range r.who {
		if c.noShift(r, id) {
			continue
		}
		if answer, why, _ := c.people.explain(c.p.who.values[id]); answer == unknown {
			out = append(out, why)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// withinBudget passes a rule over once its automatic approvals are used up, so that a later rule asks a person.
func (c *consideration) withinBudget(r *rule) (tri, string) {
	if r.budget == nil || r.name == c.rests {
		return yes, ""
	}
	since, span := c.counted(r)
	history := c.people.facts.History
	switch {
	case history == nil:
		return unknown, "it is not known how often it approved already, because that was not looked up"
	case history.Unknown != "":
		return unknown, "it is not known how often it approved already, because " + history.Unknown
	case history.Since.After(since):
		return unknown, "it is not known how often it approved already, because the records do not go back far enough"
	}
	used := 0
	for _, use := range history.Uses {
		if use.Rule == r.name && !use.At.Before(since) {
			used++
			if r.budget.per == "day" && use.At.After(c.request.At) {
				span = fmt.Sprintf("from %s on", clockText(since))
			}
		}
	}
	if used >= r.budget.grants {
		return no, fmt.Sprintf("its budget is used up: %d of %d %s", used, r.budget.grants, span)
	}
	return yes, ""
}

// counted is since when a rule's budget is counted. A budget per shift needs the shift to be known. One per day is counted for
// the instant of the start; what starts after it counts too, so that no day gets more than its budget, whatever the order in
// which its access is asked for.
func (c *consideration) counted(r *rule) (since time.Time, span string) {
	if r.budget.per == "shift" {
		_, shift := c.reason(r)
		return shift.Start, "in this shift"
	}
	since = c.request.start().Add(-24 * time.Hour)
	if c.request.later() {
		return since, fmt.Sprintf("from %s on", clockText(since))
	}
	return since, "in the last 24 hours"
}

func upperFirst(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
