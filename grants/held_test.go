package grants_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

// counted is a store that counts how often it is asked for the next deadline, and which deadlines are near.
type counted struct {
	grants.Store
	asked, looked atomic.Int64
}

func (c *counted) Upcoming(ctx context.Context, before time.Time, limit int) ([]grants.Grant, error) {
	defer c.looked.Add(1)
	return c.Store.Upcoming(ctx, before, limit)
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

// hold keeps the row of a grant locked, as a replica does that froze in the middle of a change.
func (b *bundle) hold(id string) (letGo func()) {
	b.t.Helper()
	holder, err := pgx.Connect(b.t.Context(), b.owner)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = holder.Close(context.WithoutCancel(b.t.Context())) })
	if _, err := holder.Exec(b.t.Context(), `BEGIN; SELECT FROM grants WHERE id = '`+id+`' FOR UPDATE`); err != nil {
		b.t.Fatal(err)
	}
	return func() {
		b.t.Helper()
		if _, err := holder.Exec(b.t.Context(), `ROLLBACK`); err != nil {
			b.t.Error(err)
		}
	}
}

// Whoever holds the row of a grant keeps it from being written down that it ended, and not from ending.
func TestAGrantThatSomebodyHoldsIsLockedOutAllTheSame(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, c := b.issue(time.Minute)
	session, err := b.connect(c)
	if err != nil {
		t.Fatal(err)
	}
	later, d := b.issue(time.Hour)
	letGo := b.hold(g.ID)
	letGoLater := b.hold(later.ID)
	defer letGoLater()
	st := &counted{Store: b.store}
	reaper := grants.NewReaper(b.serve(st, b.driver))
	b.clock.advance(time.Minute)
	begun := time.Now()
	reaper.Start()
	defer reaper.Stop()
	for {
		if _, err := session.Exec(t.Context(), `SELECT pg_sleep(0.02)`); err != nil {
			break
		}
		if time.Since(begun) > 20*time.Second {
			t.Fatal("the session outlived its deadline")
		}
	}
	t.Logf("locked out after %s", time.Since(begun))
	if time.Since(begun) < time.Second {
		t.Error("somebody who only holds it for a moment is overtaken")
	}
	if _, err := b.connect(c); err == nil {
		t.Error("the login still works")
	}
	// It is looked for what is held again, twice to the end, and found to be dealt with.
	for before := st.looked.Load(); st.looked.Load() < before+3; time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("nobody looks what is held any more")
		}
	}
	if n := b.driver.called("secure"); n != 1 {
		t.Errorf("locked out %d times", n)
	}
	if _, err := b.connect(d); err != nil {
		t.Errorf("a grant that is not due is locked out: %v", err)
	}
	letGo()
	b.awaits(g.ID, grants.Revoked)
}

// hanging is a store of which some methods do not answer: taking what is due, or changing and reading a grant.
type hanging struct {
	grants.Store
	hangs, changeHangs, readHangs atomic.Bool
}

func (h *hanging) ChangeGrant(ctx context.Context, id string, change func(grants.Grant) (grants.Change, error)) (grants.Grant, error) {
	if h.changeHangs.Load() {
		<-ctx.Done()
		return grants.Grant{}, ctx.Err()
	}
	return h.Store.ChangeGrant(ctx, id, change)
}

func (h *hanging) Grant(ctx context.Context, id string) (grants.Grant, error) {
	if h.readHangs.Load() {
		<-ctx.Done()
		return grants.Grant{}, ctx.Err()
	}
	return h.Store.Grant(ctx, id)
}

func (h *hanging) TakeDue(ctx context.Context, now time.Time, limit int, change func(grants.Grant) grants.Change) ([]grants.Grant, error) {
	if h.hangs.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return h.Store.TakeDue(ctx, now, limit, change)
}

// A store that hangs in the middle of a pass delays a deadline by a moment, not by as long as a pass may take.
func TestAStoreThatHangsInTheMiddleOfAPass(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, c := b.issue(time.Minute)
	session, err := b.connect(c)
	if err != nil {
		t.Fatal(err)
	}
	st := &hanging{Store: b.store}
	reaper := grants.NewReaper(b.serve(st, b.driver))
	if _, err := reaper.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.hangs.Store(true)
	b.clock.advance(time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	begun := time.Now()
	go func() {
		defer close(ended)
		_, _ = reaper.RunOnce(ctx)
	}()
	for {
		if _, err := session.Exec(t.Context(), `SELECT pg_sleep(0.02)`); err != nil {
			break
		}
	}
	if late := time.Since(begun); late > 10*time.Second {
		t.Errorf("locked out after %s", late)
	}
	cancel()
	<-ended
}

// untakeable is a store that hands out nothing that is due, and does not take one grant's alarm.
type untakeable struct {
	grants.Store
	grant string
}

func (u *untakeable) TakeDue(context.Context, time.Time, int, func(grants.Grant) grants.Change) ([]grants.Grant, error) {
	return nil, errAway
}

func (u *untakeable) ChangeGrant(ctx context.Context, id string, change func(grants.Grant) (grants.Change, error)) (grants.Grant, error) {
	if id == u.grant {
		return grants.Grant{}, errAway
	}
	return u.Store.ChangeGrant(ctx, id, change)
}

// Neither what is due and cannot be taken nor what cannot be written silences the alarm of others; and nobody waits long for
// the row of one.
func TestOneGrantSilencesNoAlarm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.driver.fail("secure", false, unreachable)
	var overdue []grants.Grant
	for i := range 4 {
		g, _ := b.issue(time.Minute + time.Duration(i)*time.Millisecond)
		overdue = append(overdue, g)
	}
	b.clock.advance(2 * time.Minute)
	letGo := b.hold(overdue[1].ID)
	begun := time.Now()
	got, err := grants.NewReaper(b.serve(&untakeable{Store: b.store, grant: overdue[0].ID}, b.driver)).RunOnce(t.Context())
	if err == nil || got.Alarmed != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("a pass waited %s for a row", took)
	}
	letGo()
	for i, want := range []int{0, 0, 1, 1} {
		if n := b.events(audit.GrantOverdue, overdue[i].ID); n != want {
			t.Errorf("grant %d was shouted about %d times", i, n)
		}
	}
	b.driver.heal()
}

// speechless is a store in which the alarm of one grant cannot be written, for as long as the test likes.
type speechless struct {
	grants.Store
	grant        string
	asked, spoke chan struct{}
}

func (s *speechless) ChangeGrant(ctx context.Context, id string, change func(grants.Grant) (grants.Change, error)) (grants.Grant, error) {
	if id == s.grant {
		select {
		case s.asked <- struct{}{}:
		default:
		}
		<-s.spoke
	}
	return s.Store.ChangeGrant(ctx, id, change)
}

// An alarm that cannot be written, because somebody holds its grant, is no reason to be late with the end of another.
func TestAnAlarmThatWaitsDelaysNoDeadline(t *testing.T) {
	t.Parallel()
	b := setup(t)
	overdue, _ := b.issue(time.Minute)
	due, _ := b.issue(10 * time.Minute)
	letGo := b.hold(overdue.ID)
	b.clock.advance(3 * time.Minute)
	st := &speechless{Store: b.store, grant: overdue.ID, asked: make(chan struct{}, 1), spoke: make(chan struct{})}
	reaper := grants.NewReaper(b.serve(st, b.driver))
	reaper.Start()
	defer reaper.Stop()
	defer close(st.spoke)
	<-st.asked
	b.clock.advance(8 * time.Minute)
	b.awaits(due.ID, grants.Revoked)
	letGo()
}

// revoking are grants of which another replica committed the end, and did nothing more.
func (b *bundle) revoking(n int) (list []grants.Grant) {
	b.t.Helper()
	for range n {
		g, _ := b.issue(time.Hour)
		g, err := b.store.ChangeGrant(b.t.Context(), g.ID, func(g grants.Grant) (grants.Change, error) {
			g.State, g.Cause, g.EndingAt, g.EndedBy = grants.Revoking, grants.Released, b.clock.now(), audit.System("test")
			return grants.Change{Grant: g}, nil
		})
		if err != nil {
			b.t.Fatal(err)
		}
		list = append(list, g)
	}
	return list
}

// tries waits until a step was tried so often, but not for longer than patience.
func (b *bundle) tries(step string, want int, patience time.Duration) {
	b.t.Helper()
	for begun := time.Now(); b.driver.called(step) < want; time.Sleep(time.Millisecond) {
		if time.Since(begun) > patience {
			b.t.Fatalf("%s was tried %d times within %s, not %d", step, b.driver.called(step), patience, want)
		}
	}
}

// What was done and cannot be written down, because the store hangs, holds no place in the lane of the target.
func TestAStoreThatHangsKeepsNobodyFromBeingLockedOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	st := &hanging{Store: b.store}
	s := b.serve(st, b.driver)
	list := b.revoking(9) // twice what may be taken back at once, and one
	st.changeHangs.Store(true)
	if _, err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.tries("secure", 9, 4*time.Second)
	st.changeHangs.Store(false)
	for _, g := range list {
		b.awaits(g.ID, grants.Revoked)
	}
}

// A step that failed is tried again although the store does not say what became of the grant.
func TestAFailedStepIsTriedAgainWhileTheStoreHangs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	st := &hanging{Store: b.store}
	s := b.serve(st, b.driver)
	g := b.revoking(1)[0]
	b.driver.fail("secure", false, unreachable)
	st.readHangs.Store(true)
	if _, err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.tries("secure", 2, grants.MaxSecurityPause)
	b.driver.heal()
	st.readHangs.Store(false)
	b.awaits(g.ID, grants.Revoked)
}
