package grants_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

// running is a driver that says which running server it reaches.
type running struct {
	grants.Driver
	instance func() (string, error)
}

func (r running) Instance(context.Context) (string, error) { return r.instance() }

func on(instance string) func() (string, error) {
	return func() (string, error) { return instance, nil }
}

// A physical copy of a cluster has its fingerprint and its logins. Where it is a target of its own, whoever has a login on the
// original has it there too: that is reported, and left alone for as long as the grant is live, since a failover looks the
// same. Afterwards it is taken away, though the original does not answer.
func TestALoginOnAPhysicalCopyIsReportedUntilItsGrantEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, _ := b.issue(time.Hour)
	database := databaseOf(b.target)
	starts := 0
	serve := func(original, copied func() (string, error)) *grants.Service {
		s, err := grants.New(grants.Config{
			Store: b.store, Targets: []grants.Target{
				{Name: "orders-prod", Engine: "postgres", Databases: []string{database}}, {Name: "orders-copy", Engine: "postgres", Databases: []string{database}},
			},
			Drivers:      map[string]grants.Driver{"orders-prod": running{b.driver, original}, "orders-copy": running{b.driver.Driver, copied}},
			Installation: b.installation, Now: b.clock.now, Log: zerolog.Nop(),
			ConnectionLimit: 5, Grace: 30 * time.Second, OverdueAfter: 45 * time.Second, Parallel: 4,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_ = s.Close(ctx)
		})
		return s
	}
	sweeps := func(s *grants.Service) grants.Swept {
		t.Helper()
		swept, _ := s.Sweep(t.Context()) // the original may not answer
		if len(swept) != 2 || swept[1].Err != nil {
			t.Fatalf("swept %+v", swept)
		}
		return swept[1]
	}

	for name, copied := range map[string]func() (string, error){
		"one server under two names": on("1"),
		"a server that is restarting": func() (string, error) {
			starts++
			return fmt.Sprint(starts), nil
		},
		"a server that does not say": func() (string, error) { return "", unreachable() },
	} {
		original := on("1")
		if name == "a server that is restarting" {
			original = copied
		}
		if swept := sweeps(serve(original, copied)); len(swept.Copied)+len(swept.Orphans) != 0 || !b.exists(g.Login) {
			t.Errorf("%s: swept %+v", name, swept)
		}
	}
	if n := b.events(audit.LoginCopied, g.ID); n != 0 {
		t.Errorf("%d reports about one server", n)
	}

	s := serve(on("1"), on("2"))
	for range 2 {
		if swept := sweeps(s); !slices.Equal(swept.Copied, []string{g.Login}) || len(swept.Orphans) != 0 || !b.exists(g.Login) {
			t.Errorf("a copy: swept %+v", swept)
		}
	}
	if n := b.events(audit.LoginCopied, g.ID); n != 1 {
		t.Errorf("reported %d times within the hour", n)
	}

	// The grant is over, and the original hangs on to its login for as long as it does not answer.
	b.driver.fail("secure", false, unreachable)
	if _, err := b.End(t.Context(), g.ID, grants.Ending{Cause: grants.Withdrawn, By: cli}); err != nil {
		t.Fatal(err)
	}
	if swept := sweeps(s); len(swept.Copied)+len(swept.Orphans) != 0 {
		t.Errorf("a moment after the end: swept %+v", swept)
	}
	b.clock.advance(2 * time.Minute)
	// Where it is one server under two names, the revocation that hangs is the login's own.
	if swept := sweeps(serve(on("1"), on("1"))); len(swept.Orphans) != 0 || !b.exists(g.Login) {
		t.Errorf("a revocation that hangs, on one server: swept %+v", swept)
	}
	if swept := sweeps(s); !slices.Equal(swept.Orphans, []string{g.Login}) || b.exists(g.Login) {
		t.Errorf("after the end: swept %+v", swept)
	}
	if reason := b.reason(audit.LoginOrphaned, g.ID); !strings.Contains(reason, "grant on orders-prod is over") {
		t.Errorf("it is said that %s", reason)
	}
	b.driver.heal()
}
