package policy

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// era is a policy of then beside the one that is asked now: what its facts and decisions mean to the new one.
type era struct {
	// then is nil when it is not known any more.
	then, now *Policy
	// schedules are, for every schedule of now, those of then that are the same at their source.
	schedules [][]sameSchedule
	// people remembers whom the approvals of a decision mean.
	people sync.Map // of []string by whose
}

type sameSchedule struct {
	name string
	// complete is set when then asked for every level that counts now.
	complete bool
}

// whose is a requirement as one of the two policies writes it.
type whose struct {
	p    *Policy
	from string
}

func (p *Policy) since(then *Policy) *era {
	e := &era{then: then, now: p, schedules: make([][]sameSchedule, len(p.schedules))}
	if then == nil {
		return e
	}
	for i, s := range p.schedules {
		for _, old := range then.schedules {
			if old.PagerDuty == s.PagerDuty {
				missing := slices.ContainsFunc(s.Levels, func(level int) bool { return !slices.Contains(old.Levels, level) })
				e.schedules[i] = append(e.schedules[i], sameSchedule{old.Name, !missing})
			}
		}
	}
	return e
}

// recall translates recorded facts, which go by the names of then, into the names of now. A schedule is the same when it
// is the same at its source. What was not asked then is unknown now.
func (e *era) recall(facts Facts) Facts {
	out := Facts{Usergroups: facts.Usergroups, Schedules: make(map[string]Standing, len(e.now.schedules))}
	for _, g := range e.now.groups {
		if _, asked := facts.Usergroups[g.usergroup]; g.usergroup != "" && !asked {
			out.Usergroups = e.withUnknown(facts.Usergroups)
			break
		}
	}
	for i, s := range e.now.schedules {
		out.Schedules[s.Name] = e.standing(i, s, facts)
	}
	return out
}

// withUnknown adds the user groups that nobody asked for.
func (e *era) withUnknown(asked map[string]Membership) map[string]Membership {
	out := make(map[string]Membership, len(e.now.groups))
	for _, g := range e.now.groups {
		membership, known := asked[g.usergroup]
		if !known {
			membership.Unknown = notThen
		}
		out[g.usergroup] = membership
	}
	return out
}

func (e *era) standing(i int, s Schedule, facts Facts) Standing {
	if e.then == nil {
		// All there is to go by is what the standing itself says of its source.
		if standing, asked := facts.Schedules[s.Name]; asked && standing.On && standing.Source == s.source() {
			return standing
		}
		return Standing{Unknown: notThen}
	}
	for _, old := range e.schedules[i] {
		standing, asked := facts.Schedules[old.name]
		if !asked {
			continue
		}
		if standing.Unknown != "" || old.complete || standing.On && slices.Contains(s.Levels, standing.Level) {
			return standing
		}
		// On another level than was asked for then, the person may have been.
	}
	return Standing{Unknown: notThen}
}

// compare says what is different between a recorded decision and a new one; nil when nothing is that somebody would notice.
func (e *era) compare(past Past, decision Decision) *Changed {
	at := past.Question.Request.At
	var unsure []string
	for _, unknown := range decision.Unknowns {
		if strings.Contains(unknown, notThen) {
			unsure = append(unsure, unknown)
		}
	}
	old, new := e.both(past.Decision, decision, at)
	wider, narrower := !new.within(old), !old.within(new)
	if unsure == nil && !wider && !narrower {
		return nil
	}
	request := past.Question.Request
	changed := &Changed{
		ID: past.ID, At: at, User: request.User.Email, Target: request.Target.Name, Profile: request.Profile,
		Old: old.said(), OldRule: past.Decision.Rule, New: new.said(), NewRule: decision.Rule, Why: decision.Why, Unsure: unsure,
	}
	if unsure != nil {
		return changed
	}
	changed.Wider, changed.Narrower = wider, narrower
	if changed.Old == changed.New {
		changed.New += ", by other people than before"
	}
	return changed
}

// both are the terms of a recorded decision and of a new one. Waiting times are compared where both speak of them: what is
// left to the configuration is not recorded.
func (e *era) both(then, now Decision, at time.Time) (old, new terms) {
	old, new = e.terms(then, at, e.then), e.terms(now, at, e.now)
	for _, pair := range [][2]*wait{{&old.take, &new.take}, {&old.answer, &new.answer}} {
		if pair[0].least == 0 || pair[1].least == 0 {
			*pair[0], *pair[1] = wait{}, wait{}
		}
	}
	return old, new
}

// terms are what a decision gave, as far as they can be compared with another's. Where the policy of then is lost,
// approvals are compared by how the files write them.
func (e *era) terms(d Decision, at time.Time, p *Policy) terms {
	out := terms{denied: d.Outcome == Denied, most: d.Duration, shift: d.Shift != nil, rule: d.Rule}
	if d.Shift != nil {
		out.most = min(out.most, d.Shift.End.Sub(at))
	}
	resolve := func(selectors []string) []string { return e.peopleOf(selectors, p) }
	out.approvals, out.inOrder = needsOf(d.Approvals, d.Escalations, resolve), d.InOrder
	out.take, out.answer = wait{d.Waits.Take, d.Waits.OrSooner && d.Waits.Take > 0}, wait{d.Waits.Answer, d.Waits.OrSooner && d.Waits.Answer > 0}
	if d.Extend != nil {
		out.extend = extent{d.Extend.Times, d.Extend.Total}
	}
	if d.Review != nil {
		out.review = reviewOf(d.Review, resolve)
	}
	return out
}

func (e *era) peopleOf(selectors []string, p *Policy) []string {
	key := whose{p, strings.Join(selectors, " ")}
	if found, ok := e.people.Load(key); ok {
		return found.([]string)
	}
	from := sorted(selectors)
	if e.then != nil {
		from = p.peopleOf(selectors)
	}
	e.people.Store(key, from)
	return from
}

// said is the terms of one decision in words: "with approval by 1 from group dba, for 1h".
func (a terms) said() string {
	if a.denied {
		return "denied"
	}
	out := a.who() + ", for " + FormatDuration(a.most)
	if a.shift {
		out += " of the shift"
	}
	return out + a.answer.words("answered") + a.take.words("taken") + a.extend.words(true) + a.review.words()
}
