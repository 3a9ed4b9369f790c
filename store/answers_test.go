package store_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/store"
)

// standing counts the answers that nobody took back.
func standing(c approvals.Case) (n int) {
	for _, a := range c.Approvals {
		if a.WithdrawnAt.IsZero() {
			n++
		}
	}
	return n
}

// approveLess is somebody's yes to less than all; the least that anybody said is given.
func approveLess(c approvals.Case, by approvals.Person, less approvals.Less) approvals.Change {
	change := approve(c, by)
	change.Approvals[0].Less, change.Request.Less = &less, &less
	change.Request.State, change.Request.ApprovedAt = c.Request.State, time.Time{}
	if standing(c)+1 == c.Request.Decision.Approvals[0].Count {
		change.Request.State, change.Request.ApprovedAt = approvals.Approved, noon.Add(time.Minute)
	}
	return change
}

func withdraw(c approvals.Case, by approvals.Person) approvals.Change {
	c.Request.Less = nil
	return approvals.Change{
		Request: c.Request, Withdrawn: []string{by.ID}, WithdrawnAt: noon.Add(2*time.Minute + time.Nanosecond),
		Events: []audit.Event{event(audit.RequestWithdrawn, c.Request.ID)}, Jobs: []jobs.Job{draw(c.Request.ID)},
	}
}

func TestAnswersAreReadAsTheyWereGiven(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.file(pending()).Request.ID
	less := approvals.Less{Duration: 10*time.Minute + time.Nanosecond, Profile: "support\x00"}
	kept := approvals.Less{Duration: 10 * time.Minute, Profile: "support\uFFFD"}
	c := b.change(id, func(c approvals.Case) approvals.Change { return approveLess(c, bo, less) })
	if c.Request.Less == nil || *c.Request.Less != kept || *c.Approvals[0].Less != kept || c.Request.Length() != 10*time.Minute {
		t.Errorf("to less: %+v, %+v", c.Request.Less, c.Approvals)
	}
	c = b.change(id, func(c approvals.Case) approvals.Change {
		c.Request.Less.Profile, c.Approvals[0].Less.Profile = "ddl", "ddl" // of the function's own copy
		change := withdraw(c, bo)
		change.Request.Reminders, change.Request.Escalated, change.Request.EscalatedAt = 2, 1, noon.Add(time.Nanosecond)
		return change
	})
	want := approvals.Approval{
		By: bo, Verdict: approvals.Yes, At: noon.Add(time.Minute), Fills: []int{0}, Less: &kept, WithdrawnAt: noon.Add(2 * time.Minute),
	}
	if diff := cmp.Diff([]approvals.Approval{want}, c.Approvals); diff != "" || c.Request.Less != nil {
		t.Errorf("taken back, and to %+v still:\n%s", c.Request.Less, diff)
	}
	if r := c.Request; r.Reminders != 2 || r.Escalated != 1 || !r.EscalatedAt.Equal(noon) {
		t.Errorf("reminded %d times, escalated %d times at %v", r.Reminders, r.Escalated, r.EscalatedAt)
	}
	b.change(id, func(c approvals.Case) approvals.Change { return approveLess(c, bo, approvals.Less{}) })
	b.change(id, func(c approvals.Case) approvals.Change { // and again, later: the first time stays what it was
		change := withdraw(c, bo)
		change.WithdrawnAt = noon.Add(time.Hour)
		return change
	})
	b.change(id, func(c approvals.Case) approvals.Change { // he may answer again, and to another less
		return approveLess(c, bo, approvals.Less{Profile: "support"})
	})
	c = b.change(id, func(c approvals.Case) approvals.Change { return approveLess(c, cy, approvals.Less{Profile: "support"}) })
	if len(c.Approvals) != 4 || standing(c) != 2 || c.Request.State != approvals.Approved {
		t.Errorf("%s after %+v", c.Request.State, c.Approvals)
	}
	if c.Request.Access() != "support" || c.Request.Length() != 30*time.Minute || c.Request.Profile != "read-only" {
		t.Errorf("given %s for %s", c.Request.Access(), c.Request.Length())
	}
	if n := b.count(`SELECT count(*) FROM audit_events WHERE kind = 'request.withdrawn'`); n != 2 {
		t.Errorf("recorded %d times", n)
	}
}

// What only comes while a request waits is not there when it is filed, whatever a caller says.
func TestNewRequestHasNoPast(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := pending()
	r.Less, r.Reminders, r.Escalated, r.EscalatedAt = &approvals.Less{Profile: "support"}, 3, 2, noon
	filed := b.file(r)
	read, err := b.Case(t.Context(), r.ID)
	if diff := cmp.Diff(filed, read); err != nil || diff != "" || read.Request.Less != nil || read.Request.Reminders+read.Request.Escalated != 0 {
		t.Errorf("%v: %+v\n%s", err, read.Request, diff)
	}
}

func TestOnlyWhatStandsIsTakenBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.file(pending()).Request.ID
	b.change(id, func(c approvals.Case) approvals.Change { return approve(c, bo) })
	try := func(change func(approvals.Case) approvals.Change) error {
		_, err := b.ChangeCase(t.Context(), id, func(c approvals.Case) (approvals.Change, error) { return change(c), nil })
		return err
	}
	if err := try(func(c approvals.Case) approvals.Change { return withdraw(c, cy) }); err == nil || !strings.Contains(err.Error(), cy.ID) {
		t.Errorf("who never answered: %v", err)
	}
	err := try(func(c approvals.Case) approvals.Change {
		change := withdraw(c, bo)
		change.WithdrawnAt = time.Time{}
		return change
	})
	if err == nil {
		t.Error("nobody knows when")
	}
	b.change(id, func(c approvals.Case) approvals.Change { return withdraw(c, bo) })
	if err := try(func(c approvals.Case) approvals.Change { return withdraw(c, bo) }); err == nil {
		t.Error("taken back twice")
	}
	if n := b.count(`SELECT count(*) FROM audit_events WHERE kind = 'request.withdrawn'`); n != 1 {
		t.Errorf("recorded %d times", n)
	}
}

// A yes that is taken back while another one comes in, on two replicas, again and again: either the quorum was met and the
// taking back came too late, or it was not met. Never is a request approved by fewer than it needs.
func TestWithdrawalAgainstTheLastApproval(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.open(8)
	errLate := errors.New("too late")
	var approved, withdrawn int
	for range 60 {
		id := b.file(pending()).Request.ID
		b.change(id, func(c approvals.Case) approvals.Change { return approve(c, bo) })
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := b.ChangeCase(t.Context(), id, func(c approvals.Case) (approvals.Change, error) {
				if c.Request.State != approvals.Pending {
					return approvals.Change{}, errLate
				}
				return withdraw(c, bo), nil
			})
			if err != nil && !errors.Is(err, errLate) {
				t.Error(err)
			}
		})
		wg.Go(func() {
			_, err := other.ChangeCase(t.Context(), id, func(c approvals.Case) (approvals.Change, error) {
				change := approve(c, cy)
				change.Request.State, change.Request.ApprovedAt = approvals.Pending, time.Time{}
				if standing(c) == 1 {
					change.Request.State, change.Request.ApprovedAt = approvals.Approved, noon
				}
				return change, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		c, err := b.Case(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case c.Request.State == approvals.Approved && standing(c) == 2:
			approved++
		case c.Request.State == approvals.Pending && standing(c) == 1:
			withdrawn++
		default:
			t.Fatalf("%s with %d answers that stand", c.Request.State, standing(c))
		}
	}
	t.Logf("%d approved, %d taken back", approved, withdrawn)
}

// The binary of before counts every answer. What was taken back must not be part of a quorum all the same.
func TestOldReplicaCannotCountWhatWasTakenBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.file(pending()).Request.ID
	b.change(id, func(c approvals.Case) approvals.Change { return approve(c, bo) })
	b.change(id, func(c approvals.Case) approvals.Change { return withdraw(c, bo) })
	_, err := b.ChangeCase(t.Context(), id, func(c approvals.Case) (approvals.Change, error) { return approve(c, cy), nil })
	if err == nil || !strings.Contains(err.Error(), "1 of 2 approvals stand") {
		t.Fatalf("approved by one of two: %v", err)
	}
	if c, err := b.Case(t.Context(), id); err != nil || c.Request.State != approvals.Pending || len(c.Approvals) != 1 {
		t.Errorf("left behind: %v, %+v", err, c)
	}
}

// What the schema refuses during COMMIT is one change's fault; those that were written with it are written all the same.
func TestRefusalAtCommitHitsItsOwnOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const others = 12
	for range 5 {
		bad := b.file(pending()).Request.ID
		var ids []string
		for range others {
			ids = append(ids, b.file(pending()).Request.ID)
		}
		var wg sync.WaitGroup
		for _, id := range append(ids, bad) {
			wg.Go(func() {
				_, err := b.ChangeCase(t.Context(), id, func(c approvals.Case) (approvals.Change, error) {
					change := approve(c, bo)
					if id == bad {
						change.Request.State, change.Request.ApprovedAt = approvals.Approved, noon
					}
					return change, nil
				})
				if (err != nil) != (id == bad) {
					t.Errorf("bad is %v: %v", id == bad, err)
				}
			})
		}
		wg.Wait()
	}
	if n := b.count(`SELECT count(*) FROM approvals`); n != 5*others {
		t.Errorf("%d answers", n)
	}
}

func TestParamsOfAGrantAreKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.file(approvedRequest()).Request
	params := []grants.Param{{Name: "customer_id", Type: "bigint", Value: "7"}, {Name: "note", Type: "text", Value: "a\x00b"}}
	c := b.change(r.ID, func(c approvals.Case) approvals.Change {
		c.Request.State = approvals.Activated
		g := intent(c.Request, noon.Add(time.Hour))
		g.Params, g.Extensions = params, 7 // nobody has extended what is not there yet
		return approvals.Change{Request: c.Request, Grant: g}
	})
	want := []grants.Param{params[0], {Name: "note", Type: "text", Value: "a\uFFFDb"}}
	if diff := cmp.Diff(want, c.Grant.Params); diff != "" || c.Grant.Extensions != 0 {
		t.Errorf("%d extensions, and\n%s", c.Grant.Extensions, diff)
	}
	for _, st := range []*store.Store{b.Store, b.open(2)} {
		g, err := st.ChangeGrant(t.Context(), c.Grant.ID, func(g grants.Grant) (grants.Change, error) {
			g.Extensions++
			g.Deadline = g.Deadline.Add(time.Minute)
			return grants.Change{Grant: g}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if read, err := st.Grant(t.Context(), g.ID); err != nil || cmp.Diff(g, read) != "" || cmp.Diff(want, read.Params) != "" {
			t.Errorf("%v\n%s", err, cmp.Diff(g, read))
		}
	}
	if g, err := b.Grant(t.Context(), c.Grant.ID); err != nil || g.Extensions != 2 {
		t.Errorf("%d extensions of two, %v", g.Extensions, err)
	}
	_, err := b.ChangeGrant(t.Context(), c.Grant.ID, func(g grants.Grant) (grants.Change, error) {
		g.Params[0].Value = "8"
		return grants.Change{Grant: g}, nil
	})
	if err == nil || !strings.Contains(err.Error(), "cannot change") {
		t.Errorf("another customer: %v", err)
	}
}
