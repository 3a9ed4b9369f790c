package policy

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// terms are what a policy offers one person at one moment for one profile on one target, when every fact is known: what
// a decision would be, for every duration, ticket and reason at once.
type terms struct {
	denied    bool
	approvals []need
	inOrder   bool
	most      time.Duration
	// ahead is how long after the request access may begin.
	ahead time.Duration
	// shift says that access ends with the requester's shift.
	shift bool
	// ticket is a pattern, reason the fewest characters; empty and 0 when nothing is required.
	ticket string
	reason int
	// budget is how many automatic approvals a person gets; 0 is any number.
	budget int
	per    string
	// answer and take are how long a request waits for people, and approved access for its requester.
	answer, take wait
	extend       extent
	// review follows when glass is broken; nil for every other request.
	review *reviewTerms
	rule   string
}

// wait is a waiting time; 0 is the configuration's, which no policy knows.
type wait struct {
	least time.Duration
	// orSooner lets a shorter one of the configuration win.
	orSooner bool
}

// extent is how far access can be extended: so many times, to so much in all.
type extent struct {
	times int
	total time.Duration
}

// unlimited extensions are those of a rule that approves automatically and does not speak of them.
const unlimited = math.MaxInt

// reviewTerms are what must follow when glass is broken.
type reviewTerms struct {
	by       need
	deadline time.Duration
	notify   []string
}

// terms finds the rule that decides and says what it offers. Facts must all be known.
func (p *Policy) terms(request Request, facts Facts) terms {
	c := p.consider(request, facts, p.asking)
	if c.profile < 0 || !p.possible(request) {
		return terms{denied: true}
	}
	if c.forbidden() {
		return terms{denied: true, rule: c.Rule}
	}
	// Only an undefined name is unknown here, and it holds the answer back as it does in Decide.
	r, held := c.first()
	if r == nil {
		return terms{denied: true}
	}
	return c.offer(r, held)
}

// glassTerms are what a policy offers somebody who breaks glass. Facts must all be known.
func (p *Policy) glassTerms(request Request, facts Facts) terms {
	c := p.consider(request, facts, p.breaking)
	if c.profile < 0 || p.glass == nil || !p.possible(request) {
		return terms{denied: true}
	}
	if c.forbidden() {
		return terms{denied: true, rule: c.Rule}
	}
	if c.match(p.glass) != yes {
		return terms{denied: true}
	}
	out := c.bounds([]*rule{p.glass})
	_, shift := c.reason(p.glass)
	out.ahead, out.shift, out.rule, out.review = 0, shift != nil, BreakGlassRule, reviewOf(p.review(), p.peopleOf)
	return out
}

// possible says whether a request is one that some rule could allow.
func (p *Policy) possible(request Request) bool {
	why, _ := p.impossible(request)
	return why == ""
}

func reviewOf(r *Review, resolve func([]string) []string) *reviewTerms {
	var late []Escalation
	if r.Escalate != nil {
		late = append(late, *r.Escalate)
	}
	by := Requirement{From: r.Reviewers, Count: 1}
	return &reviewTerms{needsOf([]Requirement{by}, late, resolve)[0], r.Within, sorted(r.Notify)}
}

func (c *consideration) offer(r *rule, held []*rule) terms {
	all := append(slices.Clone(held), r)
	out := c.bounds(all)
	out.rule = r.name
	requirements, inOrder := merge(all)
	out.approvals, out.inOrder = needsOf(requirements, escalationsOf(all), c.p.peopleOf), inOrder
	waits := waitsOf(all)
	out.take, out.extend = wait{waits.Take, waits.OrSooner && waits.Take > 0}, c.extent(all)
	if len(out.approvals) > 0 {
		out.answer = wait{waits.Answer, waits.OrSooner && waits.Answer > 0}
		return out
	}
	_, shift := c.reason(r)
	out.shift = shift != nil
	if r.budget != nil {
		out.budget, out.per = r.budget.grants, r.budget.per
	}
	return out
}

// bounds are how long several rules allow at most, and what they require to be written.
func (c *consideration) bounds(all []*rule) terms {
	out := terms{most: math.MaxInt64, ahead: math.MaxInt64}
	var tickets []string
	for _, one := range all {
		out.most, out.ahead = min(out.most, c.longest(one)), min(out.ahead, one.ahead())
		if one.require != nil {
			out.reason = max(out.reason, one.require.reason)
			if one.require.ticket != nil {
				tickets = append(tickets, one.require.pattern())
			}
		}
	}
	out.ticket = strings.Join(sorted(tickets), " and ")
	return out
}

// extent is what DecideExtension allows access that these rules gave together. Of rules that ask people only one can be the
// one the access rests on, so two of them extend nothing.
func (c *consideration) extent(all []*rule) extent {
	asking := 0
	for _, one := range all {
		if one.asks() {
			asking++
		}
	}
	switch extend := c.extension(all); {
	case asking > 1 || asking == 1 && extend == nil:
		return extent{}
	case extend != nil:
		return extent{extend.Times, extend.Total}
	}
	return extent{unlimited, c.bounds(all).most}
}

// within says whether a offers nothing that b does not offer too.
func (a terms) within(b terms) bool {
	switch {
	case a.denied:
		return true
	case b.denied, a.most > b.most, a.ahead > b.ahead, b.shift && !a.shift, b.ticket != "" && a.ticket != b.ticket, a.reason < b.reason:
		return false
	case b.budget > 0 && (a.budget == 0 || a.budget > b.budget || a.per != b.per) && len(a.approvals) == 0:
		return false
	case !a.take.within(b.take), len(a.approvals) > 0 && len(b.approvals) > 0 && !a.answer.within(b.answer), !a.extend.within(b.extend):
		return false
	}
	return a.review.within(b.review) && meets(a.approvals, b.approvals, a.inOrder, b.inOrder)
}

// within takes a waiting time that is the configuration's for shorter or longer than every other, whichever is worse.
func (a wait) within(b wait) bool {
	switch {
	case a == b:
		return true
	case a.least == 0 || b.least == 0:
		return a.orSooner && b.least == 0
	case b.orSooner && !a.orSooner:
		return false
	}
	return a.least <= b.least
}

func (a extent) within(b extent) bool {
	return a.times == 0 || a.times <= b.times && a.total <= b.total
}

// within takes a later review, by more people, said in fewer places, for more.
func (a *reviewTerms) within(b *reviewTerms) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.deadline <= b.deadline && b.by.covers(a.by) && covers(a.notify, b.notify)
}

// String is what the terms offer, in words: "at once, for up to 2h of the shift".
func (a terms) String() string {
	if a.denied {
		return "denied"
	}
	out := a.who() + ", for up to " + FormatDuration(a.most)
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
	if a.review == nil {
		out += aheadText(a.ahead)
	}
	return out + a.answer.words("answered") + a.take.words("taken") + a.extend.words(len(a.approvals) > 0 || a.review != nil) + a.review.words()
}

// who is "at once", or who has to agree.
func (a terms) who() string {
	if len(a.approvals) == 0 {
		return "at once"
	}
	return "with approval by " + needsText(a.approvals, a.inOrder)
}

func (a wait) words(what string) string {
	switch {
	case a.least == 0:
		return ""
	case a.orSooner:
		return fmt.Sprintf(", %s within %s or less", what, FormatDuration(a.least))
	}
	return fmt.Sprintf(", %s within %s", what, FormatDuration(a.least))
}

// words says nothing of what is usual: access that nobody agreed to can be extended to what might have been asked for, and
// any other cannot.
func (a extent) words(agreed bool) string {
	switch {
	case a.times == unlimited || a.times == 0 && agreed:
		return ""
	case a.times == 0:
		return ", never extended"
	}
	return fmt.Sprintf(", extended at most %s, to %s in all", times(a.times), FormatDuration(a.total))
}

func (a *reviewTerms) words() string {
	if a == nil {
		return ""
	}
	return fmt.Sprintf(", reviewed within %s by %s, said in %s", FormatDuration(a.deadline), a.by.text+a.by.lateText(), join(a.notify, "and"))
}
