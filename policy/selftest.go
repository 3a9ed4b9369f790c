package policy

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// TestResult is how one of the file's own tests went.
type TestResult struct {
	Name string `json:"name"`
	Position
	OK bool `json:"ok"`
	// Differences are what was expected and what came; empty when OK.
	Differences []Mismatch `json:"differences,omitempty"`
	// Decision is what was decided, for those who want to see the steps.
	Decision Decision `json:"decision"`
}

// Mismatch is one thing a test expected otherwise.
type Mismatch struct {
	// What is a key of expect; empty when the test could not be run, and Got then says why.
	What     string `json:"what,omitempty"`
	Expected string `json:"expected,omitempty"`
	Got      string `json:"got"`
	// Why is the decision's own reason where that helps.
	Why string `json:"why,omitempty"`
}

// String is the mismatch on one line.
func (m Mismatch) String() string {
	switch {
	case m.What == "":
		return m.Got
	case m.Why != "":
		return fmt.Sprintf("%s: expected %s, got %s: %s", m.What, m.Expected, m.Got, m.Why)
	}
	return fmt.Sprintf("%s: expected %s, got %s", m.What, m.Expected, m.Got)
}

// selfTest is one entry of the file's tests.
type selfTest struct {
	name    string
	at      mark
	request Request
	given   Given
	expect  expectation
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
		if decision, err := p.run(test, targets); err != nil {
			result.Differences = []Mismatch{{Got: err.Error()}}
		} else {
			result.Decision = decision
			result.Differences = test.expect.compare(decision)
		}
		result.OK = len(result.Differences) == 0
		out = append(out, result)
	}
	return out
}

func (p *Policy) run(test selfTest, targets []Target) (Decision, error) {
	request, err := p.Complete(test.request, targets)
	if unsaid, ok := errors.AsType[*NoEnvironment](err); ok {
		return Decision{}, fmt.Errorf("%w; add environment: %s to the test's request", err, unsaid.Named[0])
	}
	facts, err := p.Facts(test.given, request.At, "the test says so")
	if err != nil {
		return Decision{}, err
	}
	return p.Decide(request, facts), nil
}

func (e expectation) compare(d Decision) []Mismatch {
	var out []Mismatch
	differ := func(what, expected, got string) {
		if expected != got {
			out = append(out, Mismatch{What: what, Expected: expected, Got: got})
		}
	}
	if e.outcome != "" && e.outcome != d.Outcome {
		out = append(out, Mismatch{What: "outcome", Expected: string(e.outcome), Got: string(d.Outcome), Why: d.Why})
	}
	if e.rule != nil {
		differ("rule", orNone(*e.rule), orNone(d.Rule))
	}
	if e.approvalsGiven && !sameRequirements(e.approvals, d.Approvals) {
		differ("approvals", approvalsText(e.approvals, false), orNone(approvalsText(d.Approvals, d.InOrder)))
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
