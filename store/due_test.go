package store_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

func TestFourReapersTakeEveryDueGrantOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const many = 60
	due := noon.Add(10 * time.Minute)
	for range many {
		b.active(due)
	}
	later := b.active(due.Add(time.Second))
	if next, err := b.NextDeadline(t.Context()); err != nil || !next.Equal(due) {
		t.Errorf("next deadline %v, %v", next, err)
	}
	var mu sync.Mutex
	var taken []string
	var wg sync.WaitGroup
	for range 4 {
		reaper := b.open(2)
		wg.Go(func() {
			for {
				got, err := reaper.TakeDue(t.Context(), due, 7, func(g grants.Grant) grants.Change { return end(g, due, grants.Expired) })
				if err != nil {
					t.Error(err)
					return
				}
				if len(got) == 0 {
					return // what others hold now they finish
				}
				mu.Lock()
				for _, g := range got {
					if g.State != grants.Revoking {
						t.Errorf("took a grant that is %s", g.State)
					}
					taken = append(taken, g.ID)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(taken)
	if len(slices.Compact(slices.Clone(taken))) != many || len(taken) != many {
		t.Errorf("%d taken, %d of them distinct, of %d", len(taken), len(slices.Compact(taken)), many)
	}
	if n := b.count(`SELECT count(*) FROM river_job WHERE args->>'work' = 'revoke' AND queue = 'security'`); n != many {
		t.Errorf("%d revocations for %d grants", n, many)
	}
	if n := b.count(`SELECT count(*) FROM audit_events WHERE kind = 'grant.ending'`); n != many {
		t.Errorf("%d events for %d grants", n, many)
	}
	if next, err := b.NextDeadline(t.Context()); err != nil || !next.Equal(later.Deadline) {
		t.Errorf("next deadline %v, %v", next, err)
	}
}

func TestOneBadGrantDoesNotKeepOthersAlive(t *testing.T) {
	t.Parallel()
	b := setup(t)
	due := noon.Add(10 * time.Minute)
	bad, good, better := b.active(due), b.active(due), b.active(due)
	take := func() []grants.Grant {
		t.Helper()
		taken, err := b.TakeDue(t.Context(), due, 10, func(g grants.Grant) grants.Change {
			change := end(g, due, grants.Expired)
			if g.ID == bad.ID {
				change.Grant.Cause = "a defect"
			}
			return change
		})
		if (err == nil) != (len(taken) > 0) {
			t.Errorf("took %d: %v", len(taken), err)
		}
		return taken
	}
	taken := take()
	if len(taken) != 2 {
		t.Fatalf("took %d of the two that can end", len(taken))
	}
	for _, g := range []grants.Grant{good, better} {
		if after, err := b.Grant(t.Context(), g.ID); err != nil || after.State != grants.Revoking {
			t.Errorf("%s is %s, %v", g.ID, after.State, err)
		}
	}
	if n := b.count(`SELECT count(*) FROM river_job WHERE args->>'work' = 'revoke'`); n != 2 {
		t.Errorf("%d revocations", n)
	}
	if taken := take(); len(taken) != 0 { // and the failure is not hidden when it is alone
		t.Errorf("took %v", taken)
	}
}

// Somebody holds the row of one due grant, and somebody the request of another. Neither is waited for; both end when they
// are let go.
func TestALockedRowDelaysNoOtherDeadline(t *testing.T) {
	t.Parallel()
	b := setup(t)
	due := noon.Add(10 * time.Minute)
	held, asked, free := b.active(due), b.active(due), b.active(due)
	letGo := b.lock(`SELECT FROM grants WHERE id = $1 FOR UPDATE`, held.ID)
	letGoToo := b.lock(`SELECT FROM requests WHERE id = $1 FOR UPDATE`, asked.Request)
	take := func() (ids []string) {
		t.Helper()
		begun := time.Now()
		taken, err := b.TakeDue(t.Context(), due, 10, func(g grants.Grant) grants.Change { return end(g, due, grants.Expired) })
		if err != nil || time.Since(begun) > 2*time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		for _, g := range taken {
			ids = append(ids, g.ID)
			// Every change of a grant counts in its request, too: cards are drawn from both.
			if n := b.count(`SELECT count(*) FROM river_job AS j JOIN requests AS r ON r.id = j.args->>'subject'
				WHERE j.args->>'work' = 'draw' AND (j.args->>'version')::bigint = r.version AND r.id = $1`, g.Request); n != 1 {
				t.Errorf("%d cards are to be drawn from the newest state of %s", n, g.Request)
			}
		}
		slices.Sort(ids)
		return ids
	}
	if got := take(); !slices.Equal(got, []string{free.ID}) {
		t.Errorf("took %v, free is %s", got, free.ID)
	}
	letGo()
	letGoToo()
	want := []string{held.ID, asked.ID}
	slices.Sort(want)
	if got := take(); !slices.Equal(got, want) {
		t.Errorf("took %v, let go were %v", got, want)
	}
}

func TestUnfinishedAndOverdue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if next, err := b.NextDeadline(t.Context()); err != nil || !next.IsZero() {
		t.Errorf("a deadline without a grant: %v, %v", next, err)
	}
	provisioning := b.provisioned(noon.Add(time.Minute))
	running := b.active(noon.Add(time.Hour))
	ended := b.active(noon.Add(time.Hour))
	change := func(g grants.Grant, with func(*grants.Grant)) {
		t.Helper()
		if _, err := b.ChangeGrant(t.Context(), g.ID, func(g grants.Grant) (grants.Change, error) {
			with(&g)
			return grants.Change{Grant: g}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	overdue := func(at time.Time) (ids []string) {
		t.Helper()
		found, err := b.Overdue(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range found {
			ids = append(ids, g.ID)
		}
		return ids
	}
	change(ended, func(g *grants.Grant) { *g = end(*g, noon.Add(2*time.Minute), grants.Released).Grant })
	if got := overdue(noon.Add(3 * time.Minute)); !slices.Equal(got, []string{provisioning.ID, ended.ID}) {
		t.Errorf("overdue after its end, not only after its deadline: %v", got)
	}
	change(provisioning, func(g *grants.Grant) { g.AlarmedAt = noon.Add(3 * time.Minute) })
	change(ended, func(g *grants.Grant) {
		g.State, g.SecuredAt, g.Receipt = grants.Cleanup, noon.Add(4*time.Minute), &grants.Receipt{Login: g.Login}
	})
	if got := overdue(noon.Add(3 * time.Minute)); len(got) != 0 {
		t.Errorf("overdue though alarmed about, or secured: %v", got)
	}
	unfinished := func() (ids []string) {
		t.Helper()
		found, err := b.Unfinished(t.Context(), "orders-prod")
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range found {
			ids = append(ids, g.ID)
		}
		return ids
	}
	if got := unfinished(); !slices.Equal(got, []string{provisioning.ID, running.ID, ended.ID}) {
		t.Errorf("unfinished: %v", got)
	}
	change(ended, func(g *grants.Grant) { g.State, g.EndedAt = grants.Revoked, noon.Add(5*time.Minute) })
	if got := unfinished(); !slices.Equal(got, []string{provisioning.ID, running.ID}) {
		t.Errorf("unfinished after one was revoked: %v", got)
	}
}
