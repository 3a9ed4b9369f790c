package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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
	// breakGlass says that glass is broken instead of asking.
	breakGlass bool
	// extend is a wish for more time once the request was granted; nil when the request itself is tested.
	extend *testedExtension
}

// testedExtension is a wish that access last to so much in all, after so many extensions. At is when; the zero time is when
// the request was filed.
type testedExtension struct {
	to     time.Duration
	before int
	at     time.Time
}

// expectation is what a test says of the decision; what is zero or nil it does not say.
type expectation struct {
	outcome        Outcome
	rule           *string
	approvals      []Requirement
	approvalsGiven bool
	inOrder        *bool
	duration, most time.Duration
	ahead          time.Duration
	waits          Waits
	escalate       []Escalation
	extend         *Extend
	reviewers      []string
	reviewWithin   time.Duration
}

// Test runs the file's own tests. A test that does not say its target's environment or engine takes them from the target
// of that name; if there is none, the environment is the only one that rules name, and the engine the profile's first.
//
// In a test every fact is known: the person is in the groups and on call for the schedules it lists and no others,
// except for those under unknown. A test of an extension takes the request for granted: whoever had to agree did.
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
	if test.breakGlass {
		return p.DecideBreakGlass(request, facts), nil
	}
	decision := p.Decide(request, facts)
	if test.extend == nil {
		return decision, nil
	}
	if decision.Outcome == Denied {
		return decision, fmt.Errorf("there is nothing to extend: the request is denied. %s", decision.Why)
	}
	if request.Duration = test.extend.to; !test.extend.at.IsZero() {
		request.At = test.extend.at
	}
	return p.DecideExtension(Extending{request, decision, test.extend.before}, facts), nil
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
	if inOrder := e.inOrder != nil && *e.inOrder; e.approvalsGiven && (!sameRequirements(e.approvals, d.Approvals) || inOrder && !follows(d.Approvals, e.approvals)) {
		differ("approvals", approvalsText(e.approvals, inOrder), orNone(approvalsText(d.Approvals, inOrder)))
	}
	if e.inOrder != nil {
		differ("in_order", fmt.Sprint(*e.inOrder), fmt.Sprint(d.InOrder))
	}
	if e.duration > 0 {
		differ("duration", FormatDuration(e.duration), FormatDuration(d.Duration))
	}
	if e.most > 0 {
		differ("max_duration", FormatDuration(e.most), FormatDuration(d.MaxDuration))
	}
	if e.ahead > 0 {
		differ("start_within", FormatDuration(e.ahead), orNone(unlessZero(d.StartWithin)))
	}
	for _, wait := range []struct {
		key           string
		expected, got time.Duration
	}{
		{"lapse_after", e.waits.Answer, d.Waits.Answer}, {"activate_within", e.waits.Take, d.Waits.Take}, {"remind_every", e.waits.Remind, d.Waits.Remind},
	} {
		if wait.expected > 0 {
			differ(wait.key, FormatDuration(wait.expected), orNone(unlessZero(wait.got)))
		}
	}
	if e.escalate != nil {
		differ("escalate", escalationsText(e.escalate), orNone(escalationsText(d.Escalations)))
	}
	if e.extend != nil {
		differ("extend", extendText(e.extend), extendText(d.Extend))
	}
	return append(out, e.review(d)...)
}

// review compares what is expected to follow broken glass.
func (e expectation) review(d Decision) []Mismatch {
	var out []Mismatch
	review := d.Review
	if review == nil {
		review = &Review{}
	}
	if expected, got := strings.Join(sorted(e.reviewers), ", "), strings.Join(sorted(review.Reviewers), ", "); e.reviewers != nil && expected != got {
		out = append(out, Mismatch{What: "reviewers", Expected: expected, Got: orNone(got)})
	}
	if e.reviewWithin > 0 && e.reviewWithin != review.Within {
		out = append(out, Mismatch{What: "review_within", Expected: FormatDuration(e.reviewWithin), Got: orNone(unlessZero(review.Within))})
	}
	return out
}

func unlessZero(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return FormatDuration(d)
}

// escalationsText is "after 20m also group managers, after 1h also group dba or group security", whatever order people stand in.
func escalationsText(steps []Escalation) string {
	var parts []string
	for _, step := range steps {
		parts = append(parts, "after "+FormatDuration(step.After)+" also "+phraseOf(Requirement{From: sorted(step.To)}))
	}
	return strings.Join(parts, ", ")
}

// extendText is "twice, to 8h in all"; "none" where a decision does not speak of it.
func extendText(e *Extend) string {
	switch {
	case e == nil:
		return "none"
	case e.Times == 0:
		return "never"
	}
	return times(e.Times) + ", to " + FormatDuration(e.Total) + " in all"
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
