package postgres

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// newOrder is a valid order for a profile.
func (d *Driver) newOrder(t testing.TB, p grants.Profile) grants.Order {
	t.Helper()
	fingerprint, err := d.Fingerprint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id := strings.ToLower(rand.Text()[:12])
	return grants.Order{
		Login:           grants.LoginName("bo", id),
		AccessRole:      grants.AccessRole(p.Name),
		Stamp:           grants.Stamp{Installation: d.cfg.Installation, Grant: id},
		Fingerprint:     fingerprint,
		ValidUntil:      time.Now().Add(time.Hour),
		NotAfter:        time.Now().Add(grants.IssueWithin),
		ConnectionLimit: 4,
		Password:        secret.New(rand.Text()),
	}
}

// testOrder issues one and takes it back at the end of the test.
func (d *Driver) testOrder(t testing.TB, p grants.Profile) grants.Order {
	t.Helper()
	o := d.newOrder(t, p)
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = d.Secure(context.Background(), loginOf(o))
		_, _ = d.Clean(context.Background(), loginOf(o))
	})
	return o
}

func loginOf(o grants.Order) grants.Login {
	return grants.Login{Name: o.Login, Stamp: o.Stamp, Fingerprint: o.Fingerprint}
}

func takeBack(t testing.TB, d *Driver, o grants.Order) (grants.Secured, grants.Cleaned) {
	t.Helper()
	secured, err := d.Secure(t.Context(), loginOf(o))
	if err != nil {
		t.Fatal(err)
	}
	login := loginOf(o)
	login.OID = secured.OID
	cleaned, err := d.Clean(t.Context(), login)
	if err != nil {
		t.Fatal(err)
	}
	return secured, cleaned
}
