package policy

import (
	"fmt"
	"slices"
)

// BreakGlassRule is the name decisions give to the file's break_glass section.
const BreakGlassRule = "break-glass"

// DecideBreakGlass decides a request for access now, approved by nobody: Approved with a Review, or Denied. Denying rules
// win here too, and a fact that is not known never helps. Duration 0 asks for the longest. Other rules are not looked at:
// their hours and budgets do not bind, and neither do they help.
func (p *Policy) DecideBreakGlass(request Request, facts Facts) (decision Decision) {
	c := p.consider(request, facts, p.breaking)
	if c.Why, c.Field = p.impossible(request); c.Why != "" {
		return c.Decision
	}
	if request.later() {
		c.Why, c.Field = "Broken glass never starts later. Leave the start out, or file a normal request. No rule was looked at.", FieldStart
		return c.Decision
	}
	if p.glass == nil {
		c.Why = "The policy lets nobody break glass: it has no break_glass section. File a normal request. No rule was looked at."
		return c.Decision
	}
	defer c.tell(&decision)
	if c.forbidden() {
		return c.Decision
	}
	switch c.match(p.glass) {
	case yes:
		c.broken()
	case unknown:
		c.Why = fmt.Sprintf("No rule lets this person break glass for %s on %s, as far as is known. %s", request.Profile, request.Target.Name, c.Unknowns[len(c.Unknowns)-1])
	default:
		c.Why = fmt.Sprintf("No rule lets this person break glass for %s on %s: %s. File a normal request.", request.Profile, request.Target.Name, c.why())
	}
	return c.Decision
}

// broken makes the decision of the break_glass section, which matched.
func (c *consideration) broken() {
	glass := c.p.glass
	c.Rule, c.MaxDuration = BreakGlassRule, c.longest(glass)
	if c.Duration == 0 {
		c.Duration = c.MaxDuration
	}
	if c.Why, c.Field = c.unmet(glass); c.Why != "" {
		return
	}
	why, shift := c.reason(glass)
	c.Outcome, c.Shift, c.Review = Approved, shift, c.p.review()
	c.Why = fmt.Sprintf("Access at once, approved by nobody (rule %q): %s. It must be reviewed within %s by %s.", BreakGlassRule, why,
		FormatDuration(c.Review.Within), phraseOf(Requirement{From: c.Review.Reviewers}))
}

// review is what the section wants to follow.
func (p *Policy) review() *Review {
	b := p.breakGlass
	return &Review{
		Reviewers: slices.Clone(b.Reviewers), Within: b.ReviewWithin, Remind: b.Remind, Escalate: b.Escalate.clone(), Notify: slices.Clone(b.Notify),
	}
}

// why is the step of the rule that was looked at last, which did not match.
func (c *consideration) why() string {
	var d Decision
	c.tell(&d)
	return d.Steps[len(d.Steps)-1].Why
}

// BreakGlassLookups says which facts DecideBreakGlass could need.
func (p *Policy) BreakGlassLookups(request Request) Lookups {
	return p.lookups(request, p.breaking.rules)
}
