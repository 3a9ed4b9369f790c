package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// terms are what a policy offers one person at one moment for one profile on one target, when every fact is known: what
// a decision would be, for every duration, ticket and reason at once.
type terms struct {
	denied    bool
	approvals []need
	most      time.Duration
	// shift says that access ends with the requester's shift.
	shift bool
	// ticket is a pattern, reason the fewest characters; empty and 0 when nothing is required.
	ticket string
	reason int
	// budget is how many automatic approvals a person gets; 0 is any number.
	budget int
	per    string
	rule   string
}

// need is a requirement resolved to whom it means in its own policy.
type need struct {
	text  string
	count int
	// from are the people it means: addresses, Slack user groups, schedules with level, or anyone.
	from []string
}

// terms finds the rule that decides and says what it offers. Facts must all be known.
func (p *Policy) terms(request Request, facts Facts) terms {
	c := p.consider(request, facts)
	if c.profile < 0 || p.impossible(request) != "" {
		return terms{denied: true}
	}
	c.failed = make([]failure, len(p.rules))
	for _, r := range p.denying {
		if c.match(r) != no {
			return terms{denied: true, rule: r.name}
		}
	}
	var held []*rule
	for _, r := range p.allowing {
		switch c.match(r) {
		case yes:
			return c.offer(r, held)
		case unknown:
			// Only an undefined name is unknown here, and it holds the answer back as it does in Decide.
			held = append(held, r)
		}
	}
	return terms{denied: true}
}

func (c *consideration) offer(r *rule, held []*rule) terms {
	out := terms{most: c.longest(r), rule: r.name}
	var tickets []string
	for _, one := range append(slices.Clone(held), r) {
		out.most = min(out.most, c.longest(one))
		if one.require != nil {
			out.reason = max(out.reason, one.require.reason)
			if one.require.ticket != nil {
				tickets = append(tickets, one.require.pattern())
			}
		}
		c.require(one.approvals)
	}
	out.ticket = strings.Join(sorted(tickets), " and ")
	for _, requirement := range c.Approvals {
		out.approvals = append(out.approvals, need{phraseOf(requirement), requirement.Count, c.p.peopleOf(requirement.From)})
	}
	if len(out.approvals) > 0 {
		return out
	}
	_, shift := c.reason(r)
	out.shift = shift != nil
	if r.budget != nil {
		out.budget, out.per = r.budget.grants, r.budget.per
	}
	return out
}

// peopleOf resolves selectors to what they mean in this policy, so that requirements of two policies can be compared.
func (p *Policy) peopleOf(selectors []string) []string {
	var out []string
	for _, text := range selectors {
		selector, wrong := parseWho(text)
		switch g := p.groupIndex[selector.name]; {
		case wrong != "":
		case selector.kind == "group" && g != nil:
			for email := range g.emails {
				out = append(out, email)
			}
			if g.usergroup != "" {
				out = append(out, g.usergroup)
			}
		case selector.kind == "oncall":
			if i, ok := p.scheduleIndex[selector.name]; ok {
				for _, level := range p.schedules[i].Levels {
					out = append(out, fmt.Sprintf("%s level %d", p.schedules[i].PagerDuty, level))
				}
			}
		case selector.kind == "user":
			out = append(out, selector.name)
		case selector.kind == "anyone":
			return []string{"anyone"}
		}
	}
	return sorted(out)
}

// within says whether a offers nothing that b does not offer too.
func (a terms) within(b terms) bool {
	switch {
	case a.denied:
		return true
	case b.denied, a.most > b.most, b.shift && !a.shift, b.ticket != "" && a.ticket != b.ticket, a.reason < b.reason:
		return false
	case b.budget > 0 && (a.budget == 0 || a.budget > b.budget || a.per != b.per) && len(a.approvals) == 0:
		return false
	}
	return meets(a.approvals, b.approvals)
}

// meets says whether whoever gives the approvals in have has also given those in wanted. Each approval in have can stand
// for one in wanted, so this looks for a whole assignment; the lists are short.
func meets(have, wanted []need) bool {
	if len(wanted) == 0 {
		return true
	}
	first, rest := wanted[0], wanted[1:]
	return assign(have, 0, first, first.count, func(left []need) bool { return meets(left, rest) })
}

// assign takes count approvals for one need out of have, from the entry at on, in every way until one lets the rest work.
func assign(have []need, at int, wanted need, count int, then func([]need) bool) bool {
	if count == 0 {
		return then(have)
	}
	if at == len(have) {
		return false
	}
	most := 0
	if covers(wanted.from, have[at].from) {
		most = min(count, have[at].count)
	}
	for n := most; n >= 0; n-- {
		left := slices.Clone(have)
		left[at].count -= n
		if assign(left, at+1, wanted, count-n, then) {
			return true
		}
	}
	return false
}

// covers says whether everybody in narrow is in wide. An empty narrow is nobody, whose approval nobody can give.
func covers(wide, narrow []string) bool {
	if slices.Contains(wide, "anyone") {
		return true
	}
	for _, one := range narrow {
		if !slices.Contains(wide, one) {
			return false
		}
	}
	return true
}

// String is what the terms offer, in words: "at once, for up to 2h of the shift".
func (a terms) String() string {
	if a.denied {
		return "denied"
	}
	out := "at once"
	if len(a.approvals) > 0 {
		out = "with approval by " + needsText(a.approvals)
	}
	out += ", for up to " + FormatDuration(a.most)
	if a.shift {
		out += " of the shift"
	}
	var needed []string
	if a.ticket != "" {
		needed = append(needed, "a ticket like "+a.ticket)
	}
	if a.reason > 0 {
		needed = append(needed, fmt.Sprintf("a reason of %d characters", a.reason))
	}
	if len(needed) > 0 {
		out += ", with " + strings.Join(needed, " and ")
	}
	if a.budget > 0 {
		out += fmt.Sprintf(", %d times a %s", a.budget, a.per)
	}
	return out
}

// needsText is "1 from group dba and 2 from group security".
func needsText(needs []need) string {
	var parts []string
	for _, n := range needs {
		parts = append(parts, fmt.Sprintf("%d from %s", n.count, n.text))
	}
	return join(parts, "and")
}
