package grantstest

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

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
