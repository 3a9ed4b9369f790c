package policy

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// A decision that was held back is made by several rules at once: the one that matched and those that might have, had a
// fact been known. What follows finds, key by key, what is no laxer than any of them would have been alone.

// asks says whether a rule wants people to agree.
func (r *rule) asks() bool { return len(r.approvals) > 0 }

// merge asks for what every rule asks for, leaving out what is already asked for from the same people. Where one of them
// asks in order, its own order is kept as a whole.
func merge(rules []*rule) (out []Requirement, inOrder bool) {
	for _, r := range rules {
		if !r.inOrder {
			continue
		}
		inOrder = true
		if !follows(out, r.approvals) {
			for _, requirement := range r.approvals {
				out = append(out, Requirement{From: slices.Clone(requirement.From), Count: requirement.Count})
			}
		}
	}
	for _, r := range rules {
		if !r.inOrder {
			out = require(out, r.approvals)
		}
	}
	return out, inOrder
}

// follows says whether requirements ask for these others too, in their order.
func follows(have, wanted []Requirement) bool {
	for _, one := range wanted {
		from := sorted(one.From)
		at := slices.IndexFunc(have, func(other Requirement) bool {
			return other.Count >= one.Count && slices.Equal(sorted(other.From), from)
		})
		if at < 0 {
			return false
		}
		have = have[at+1:]
	}
	return true
}

// require adds requirements, leaving out what is already required from the same people.
func require(have, more []Requirement) []Requirement {
	for _, requirement := range more {
		from := sorted(requirement.From)
		if missing := total(more, from) - total(have, from); missing > 0 {
			have = append(have, Requirement{From: slices.Clone(requirement.From), Count: missing})
		}
	}
	return have
}

// total counts the approvals asked for from exactly these people.
func total(requirements []Requirement, from []string) int {
	sum := 0
	for _, requirement := range requirements {
		if slices.Equal(sorted(requirement.From), from) {
			sum += requirement.Count
		}
	}
	return sum
}

// heard is the shortest of what several rules say, and whether one of them says nothing.
type heard struct {
	least  time.Duration
	silent bool
}

func (h *heard) hear(said time.Duration) {
	switch {
	case said == 0:
		h.silent = true
	case h.least == 0 || said < h.least:
		h.least = said
	}
}

func (h heard) orSooner() bool { return h.silent && h.least > 0 }

// waitsOf waits as long as every rule would. A rule that asks nobody has no say in how long an answer is waited for.
func waitsOf(rules []*rule) Waits {
	var answer, take, remind heard
	for _, r := range rules {
		take.hear(r.waits.Take)
		if r.asks() {
			answer.hear(r.waits.Answer)
			remind.hear(r.waits.Remind)
		}
	}
	return Waits{Answer: answer.least, Take: take.least, Remind: remind.least, OrSooner: answer.orSooner() || take.orSooner()}
}

// escalationsOf lets answer as well whom every rule that asks would, once the last of them would: an escalation widens who
// may approve.
func escalationsOf(rules []*rule) []Escalation {
	rules = slices.DeleteFunc(slices.Clone(rules), func(r *rule) bool { return !r.asks() })
	if len(rules) == 1 {
		var out []Escalation
		for i := range rules[0].escalate {
			out = append(out, *rules[0].escalate[i].clone())
		}
		return out
	}
	var allowed map[string]time.Duration
	for i, r := range rules {
		own := map[string]time.Duration{}
		for _, step := range r.escalate {
			for _, who := range step.To {
				before, already := allowed[who]
				if _, earlier := own[who]; !earlier && (i == 0 || already) {
					own[who] = max(before, step.After)
				}
			}
		}
		allowed = own
	}
	steps := map[time.Duration]*Escalation{}
	for _, who := range sortedKeys(allowed) {
		after := allowed[who]
		if steps[after] == nil {
			steps[after] = &Escalation{After: after}
		}
		steps[after].To = append(steps[after].To, who)
	}
	var out []Escalation
	for _, step := range steps {
		out = append(out, *step)
	}
	slices.SortFunc(out, func(a, b Escalation) int { return cmp.Compare(a.After, b.After) })
	return out
}

// extension is how far every rule lets access be extended, nil where none speaks of it: then access that nobody agreed to
// may last for as long as might have been asked for, and any other may not be extended.
func (c *consideration) extension(rules []*rule) *Extend {
	spoken, out := false, Extend{Times: math.MaxInt, Total: math.MaxInt64}
	for _, r := range rules {
		switch {
		case r.extend != nil:
			spoken, out.Times, out.Total = true, min(out.Times, r.extend.Times), min(out.Total, r.extend.Total)
		case r.automatic:
			out.Total = min(out.Total, c.longest(r))
		default:
			return nil
		}
	}
	if !spoken {
		return nil
	}
	return &out
}

// clone is a copy that shares nothing; nil of nil.
func (e *Escalation) clone() *Escalation {
	if e == nil {
		return nil
	}
	return &Escalation{After: e.After, To: slices.Clone(e.To)}
}
