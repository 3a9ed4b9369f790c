package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/store"
)

func TestStandingLoginsAreRememberedAcrossSurveys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	survey := func(target string, at time.Duration, found ...grants.Standing) {
		t.Helper()
		if err := b.KeepStanding(t.Context(), target, found, noon.Add(at)); err != nil {
			t.Fatal(err)
		}
	}
	digest := func(from, to time.Duration) audit.StandingAccess {
		t.Helper()
		d, err := b.Digest(t.Context(), noon.Add(from), noon.Add(to), noon.Add(to))
		if err != nil {
			t.Fatal(err)
		}
		return d.Standing
	}
	owner := grants.Standing{Login: "app", Power: grants.Owner, Why: []string{"owns tables in orders.public"}}
	root := grants.Standing{Login: "postgres", Power: grants.Superuser, Why: []string{"is a superuser"}, Sessions: 2}
	reader := grants.Standing{Login: "tableau", Power: grants.Reader, Why: []string{"may read in orders.public"}}

	survey("orders-prod", 0, owner, root)
	survey("ledger", time.Minute, root)
	if diff := cmp.Diff(audit.StandingAccess{Logins: 3, Superusers: 2, Targets: 2}, digest(-time.Hour, time.Hour)); diff != "" {
		t.Errorf("the first surveys make nothing new (-want +got):\n%s", diff)
	}

	root.Sessions = 0
	writer := reader
	survey("orders-prod", 2*time.Hour, owner, root, reader)
	writer.Power, writer.Why = grants.Writer, []string{"may write in orders.public"}
	survey("orders-prod", 26*time.Hour, root, writer)
	survey("orders-prod", 25*time.Hour, owner) // comes late and changes nothing
	got := digest(time.Hour, 3*time.Hour)
	if len(got.New) != 1 || got.New[0].Login != "tableau" || len(got.Gone)+len(got.Changed) != 0 {
		t.Errorf("the day tableau came: %+v", got)
	}
	want := audit.StandingAccess{
		Logins: 3, Superusers: 2, Targets: 2,
		Changed: []audit.StandingChange{{Target: "orders-prod", Login: "tableau", Power: "writer", Why: []string{"may write in orders.public"}}},
		Gone:    []audit.StandingChange{{Target: "orders-prod", Login: "app", Power: "owner", Why: []string{"owns tables in orders.public"}}},
	}
	if diff := cmp.Diff(want, digest(24*time.Hour, 48*time.Hour)); diff != "" {
		t.Errorf("the day after (-want +got):\n%s", diff)
	}

	survey("orders-prod", 50*time.Hour, root, writer, owner)
	remembered, err := b.StandingOf(t.Context(), "orders-prod")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]store.Known{
		"app":      {Since: noon.Add(50 * time.Hour)},
		"postgres": {Since: noon, Connected: noon},
		"tableau":  {Since: noon.Add(2 * time.Hour)},
	}, remembered); diff != "" {
		t.Errorf("what is remembered (-want +got):\n%s", diff)
	}
	if got := digest(49*time.Hour, 51*time.Hour); len(got.New) != 1 || got.New[0].Login != "app" {
		t.Errorf("a login that came back is new again: %+v", got)
	}
}
