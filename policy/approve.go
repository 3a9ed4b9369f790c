package policy

import (
	"fmt"
	"strings"
)

// MayApprove says whether a person may give one of a requirement's approvals, by the groups and schedules of this policy
// as they are now, not as they were when the request was decided. A fact that is not known is a no that says so.
// Whether it is the person's own request is not asked here, and a standing on call is taken as it is: the caller asks now.
func (p *Policy) MayApprove(requirement Requirement, person Person, facts Facts) Verdict {
	people := p.people(person, facts, Request{})
	verdict := Verdict{Why: "only " + phraseOf(requirement) + " may approve this"}
	var unknowns []string
	for _, text := range requirement.From {
		selector, wrong := parseWho(text)
		if wrong != "" {
			continue
		}
		answer, why, _ := people.explain(selector)
		switch answer {
		case yes:
			return Verdict{OK: true, Why: why}
		case unknown:
			unknowns = append(unknowns, why)
		}
	}
	if len(unknowns) > 0 {
		return Verdict{Unknown: true, Why: strings.Join(unknowns, "; ")}
	}
	return verdict
}

// Lookups says which facts the decision on a request could need: those of rules whose targets and profiles match it.
// The request's time is not looked at, so that the answer holds for as long as the look-ups take.
func (p *Policy) Lookups(request Request) Lookups { return p.lookups(request, p.rules) }

func (p *Policy) lookups(request Request, rules []*rule) Lookups {
	var out wanted
	profile, ok := p.profileIndex[request.Profile]
	if !ok {
		return Lookups{}
	}
	email := lower(request.User.Email)
	for _, r := range rules {
		if !r.allProfiles && !r.profileSet[profile] || !r.allTargets && !p.targetAmong(r.targets, request.Target) {
			continue
		}
		for _, id := range r.who {
			out.add(p, p.who.values[id], email)
		}
		out.History = out.History || r.budget != nil
	}
	return out.Lookups
}

// ApproverLookups says which facts MayApprove could need for any of these requirements.
func (p *Policy) ApproverLookups(requirements []Requirement) Lookups {
	var out wanted
	for _, requirement := range requirements {
		for _, text := range requirement.From {
			if selector, wrong := parseWho(text); wrong == "" {
				out.add(p, selector, "")
			}
		}
	}
	return out.Lookups
}

func (p *Policy) targetAmong(ids []int, target Target) bool {
	for _, id := range ids {
		if p.targets.values[id].matches(target) {
			return true
		}
	}
	return false
}

// wanted collects look-ups, each once, in the order they are met.
type wanted struct {
	Lookups
	seen map[whoSelector]bool
}

func (w *wanted) add(p *Policy, selector whoSelector, email string) {
	if w.seen[selector] {
		return
	}
	if w.seen == nil {
		w.seen = map[whoSelector]bool{}
	}
	w.seen[selector] = true
	switch selector.kind {
	case "group":
		g := p.groupIndex[selector.name]
		if g == nil || g.usergroup == "" || g.emails[email] {
			return
		}
		usergroup := whoSelector{"usergroup", g.usergroup}
		if !w.seen[usergroup] {
			w.seen[usergroup] = true
			w.Usergroups = append(w.Usergroups, g.usergroup)
		}
	case "oncall":
		if i, ok := p.scheduleIndex[selector.name]; ok {
			w.Schedules = append(w.Schedules, p.schedules[i])
		}
	}
}

// CheckParams says what is wrong with a request's parameters for this profile: one that is missing, not known, or not
// of its type. The error is a [*ParameterError], a clause for a person that does not show values.
func (p Profile) CheckParams(params map[string]string) error {
	if wrong := p.wrongParam(params); wrong != nil {
		return wrong
	}
	return nil
}

func (p Profile) wrongParam(params map[string]string) *ParameterError {
	known := map[string]bool{}
	var names []string
	for _, parameter := range p.Parameters {
		known[parameter.Name] = true
		names = append(names, parameter.Name)
		value, given := params[parameter.Name]
		switch {
		case !given && parameter.Required:
			return &ParameterError{parameter.Name, fmt.Sprintf("%s needs %s=…, a %s", p.Name, parameter.Name, parameter.Type)}
		case given && !parameter.accepts(value):
			return &ParameterError{parameter.Name, fmt.Sprintf("%s of %s must be a %s", parameter.Name, p.Name, parameter.Type)}
		}
	}
	for _, name := range sortedKeys(params) {
		if !known[name] {
			return &ParameterError{name, fmt.Sprintf("%s has no parameter %q%s", p.Name, shorten(name), strings.TrimSuffix(didYouMean(name, names), "?"))}
		}
	}
	return nil
}
