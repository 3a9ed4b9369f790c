package policy

import (
	"os"
	"strings"
	"testing"
)

// TestExampleFile loads the file operators begin with: it must be usable, raise no warnings, and pass its own tests.
func TestExampleFile(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../policy.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, warnings, err := Load(source, "policy.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		t.Error(w)
	}
	results := p.Test()
	if len(results) < 10 {
		t.Errorf("the example has only %d tests", len(results))
	}
	for _, result := range results {
		if !result.OK {
			t.Errorf("%s: %s\n%v", result.Position, result.Name, result.Differences)
		}
	}
}

// TestFailingTests breaks expectations on purpose: a test that cannot fail is worth nothing.
func TestFailingTests(t *testing.T) {
	t.Parallel()
	p := loaded(t, world+`
tests:
  - name: wrong in every way
    given: { user: ana@example.com }
    request: { target: orders-prod, environment: production, profile: read-only, duration: 1h }
    expect: { outcome: approved, rule: none, approvals: [{ from: group:dba, count: 2 }], duration: 2h, max_duration: 1h }
  - name: no environment
    given: { user: ana@example.com }
    request: { target: nowhere, profile: read-only }
    expect: { outcome: denied }
`)
	results := p.Test(Target{Name: "orders-prod", Environment: "production", Engine: "postgres"})
	if len(results) != 2 || results[0].OK || len(results[0].Differences) != 5 || results[0].Line == 0 {
		t.Errorf("got %+v", results)
	}
	if results[1].OK || !strings.Contains(results[1].Differences[0].String(), "add environment:") {
		t.Errorf("got %+v", results[1])
	}
	results = p.Test(Target{Name: "nowhere", Environment: "staging", Engine: "postgres"})
	if len(results[1].Differences) != 1 || results[1].Differences[0].What != "outcome" {
		t.Errorf("with a configured target: %+v", results[1].Differences)
	}
}
