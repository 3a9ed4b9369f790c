package grants_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

// halfway is a driver with a node that is down: it locks and kills, and fails nevertheless.
type halfway struct {
	grants.Driver
	down  atomic.Bool
	tries atomic.Int64
}

func (h *halfway) Secure(ctx context.Context, login grants.Login) (grants.Secured, error) {
	defer h.tries.Add(1)
	done, err := h.Driver.Secure(ctx, login)
	if err == nil && h.down.Load() {
		return done, unreachable()
	}
	return done, err
}

// receipted waits for the end of a grant and looks at what its receipt says was done.
func (b *bundle) receipted(id string, killed int, lockedBy time.Time) {
	b.t.Helper()
	g := b.awaits(id, grants.Revoked)
	if g.Receipt.Killed != killed || g.Receipt.LockedAt.IsZero() || g.Receipt.LockedAt.After(lockedBy) {
		b.t.Errorf("%d sessions killed, locked at %s, not %d by %s", g.Receipt.Killed, g.Receipt.LockedAt, killed, lockedBy)
	}
	events, err := b.store.Events(b.t.Context(), audit.Filter{Grant: id, Kind: audit.GrantSecured, Limit: 10})
	if err != nil || len(events) != 1 || events[0].Detail["sessions_killed"] != string(rune('0'+killed)) {
		b.t.Errorf("the event says %+v, %v", events, err)
	}
}

// tried waits until a step of a grant's revocation was tried and failed.
func (b *bundle) tried(id string) {
	b.t.Helper()
	for limit := time.Now().Add(30 * time.Second); b.read(id).Attempts == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			b.t.Fatalf("no step of grant %s was tried", id)
		}
	}
}

// A try that fails because one node is down has locked the login and ended its sessions on the others. The receipt says so,
// and which instant that was.
func TestTheReceiptCountsWhatFailedTriesDid(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := &halfway{Driver: b.driver.Driver}
	s := b.serve(b.store, h)
	g, c := b.issue(time.Hour)
	for range 2 {
		if _, err := b.connect(c); err != nil {
			t.Fatal(err)
		}
	}
	h.down.Store(true)
	if _, err := s.End(t.Context(), g.ID, grants.Ending{Cause: grants.Released, By: audit.System("test")}); err != nil {
		t.Fatal(err)
	}
	b.tried(g.ID)
	locked := time.Now()
	if now := b.read(g.ID); now.State != grants.Revoking || !now.SecuredAt.IsZero() || now.Receipt == nil || now.Receipt.Killed != 2 {
		t.Errorf("after a failed try: %s, %+v", now.State, now.Receipt)
	}
	// The replica is gone; the one that goes on reads what it did.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
	h.down.Store(false)
	if _, err := b.serve(b.store, h).Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.receipted(g.ID, 2, locked)
}

// What could not be written down, because the store was away, is when it is back; and so is what the sentinel did.
func TestTheReceiptCountsWhatWasDoneWhileTheStoreWasAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, c := b.issue(time.Minute)
	other, d := b.issue(time.Minute)
	for _, c := range []grants.Credential{c, d, d} {
		if _, err := b.connect(c); err != nil {
			t.Fatal(err)
		}
	}
	h := &halfway{Driver: b.driver.Driver}
	guard := b.serve(b.absent, h)
	reaper := grants.NewReaper(guard)
	if _, err := reaper.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.absent.away.Store(true)
	b.clock.advance(time.Minute)
	for limit := time.Now().Add(30 * time.Second); guard.Finds() < 2; _, _ = reaper.RunOnce(t.Context()) {
		if time.Now().After(limit) {
			t.Fatalf("%d of 2 grants were locked out by heart", guard.Finds())
		}
	}
	locked := time.Now()
	b.absent.away.Store(false)
	// Another replica takes one of them before this one is there: it finds nothing to kill, and has written that down.
	h.down.Store(true)
	elsewhere := b.serve(b.store, h)
	if _, err := elsewhere.End(t.Context(), other.ID, grants.Ending{Cause: grants.Withdrawn, By: audit.System("test")}); err != nil {
		t.Fatal(err)
	}
	b.tried(other.ID)
	b.clock.advance(10 * time.Second)
	if _, err := reaper.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.down.Store(false)
	b.receipted(g.ID, 1, locked)
	b.receipted(other.ID, 2, locked)
}
