package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// attempt is a change that counts itself, with an event and a job.
func attempt(g grants.Grant) (grants.Change, error) {
	g.Attempts++
	return grants.Change{Grant: g, Events: []audit.Event{event(audit.GrantFailed, g.Request)}, Jobs: []jobs.Job{draw(g.Request)}}, nil
}

// TestChangesAtTheSameTimeKeepTheirOwnOutcome lets many change many grants at once, each grant several times: every change
// happens once, and one that is refused, finds nothing or panics spoils no other.
func TestChangesAtTheSameTimeKeepTheirOwnOutcome(t *testing.T) {
	t.Parallel()
	s := setup(t)
	no := errors.New("no")
	const many, times = 20, 4
	ids := make([]string, many)
	for i := range ids {
		ids[i] = s.active(noon.Add(time.Hour)).ID
	}
	var all sync.WaitGroup
	for i := range many * times {
		id := ids[i%many]
		all.Go(func() {
			if g, err := s.ChangeGrant(t.Context(), id, attempt); err != nil || g.Attempts == 0 {
				t.Errorf("%d attempts, %v", g.Attempts, err)
			}
		})
		all.Go(func() {
			_, err := s.ChangeGrant(t.Context(), id, func(g grants.Grant) (grants.Change, error) {
				e := event(audit.GrantEnding, g.Request)
				e.Refused = true
				return grants.Change{Events: []audit.Event{e}}, no
			})
			if !errors.Is(err, no) {
				t.Errorf("a refusal became %v", err)
			}
		})
		all.Go(func() {
			if _, err := s.ChangeGrant(t.Context(), fmt.Sprintf("none%d", i), attempt); !errors.Is(err, grants.ErrNotFound) {
				t.Errorf("a grant that is not there gave %v", err)
			}
		})
		all.Go(func() {
			defer func() {
				if recover() == nil {
					t.Error("a panic did not reach whoever asked")
				}
			}()
			_, _ = s.ChangeGrant(t.Context(), id, func(grants.Grant) (grants.Change, error) { panic("a defect") })
		})
	}
	all.Wait()
	for _, id := range ids {
		g, err := s.Grant(t.Context(), id)
		if err != nil || g.Attempts != times {
			t.Errorf("grant %s was changed %d times, %v", id, g.Attempts, err)
		}
	}
	for what, want := range map[string]int{
		`SELECT count(*) FROM audit_events WHERE kind = 'grant.failed'`:                                           many * times,
		`SELECT count(*) FROM audit_events WHERE kind = 'grant.ending' AND refused`:                               many * times,
		`SELECT count(DISTINCT (args->>'subject', args->>'version')) FROM river_job WHERE args->>'work' = 'draw'`: s.count(`SELECT count(*) FROM river_job WHERE args->>'work' = 'draw'`),
	} {
		if got := s.count(what); got != want {
			t.Errorf("%s: %d instead of %d", what, got, want)
		}
	}
}

// TestALockedGrantHoldsUpNoOther keeps one row locked: its change waits, others at the same moment do not.
func TestALockedGrantHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	s := setup(t)
	held, free := s.active(noon.Add(time.Hour)), s.active(noon.Add(time.Hour))
	conn, err := pgx.Connect(t.Context(), s.owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), `BEGIN; SELECT FROM grants WHERE id = '`+held.ID+`' FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() {
		_, err := s.ChangeGrant(t.Context(), held.ID, attempt)
		waited <- err
	}()
	for range 10 {
		if _, err := s.ChangeGrant(t.Context(), free.ID, attempt); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-waited:
		t.Fatalf("the change of a locked grant did not wait: %v", err)
	default:
	}
	if _, err := conn.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
}

// TestWhoeverGaveUpChangesNothing cancels changes while they wait: what was not decided by then is never run.
func TestWhoeverGaveUpChangesNothing(t *testing.T) {
	t.Parallel()
	s := setup(t)
	g := s.active(noon.Add(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.ChangeGrant(ctx, g.ID, attempt); !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled change gave %v", err)
	}
	if _, err := s.ChangeGrant(t.Context(), g.ID, attempt); err != nil {
		t.Fatal(err)
	}
	if now, err := s.Grant(t.Context(), g.ID); err != nil || now.Attempts > 2 || now.Attempts < 1 {
		t.Fatalf("%d attempts, %v", now.Attempts, err)
	}
}
