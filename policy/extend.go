package policy

import (
	"fmt"
	"time"
)

// anew ends what is said to somebody whose access cannot last longer.
const anew = " File a new request."

// DecideExtension decides whether live access may last longer: Approved, with the shift that bounds it if it rests on one,
// or Denied with what to do instead. The rules are asked afresh; where people had to agree, the time they agreed to can be
// exceeded only as the rule's extend says.
//
// A rule that approves automatically lets access last as long as its extend says, or, where it has none, as long as might
// have been asked for. A rule that asks people must be the one the access rests on, and must ask for no more than was agreed
// to then. Where facts are not known, every rule that might decide must let it. The budget of the rule the access rests on
// is neither asked nor drawn upon. Broken glass is never extended.
//
// Duration 0 asks for the longest. MaxDuration is the longest the access may last in all, from its activation.
func (p *Policy) DecideExtension(e Extending, facts Facts) (decision Decision) {
	e.Request.StartsAt = time.Time{} // the access has begun
	c := p.consider(e.Request, facts, p.asking)
	if e.Decision.Review != nil || e.Decision.Rule == BreakGlassRule {
		c.Why = "Access that nobody approved (break-glass) is never extended. File a normal request. No rule was looked at."
		return c.Decision
	}
	if c.Why, c.Field = p.impossible(e.Request); c.Why != "" {
		return c.Decision
	}
	c.rests = e.Decision.Rule
	defer c.tell(&decision)
	if c.forbidden() {
		return c.Decision
	}
	if r, held := c.first(); r != nil {
		c.extendedBy(e, r, held)
	} else {
		c.allowedByNone()
	}
	return c.Decision
}

// extendedBy makes the decision of the first rule that matches; those in held might have matched before it. Had one of
// them decided, it alone would have had to allow this, so each must.
func (c *consideration) extendedBy(e Extending, r *rule, held []*rule) {
	all := append([]*rule{r}, held...)
	c.MaxDuration = c.inAll(r)
	for _, other := range held {
		c.MaxDuration = min(c.MaxDuration, c.inAll(other))
	}
	if c.Duration == 0 {
		c.Duration = c.MaxDuration
	}
	for _, other := range all {
		if wrong := c.notExtended(e, other); wrong != "" {
			c.Rule, c.Advice, c.MaxDuration, c.Why = other.name, other.advice, c.inAll(other), wrong
			return
		}
	}
	why, shift := c.reason(r)
	c.Outcome, c.Rule, c.Advice, c.Extend = Approved, r.name, r.advice, c.extension(all)
	if r.automatic {
		c.Shift = shift
	}
	c.Why = fmt.Sprintf("May last %s in all by the rule %q: %s.", FormatDuration(c.Duration), r.name, why)
}

// inAll is the longest a rule lets access last in all, extensions included; 0 where it lets nobody extend.
func (c *consideration) inAll(r *rule) time.Duration {
	switch {
	case r.extend != nil:
		return r.extend.Total
	case r.automatic:
		return c.longest(r)
	}
	return 0
}

// notExtended says why a rule does not let this access last longer; empty when it does.
func (c *consideration) notExtended(e Extending, r *rule) string {
	needed := approvalsText(r.approvals, r.inOrder)
	switch unsaid, _ := c.unsaid(r); {
	case unsaid != "":
		return unsaid + anew
	case r.asks() && r.name != e.Decision.Rule:
		return fmt.Sprintf("More time needs %s (rule %q).", needed, r.name) + anew
	case r.asks() && (r.extend == nil || r.extend.Times == 0):
		return fmt.Sprintf("The rule %q lets nobody exceed the time that was agreed to.", r.name) + anew
	case r.extend != nil && r.extend.Times == 0:
		return fmt.Sprintf("The rule %q lets nobody extend access.", r.name) + anew
	case r.asks() && !c.agreed(e.Decision, r):
		return fmt.Sprintf("More time needs %s by now (rule %q), and that is not what was agreed to.", needed, r.name) + anew
	case r.extend != nil && e.Before >= r.extend.Times:
		return fmt.Sprintf("The access was extended %s already, and the rule %q allows no more.", times(e.Before), r.name) + anew
	case c.Duration > c.inAll(r):
		return fmt.Sprintf("At most %s in all for %s on %s (rule %q), and this would make it %s. Extend it by less, or file a new request.",
			FormatDuration(c.inAll(r)), c.request.Profile, c.request.Target.Name, r.name, FormatDuration(c.Duration))
	}
	return ""
}

// agreed says whether whoever agreed to a decision has agreed to what a rule asks for by now.
func (c *consideration) agreed(d Decision, r *rule) bool {
	return meets(c.p.voices(d.Approvals, d.Escalations), c.p.voices(r.approvals, r.escalate), d.InOrder, r.inOrder)
}

// Agreed says whether whoever agreed to what one decision asked for has agreed to all that another one asks for.
func (p *Policy) Agreed(then, now Decision) bool {
	return meets(p.voices(then.Approvals, then.Escalations), p.voices(now.Approvals, now.Escalations), then.InOrder, now.InOrder)
}

// voices are requirements as needs of whoever they meant. What is not defined any more, or has nobody in it, stands for
// itself: people did agree, and not nobody.
func (p *Policy) voices(requirements []Requirement, escalations []Escalation) []need {
	resolve := func(selectors []string) []string {
		var out []string
		for _, selector := range selectors {
			if people := p.peopleOf([]string{selector}); len(people) > 0 {
				out = append(out, people...)
			} else {
				out = append(out, selector)
			}
		}
		return sorted(out)
	}
	return needsOf(requirements, escalations, resolve)
}

// times is "once", "twice" or "3 times".
func times(n int) string {
	words := []string{"never", "once", "twice"}
	if n < len(words) && n >= 0 {
		return words[n]
	}
	return fmt.Sprintf("%d times", n)
}
