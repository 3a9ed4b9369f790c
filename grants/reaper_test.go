package grants_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/localpg"
)

func TestTheReaperEndsGrantsAtTheirDeadline(t *testing.T) {
	t.Parallel()
	b := setup(t)
	reaper := grants.NewReaper(b.Service)
	reaper.Start()
	t.Cleanup(reaper.Stop)
	// The reaper sleeps when the deadline appears: it has to be woken. A slow machine may need longer until there is a session.
	var g grants.Grant
	var session *pgx.Conn
	for lasts := 1200 * time.Millisecond; session == nil; lasts *= 4 {
		var c grants.Credential
		var err error
		g, c = b.issue(lasts)
		if session, err = b.connect(c); err != nil && b.clock.now().Before(g.Deadline) {
			t.Fatal(err)
		}
	}
	g = b.awaits(g.ID, grants.Revoked)
	if g.Cause != grants.Expired || g.EndingAt.Before(g.Deadline) {
		t.Errorf("ended because %s at %s, deadline %s", g.Cause, g.EndingAt, g.Deadline)
	}
	if _, err := session.Exec(t.Context(), `SELECT 1`); err == nil {
		t.Error("the session outlived the deadline")
	}
}

func TestDeadlinesMissedWhileNobodyRanAreCaughtUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	due, _ := b.issue(time.Minute)
	stuck, _ := b.issue(time.Hour)
	// A replica committed this end and was killed.
	_, err := b.store.ChangeGrant(t.Context(), stuck.ID, func(g grants.Grant) (grants.Change, error) {
		g.State, g.Cause, g.EndingAt, g.EndedBy = grants.Revoking, grants.Released, b.clock.now(), audit.System("test")
		return grants.Change{Grant: g}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.clock.advance(time.Hour / 2)
	got, err := grants.NewReaper(b.Service).RunOnce(t.Context())
	if err != nil || got.Ended != 1 || got.Resumed < 1 {
		t.Fatalf("first pass: %+v, %v", got, err)
	}
	b.awaits(due.ID, grants.Revoked)
	b.awaits(stuck.ID, grants.Revoked)
}

func TestADeadlineIsKeptWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	due, c := b.issue(time.Minute)
	later, d := b.issue(time.Hour)
	moved, e := b.issue(time.Minute)
	session, err := b.connect(c)
	if err != nil {
		t.Fatal(err)
	}
	other, err := b.connect(d)
	if err != nil {
		t.Fatal(err)
	}
	extended, err := b.connect(e)
	if err != nil {
		t.Fatal(err)
	}
	reaper := grants.NewReaper(b.Service)
	if _, err := reaper.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	// What this replica extends itself it need not read.
	if _, err := b.Extend(t.Context(), moved.ID, 0, b.clock.now().Add(time.Hour), time.Time{}, audit.System("test"), "", ""); err != nil {
		t.Fatal(err)
	}
	b.absent.away.Store(true)
	if _, err := reaper.RunOnce(t.Context()); err == nil {
		t.Fatal("a pass without a store succeeded")
	}
	if _, err := session.Exec(t.Context(), `SELECT 1`); err != nil {
		t.Fatalf("locked out before the deadline: %v", err)
	}
	b.driver.fail("secure", false, unreachable) // and the target stumbles, too
	b.clock.advance(time.Minute)
	for b.driver.called("secure") == 0 {
		_, _ = reaper.RunOnce(t.Context())
	}
	b.driver.heal()
	for {
		_, _ = reaper.RunOnce(t.Context())
		if _, err := session.Exec(t.Context(), `SELECT pg_sleep(0.02)`); err != nil {
			break
		}
		if b.driver.called("secure") > 50 {
			t.Fatal("the session outlived its deadline")
		}
	}
	if _, err := b.connect(c); err == nil {
		t.Error("the login still works")
	}
	for _, s := range []*pgx.Conn{other, extended} {
		if _, err := s.Exec(t.Context(), `SELECT 1`); err != nil {
			t.Errorf("a grant that is not due was touched: %v", err)
		}
	}
	b.absent.away.Store(false)
	if _, err := reaper.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if g := b.awaits(due.ID, grants.Revoked); g.Cause != grants.Expired || b.events(audit.GrantEnding, g.ID) != 1 {
		t.Errorf("written down as %s", g.Cause)
	}
	if b.read(later.ID).State != grants.Active {
		t.Error("a grant that is not due was ended")
	}
	if _, err := b.connect(e); err != nil {
		t.Errorf("a grant that was extended is locked out: %v", err)
	}
}

func TestTheAlarmIsRaisedOnceForWhatIsOverdue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, _ := b.issue(time.Minute)
	b.driver.fail("secure", false, unreachable)
	reaper := grants.NewReaper(b.Service)
	b.clock.advance(time.Minute)
	if got, err := reaper.RunOnce(t.Context()); err != nil || got.Ended != 1 || got.Alarmed != 0 {
		t.Fatalf("at the deadline: %+v, %v", got, err)
	}
	b.clock.advance(50 * time.Second)
	// Several replicas notice at the same time.
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := grants.NewReaper(b.Service).RunOnce(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b.clock.advance(time.Minute)
	if got, err := reaper.RunOnce(t.Context()); err != nil || got.Alarmed != 0 {
		t.Fatalf("a minute later: %+v, %v", got, err)
	}
	if b.events(audit.GrantOverdue, g.ID) != 1 || b.jobs("alarm", g.ID) != 1 {
		t.Error("the alarm is one event and one job")
	}
	b.driver.heal()
	b.awaits(g.ID, grants.Revoked)
	if b.jobs("alarm", g.ID) != 2 {
		t.Error("nobody is told that it is over")
	}
}

func TestTheSweepTakesWhatNoGrantExplains(t *testing.T) {
	t.Parallel()
	b := setup(t)
	live, c := b.issue(time.Hour)
	ours := "pa_orphan_" + grants.NewID()
	foreign, stranger := "pa_foreign_"+grants.NewID(), "pa_stranger_"+grants.NewID()
	mustExec(t, b.srv.UserURL(adminLogin, somePassword, c.Database), `
		CREATE ROLE `+ours+` LOGIN; COMMENT ON ROLE `+ours+` IS '`+grants.Stamp{Installation: b.installation, Grant: "lost"}.String()+`';
		CREATE ROLE `+foreign+` LOGIN; COMMENT ON ROLE `+foreign+` IS '`+grants.Stamp{Installation: "somebodyelse", Grant: "lost"}.String()+`';
		CREATE ROLE `+stranger+` LOGIN`)
	t.Cleanup(func() { mustExecLate(b, `DROP ROLE `+foreign+`; DROP ROLE `+stranger) })
	swept, err := b.Sweep(t.Context())
	if err != nil || len(swept) != 1 || len(swept[0].Orphans) != 1 || swept[0].Orphans[0] != ours {
		t.Fatalf("swept %+v, %v", swept, err)
	}
	if b.exists(ours) {
		t.Error("the orphan is still there")
	}
	for _, name := range []string{foreign, stranger, live.Login} {
		if !b.exists(name) {
			t.Errorf("the sweep took %s, which is not its business", name)
		}
	}
	if b.events(audit.LoginOrphaned, "lost") != 1 {
		t.Error("the orphan is not recorded")
	}
	if again, err := b.Sweep(t.Context()); err != nil || len(again[0].Orphans)+len(again[0].Missing) != 0 {
		t.Errorf("a second sweep found %+v, %v", again, err)
	}
}

func TestTheSweepReportsALoginThatSomebodyTookAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, c := b.issue(time.Hour)
	mustExec(t, b.srv.UserURL(adminLogin, somePassword, c.Database), `DROP ROLE `+g.Login)
	swept, err := b.Sweep(t.Context())
	if err != nil || len(swept[0].Missing) != 1 {
		t.Fatalf("swept %+v, %v", swept, err)
	}
	g = b.awaits(g.ID, grants.Revoked)
	if g.Cause != grants.Missing || b.events(audit.GrantMissing, g.ID) != 1 {
		t.Errorf("ended because %s", g.Cause)
	}
}

func TestALoginThatComesBackIsTakenAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, c := b.issue(time.Hour)
	if _, err := b.End(t.Context(), g.ID, grants.Ending{Cause: grants.Released, By: audit.System("test")}); err != nil {
		t.Fatal(err)
	}
	g = b.awaits(g.ID, grants.Revoked)
	mustExec(t, b.srv.UserURL(adminLogin, somePassword, c.Database), `CREATE ROLE `+g.Login+` LOGIN;
		COMMENT ON ROLE `+g.Login+` IS '`+grants.Stamp{Installation: b.installation, Grant: g.ID}.String()+`'`)
	b.clock.advance(5 * time.Minute)
	swept, err := b.Sweep(t.Context())
	if err != nil || len(swept[0].Orphans) != 1 || b.exists(g.Login) {
		t.Fatalf("swept %+v, %v", swept, err)
	}
}

// Whoever can make logins knows the stamps of those that are there.
func TestTheStampOfALiveGrantExplainsItsOwnLoginOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	live, c := b.issue(time.Hour)
	admin, stamp := b.srv.UserURL(adminLogin, somePassword, c.Database), grants.Stamp{Installation: b.installation, Grant: live.ID}.String()
	stray := "pa_stray_" + grants.NewID()
	mustExec(t, admin, `CREATE ROLE `+stray+` LOGIN; COMMENT ON ROLE `+stray+` IS '`+stamp+`'`)
	swept, err := b.Sweep(t.Context())
	if err != nil || !slices.Equal(swept[0].Orphans, []string{stray}) || len(swept[0].Missing) != 0 || b.exists(stray) {
		t.Fatalf("swept %+v, %v", swept, err)
	}
	if !b.exists(live.Login) || b.read(live.ID).State != grants.Active {
		t.Error("the grant's own login is gone")
	}
	if reason := b.reason(audit.LoginOrphaned, live.ID); !strings.Contains(reason, "given out as another login, "+live.Login) {
		t.Errorf("it is said that %s", reason)
	}

	mustExec(t, admin, `DROP ROLE `+live.Login+`; CREATE ROLE `+live.Login+` LOGIN; COMMENT ON ROLE `+live.Login+` IS '`+stamp+`'`)
	b.clock.advance(time.Second)
	swept, err = b.Sweep(t.Context())
	if err != nil || !slices.Equal(swept[0].Orphans, []string{live.Login}) || !slices.Equal(swept[0].Missing, []string{live.Login}) || b.exists(live.Login) {
		t.Fatalf("swept %+v, %v", swept, err)
	}
	if reason := b.reason(audit.LoginOrphaned, live.ID); !strings.Contains(reason, "made this one in its place") {
		t.Errorf("it is said that %s", reason)
	}
	b.awaits(live.ID, grants.Revoked)
}

// reason is what the last event of a kind says about a grant.
func (b *bundle) reason(kind audit.Kind, grant string) string {
	b.t.Helper()
	conn, err := pgx.Connect(b.t.Context(), b.owner)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var reason string
	if err := conn.QueryRow(b.t.Context(), `SELECT reason FROM audit_events WHERE kind = $1 AND grant_id = $2 ORDER BY id DESC LIMIT 1`,
		string(kind), grant).Scan(&reason); err != nil {
		b.t.Fatal(err)
	}
	return reason
}

// The login of a rehearsal is left alone while one may be under way. After that it is taken away with its sessions, whatever end
// whoever made it chose. Not beside other tests, whose sweeps look at the same server by clocks of their own.
func TestTheSweepTakesWhatARehearsalLeft(t *testing.T) {
	b := setup(t)
	s := b.serve(b.store, b.driver.Driver)
	_, c := b.issue(time.Hour)
	id := grants.NewID()
	left := "pa_doctor_" + id
	mustExec(t, b.srv.UserURL(adminLogin, somePassword, c.Database), `CREATE ROLE `+left+` LOGIN PASSWORD '`+localpg.Verifier(somePassword)+`';
		COMMENT ON ROLE `+left+` IS '`+grants.Stamp{Installation: grants.DoctorInstallation, Grant: id}.String()+`'; GRANT CONNECT ON DATABASE `+c.Database+` TO PUBLIC`)
	session, err := pgx.Connect(t.Context(), b.srv.UserURL(left, somePassword, c.Database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close(context.Background()) })
	for range 2 {
		if swept := b.sweeps(s); len(swept.Rehearsals)+len(swept.Orphans) != 0 || !b.exists(left) {
			t.Fatalf("a rehearsal that may be under way was swept: %+v", swept)
		}
		b.clock.advance(grants.RehearsalLasts)
	}
	if swept := b.sweeps(s); !slices.Equal(swept.Rehearsals, []string{left}) || b.exists(left) {
		t.Errorf("swept %+v", swept)
	}
	if _, err := session.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("its session goes on")
	}
	if b.events(audit.LoginOrphaned, id) != 1 {
		t.Error("nobody is told")
	}
}

func TestATargetThatWasSwappedIsNotTakenForRevoked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, _ := b.issue(time.Hour)
	live, c := b.issue(time.Hour)
	mustExec(t, b.srv.UserURL(adminLogin, somePassword, c.Database), `DROP ROLE `+live.Login)
	// The store remembers another cluster than the one that answers now.
	mustExec(t, b.owner, `ALTER TABLE grants DISABLE TRIGGER ALL; UPDATE grants SET fingerprint = 'another'; ALTER TABLE grants ENABLE TRIGGER ALL`)
	if _, err := b.End(t.Context(), g.ID, grants.Ending{Cause: grants.Released, By: audit.System("test")}); err != nil {
		t.Fatal(err)
	}
	for b.read(g.ID).Attempts == 0 {
		tick := time.NewTimer(20 * time.Millisecond)
		<-tick.C
	}
	if got := b.read(g.ID); got.State != grants.Revoking || !strings.Contains(got.LastError, string(grants.FailSwapped)) {
		t.Errorf("state %s, error %q", got.State, got.LastError)
	}
	if !b.exists(g.Login) {
		t.Error("a login of another cluster was dropped")
	}
	if swept, err := b.Sweep(t.Context()); err != nil || len(swept[0].Missing) != 0 {
		t.Errorf("a live grant of another cluster was reported missing: %+v, %v", swept, err)
	}
}

func mustExecLate(b *bundle, sql string) { _ = execLate(b.target, sql) }
