package approvals

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
)

const insteadPolicy = `
version: 1
groups:
  backend: { emails: [ana@example.com] }
  dba:     { emails: [dora@example.com] }
profiles:
  - { name: read-only, risk: low, grants: [{ schema: public, tables: "*", privileges: [select] }] }
  - { name: data-fix, risk: high, grants: [{ schema: public, tables: "*", privileges: [select, update] }] }
  - { name: support, risk: low, parameters: [{ name: customer_id, type: bigint, required: true }],
      grants: [{ schema: public, tables: [orders], privileges: [select], rows: "customer_id = :customer_id" }] }
  - { name: ddl, risk: critical, engines: [postgres], grants: [{ schema: public, tables: "*", privileges: [select, update, delete] }] }
rules:
  - { name: reads, who: [group:backend], targets: [orders-prod], profiles: [read-only], approvals: [{ from: [group:dba], count: 1 }], max_duration: 2h }
  - { name: fixes, who: [group:backend], targets: [orders-staging], profiles: [data-fix, ddl], approve: automatically, max_duration: 1h }
  - { name: short fixes, who: [group:backend], targets: [orders-prod], profiles: [data-fix], approvals: [{ from: [group:dba], count: 1 }],
      max_duration: 30m }
`

func TestInstead(t *testing.T) {
	t.Parallel()
	p, _, err := policy.Load([]byte(insteadPolicy), "policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	looks := 0
	s, err := New(Config{
		Store: shelf{T: t}, Grants: noGrants{}, Directory: staff{&looks}, Roster: roster{}, Policy: func() *policy.Policy { return p },
		Targets: []grants.Target{
			{Name: "orders-prod", Engine: "postgres", Environment: "production"},
			{Name: "billing-prod", Engine: "postgres", Environment: "production"},
			{Name: "orders-staging", Engine: "postgres", Environment: "staging"},
			{Name: "shop", Engine: "mysql", Environment: "staging"},
		},
		Now: func() time.Time { return began.Add(time.Minute) }, LapseAfter: time.Hour, TakeWithin: time.Hour, MostPending: 100, FactsWithin: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		target, profile string
		length          time.Duration
		by              string
		glass           bool
		want            []string
	}{
		"too long":                     {"orders-prod", "read-only", 8 * time.Hour, "", false, []string{"read-only on orders-prod for 2h0m0s"}},
		"too much":                     {"orders-prod", "ddl", time.Hour, "", false, []string{"read-only on orders-prod for 1h0m0s", "data-fix on orders-prod for 30m0s", "ddl on orders-staging for 1h0m0s"}},
		"nowhere":                      {"billing-prod", "support", time.Hour, "", false, nil},
		"somebody said no":             {"orders-prod", "data-fix", 30 * time.Minute, "Udora", false, []string{"data-fix on orders-prod for 15m0s", "read-only on orders-prod for 30m0s"}},
		"somebody said no to a moment": {"orders-prod", "read-only", 5 * time.Minute, "Udora", false, nil},
		"broken glass":                 {"orders-prod", "read-only", 8 * time.Hour, "", true, nil},
	} {
		r := Request{
			State: Denied, Requester: person("ana"), Target: c.target, Engine: "postgres", Profile: c.profile, Duration: c.length, Reason: "checkout is failing",
			BreakGlass: c.glass,
		}
		r.Requester.ID = "Uana"
		r.EndedBy.ID = c.by
		found, err := s.Instead(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range found {
			got = append(got, fmt.Sprintf("%s on %s for %s", a.Profile, a.Target, a.Duration))
			if a.Decision.Outcome == policy.Denied {
				t.Errorf("%s: %+v is refused too", name, a)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if found, err := s.Instead(t.Context(), Request{State: Pending, Requester: Person{ID: "Uana"}, Target: "orders-prod", Profile: "ddl"}); len(found) > 0 || err != nil {
		t.Errorf("in place of what waits: %v %v", found, err)
	}
	if _, err := s.Instead(t.Context(), Request{State: Denied, Requester: Person{ID: "Ugus"}}); err == nil {
		t.Error("a guest is told what to ask for")
	}
}

// A start that is still ahead stays, and what is offered is decided for it.
func TestInsteadKeepsTheStart(t *testing.T) {
	t.Parallel()
	p, _, err := policy.Load([]byte(insteadPolicy), "policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	looks, now := 0, began.Add(time.Minute)
	s, err := New(Config{
		Store: shelf{T: t}, Grants: noGrants{}, Directory: staff{&looks}, Roster: roster{}, Policy: func() *policy.Policy { return p },
		Targets: []grants.Target{{Name: "orders-prod", Engine: "postgres", Environment: "production"}},
		Now:     func() time.Time { return now }, LapseAfter: time.Hour, TakeWithin: time.Hour, MostPending: 100, FactsWithin: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ asked, want time.Time }{
		"ahead": {now.Add(26 * time.Hour), now.Add(26 * time.Hour)}, "passed": {now.Add(-time.Hour), time.Time{}}, "none": {},
	} {
		found, err := s.Instead(t.Context(), Request{
			State: Denied, Requester: Person{ID: "Uana"}, Target: "orders-prod", Engine: "postgres", Profile: "read-only", Duration: 8 * time.Hour,
			Reason: "release", StartsAt: c.asked,
		})
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v %v", name, found, err)
		}
		if got := found[0]; !got.StartsAt.Equal(c.want) || got.Duration != 2*time.Hour {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
