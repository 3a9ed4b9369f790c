package grants_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
)

// counted is a store that counts how often it is asked for the next deadline.
type counted struct {
	grants.Store
	asked atomic.Int64
}

func (c *counted) NextDeadline(ctx context.Context) (time.Time, error) {
	c.asked.Add(1)
	return c.Store.NextDeadline(ctx)
}

// A due grant that somebody else holds is looked at again and again, but not as often as the store can answer.
func TestADueGrantThatSomebodyElseHoldsIsNotAskedForWithoutPause(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, _ := b.issue(30 * time.Second)
	holder, err := pgx.Connect(t.Context(), b.owner)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close(context.WithoutCancel(t.Context()))
	tx, err := holder.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM grants WHERE id = $1 FOR UPDATE`, g.ID); err != nil {
		t.Fatal(err)
	}
	st := &counted{Store: b.store}
	b.clock.advance(time.Minute)
	reaper := grants.NewReaper(b.serve(st, b.driver))
	reaper.Start()
	defer reaper.Stop()
	for limit := time.Now().Add(30 * time.Second); st.asked.Load() < 4; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("the due grant is not asked for")
		}
	}
	// What is counted is passes in the time that went by, however long a slow machine makes of it.
	before, begun := st.asked.Load(), time.Now()
	time.Sleep(500 * time.Millisecond)
	n, look := st.asked.Load()-before, time.Since(begun)
	if n > 2*int64(look/(20*time.Millisecond)) {
		t.Errorf("asked %d times in %s", n, look)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.awaits(g.ID, grants.Revoked)
}
