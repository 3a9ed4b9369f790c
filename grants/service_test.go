package grants_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

func TestAGrantFromIntentToReceipt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, c := b.issue(time.Hour)
	if g.State != grants.Active || g.OID == 0 || !g.Deadline.Equal(g.Intended.Add(time.Hour)) {
		t.Fatalf("after issuing: %+v", g)
	}
	if !b.Woken() {
		t.Error("a deadline came closer, and the reaper sleeps on")
	}
	if n := b.one(b.target, `SELECT count(*) FROM pg_roles WHERE rolname = $1 AND rolvaliduntil = $2`, g.Login, g.Deadline.Add(30*time.Second)); n != 1 {
		t.Error("the server itself does not end the login at the deadline plus grace")
	}
	session, err := b.connect(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.Exec(t.Context(), `SELECT * FROM orders`); err != nil {
		t.Fatal(err)
	}
	if _, err := b.End(t.Context(), g.ID, grants.Ending{Cause: grants.Released, By: audit.System("test")}); err != nil {
		t.Fatal(err)
	}
	g = b.awaits(g.ID, grants.Revoked)
	if _, err := session.Exec(t.Context(), `SELECT 1`); err == nil {
		t.Error("the session outlived its grant")
	}
	if b.exists(g.Login) {
		t.Error("the login is still there")
	}
	r := g.Receipt
	if r == nil || r.Killed != 1 || r.NeverExisted || r.OID != g.OID || len(r.Checks) < 3 || r.DroppedAt.IsZero() {
		t.Errorf("receipt %+v", r)
	}
	for _, kind := range []audit.Kind{audit.GrantIssued, audit.GrantEnding, audit.GrantSecured, audit.GrantRevoked} {
		if n := b.events(kind, g.ID); n != 1 {
			t.Errorf("%d events %s", n, kind)
		}
	}
	if b.jobs("receipt", g.ID) != 1 {
		t.Error("no receipt was asked for")
	}
	if err := b.Revoke(t.Context(), g.ID); err != nil {
		t.Errorf("revoking what is revoked: %v", err)
	}
}

func TestNothingAboutAGrantIsAPassword(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, c := b.issue(time.Hour)
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if strings.Contains(fmt.Sprintf(verb, g)+fmt.Sprintf(verb, c), c.Password.Reveal()) {
			t.Errorf("%s prints the password", verb)
		}
	}
	if !strings.Contains(c.URL().Reveal(), c.Password.Reveal()) || !strings.Contains(c.Command().Reveal(), c.Password.Reveal()) {
		t.Error("what the holder is shown lacks the password")
	}
}

func TestIssuingThatFailsInDoubtTakesTheLoginBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g := b.intend(time.Hour)
	// The login is made, and the answer is lost.
	b.driver.fail("issue", true, unreachable)
	if _, err := b.Issue(t.Context(), g.ID); grants.ReasonOf(err) != grants.FailUnreachable {
		t.Fatalf("issuing: %v", err)
	}
	g = b.awaits(g.ID, grants.Revoked)
	if b.exists(g.Login) || g.Cause != grants.Failed || g.Receipt.NeverExisted {
		t.Errorf("the login %s is left, or the receipt lies: %+v", g.Login, g.Receipt)
	}
	if b.jobs("reopen", g.Request) != 1 {
		t.Error("the request is not given back")
	}
	if b.jobs("receipt", g.ID) != 0 {
		t.Error("a receipt of access that nobody had")
	}
}

func TestALoginThatIsNotFoundYetIsNotBelievedGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g := b.intend(time.Hour)
	b.driver.fail("issue", false, unreachable) // nothing was made, but who knows
	if _, err := b.Issue(t.Context(), g.ID); err == nil {
		t.Fatal("issued")
	}
	for b.driver.called("secure") < 2 {
		tick := time.NewTimer(10 * time.Millisecond)
		<-tick.C
	}
	if got := b.read(g.ID); got.State != grants.Revoking {
		t.Fatalf("the login could still appear, and its grant is %s", got.State)
	}
	b.clock.advance(grants.IssueWithin + 10*time.Second)
	g = b.awaits(g.ID, grants.Revoked)
	if !g.Receipt.NeverExisted {
		t.Errorf("receipt %+v", g.Receipt)
	}
}

func TestRecoverTakesBackWhatNobodyFinished(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g := b.intend(time.Hour)
	if b.jobs("recover", g.ID) != 1 {
		t.Error("the intent has no safety net")
	}
	b.clock.advance(grants.RecoverAfter)
	if err := b.Recover(t.Context(), g.ID); err != nil {
		t.Fatal(err)
	}
	b.awaits(g.ID, grants.Revoked)
	if _, err := b.Issue(t.Context(), g.ID); !errors.Is(err, grants.ErrState) {
		t.Errorf("issued after it was taken back: %v", err)
	}
	active, _ := b.issue(time.Hour)
	if err := b.Recover(t.Context(), active.ID); err != nil || b.read(active.ID).State != grants.Active {
		t.Errorf("recover touched an active grant: %v", err)
	}
}

func TestRevocationNeverGivesUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, c := b.issue(time.Hour)
	session, err := b.connect(c)
	if err != nil {
		t.Fatal(err)
	}
	b.driver.fail("secure", false, unreachable)
	if _, err := b.End(t.Context(), g.ID, grants.Ending{Cause: grants.Released, By: audit.System("test")}); err != nil {
		t.Fatal(err)
	}
	for b.read(g.ID).Attempts < 2 {
		if b.read(g.ID).State != grants.Revoking {
			t.Fatal("secured without having been")
		}
		tick := time.NewTimer(20 * time.Millisecond)
		<-tick.C
	}
	if got := b.read(g.ID).LastError; !strings.Contains(got, "took the target away") {
		t.Errorf("the trouble is not recorded: %q", got)
	}
	// Locked out, but the clean-up fails: security does not wait for hygiene.
	b.driver.heal()
	b.driver.fail("clean", false, unreachable)
	g = b.awaits(g.ID, grants.Cleanup)
	if _, err := session.Exec(t.Context(), `SELECT 1`); err == nil {
		t.Error("the session lives while the clean-up is pending")
	}
	b.driver.heal()
	b.awaits(g.ID, grants.Revoked)
}

// TestACleanUpThatWasPutOffLocksAgain lets a session appear behind the lock, as one that was just being opened would.
func TestACleanUpThatWasPutOffLocksAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, c := b.issue(time.Hour)
	b.driver.fail("clean", false, unreachable)
	if _, err := b.End(t.Context(), g.ID, grants.Ending{Cause: grants.Released, By: audit.System("test")}); err != nil {
		t.Fatal(err)
	}
	b.awaits(g.ID, grants.Cleanup)
	mustExec(t, b.target, `ALTER ROLE `+g.Login+` LOGIN CONNECTION LIMIT 5 VALID UNTIL 'infinity'`)
	session, err := b.connect(c)
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := session.Exec(t.Context(), `SELECT pg_sleep(0.02)`); err != nil {
			break
		}
		if g := b.read(g.ID); g.Attempts > 8 {
			t.Fatal("the session lives on while the clean-up is put off")
		}
	}
	b.driver.heal()
	b.awaits(g.ID, grants.Revoked)
}

func TestWhatAFailedCleanUpMovedIsOnTheReceipt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, _ := b.issue(time.Hour)
	moved := grants.Leftover{Database: "orders", What: "table public.scratch", Owner: grants.QuarantineRole}
	b.driver.moved = []grants.Leftover{moved}
	b.driver.fail("clean", false, unreachable)
	if _, err := b.End(t.Context(), g.ID, grants.Ending{Cause: grants.Released, By: audit.System("test")}); err != nil {
		t.Fatal(err)
	}
	for b.read(g.ID).Attempts < 2 {
		tick := time.NewTimer(20 * time.Millisecond)
		<-tick.C
	}
	b.driver.heal()
	g = b.awaits(g.ID, grants.Revoked)
	if len(g.Receipt.Leftovers) != 1 || g.Receipt.Leftovers[0] != moved {
		t.Errorf("leftovers %+v", g.Receipt.Leftovers)
	}
}

func TestTheProfilesSeatBeltIsOnTheLogin(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, err := b.Intend(t.Context(), b.intention(time.Hour))
	if err != nil || g.StatementTimeout != 5*time.Minute {
		t.Fatalf("intent %+v, %v", g, err)
	}
	_, c := b.issue(time.Hour)
	session, err := b.connect(c)
	if err != nil {
		t.Fatal(err)
	}
	var timeout string
	if err := session.QueryRow(t.Context(), `SHOW statement_timeout`).Scan(&timeout); err != nil || timeout != "5min" {
		t.Errorf("statement_timeout %q, %v", timeout, err)
	}
}

func TestTheSecurityStepIsNeverFarAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, _ := b.issue(time.Hour)
	b.driver.fail("secure", false, unreachable)
	if _, err := b.End(t.Context(), g.ID, grants.Ending{Cause: grants.Released, By: audit.System("test")}); err != nil {
		t.Fatal(err)
	}
	for attempts := range 40 {
		_, err := b.store.ChangeGrant(t.Context(), g.ID, func(g grants.Grant) (grants.Change, error) {
			g.Attempts = attempts
			return grants.Change{Grant: g}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if pause := b.Pause(t.Context(), g.ID); pause <= 0 || pause > grants.MaxSecurityPause {
			t.Errorf("after %d failures the next try is %s away", attempts, pause)
		}
	}
	b.driver.heal()
	b.awaits(g.ID, grants.Revoked)
}

func TestRotationEndsTheOldPassword(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, first := b.issue(time.Hour)
	second, err := b.Rotate(t.Context(), g.ID, audit.System("test"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.connect(first); err == nil {
		t.Error("the old password still works")
	}
	if _, err := b.connect(second); err != nil {
		t.Errorf("the new password does not work: %v", err)
	}
	if second.Login != first.Login || b.events(audit.GrantRotated, g.ID) != 1 {
		t.Error("a rotation makes no new login, and is recorded")
	}
	if second.Note != "" {
		t.Errorf("nothing is odd, and the holder is told %q", second.Note)
	}
	b.driver.behind = []string{"replica-2"}
	third, err := b.Rotate(t.Context(), g.ID, audit.System("test"), "", "")
	if err != nil || !strings.Contains(third.Note, "replica-2") {
		t.Errorf("a replica lags, and the holder is told %q, %v", third.Note, err)
	}
}

func TestExtensionMovesTheDeadlineOfTheSameLogin(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, c := b.issue(time.Hour)
	session, err := b.connect(c)
	if err != nil {
		t.Fatal(err)
	}
	until := g.Deadline.Add(time.Hour)
	g, err = b.Extend(t.Context(), g.ID, 0, until, time.Time{}, audit.System("test"), "", "")
	if err != nil || !g.Deadline.Equal(until) {
		t.Fatalf("deadline %s, %v", g.Deadline, err)
	}
	if _, err := session.Exec(t.Context(), `SELECT 1`); err != nil {
		t.Errorf("the extension dropped the session: %v", err)
	}
	if n := b.one(b.target, `SELECT count(*) FROM pg_roles WHERE rolname = $1 AND rolvaliduntil > $2`, g.Login, until); n != 1 {
		t.Error("the server still ends the login at the old deadline")
	}
	if _, err := b.Extend(t.Context(), g.ID, 1, g.Deadline.Add(-time.Minute), time.Time{}, audit.System("test"), "", ""); !errors.Is(err, grants.ErrState) {
		t.Errorf("a deadline moved earlier: %v", err)
	}
}

// TestManyEndsAreOne ends one grant from many places at once, while it is also due.
func TestManyEndsAreOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, _ := b.issue(time.Second)
	b.clock.advance(time.Second)
	var wg sync.WaitGroup
	var ended sync.Map
	for i := range 16 {
		wg.Go(func() {
			if i%2 == 0 {
				if _, err := grants.NewReaper(b.Service).RunOnce(t.Context()); err != nil {
					t.Error(err)
				}
				return
			}
			if _, err := b.End(t.Context(), g.ID, grants.Ending{Cause: grants.Released, By: audit.System("test")}); err == nil {
				ended.Store(i, true)
			} else if !errors.Is(err, grants.ErrState) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b.awaits(g.ID, grants.Revoked)
	for _, kind := range []audit.Kind{audit.GrantEnding, audit.GrantSecured, audit.GrantRevoked} {
		if n := b.events(kind, g.ID); n != 1 {
			t.Errorf("%d events %s for one end", n, kind)
		}
	}
}

func TestNewRefusesHoles(t *testing.T) {
	t.Parallel()
	_, err := grants.New(grants.Config{Targets: []grants.Target{{Name: "x"}}})
	for _, field := range []string{"Store", "Now", "Installation", "ConnectionLimit", "Grace", "Parallel", "OverdueAfter", "Drivers[x]"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is missing and the error does not say so: %v", field, err)
		}
	}
}
