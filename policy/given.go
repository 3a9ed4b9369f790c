package policy

import (
	"fmt"
	"slices"
	"time"
)

// Given describes somebody's circumstances in the words of the file, for a question about what would be. Whatever it does
// not mention is known and not so: nobody is on call or in a Slack user group, and no budget is used.
type Given struct {
	// Groups are groups with a Slack user group that the person is a member of there.
	Groups []string
	// OnCall are schedules the person is on call for, at the first level that counts.
	OnCall []string
	// Unknown are selectors (group:NAME, oncall:SCHEDULE) whose answer cannot be learned.
	Unknown []string
	// Used is how many automatic approvals the person already had, by rule.
	Used map[string]int
	// ShiftEnds is when the shifts of OnCall end; zero is eight hours after the question. They began an hour before it.
	ShiftEnds time.Time
}

// Facts are the facts of a question asked at an instant. Why completes "because …" for what is unknown. The error names
// what the file does not define, and the nearest thing that it does.
func (p *Policy) Facts(given Given, at time.Time, why string) (Facts, error) {
	if err := p.defines(given); err != nil {
		return Facts{}, err
	}
	facts := Facts{Usergroups: map[string]Membership{}, Schedules: map[string]Standing{}, History: &History{}}
	for _, g := range p.groups {
		if g.usergroup == "" {
			continue
		}
		membership := facts.Usergroups[g.usergroup]
		membership.Member = membership.Member || slices.Contains(given.Groups, g.name)
		if slices.Contains(given.Unknown, "group:"+g.name) {
			membership.Unknown = why
		}
		facts.Usergroups[g.usergroup] = membership
	}
	ends := given.ShiftEnds
	if ends.IsZero() {
		ends = at.Add(8 * time.Hour)
	}
	for _, s := range p.schedules {
		standing := Standing{Schedule: s.Name, Source: s.source(), AsOf: at}
		if slices.Contains(given.OnCall, s.Name) {
			standing.On, standing.Level = true, s.Levels[0]
			standing.Start, standing.End = at.Add(-time.Hour), ends
		}
		if slices.Contains(given.Unknown, "oncall:"+s.Name) {
			standing = Standing{Unknown: why}
		}
		facts.Schedules[s.Name] = standing
	}
	for rule, count := range given.Used {
		for range count {
			facts.History.Uses = append(facts.History.Uses, Use{Rule: rule, At: at})
		}
	}
	return facts, nil
}

// source is the identity of a schedule where it is kept, as standings carry it.
func (s Schedule) source() string { return "pagerduty " + s.PagerDuty }

// defines says which of the names are not the file's.
func (p *Policy) defines(given Given) error {
	for _, name := range given.Groups {
		if wrong := p.wrongGroup(name); wrong != "" {
			return fmt.Errorf("%s", wrong)
		}
	}
	for _, name := range given.OnCall {
		if wrong := p.wrongSchedule(name); wrong != "" {
			return fmt.Errorf("%s", wrong)
		}
	}
	for _, text := range given.Unknown {
		selector, wrong := parseWho(text)
		switch {
		case wrong != "" || selector.kind != "group" && selector.kind != "oncall":
			wrong = fmt.Sprintf("%q is not something that can be unknown; write group:NAME or oncall:SCHEDULE", text)
		case selector.kind == "group":
			wrong = p.wrongGroup(selector.name)
		default:
			wrong = p.wrongSchedule(selector.name)
		}
		if wrong != "" {
			return fmt.Errorf("%s", wrong)
		}
	}
	for _, rule := range sortedKeys(given.Used) {
		if wrong := p.wrongRule(rule); wrong != "" {
			return fmt.Errorf("%s", wrong)
		}
	}
	return nil
}

func (p *Policy) wrongGroup(name string) string {
	g := p.groupIndex[name]
	switch {
	case g == nil:
		var names []string
		for _, known := range p.groups {
			names = append(names, known.name)
		}
		return fmt.Sprintf("no group is called %q%s", name, didYouMean(name, names))
	case g.usergroup == "":
		return fmt.Sprintf("%s is a list of addresses; only membership of a Slack user group is given here", name)
	}
	return ""
}

func (p *Policy) wrongSchedule(name string) string {
	if _, ok := p.scheduleIndex[name]; ok {
		return ""
	}
	var names []string
	for _, s := range p.schedules {
		names = append(names, s.Name)
	}
	return fmt.Sprintf("no schedule is called %q%s", name, didYouMean(name, names))
}

func (p *Policy) wrongRule(name string) string {
	names := p.ruleNames()
	if slices.Contains(names, name) {
		return ""
	}
	return fmt.Sprintf("no rule is called %q%s", name, didYouMean(name, names))
}

func (p *Policy) ruleNames() []string {
	var out []string
	for _, r := range p.rules {
		out = append(out, r.name)
	}
	return out
}

// Complete fills in what a request leaves out about its target: from the target of that name among these, else, where the
// file lets nothing else be meant, the only environment that rules name and the first engine of the profile. The error is
// a clause that says what is missing.
func (p *Policy) Complete(request Request, targets []Target) (Request, error) {
	for _, target := range targets {
		if target.Name == request.Target.Name {
			if request.Target.Environment == "" {
				request.Target.Environment = target.Environment
			}
			if request.Target.Engine == "" {
				request.Target.Engine = target.Engine
			}
		}
	}
	if request.Target.Environment == "" {
		var named []string
		for _, s := range p.targets.values {
			if s.environment {
				named = append(named, s.pattern)
			}
		}
		switch named = sorted(named); {
		case len(named) == 1:
			request.Target.Environment = named[0]
		case len(named) > 1:
			return request, &NoEnvironment{Target: request.Target.Name, Named: named}
		}
	}
	if profile, ok := p.Profile(request.Profile); ok && request.Target.Engine == "" {
		request.Target.Engine = "postgres"
		if len(profile.Engines) > 0 {
			request.Target.Engine = profile.Engines[0]
		}
	}
	return request, nil
}

// NoEnvironment means that rules ask for the environment of a target that nobody gave.
type NoEnvironment struct {
	Target string
	// Named are the environments that rules name, sorted.
	Named []string
}

// Error implements error.
func (e *NoEnvironment) Error() string {
	return fmt.Sprintf("the environment of %s is not known", e.Target)
}
