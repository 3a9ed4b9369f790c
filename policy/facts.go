package policy

import (
	"fmt"
	"time"
)

// people answers who-selectors about one person, each at most once.
type people struct {
	p      *Policy
	person Person
	email  string
	facts  Facts
	// at is when shifts must hold; the zero time takes them as they are. later says that it is about access that begins after at,
	// when nobody knows yet who is on call.
	at    time.Time
	later bool
	// asked holds the answers by number of the selector.
	asked []tri
}

// people asks about somebody as of a request's time, or without one, of now.
func (p *Policy) people(person Person, facts Facts, of Request) *people {
	return &people{p: p, person: person, email: lower(person.Email), facts: facts, at: of.At, later: of.later(), asked: make([]tri, len(p.who.values))}
}

// any is yes when one of the selectors is, otherwise unknown when one of them is.
func (a *people) any(ids []int) tri {
	best := no
	for _, id := range ids {
		answer := a.asked[id]
		if answer == unasked {
			answer = a.is(id)
			a.asked[id] = answer
		}
		if answer == yes {
			return yes
		}
		best = max(best, answer)
	}
	return best
}

// is answers without words.
func (a *people) is(id int) tri {
	s := a.p.who.values[id]
	if s.kind == "group" {
		answer, _ := a.inGroup(a.p.whoGroups[id])
		return answer
	}
	answer, _, _ := a.explain(s)
	return answer
}

// explain says whether a selector holds, and in words why when it holds or is unknown.
func (a *people) explain(s whoSelector) (answer tri, why string, shift *Standing) {
	who := a.person.Email
	if who == "" {
		who = "this person"
	}
	switch s.kind {
	case "anyone":
		return yes, "it is for anyone", nil
	case "user":
		switch {
		case a.email == s.name:
			return yes, fmt.Sprintf("it is for %s", s.name), nil
		case a.email == "":
			return unknown, "the e-mail address of this person is not known", nil
		}
		return no, "", nil
	case "group":
		answer, why := a.inGroup(a.p.groupIndex[s.name])
		switch answer {
		case yes:
			return yes, fmt.Sprintf("%s is in group %s", who, s.name), nil
		case unknown:
			return unknown, fmt.Sprintf("it is not known whether %s is in group %s, because %s", who, s.name, why), nil
		}
		return no, "", nil
	}
	answer, why, shift = a.onCall(s.name)
	switch answer {
	case yes:
		return yes, fmt.Sprintf("%s is on call for %s until %s", who, s.name, clockText(shift.End)), shift
	case unknown:
		return unknown, fmt.Sprintf("it is not known whether %s is on call for %s, because %s", who, s.name, why), nil
	}
	return no, "", nil
}

func (a *people) inGroup(g *group) (tri, string) {
	if g == nil {
		return unknown, "the policy defines no such group"
	}
	if g.emails[a.email] {
		return yes, ""
	}
	if g.usergroup != "" {
		membership, asked := a.facts.Usergroups[g.usergroup]
		switch {
		case !asked:
			return unknown, "its members in Slack were not looked up"
		case membership.Unknown != "":
			return unknown, membership.Unknown
		case membership.Member:
			return yes, ""
		}
	}
	if a.email == "" && len(g.emails) > 0 {
		return unknown, "their e-mail address is not known"
	}
	return no, ""
}

// onCall trusts a standing only while its shift lasts: a look-up may be older than the shift's end.
func (a *people) onCall(name string) (tri, string, *Standing) {
	i, ok := a.p.scheduleIndex[name]
	if !ok {
		return unknown, "the policy defines no such schedule", nil
	}
	standing, asked := a.facts.Schedules[name]
	switch {
	case a.later:
		return unknown, "a shift is known for now only, and this starts later", nil
	case !asked:
		return unknown, "it was not looked up", nil
	case standing.Unknown != "":
		return unknown, standing.Unknown, nil
	case !standing.On:
		return no, "", nil
	case standing.Start.IsZero() || standing.End.IsZero():
		return unknown, "the shift has no beginning or no end", nil
	case !a.at.IsZero() && (!a.at.Before(standing.End) || a.at.Before(standing.Start)):
		return no, "", nil
	}
	for _, level := range a.p.schedules[i].Levels {
		if level == standing.Level {
			standing.Schedule = name
			return yes, "", &standing
		}
	}
	return no, "", nil
}

// clockText is an instant for a sentence.
func clockText(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }
