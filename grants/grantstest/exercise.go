package grantstest

import (
	"testing"
	"time"
)

// Exercise runs the suite. The fixture is made once.
func Exercise(t *testing.T, fixture Fixture) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"a grant from issue to proof", lifeOfAGrant},
		{"every step may be repeated", repeats},
		{"two grants of one person", overlapping},
		{"taking back what never was", neverWas},
		{"cleaning before securing is refused", wrongOrder},
		{"a foreign login is left alone", foreign},
		{"another installation's login is left alone", otherInstallation},
		{"an existing login is not issued again", issuedTwice},
		{"an order that comes too late", tooLate},
		{"an order that makes no sense", nonsense},
		{"another cluster under the same address", swapped},
		{"a clock that is wrong", skewed},
		{"a new password ends the old one", rotates},
		{"an extension moves the end", extends},
		{"the end on the server's own clock", serverEnds},
		{"many at once", manyAtOnce},
		{"many in one message", manyTogether},
		{"the connection limit", connectionLimit},
		{"cancelled at any moment", cancelled},
		{"listing", lists},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, newBench(t, fixture))
		})
	}
	for _, m := range fixture.Mischief() {
		t.Run("mischief/"+m.Name, func(t *testing.T) {
			t.Parallel()
			mischief(t, newBench(t, fixture), m)
		})
	}
}

func lifeOfAGrant(t *testing.T, b *bench) {
	o := b.order()
	o.StatementTimeout = 5 * time.Second
	login := b.issue(t, o)
	s := b.open(t, o)
	if err := s.Read(t.Context()); err != nil {
		t.Errorf("reading: %v", err)
	}
	if err := s.Write(t.Context()); !b.Refused(err) {
		t.Errorf("writing was not refused: %v", err)
	}
	before := time.Now()
	secured := b.secure(t, login)
	if !secured.Existed || secured.OID != login.OID || secured.Killed != 1 || len(secured.Nodes) == 0 ||
		secured.LockedAt.Before(before.Add(-time.Second)) {
		t.Errorf("secured: %+v", secured)
	}
	if err := s.Read(t.Context()); err == nil {
		t.Error("the session lives on")
	}
	b.shutOut(t, o)
	if !b.Exists(t, o.Login) {
		t.Error("securing dropped the login")
	}
	if cleaned := b.clean(t, login); len(cleaned.Leftovers) != 0 {
		t.Errorf("leftovers: %+v", cleaned.Leftovers)
	}
	b.noTrace(t, login)
}

// overlapping ends one of two grants that have holder and profile in common: nothing of the other changes.
func overlapping(t *testing.T, b *bench) {
	ends, stays := b.order(), b.order()
	first, second := b.issue(t, ends), b.issue(t, stays)
	s := b.open(t, stays)
	b.secure(t, first)
	b.clean(t, first)
	b.noTrace(t, first)
	if err := s.Read(t.Context()); err != nil {
		t.Errorf("the other session: %v", err)
	}
	if err := b.open(t, stays).Read(t.Context()); err != nil {
		t.Errorf("another session of the other login: %v", err)
	}
	if secured := b.secure(t, second); secured.Killed != 2 {
		t.Errorf("killed %d sessions of 2", secured.Killed)
	}
}

func repeats(t *testing.T, b *bench) {
	o := b.order()
	login := b.issue(t, o)
	b.secure(t, login)
	if again := b.secure(t, login); !again.Existed || again.Killed != 0 {
		t.Errorf("second secure: %+v", again)
	}
	b.clean(t, login)
	b.clean(t, login)
	if gone := b.secure(t, login); gone.Existed {
		t.Errorf("secure after clean: %+v", gone)
	}
	b.clean(t, loginOf(o, 0))
	b.noTrace(t, login)
}

func neverWas(t *testing.T, b *bench) {
	login := loginOf(b.order(), 0)
	if secured := b.secure(t, login); secured.Existed || secured.Killed != 0 {
		t.Errorf("secured: %+v", secured)
	}
	b.clean(t, login)
}

func wrongOrder(t *testing.T, b *bench) {
	o := b.order()
	login := b.issue(t, o)
	if _, err := b.driver.Clean(t.Context(), login); err == nil {
		t.Fatal("cleaned a login that was not locked")
	}
	b.open(t, o)
}

func rotates(t *testing.T, b *bench) {
	o := b.order()
	login := b.issue(t, o)
	fresh := o
	fresh.Password = newPassword()
	if err := b.driver.Rotate(t.Context(), login, fresh.Password); err != nil {
		t.Fatal(err)
	}
	b.shutOut(t, o)
	b.open(t, fresh)
	b.secure(t, login)
	if err := b.driver.Rotate(t.Context(), login, newPassword()); err == nil {
		t.Error("a locked login got a password")
	}
}

func extends(t *testing.T, b *bench) {
	o := b.order()
	o.ValidUntil = time.Now().Add(-time.Second)
	login := b.issue(t, o)
	b.shutOut(t, o)
	if err := b.driver.Extend(t.Context(), login, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	b.open(t, o)
	b.secure(t, login)
	if err := b.driver.Extend(t.Context(), login, time.Now().Add(time.Hour)); err == nil {
		t.Error("a locked login was extended")
	}
	b.shutOut(t, o)
}

func serverEnds(t *testing.T, b *bench) {
	o := b.order()
	o.ValidUntil = time.Now().Add(-time.Millisecond)
	b.issue(t, o)
	b.shutOut(t, o)
}
