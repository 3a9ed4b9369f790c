package policy

import (
	"fmt"
	"slices"
	"time"
)

// TestResult is how one of the file's own tests went.
type TestResult struct {
	Name string `json:"name"`
	Position
	OK bool `json:"ok"`
	// Differences are what was expected and what came, one line each; empty when OK.
	Differences []string `json:"differences,omitempty"`
	// Decision is what was decided, for those who want to see the steps.
	Decision Decision `json:"decision"`
}

// selfTest is one entry of the file's tests.
type selfTest struct {
	name      string
	at        mark
	request   Request
	groups    []string
	onCall    []string
	unknown   []string
	used      map[string]int
	shiftEnds time.Time
	expect    expectation
}

type expectation struct {
	outcome        Outcome
	rule           *string
	approvals      []Requirement
	approvalsGiven bool
	duration, most time.Duration
}

// Test runs the file's own tests. A test that does not say its target's environment or engine takes them from the target
// of that name; if there is none, the environment is the only one that rules name, and the engine the profile's first.
//
// In a test every fact is known: the person is in the groups and on call for the schedules it lists and no others,
// except for those under unknown.
func (p *Policy) Test(targets ...Target) []TestResult {
	var out []TestResult
	for _, test := range p.tests {
		result := TestResult{Name: test.name, Position: Position{p.file, test.at.line, test.at.column}}
		request, wrong := p.complete(test.request, targets)
		if wrong != "" {
			result.Differences = []string{wrong}
		} else {
			result.Decision = p.Decide(request, p.factsOf(test))
			result.Differences = test.expect.compare(result.Decision)
		}
		result.OK = len(result.Differences) == 0
		out = append(out, result)
	}
	return out
}

func (p *Policy) complete(request Request, targets []Target) (Request, string) {
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
			return request, fmt.Sprintf("the environment of %s is not known; add environment: %s to the test's request", request.Target.Name, named[0])
		}
	}
	if profile, ok := p.Profile(request.Profile); ok && request.Target.Engine == "" {
		request.Target.Engine = "postgres"
		if len(profile.Engines) > 0 {
			request.Target.Engine = profile.Engines[0]
		}
	}
	return request, ""
}

// factsOf makes the world a test describes.
func (p *Policy) factsOf(test selfTest) Facts {
	const why = "the test says so"
	facts := Facts{Usergroups: map[string]Membership{}, Schedules: map[string]Standing{}, History: &History{}}
	for _, g := range p.groups {
		if g.usergroup == "" {
			continue
		}
		membership := facts.Usergroups[g.usergroup]
		membership.Member = membership.Member || slices.Contains(test.groups, g.name)
		if slices.Contains(test.unknown, "group:"+g.name) {
			membership.Unknown = why
		}
		facts.Usergroups[g.usergroup] = membership
	}
	for _, s := range p.schedules {
		standing := Standing{Schedule: s.Name, Source: "pagerduty " + s.PagerDuty, AsOf: test.request.At}
		if slices.Contains(test.onCall, s.Name) {
			standing.On, standing.Level = true, s.Levels[0]
			standing.Start, standing.End = test.request.At.Add(-time.Hour), test.shiftEnds
		}
		if slices.Contains(test.unknown, "oncall:"+s.Name) {
			standing = Standing{Unknown: why}
		}
		facts.Schedules[s.Name] = standing
	}
	for rule, count := range test.used {
		for range count {
			facts.History.Uses = append(facts.History.Uses, Use{Rule: rule, At: test.request.At})
		}
	}
	return facts
}

func (e expectation) compare(d Decision) []string {
	var out []string
	differ := func(what, expected, got string) {
		if expected != got {
			out = append(out, fmt.Sprintf("%s: expected %s, got %s", what, expected, got))
		}
	}
	if e.outcome != "" && e.outcome != d.Outcome {
		out = append(out, fmt.Sprintf("outcome: expected %s, got %s: %s", e.outcome, d.Outcome, d.Why))
	}
	if e.rule != nil {
		differ("rule", orNone(*e.rule), orNone(d.Rule))
	}
	if e.approvalsGiven && !sameRequirements(e.approvals, d.Approvals) {
		differ("approvals", approvalsText(e.approvals), orNone(approvalsText(d.Approvals)))
	}
	if e.duration > 0 {
		differ("duration", FormatDuration(e.duration), FormatDuration(d.Duration))
	}
	if e.most > 0 {
		differ("max_duration", FormatDuration(e.most), FormatDuration(d.MaxDuration))
	}
	return out
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// sameRequirements compares regardless of order.
func sameRequirements(a, b []Requirement) bool {
	texts := func(list []Requirement) []string {
		var out []string
		for _, requirement := range list {
			out = append(out, fmt.Sprint(sorted(requirement.From), requirement.Count))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(texts(a), texts(b))
}
