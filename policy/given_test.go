package policy

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestFactsOfAMadeUpWorld(t *testing.T) {
	t.Parallel()
	p := loaded(t, world)
	at := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	facts, err := p.Facts(Given{OnCall: []string{"payments"}, Used: map[string]int{"on-call five": 2}}, at, "a test says so")
	if err != nil {
		t.Fatal(err)
	}
	shift := facts.Schedules["payments"]
	if !shift.On || shift.Level == 0 || !shift.End.Equal(at.Add(8*time.Hour)) || !shift.Start.Before(at) {
		t.Errorf("got %+v", shift)
	}
	if len(facts.History.Uses) != 2 || facts.Schedules["backup"].On {
		t.Errorf("got %+v", facts)
	}
	for _, s := range p.Schedules() {
		if _, known := facts.Schedules[s.Name]; !known {
			t.Errorf("nothing is said of schedule %s", s.Name)
		}
	}
	for _, g := range p.Usergroups() {
		if membership, known := facts.Usergroups[g]; !known || membership.Member || membership.Unknown != "" {
			t.Errorf("user group %s: %+v", g, membership)
		}
	}
	for _, wrong := range []struct {
		given Given
		says  string
	}{
		{Given{OnCall: []string{"payment"}}, `did you mean "payments"?`},
		{Given{Groups: []string{"backend"}}, "is a list of addresses"},
		{Given{Groups: []string{"nobody"}}, `no group is called "nobody"`},
		{Given{Unknown: []string{"user:ana@example.com"}}, "write group:NAME or oncall:SCHEDULE"},
		{Given{Used: map[string]int{"on-call six": 1}}, "no rule is called"},
	} {
		if _, err := p.Facts(wrong.given, at, "x"); err == nil || !strings.Contains(err.Error(), wrong.says) {
			t.Errorf("%+v: %v", wrong.given, err)
		}
	}
}

func TestCompleteSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	p := loaded(t, world)
	ask := Request{Target: Target{Name: "orders-prod"}, Profile: "read-only"}
	_, err := p.Complete(ask, nil)
	if missing, ok := errors.AsType[*NoEnvironment](err); !ok || missing.Target != "orders-prod" || len(missing.Named) < 2 {
		t.Errorf("got %v", err)
	}
	got, err := p.Complete(ask, []Target{{"orders-prod", "mysql", "staging"}, {"orders", "postgres", "production"}})
	if err != nil || got.Target.Environment != "staging" || got.Target.Engine != "mysql" {
		t.Errorf("got %+v, %v", got.Target, err)
	}
}
