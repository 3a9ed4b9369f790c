package store_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/store"
)

// spending is an automatic approval of Ana's that draws on a budget of so many since noon.
func spending(grants int) approvals.Request {
	r := approvedRequest()
	r.Decision.Budget = &policy.Spend{Grants: grants, Since: noon}
	return r
}

// Sixteen at the same instant, over two replicas, each approved by a policy that saw none of the others.
func TestBudgetIsSpentOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	replicas := []*store.Store{b.Store, b.open(16)}
	const left = 5
	var approved, refused atomic.Int32
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range 16 {
		r := spending(left)
		wg.Go(func() {
			<-start
			_, created, err := replicas[i%2].CreateRequest(t.Context(), approvals.Change{
				Request: r, Events: []audit.Event{event(audit.RequestFiled, r.ID)}, Jobs: []jobs.Job{draw(r.ID)},
			})
			switch {
			case err == nil && created:
				approved.Add(1)
			case errors.Is(err, approvals.ErrBudget) && !created:
				refused.Add(1)
			default:
				t.Errorf("created %v, %v", created, err)
			}
		})
	}
	close(start)
	wg.Wait()
	if approved.Load() != left || refused.Load() != 16-left {
		t.Errorf("%d approved and %d refused, of a budget of %d", approved.Load(), refused.Load(), left)
	}
	for _, what := range []string{"requests", "audit_events", "river_job"} {
		if n := b.count(`SELECT count(*) FROM ` + what); n != left {
			t.Errorf("%d rows in %s: what was refused left something behind", n, what)
		}
	}
}

// What counts is the same person's automatic approvals by the same rule in the budget's time, and nothing else.
func TestBudgetCountsItsOwn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before func(b *bundle, r *approvals.Request)
		counts bool
	}{
		"the same":             {func(*bundle, *approvals.Request) {}, true},
		"at its first instant": {func(_ *bundle, r *approvals.Request) { r.FiledAt = noon }, true},
		"before its time":      {func(_ *bundle, r *approvals.Request) { r.FiledAt = noon.Add(-time.Microsecond) }, false},
		"before its time, to start in it": {func(_ *bundle, r *approvals.Request) {
			r.FiledAt, r.StartsAt = noon.Add(-29*24*time.Hour), noon.Add(40*24*time.Hour)
			r.LapsesAt = r.StartsAt.Add(time.Hour)
		}, true},
		"before its time, to start before it": {func(_ *bundle, r *approvals.Request) {
			r.FiledAt, r.StartsAt = noon.Add(-24*time.Hour), noon.Add(-time.Hour)
		}, false},
		"by another rule":       {func(_ *bundle, r *approvals.Request) { r.Decision.Rule = "another" }, false},
		"of somebody else":      {func(_ *bundle, r *approvals.Request) { r.Requester = bo }, false},
		"without a budget then": {func(_ *bundle, r *approvals.Request) { r.Decision.Budget = nil }, true},
		"not used": {func(_ *bundle, r *approvals.Request) {
			r.State, r.EndedAt, r.EndedBy = approvals.Cancelled, noon, ana
		}, true},
		"approved by people": {func(_ *bundle, r *approvals.Request) { r.Decision.Outcome = policy.NeedsApproval }, false},
		"denied": {func(_ *bundle, r *approvals.Request) {
			r.Decision.Outcome, r.State, r.ApprovedAt, r.EndedAt = policy.Denied, approvals.Denied, time.Time{}, noon
		}, false},
		"broken glass": {func(b *bundle, _ *approvals.Request) {
			r, review := glass(ana)
			r.Decision.Rule = spending(1).Decision.Rule
			if _, _, err := b.CreateRequest(b.t.Context(), approvals.Change{Request: r, Review: review}); err != nil {
				b.t.Fatal(err)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			earlier := spending(1)
			earlier.FiledAt = noon.Add(time.Minute)
			tc.before(b, &earlier)
			if name != "broken glass" {
				b.file(earlier)
			}
			r := spending(1)
			r.FiledAt = noon.Add(time.Hour)
			_, created, err := b.CreateRequest(t.Context(), approvals.Change{Request: r})
			if used := errors.Is(err, approvals.ErrBudget); used != tc.counts || used == created {
				t.Errorf("created %v, %v", created, err)
			}
		})
	}
}

// A delivery that comes again finds its request, though that request is what used the budget up.
func TestRedeliveryIsRecognisedBeforeTheBudget(t *testing.T) {
	t.Parallel()
	b := setup(t)
	replicas := []*store.Store{b.Store, b.open(8)}
	var wg sync.WaitGroup
	var created atomic.Int32
	for i := range 12 {
		r := spending(2)
		r.Key = fmt.Sprintf("delivery %d", i%2)
		wg.Go(func() {
			c, isNew, err := replicas[(i/2)%2].CreateRequest(t.Context(), approvals.Change{Request: r})
			if err != nil || c.Request.Key != r.Key {
				t.Errorf("%q came back as %q, %v", r.Key, c.Request.Key, err)
			}
			if isNew {
				created.Add(1)
			}
		})
	}
	wg.Wait()
	if created.Load() != 2 {
		t.Errorf("%d created of two deliveries", created.Load())
	}
}

// What needs people, or is denied, draws on nothing, whatever its decision carries.
func TestOnlyAutomaticApprovalsSpend(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := pending()
	r.Decision.Budget = &policy.Spend{Grants: 0, Since: noon}
	b.file(r)
	if _, _, err := b.CreateRequest(t.Context(), approvals.Change{Request: spending(0)}); !errors.Is(err, approvals.ErrBudget) {
		t.Errorf("of a budget of nothing: %v", err)
	}
}
