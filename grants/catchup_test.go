package grants_test

import (
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

// The target does not answer while access is extended: the store has the later end, and the sweep gives it to the server.
func TestServiceRepeatsAnExtensionThatTheTargetMissed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, c := b.issue(time.Hour)
	until := g.Deadline.Add(time.Hour)
	b.driver.fail("extend", false, unreachable)
	g, err := b.Extend(t.Context(), g.ID, 0, until, time.Time{}, audit.System("test"), "", "")
	if grants.ReasonOf(err) != grants.FailUnreachable || g.Extensions != 1 || !g.Deadline.Equal(until) {
		t.Fatalf("%+v: %v", g, err)
	}
	ends := func() int {
		return b.one(b.target, `SELECT count(*) FROM pg_roles WHERE rolname = $1 AND rolvaliduntil = $2`, g.Login, until.Add(30*time.Second))
	}
	if swept, err := b.Sweep(t.Context()); grants.ReasonOf(err) != grants.FailUnreachable || len(swept[0].Extended) != 0 || ends() != 0 {
		t.Fatalf("while it is away: %+v, %v", swept, err)
	}
	b.driver.heal()
	if swept, err := b.Sweep(t.Context()); err != nil || len(swept[0].Extended) != 1 || swept[0].Extended[0] != g.Login || ends() != 1 {
		t.Fatalf("when it is back: %+v, %v", swept, err)
	}
	if _, err := b.connect(c); err != nil {
		t.Error(err)
	}
	called := b.driver.called("extend")
	if swept, err := b.Sweep(t.Context()); err != nil || len(swept[0].Extended) != 0 || b.driver.called("extend") != called {
		t.Errorf("there was nothing left to tell: %+v, %v", swept, err)
	}
}
