package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Explanation is a decision with everything that could have changed it: unlike the decision's own steps it goes through
// every rule, also those after the one that decided, and through every condition of each.
type Explanation struct {
	Decision Decision          `json:"decision"`
	Rules    []RuleExplanation `json:"rules"`
}

// RuleExplanation is one rule, in the order of the file.
type RuleExplanation struct {
	Position
	Rule string `json:"rule"`
	// Says is what the rule does where it matches: "denies", "approves at once", "needs 1 approval from group dba, after 20m
	// also group managers".
	Says string `json:"says"`
	// Denies is set on rules that deny.
	Denies bool `json:"denies,omitempty"`
	// Matches is yes, no or unknown; Decides is set on the rule that the decision names.
	Matches string `json:"matches"`
	Decides bool   `json:"decides,omitempty"`
	// Conditions are those the rule has; a key the file leaves out is not one.
	Conditions []Condition `json:"conditions"`
	// Would is what is missing for the rule to match, one clause; empty when it matches.
	Would string `json:"would,omitempty"`
}

// Condition is one key of a rule and whether it holds.
type Condition struct {
	Key   string `json:"key"`
	Holds string `json:"holds"` // yes, no or unknown
	Why   string `json:"why"`
}

var triNames = [...]string{unasked: "no", no: "no", unknown: "unknown", yes: "yes"}

// Explain decides a request and says, rule by rule, why each did or did not match and what would make it.
func (p *Policy) Explain(request Request, facts Facts) Explanation {
	return p.explain(p.Decide(request, facts), request, facts, p.rules)
}

// ExplainBreakGlass decides whether glass may be broken, and goes through every rule that matters to that: those that deny,
// and the break_glass section as a rule of that name, where the file has one.
func (p *Policy) ExplainBreakGlass(request Request, facts Facts) Explanation {
	return p.explain(p.DecideBreakGlass(request, facts), request, facts, p.breaking.rules)
}

func (p *Policy) explain(d Decision, request Request, facts Facts, rules []*rule) Explanation {
	out := Explanation{Decision: d}
	c := p.consider(request, facts, sequence{})
	for _, r := range rules {
		explained := RuleExplanation{
			Position: Position{p.file, r.at.line, r.at.column}, Rule: r.name, Says: p.says(r), Denies: r.deny,
			Decides: r.name == out.Decision.Rule, Conditions: c.conditions(r),
		}
		matches, missing := yes, []string{}
		for _, condition := range explained.Conditions {
			state := tri(slices.Index(triNames[no:], condition.Holds)) + no
			matches = min(matches, state)
			if state != yes {
				missing = append(missing, condition.Key+": "+condition.Why)
			}
		}
		explained.Matches, explained.Would = triNames[matches], strings.Join(missing, "; ")
		out.Rules = append(out.Rules, explained)
	}
	return out
}

func (p *Policy) says(r *rule) string {
	switch {
	case r.deny:
		return "denies"
	case r == p.glass:
		b := p.breakGlass
		out := fmt.Sprintf("gives access at once for up to %s, reviewed within %s by %s", FormatDuration(b.MaxDuration), FormatDuration(b.ReviewWithin),
			phraseOf(Requirement{From: b.Reviewers}))
		if b.Escalate != nil {
			out += ", " + escalationsText([]Escalation{*b.Escalate})
		}
		return out
	}
	out := "approves at once"
	if r.asks() {
		out = "needs " + approvalsText(r.approvals, r.inOrder)
		if len(r.escalate) > 0 {
			out += ", " + escalationsText(r.escalate)
		}
	}
	out += aheadText(r.ahead())
	switch {
	case r.extend == nil:
	case r.extend.Times == 0:
		out += ", never extended"
	default:
		out += ", extended " + extendText(r.extend)
	}
	return out
}

// conditions looks at every key of a rule, whether or not an earlier one already failed.
func (c *consideration) conditions(r *rule) []Condition {
	var out []Condition
	add := func(key string, holds tri, why string) {
		out = append(out, Condition{Key: key, Holds: triNames[holds], Why: why})
	}
	who := yes
	if !r.allWho {
		var why string
		who, why = c.isFor(r)
		switch who {
		case yes:
			why, _ := c.reason(r)
			add("who", who, why)
		case unknown:
			add("who", who, c.whyUnknown(r))
		default:
			add("who", who, cmp.Or(why, r.notWho))
		}
	}
	if !r.allTargets {
		if c.targetIn(r.targets) {
			add("targets", yes, c.request.Target.Name+" is among them")
		} else {
			add("targets", no, r.notTarget)
		}
	}
	if !r.allProfiles {
		if c.profile >= 0 && r.profileSet[c.profile] {
			add("profiles", yes, c.request.Profile+" is among them")
		} else {
			add("profiles", no, r.notProfile)
		}
	}
	if r.hours >= 0 {
		if c.open(r.hours) {
			add("hours", yes, fmt.Sprintf("%s is within %s", clockText(c.request.start()), c.p.hours.values[r.hours]))
		} else {
			add("hours", no, r.notHours)
		}
	}
	if r.budget != nil {
		switch {
		case who != yes && r.budget.per == "shift":
			add("budget", unknown, "without a shift there is nothing to count")
		default:
			holds, why := c.withinBudget(r)
			if holds == yes {
				why = "it is not used up"
			}
			add("budget", holds, why)
		}
	}
	return out
}
