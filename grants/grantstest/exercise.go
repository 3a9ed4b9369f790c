package grantstest

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// Exercise runs the suite. The fixture is made once.
func Exercise(t *testing.T, fixture Fixture) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"a grant from issue to proof", lifeOfAGrant},
		{"every step may be repeated", repeats},
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

// bench is one test's driver and fixture.
type bench struct {
	Fixture
	driver      grants.Driver
	fingerprint string
}

func newBench(t *testing.T, f Fixture) *bench {
	t.Helper()
	d := f.Open(t, Options{})
	fingerprint, err := d.Fingerprint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &bench{Fixture: f, driver: d, fingerprint: fingerprint}
}

// order is a fresh, valid one.
func (b *bench) order() grants.Order {
	id := strings.ToLower(rand.Text()[:12])
	return grants.Order{
		Login:           grants.LoginName("ana", id),
		AccessRole:      b.AccessRole(),
		Stamp:           grants.Stamp{Installation: Installation, Grant: id},
		Fingerprint:     b.fingerprint,
		ValidUntil:      time.Now().Add(time.Hour),
		NotAfter:        time.Now().Add(grants.IssueWithin),
		ConnectionLimit: 4,
		Password:        newPassword(),
	}
}

func newPassword() secret.String { return secret.New(rand.Text()) }

func loginOf(o grants.Order, oid uint32) grants.Login {
	return grants.Login{Name: o.Login, OID: oid, Stamp: o.Stamp, Fingerprint: o.Fingerprint}
}

// issue carries out an order and removes the login at the end of the test, however that ended.
func (b *bench) issue(t *testing.T, o grants.Order) grants.Login {
	t.Helper()
	b.removeLater(t, loginOf(o, 0))
	issued, err := b.driver.Issue(t.Context(), o)
	if err != nil {
		t.Fatalf("issue: %v", err)
	}
	if issued.OID == 0 {
		t.Fatal("issued without an OID")
	}
	return loginOf(o, issued.OID)
}

func (b *bench) removeLater(t *testing.T, login grants.Login) {
	t.Cleanup(func() {
		d := b.Open(t, Options{}) // the test's own driver may be closed by now
		_, _ = d.Secure(context.Background(), login)
		_, _ = d.Clean(context.Background(), login)
	})
}

func (b *bench) open(t *testing.T, o grants.Order) Session {
	t.Helper()
	s, err := b.Login(t.Context(), o.Login, o.Password)
	if err != nil {
		t.Fatalf("logging in: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

func (b *bench) secure(t *testing.T, login grants.Login) grants.Secured {
	t.Helper()
	secured, err := b.driver.Secure(t.Context(), login)
	if err != nil {
		t.Fatalf("secure: %v", err)
	}
	mustHold(t, secured.Checks)
	return secured
}

func (b *bench) clean(t *testing.T, login grants.Login) grants.Cleaned {
	t.Helper()
	cleaned, err := b.driver.Clean(t.Context(), login)
	if err != nil {
		t.Fatalf("clean: %v", err)
	}
	mustHold(t, cleaned.Checks)
	if cleaned.DroppedAt.IsZero() {
		t.Error("cleaned without saying when")
	}
	return cleaned
}

func mustHold(t *testing.T, checks []grants.Check) {
	t.Helper()
	if len(checks) == 0 {
		t.Error("nothing was checked")
	}
	for _, c := range checks {
		if !c.OK || c.What == "" {
			t.Errorf("check %q: %v", c.What, c.OK)
		}
	}
}

// noTrace asserts with the fixture's eyes, not the driver's.
func (b *bench) noTrace(t *testing.T, login grants.Login) {
	t.Helper()
	if b.Exists(t, login.Name) {
		t.Errorf("%s still exists", login.Name)
	}
	if n := b.Sessions(t, login.OID); n != 0 {
		t.Errorf("%d sessions of %s are left", n, login.Name)
	}
}

func (b *bench) shutOut(t *testing.T, o grants.Order) {
	t.Helper()
	if s, err := b.Login(t.Context(), o.Login, o.Password); err == nil {
		s.Close()
		t.Error("the password still opens a session")
	}
}

func wantReason(t *testing.T, err error, want grants.Reason) {
	t.Helper()
	if got := grants.ReasonOf(err); got != want {
		t.Errorf("reason %q, want %q: %v", got, want, err)
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

func foreign(t *testing.T, b *bench) {
	o := b.order()
	b.MakeForeign(t, o.Login)
	login := loginOf(o, 0)
	_, err := b.driver.Issue(t.Context(), o)
	wantReason(t, err, grants.FailForeign)
	_, err = b.driver.Secure(t.Context(), login)
	wantReason(t, err, grants.FailForeign)
	_, err = b.driver.Clean(t.Context(), login)
	wantReason(t, err, grants.FailForeign)
	wantReason(t, b.driver.Rotate(t.Context(), login, newPassword()), grants.FailForeign)
	wantReason(t, b.driver.Extend(t.Context(), login, time.Now().Add(time.Hour)), grants.FailForeign)
	if !b.Exists(t, o.Login) {
		t.Error("a role that is not ours is gone")
	}
}

func otherInstallation(t *testing.T, b *bench) {
	o := b.order()
	login := b.issue(t, o)
	other := login
	other.Stamp.Installation = "elsewhere"
	_, err := b.driver.Secure(t.Context(), other)
	wantReason(t, err, grants.FailForeign)
	wrong := login
	wrong.OID++
	_, err = b.driver.Secure(t.Context(), wrong)
	wantReason(t, err, grants.FailForeign)
	elsewhere := b.Open(t, Options{Installation: "elsewhere"})
	logins, err := elsewhere.Logins(t.Context())
	if err != nil || len(logins) != 0 {
		t.Errorf("another installation sees %v, %v", logins, err)
	}
	b.open(t, o)
}

func issuedTwice(t *testing.T, b *bench) {
	o := b.order()
	b.issue(t, o)
	again := o
	again.Password = newPassword()
	if _, err := b.driver.Issue(t.Context(), again); err == nil {
		t.Error("an existing login was issued again")
	}
	b.open(t, o) // with the first password
}

func tooLate(t *testing.T, b *bench) {
	o := b.order()
	o.NotAfter = time.Now().Add(-time.Millisecond)
	_, err := b.driver.Issue(t.Context(), o)
	wantReason(t, err, grants.FailLate)
	// The driver's own clock is slow: the server must refuse.
	slow := b.Open(t, Options{Now: func() time.Time { return time.Now().Add(-10 * time.Second) }})
	_, err = slow.Issue(t.Context(), o)
	wantReason(t, err, grants.FailLate)
	if b.Exists(t, o.Login) {
		t.Error("the login came to be")
	}
}

func nonsense(t *testing.T, b *bench) {
	for name, spoil := range map[string]func(*grants.Order){
		"no prefix":          func(o *grants.Order) { o.Login = "ana" },
		"a quote":            func(o *grants.Order) { o.Login = `pa_x"; DROP ROLE y; --` },
		"an empty name":      func(o *grants.Order) { o.Login = "" },
		"a long name":        func(o *grants.Order) { o.Login = "pa_" + strings.Repeat("x", 70) },
		"an upper-case name": func(o *grants.Order) { o.Login = "pa_Ana" },
		"a foreign role":     func(o *grants.Order) { o.AccessRole = "postgres" },
		"a missing role":     func(o *grants.Order) { o.AccessRole = "pa_no_such_profile" },
		"no stamp":           func(o *grants.Order) { o.Stamp = grants.Stamp{} },
		"a stamp with quote": func(o *grants.Order) { o.Stamp.Grant = "a b" },
		"no password":        func(o *grants.Order) { o.Password = secret.String{} },
		"not ASCII":          func(o *grants.Order) { o.Password = secret.New("pässword") },
		"no connections":     func(o *grants.Order) { o.ConnectionLimit = 0 },
		"unlimited":          func(o *grants.Order) { o.ConnectionLimit = -1 },
		"no end":             func(o *grants.Order) { o.ValidUntil = time.Time{} },
		"no fingerprint":     func(o *grants.Order) { o.Fingerprint = "" },
	} {
		o := b.order()
		keep := o.Login
		spoil(&o)
		if _, err := b.driver.Issue(t.Context(), o); err == nil {
			t.Errorf("%s: issued", name)
		}
		if b.Exists(t, o.Login) || b.Exists(t, keep) {
			t.Errorf("%s: the login came to be", name)
		}
	}
	o := b.order()
	o.AccessRole = "pa_no_such_profile"
	_, err := b.driver.Issue(t.Context(), o)
	wantReason(t, err, grants.FailUnprepared)
}

func swapped(t *testing.T, b *bench) {
	o := b.order()
	o.Fingerprint = "1"
	_, err := b.driver.Issue(t.Context(), o)
	wantReason(t, err, grants.FailSwapped)
	o.Fingerprint = b.fingerprint
	login := b.issue(t, o)
	login.Fingerprint = "1"
	_, err = b.driver.Secure(t.Context(), login)
	wantReason(t, err, grants.FailSwapped)
	_, err = b.driver.Clean(t.Context(), login)
	wantReason(t, err, grants.FailSwapped)
	wantReason(t, b.driver.Rotate(t.Context(), login, newPassword()), grants.FailSwapped)
	never := loginOf(b.order(), 0)
	never.Fingerprint = "1"
	_, err = b.driver.Secure(t.Context(), never) // "not found" proves nothing there
	wantReason(t, err, grants.FailSwapped)
	b.open(t, o)
}

func skewed(t *testing.T, b *bench) {
	for _, by := range []time.Duration{-40 * time.Second, 40 * time.Second} {
		d := b.Open(t, Options{Now: func() time.Time { return time.Now().Add(by) }})
		o := b.order()
		o.NotAfter = time.Now().Add(2 * time.Minute)
		_, err := d.Issue(t.Context(), o)
		wantReason(t, err, grants.FailSkewed)
		if b.Exists(t, o.Login) {
			t.Errorf("issued with clocks %s apart", by)
		}
	}
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

func manyAtOnce(t *testing.T, b *bench) {
	const issuers, each = 6, 25
	var (
		all    sync.WaitGroup
		mu     sync.Mutex
		logins []grants.Login
	)
	for range issuers {
		all.Go(func() {
			for range each {
				o := b.order()
				issued, err := b.driver.Issue(t.Context(), o)
				if err != nil {
					t.Errorf("issue: %v", err)
					continue
				}
				mu.Lock()
				logins = append(logins, loginOf(o, issued.OID))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for chunk := range slices.Chunk(logins, each) {
		all.Go(func() {
			for _, login := range chunk {
				if _, err := b.driver.Secure(t.Context(), login); err != nil {
					t.Errorf("secure: %v", err)
				}
				if _, err := b.driver.Clean(t.Context(), login); err != nil {
					t.Errorf("clean: %v", err)
				}
			}
		})
	}
	all.Wait()
	for _, login := range logins {
		b.noTrace(t, login)
	}
}

func connectionLimit(t *testing.T, b *bench) {
	o := b.order()
	o.ConnectionLimit = 2
	login := b.issue(t, o)
	b.open(t, o)
	b.open(t, o)
	b.shutOut(t, o)
	if secured := b.secure(t, login); secured.Killed != 2 {
		t.Errorf("killed %d sessions of 2", secured.Killed)
	}
}

// cancelled gives up each step after ever longer times. Whatever was done by then, taking the login back once its order
// has run out leaves nothing.
func cancelled(t *testing.T, b *bench) {
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() { b.giveUpAfter(t, time.Duration(i)*600*time.Microsecond) })
	}
	all.Wait()
}

func (b *bench) giveUpAfter(t *testing.T, patience time.Duration) {
	o := b.order()
	o.NotAfter = time.Now().Add(500 * time.Millisecond)
	login := loginOf(o, 0)
	b.removeLater(t, login)
	brief := func(step string, f func(context.Context) error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := f(ctx); err != nil && grants.ReasonOf(err) != grants.FailUnreachable && ctx.Err() == nil {
			t.Errorf("%s, given up after %s: %v", step, patience, err)
		}
	}
	brief("issue", func(ctx context.Context) error {
		_, err := b.driver.Issue(ctx, o)
		return err
	})
	if s, err := b.Login(t.Context(), o.Login, o.Password); err == nil {
		defer s.Close()
	}
	brief("secure", func(ctx context.Context) error {
		_, err := b.driver.Secure(ctx, login)
		return err
	})
	// The server may still be at work on the order, but not for long after its end.
	time.Sleep(time.Until(o.NotAfter.Add(500 * time.Millisecond)))
	secured, err := b.driver.Secure(t.Context(), login)
	if err != nil {
		t.Errorf("secure after %s: %v", patience, err)
	}
	login.OID = secured.OID
	brief("clean", func(ctx context.Context) error {
		_, err := b.driver.Clean(ctx, login)
		return err
	})
	if _, err := b.driver.Clean(t.Context(), login); err != nil {
		t.Errorf("clean after %s: %v", patience, err)
	}
	b.noTrace(t, login)
}

func lists(t *testing.T, b *bench) {
	o := b.order()
	login := b.issue(t, o)
	find := func() (grants.Login, bool) {
		all, err := b.driver.Logins(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(l grants.Login) bool { return l.Name == o.Login })
		if i < 0 {
			return grants.Login{}, false
		}
		return all[i], true
	}
	want := grants.Login{Name: o.Login, OID: login.OID, Stamp: o.Stamp, CanLogin: true}
	if got, ok := find(); !ok || got != want {
		t.Errorf("listed %+v, want %+v", got, want)
	}
	b.secure(t, login)
	want.CanLogin = false
	if got, ok := find(); !ok || got != want {
		t.Errorf("listed %+v, want %+v", got, want)
	}
	// What the sweep does with it: no fingerprint.
	b.secure(t, want)
	b.clean(t, want)
	if got, ok := find(); ok {
		t.Errorf("still listed: %+v", got)
	}
}

func mischief(t *testing.T, b *bench, m Mischief) {
	o := b.order()
	login := b.issue(t, o)
	s := b.open(t, o)
	m.Do(t, o.Login, o.Password, s)
	b.secure(t, login)
	if n := b.Sessions(t, login.OID); n != 0 {
		t.Errorf("%d sessions are left after securing", n)
	}
	b.shutOut(t, o)
	cleaned := b.clean(t, login)
	if len(cleaned.Leftovers) != m.Leftovers {
		t.Errorf("%d leftovers, want %d: %s", len(cleaned.Leftovers), m.Leftovers, fmt.Sprint(cleaned.Leftovers))
	}
	for _, l := range cleaned.Leftovers {
		if l.Owner != grants.QuarantineRole || l.What == "" || l.Database == "" {
			t.Errorf("leftover: %+v", l)
		}
	}
	b.noTrace(t, login)
	if m.After != nil {
		m.After(t, o.Login)
	}
}
