package grants_test

import (
	"context"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// readOnly is a store that can be read and not written, as when its disk is full or a standby answers in its place.
type readOnly struct{ grants.Store }

func (*readOnly) TakeDue(context.Context, time.Time, int, func(grants.Grant) grants.Change) ([]grants.Grant, error) {
	return nil, errAway
}

func (*readOnly) ChangeGrant(context.Context, string, func(grants.Grant) (grants.Change, error)) (grants.Grant, error) {
	return grants.Grant{}, errAway
}

// However long the store cannot be written: what it tells of later deadlines is learned.
func TestDeadlinesAreLearnedFromAStoreThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, _ := b.issue(30 * time.Second)
	_, c := b.issue(time.Hour)
	session, err := b.connect(c)
	if err != nil {
		t.Fatal(err)
	}
	reaper := grants.NewReaper(b.serve(&readOnly{Store: b.store}, b.driver))
	if _, err := reaper.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.clock.advance(time.Minute) // the first is due, and nothing is written down from now on
	if _, err := reaper.RunOnce(t.Context()); err == nil {
		t.Fatal("a pass succeeded on a store that cannot be written")
	}
	b.clock.advance(50 * time.Minute) // the second is near
	_, _ = reaper.RunOnce(t.Context())
	b.clock.advance(10 * time.Minute) // and due
	deadline := time.Now().Add(30 * time.Second)
	for {
		_, _ = reaper.RunOnce(t.Context())
		if _, err := session.Exec(t.Context(), `SELECT pg_sleep(0.02)`); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the session outlived its deadline: nobody learned of it")
		}
	}
	if b.read(first.ID).State != grants.Active {
		t.Error("the test is about a store that cannot be written")
	}
}
