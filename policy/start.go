package policy

import (
	"fmt"
	"time"
)

const (
	// usualAhead is how far ahead access may begin by a rule that does not say (start_within).
	usualAhead = 7 * 24 * time.Hour
	// mostAhead bounds what a rule may say. What is decided now about later goes out of date: people change groups.
	mostAhead = 30 * 24 * time.Hour
)

// later says whether the access is to begin after the request is made.
func (r Request) later() bool { return r.StartsAt.After(r.At) }

// start is the instant from which the access is wanted, for which the rules are asked.
func (r Request) start() time.Time {
	if r.later() {
		return r.StartsAt
	}
	return r.At
}

// ahead is how far ahead of the request a rule lets access begin; 0 is at once or not at all.
func (r *rule) ahead() time.Duration {
	switch {
	case r.atOnceOnly:
		return 0
	case r.startWithin == 0:
		return usualAhead
	}
	return r.startWithin
}

// tooEarly says why a rule does not let access begin as late as is asked for; empty when it does.
func (c *consideration) tooEarly(r *rule) string {
	wait := c.request.StartsAt.Sub(c.request.At)
	switch most := r.ahead(); {
	case !c.request.later() || wait <= most:
		return ""
	case most == 0:
		return fmt.Sprintf("%s on %s starts at once or not at all (rule %q). Ask for it when you need it.", c.request.Profile, c.request.Target.Name, r.name)
	default:
		return fmt.Sprintf("%s on %s may start at most %s ahead (rule %q); this would start in %s. Choose a start before %s, or ask later.",
			c.request.Profile, c.request.Target.Name, FormatDuration(most), r.name, FormatDuration(wait), clockText(c.request.At.Add(most)))
	}
}

// isFor says whether a rule is for this person; where it is not because of a shift that nobody knows yet, also why.
//
// Who is on call at a later start is not known. A rule that denies may then be for anybody. One that allows is for nobody by a
// shift: it gives nothing, and what it asks of those on call does not bind everybody else.
func (c *consideration) isFor(r *rule) (answer tri, why string) {
	if r.allWho {
		return yes, ""
	}
	if answer = c.people.any(r.who); answer != unknown {
		return answer, ""
	}
	var names []string
	for _, id := range r.who {
		switch {
		case c.noShift(r, id):
			names = append(names, c.p.who.values[id].name)
		case c.people.is(id) == unknown:
			return unknown, ""
		}
	}
	return no, fmt.Sprintf("who is on call for %s then is not known", either(names))
}

// noShift says whether a selector of a rule means a shift that counts as not being on call.
func (c *consideration) noShift(r *rule, who int) bool {
	return !r.deny && c.request.later() && c.p.who.values[who].kind == "oncall"
}

// readStart reads start_within: a duration, or never.
func (l *loader) readStart(f *fields, r *rule) {
	from, given := f.nodes["start_within"]
	if given && from.value != nil && from.value.text == "never" {
		f.take("start_within")
		r.atOnceOnly = true
		return
	}
	if r.startWithin = f.duration("start_within"); r.startWithin > mostAhead {
		l.fault(from.value.mark, "start_within is at most %s: what is decided so long before is out of date when the access begins", FormatDuration(mostAhead))
	}
}

// aheadText says how far ahead access may begin, where that is not what is usual.
func aheadText(d time.Duration) string {
	switch d {
	case usualAhead:
		return ""
	case 0:
		return ", starting at once only"
	}
	return ", starting at most " + FormatDuration(d) + " ahead"
}
