package grants_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

// abandoned is a grant whose end was committed by a replica that then did nothing more, and that replica.
func (b *bundle) abandoned(target string, issuer *grants.Service) (grants.Grant, *grants.Service) {
	b.t.Helper()
	g, err := b.tryIntendOn(issuer, target, time.Hour)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := issuer.Issue(b.t.Context(), g.ID); err != nil {
		b.t.Fatal(err)
	}
	dead := b.beside(&stuck{}, false)
	if err := dead.Close(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	if _, err := dead.End(b.t.Context(), g.ID, grants.Ending{Cause: grants.Released, By: audit.System("test")}); err != nil {
		b.t.Fatal(err)
	}
	return g, dead
}

// The job does not wait for a target, and does not end before the grant does: not while a try is under way, not when it
// failed, and not in a replica that is stopping.
func TestAJobThatBeganATryComesBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.beside(&stuck{}, false)
	g, dead := b.abandoned("orders-prod", s)
	if err := dead.TakeUp(t.Context(), g.ID); err == nil {
		t.Error("a replica that is stopping calls the job done")
	}
	b.driver.fail("secure", false, unreachable)
	if err := s.TakeUp(t.Context(), g.ID); !errors.Is(err, grants.ErrPursued) {
		t.Fatalf("the first try: %v", err)
	}
	for limit := time.Now().Add(30 * time.Second); b.read(g.ID).LastError == ""; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("nothing was tried")
		}
	}
	b.driver.heal()
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := s.TakeUp(t.Context(), g.ID)
		if over := b.read(g.ID).State == grants.Revoked; err == nil && over {
			break
		} else if err == nil {
			t.Fatal("the job is done and the grant is not")
		}
		if time.Now().After(limit) {
			t.Fatal("nothing was tried again")
		}
	}
}

// While a try hangs its job is put off for longer and longer.
func TestTheJobOfATryThatHangsIsPutOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	slow := &stuck{letGo: make(chan struct{})}
	s := b.beside(slow, false)
	g, _ := b.abandoned("stuck-prod", s)
	slow.hangs.Store(true)
	letGo := func() {
		if slow.hangs.CompareAndSwap(true, false) {
			close(slow.letGo)
		}
	}
	t.Cleanup(letGo)
	if err := s.TakeUp(t.Context(), g.ID); !errors.Is(err, grants.ErrPursued) {
		t.Fatal(err)
	}
	const first = 500 * time.Millisecond
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		pause := s.Pause(t.Context(), g.ID)
		if pause > grants.MaxSecurityPause {
			t.Fatalf("put off for %s", pause)
		}
		if pause > 2*first {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("still put off for %s", pause)
		}
	}
	letGo()
	b.awaits(g.ID, grants.Revoked)
}

// What the job does about a target that left the configuration is to say so, and to come back.
func TestTheJobOfATargetThatIsGoneSaysSo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.beside(&stuck{}, false)
	g, _ := b.abandoned("stuck-prod", s)
	if err := b.TakeUp(context.WithoutCancel(t.Context()), g.ID); grants.ReasonOf(err) != grants.FailUnreachable {
		t.Errorf("a target that is not configured: %v", err)
	}
	if b.read(g.ID).LastError == "" {
		t.Error("nobody is told why")
	}
}
