package approvals

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/policy"
)

const answerers = `
version: 1
groups:
  dba:      { emails: [dora@example.com, dan@example.com] }
  security: { slack_usergroup: S0SEC }
schedules:
  payments: { pagerduty_schedule: PABC123, levels: [1] }
profiles:
  - { name: read-only, risk: low, max_duration: 4h, grants: [{ schema: public, tables: "*", privileges: [select] }] }
rules:
  - { name: asked, who: [anyone], approvals: [{ from: [group:dba], count: 1 }] }
`

// shelf is a store that only gives what lies on it; whatever would write fails the test.
type shelf struct {
	Store
	*testing.T
	cases []Case
}

func (s shelf) Cases(_ context.Context, q Query) ([]Case, error) {
	var out []Case
	for _, c := range s.cases {
		if slices.Contains(q.States, c.Request.State) {
			out = append(out, c)
		}
	}
	return out, nil
}

func (s shelf) Record(context.Context, []audit.Event, []jobs.Job) error {
	s.Error("looking recorded something")
	return nil
}

func (s shelf) ChangeCase(context.Context, string, func(Case) (Change, error)) (Case, error) {
	s.Error("looking changed something")
	return Case{}, nil
}

// staff is a directory in which sam is in the user group and gus is a guest; it counts the looks at the group.
type staff struct{ looks *int }

func (staff) Person(_ context.Context, id string, _ bool) (Person, error) {
	if id == "Ugus" {
		return Person{}, refuse(NotEligible, "Guests can neither ask nor approve.")
	}
	return person(id[1:]), nil
}

func (s staff) Membership(_ context.Context, _, id string, _ bool) policy.Membership {
	*s.looks++
	if id == "Ukim" {
		return policy.Membership{Unknown: "Slack did not answer"}
	}
	return policy.Membership{Member: id == "Usam"}
}

type roster struct{}

func (roster) Rota(context.Context, policy.Schedule) (emails []string, unknown string) {
	return []string{"olga@example.com"}, ""
}

func (roster) Standing(_ context.Context, schedule policy.Schedule, email string) policy.Standing {
	return policy.Standing{
		On: email == "olga@example.com", Schedule: schedule.Name, Level: 1, Start: began, End: began.Add(time.Hour), AsOf: began,
	}
}

type noGrants struct{ Grants }

func TestAnswerable(t *testing.T) {
	t.Parallel()
	p, _, err := policy.Load([]byte(answerers), "policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	named := func(id string, change func(*Case), needed ...policy.Requirement) Case {
		c := pending(needed...)
		c.Request.ID = id
		if change != nil {
			change(&c)
		}
		return c
	}
	answered := func(by string) func(*Case) {
		return func(c *Case) {
			c.Approvals = []Approval{{By: person(by), Verdict: Yes, At: began, Fills: []int{0}}}
		}
	}
	cases := []Case{
		named("dba", nil, one("dba")),
		named("security", nil, one("security")),
		named("both", nil, one("dba"), one("security")),
		named("half", answered("dan"), one("dba"), one("security")),
		named("on-call", nil, policy.Requirement{From: []string{"oncall:payments"}, Count: 1}),
		named("dora's", func(c *Case) { c.Request.Requester = person("dora") }, one("dba")),
		named("late", func(c *Case) { c.Request.LapsesAt = began }, one("dba")),
		named("decided", func(c *Case) { c.Request.State = Approved }, one("dba")),
		named("nobody", nil),
	}
	looks := 0
	s, err := New(Config{
		Store: shelf{T: t, cases: cases}, Grants: noGrants{}, Directory: staff{&looks}, Roster: roster{}, Policy: func() *policy.Policy { return p },
		Targets: []grants.Target{{Name: "orders-prod"}}, Now: func() time.Time { return began.Add(time.Minute) },
		LapseAfter: time.Hour, TakeWithin: time.Hour, MostPending: 100, FactsWithin: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	for who, want := range map[string][]string{
		"Udora": {"dba", "both"},           // not her own, and not what dan has answered for the DBAs
		"Udan":  {"dba", "both", "dora's"}, // one human, one answer
		"Usam":  {"security", "both", "half"},
		"Uolga": {"on-call"},
		"Ukim":  nil, // what is not known is not so
		"Uana":  nil,
		"Ueve":  nil,
	} {
		looks = 0
		got, err := s.Answerable(t.Context(), who)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, c := range got {
			ids = append(ids, c.Request.ID)
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%s may answer %v, want %v", who, ids, want)
		}
		if looks > 1 {
			t.Errorf("%s: the user group was looked at %d times", who, looks)
		}
	}
	_, err = s.Answerable(t.Context(), "Ugus")
	if refusal, ok := errors.AsType[*Refusal](err); !ok || refusal.Code != NotEligible {
		t.Errorf("a guest is answered with %v", err)
	}
}
