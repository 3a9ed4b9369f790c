package grantstest

import (
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

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
