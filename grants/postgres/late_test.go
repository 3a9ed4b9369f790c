package postgres

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/localpg"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// lagging is a cluster with a standby, on whose replay tests lay their hands.
type lagging struct {
	*cluster
	d       *Driver
	standby *localpg.Server
}

func withStandby(t *testing.T, c *cluster) lagging {
	t.Helper()
	t.Cleanup(c.srv.Stop)
	t.Cleanup(c.super.Close)
	standby, err := c.srv.Standby(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d := c.open(t, func(cfg *Config) {
		cfg.Nodes = []Node{{Name: "orders-replica", URL: secret.New(standby.UserURL("prodaccess_admin", "admin-password-of-the-tests", "app"))}}
	})
	d.patience, d.replay = 200*time.Millisecond, 200*time.Millisecond
	return lagging{cluster: c, d: d, standby: standby}
}

// unseen issues a login that the standby does not know.
func (l lagging) unseen(t *testing.T) (grants.Order, grants.Login) {
	t.Helper()
	o := l.d.newOrder(t, readOnly)
	issued, err := l.d.Issue(t.Context(), o)
	if err != nil || !slices.Equal(issued.Lagging, []string{"orders-replica"}) {
		t.Fatalf("%+v, %v: nothing is shown here", issued, err)
	}
	login := loginOf(o)
	login.OID = issued.OID
	return o, login
}

// secures are the ways by which a login is locked out.
func (l lagging) secures() map[string]func(context.Context, grants.Login) (grants.Secured, error) {
	return map[string]func(context.Context, grants.Login) (grants.Secured, error){
		"alone": l.d.Secure,
		"among others": func(ctx context.Context, login grants.Login) (out grants.Secured, err error) {
			l.d.FinishMany(ctx, []grants.Login{login}, func(_ int, s grants.Secured, _ *grants.Cleaned, e error) { out, err = s, e })
			return out, err
		},
	}
}

// A standby whose replay stands still over the whole life of a login has no role and no session of it, and is no proof: the
// login comes when replay goes on. The same when somebody else dropped the login meanwhile.
func TestAStandbyThatHasNotSeenTheLoginYet(t *testing.T) {
	t.Parallel()
	l := withStandby(t, prepare(t, startServer(t, 15, nil), 15))
	for name, secure := range l.secures() {
		for _, dropped := range []bool{false, true} {
			run(t, l.standby.URL("app"), "SELECT pg_wal_replay_pause()")
			o, login := l.unseen(t)
			if dropped {
				run(t, l.admin.Reveal(), "DROP ROLE "+ident(o.Login))
			}
			secured, err := secure(t.Context(), login)
			if grants.ReasonOf(err) != grants.FailBusy || !strings.Contains(err.Error(), "orders-replica does not show the lock yet") ||
				slices.Contains(secured.Nodes, "orders-replica") {
				t.Errorf("%s, dropped %v: while replay stands still: %+v, %v", name, dropped, secured, err)
			}
			run(t, l.standby.URL("app"), "SELECT pg_wal_replay_resume()")
			l.d.patience = drainPatience
			if secured, err = secure(t.Context(), login); err != nil || len(secured.Nodes) != 2 {
				t.Errorf("%s, dropped %v: after replay went on: %+v, %v", name, dropped, secured, err)
			}
			l.d.patience = 200 * time.Millisecond
			if conn, err := pgx.Connect(t.Context(), l.standby.UserURL(o.Login, o.Password.Reveal(), "app")); err == nil {
				_ = conn.Close(t.Context())
				t.Errorf("%s, dropped %v: the standby lets the login in", name, dropped)
			}
			if _, err := l.d.Clean(t.Context(), login); err != nil {
				t.Error(err)
			}
		}
	}
}

// A standby that is behind by more than a try takes, on purpose, is waited for until it has come to the first lock, not to
// that of the latest try.
func TestAStandbyThatIsBehindOnPurpose(t *testing.T) {
	t.Parallel()
	l := withStandby(t, prepare(t, startServer(t, 15, nil), 15))
	run(t, l.standby.URL("app"), "ALTER SYSTEM SET recovery_min_apply_delay = '2s'", "SELECT pg_reload_conf()")
	for name, secure := range l.secures() {
		_, login := l.unseen(t)
		begun, tries := time.Now(), 0
		for secured, err := secure(t.Context(), login); err != nil; secured, err = secure(t.Context(), login) {
			if tries++; time.Since(begun) > 20*time.Second {
				t.Fatalf("%s: after %d tries: %+v, %v", name, tries, secured, err)
			}
		}
		if tries < 3 {
			t.Errorf("%s: secured after %d failed tries: nothing is shown here", name, tries)
		}
		if len(l.d.locks.places) != 0 {
			t.Errorf("%s: it still remembers %v", name, l.d.locks.places)
		}
	}
}

// A standby that was promoted replays nothing any more: what it does not have it will never have.
func TestAStandbyThatWasPromoted(t *testing.T) {
	t.Parallel()
	l := withStandby(t, prepare(t, startServer(t, 15, nil), 15))
	run(t, l.standby.URL("app"), "SELECT pg_promote()")
	for name, secure := range l.secures() {
		_, login := l.unseen(t)
		if secured, err := secure(t.Context(), login); err != nil || len(secured.Nodes) != 2 {
			t.Errorf("%s: %+v, %v", name, secured, err)
		}
	}
}

func TestPositions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]position{"0/0": 0, "0/1A2B3C": 0x1A2B3C, "12/FFFFFFFF": 0x12FFFFFFFF} {
		if got, err := parsePosition(text); err != nil || got != want || got.String() != text {
			t.Errorf("%s is read as %v, %v", text, got, err)
		}
	}
	if _, err := parsePosition("nowhere"); err == nil {
		t.Error("no position is read as one")
	}
	var p positions
	a := grants.Login{Name: "a"}
	for _, step := range []struct{ now, want position }{{5, 5}, {7, 5}, {3, 3}, {9, 3}} { // at 3 it is another server's log
		if got := p.first(a, step.now); got != step.want {
			t.Errorf("at %v it is %v", step.now, got)
		}
	}
	p.forget(a)
	if got := p.first(a, 9); got != 9 {
		t.Errorf("after it was forgotten it is %v", got)
	}
}
