package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

func (c *consideration) deniedBy(r *rule, answer tri) {
	c.Rule, c.Advice = r.name, r.advice
	why := c.told[len(c.told)-1].Why
	if answer == unknown {
		c.Why = fmt.Sprintf("The rule %q may forbid this, and that cannot be ruled out: %s.", r.name, why)
	} else {
		c.Why = fmt.Sprintf("The rule %q forbids this: %s.", r.name, why)
	}
	if r.advice != "" {
		c.Why += " " + sentence(r.advice)
	}
}

func (c *consideration) allowedByNone() {
	c.Why = fmt.Sprintf("No rule lets this person have %s on %s.", c.request.Profile, c.request.Target.Name)
	if c.request.later() && (len(c.Unknowns) > 0 || len(c.closed) > 0 || len(c.shifts) > 0) {
		c.Field = FieldStart // at another time it might be allowed
	}
	switch {
	case len(c.Unknowns) > 0:
		c.Why += " One might have, had everything been known. " + c.Unknowns[0]
	case len(c.closed) > 0:
		c.Why += fmt.Sprintf(" The rule %q would match, but %s.", c.closed[0].name, c.closed[0].notHours)
	case len(c.shifts) > 0:
		c.Why += fmt.Sprintf(" The rule %q is for people on call: a shift is known for now only, and this starts later.", c.shifts[0].name)
	}
}

// allowedBy makes the decision of the first rule that matches. The rules in held might have matched before it, had a
// fact been known; each holds the answer back to what it would have been under that rule.
func (c *consideration) allowedBy(r *rule, held []*rule) {
	all := append(slices.Clone(held), r)
	c.Rule, c.Advice, c.MaxDuration, c.StartWithin = r.name, r.advice, c.longest(r), r.ahead()
	for _, other := range held {
		c.MaxDuration, c.StartWithin = min(c.MaxDuration, c.longest(other)), min(c.StartWithin, other.ahead())
	}
	if c.Duration == 0 {
		c.Duration = c.MaxDuration
		for _, other := range all {
			fallback := other.defaultDuration
			if fallback == 0 {
				fallback = defaultDuration
			}
			c.Duration = min(c.Duration, fallback)
		}
	}
	// The deciding rule's own demands are named first; a held rule's only when they are all that is in the way.
	for _, other := range append([]*rule{r}, held...) {
		if needed, field := c.unmet(other); needed != "" {
			c.Rule, c.Advice, c.Why, c.Field = other.name, other.advice, needed, field
			return
		}
	}
	c.Approvals, c.InOrder = merge(all)
	c.Waits, c.Extend = waitsOf(all), c.extension(all)
	if len(c.Approvals) > 0 {
		if r.automatic {
			asks := held[slices.IndexFunc(held, (*rule).asks)]
			c.Rule, c.Advice = asks.name, asks.advice
		}
		c.Outcome, c.Escalations = NeedsApproval, escalationsOf(all)
		c.Why = fmt.Sprintf("Needs %s (rule %q).", approvalsText(c.Approvals, c.InOrder), c.Rule)
		return
	}
	why, shift := c.reason(r)
	c.Outcome, c.Shift = Approved, shift
	if r.budget != nil {
		since, _ := c.counted(r)
		c.Budget = &Spend{Grants: r.budget.grants, Since: since}
	}
	c.Why = fmt.Sprintf("Approved at once by the rule %q: %s.", r.name, why)
}

// longest is the longest a rule allows the request's profile: the shorter of what both say, or else the tier's.
func (c *consideration) longest(r *rule) time.Duration {
	profile := c.p.profiles[c.profile]
	switch {
	case r.maxDuration == 0 && profile.MaxDuration == 0:
		return tiers[profile.Risk].MaxDuration
	case r.maxDuration == 0:
		return profile.MaxDuration
	case profile.MaxDuration == 0:
		return r.maxDuration
	}
	return min(r.maxDuration, profile.MaxDuration)
}

// unmet says what a rule that matched still asks of the request, and at which field; empty when nothing.
func (c *consideration) unmet(r *rule) (why, field string) {
	if most := c.longest(r); c.Duration > most {
		return fmt.Sprintf("At most %s for %s on %s (rule %q); %s was asked for. Ask for %s or less.", FormatDuration(most),
			c.request.Profile, c.request.Target.Name, r.name, FormatDuration(c.Duration), FormatDuration(most)), FieldDuration
	}
	if early := c.tooEarly(r); early != "" {
		return early, FieldStart
	}
	return c.unsaid(r)
}

// unsaid is what a rule requires to be written down and is not, and at which field, the first of them; empty when nothing.
func (c *consideration) unsaid(r *rule) (why, field string) {
	if r.require == nil {
		return "", ""
	}
	var needed []string
	if r.require.ticket != nil && !r.require.ticket.MatchString(c.request.Ticket) {
		if c.request.Ticket == "" {
			needed = append(needed, "a ticket is needed")
		} else {
			needed = append(needed, fmt.Sprintf("the ticket %q is not of the kind that is needed", shorten(c.request.Ticket)))
		}
		if like := likeTicket(r.require.ticket); like != "" && like != r.require.pattern() {
			needed[0] += ", such as " + like
		}
		needed[0] += fmt.Sprintf(" (it must match %s)", r.require.pattern())
		field = FieldTicket
	}
	if length := utf8.RuneCountInString(strings.TrimSpace(c.request.Reason)); length < r.require.reason {
		needed = append(needed, fmt.Sprintf("the reason must have at least %d characters and has %d", r.require.reason, length))
		if field == "" {
			field = FieldReason
		}
	}
	if len(needed) == 0 {
		return "", ""
	}
	text := fmt.Sprintf("%s (rule %q).", upperFirst(strings.Join(needed, ", and ")), r.name)
	if r.require.message != "" {
		text = sentence(r.require.message) + " " + text
	}
	return text, field
}

// pattern is the ticket's pattern as the file has it.
func (d *demand) pattern() string {
	return strings.TrimSuffix(strings.TrimPrefix(d.ticket.String(), `\A(?:`), `)\z`)
}

// approvalsText is "1 approval from group dba and 2 from group security", or "…, then 2 from group security" in order.
func approvalsText(requirements []Requirement, inOrder bool) string {
	var parts []string
	for i, requirement := range requirements {
		text := fmt.Sprintf("%d from %s", requirement.Count, phraseOf(requirement))
		if i == 0 {
			noun := "approvals"
			if requirement.Count == 1 {
				noun = "approval"
			}
			text = fmt.Sprintf("%d %s from %s", requirement.Count, noun, phraseOf(requirement))
		}
		parts = append(parts, text)
	}
	if inOrder {
		return strings.Join(parts, ", then ")
	}
	return join(parts, "and")
}

func phraseOf(requirement Requirement) string {
	var out []string
	for _, text := range requirement.From {
		if selector, wrong := parseWho(text); wrong == "" {
			text = selector.phrase()
		}
		out = append(out, text)
	}
	return either(out)
}

// sentence closes a text from the file with a full stop if it has none.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" || strings.ContainsAny(text[len(text)-1:], ".!?") {
		return text
	}
	return text + "."
}
