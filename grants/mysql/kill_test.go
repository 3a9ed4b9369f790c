package mysql

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// crossing is a server on which KILLs must not meet.
type crossing struct {
	now, most, all atomic.Int64
}

func (c *crossing) ExecContext(context.Context, string, ...any) (sql.Result, error) {
	c.all.Add(1)
	now := c.now.Add(1)
	defer c.now.Add(-1)
	for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
	}
	time.Sleep(time.Millisecond)
	return counted(1), nil
}

func (c *crossing) QueryContext(context.Context, string, ...any) (*sql.Rows, error) {
	if c.now.Load() > 0 {
		c.most.Add(100) // the next one is killed before this one is known to be awake
	}
	return nil, errors.New("nobody answers")
}

type counted int64

func (n counted) LastInsertId() (int64, error) { return 0, nil }
func (n counted) RowsAffected() (int64, error) { return int64(n), nil }

func TestKillsOnMariaDBDoNotMeet(t *testing.T) {
	t.Parallel()
	k, on := newKiller(), &crossing{}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := k.kill(t.Context(), on, mariadb, "1"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if on.most.Load() != 1 || on.all.Load() != 20 {
		t.Errorf("%d KILLs, %d at once", on.all.Load(), on.most.Load())
	}
	// Whoever waits for a turn gives up with its context.
	k.turn <- struct{}{}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.kill(ended, on, mariadb, "1"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if on.all.Load() != 20 {
		t.Error("killed out of turn")
	}
}

// Whoever lacks PROCESS sees nobody, and is told so by the look that follows; the sessions end all the same.
func TestSessionsThatAreNotSeenAreEnded(t *testing.T) {
	t.Parallel()
	c := shared(t, mariadb)
	d := c.open(t, nil)
	o := newOrder(t, d, "pa_read_only")
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	s, err := openSession(t.Context(), c.srv.Config(o.Login, o.Password.Reveal(), ""))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	run(t, c, "CREATE USER blind@'%' IDENTIFIED BY 'blind'", "GRANT CONNECTION ADMIN ON *.* TO blind@'%'", "GRANT SELECT ON prodaccess.* TO blind@'%'")
	defer run(t, c, "DROP USER blind@'%'")
	blind, err := openSession(t.Context(), c.srv.Config("blind", "blind", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer blind.Close()
	var killed int
	if err := newKiller().all(t.Context(), blind.conn, mariadb, o.Login, &killed); err != nil || killed != 1 {
		t.Errorf("%d sessions were killed: %v", killed, err)
	}
	takeBack(t, c, d, o)
	if s.Read(t.Context()) == nil {
		t.Error("the session lives on")
	}
}

// Sleepers are what MariaDB cannot end together.
func TestManySleepersAreEndedTogether(t *testing.T) { onEach(t, manySleepersAreEndedTogether) }

func manySleepersAreEndedTogether(t *testing.T, on flavour) {
	c := shared(t, on)
	d := c.open(t, func(cfg *Config) { cfg.MaxConns = 16 })
	var orders []grants.Order
	var busy sync.WaitGroup
	for range 12 {
		o := newOrder(t, d, "pa_read_only")
		if _, err := d.Issue(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		orders = append(orders, o)
		for range 4 {
			s, err := openSession(t.Context(), c.srv.Config(o.Login, o.Password.Reveal(), ""))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			busy.Go(func() { _, _ = s.conn.ExecContext(context.Background(), "DO SLEEP(600)") })
		}
	}
	eventually(t, "all sleep", func() bool {
		return value[int](t, c, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep' AND USER LIKE 'pa\\_ana\\_%'") >= 48
	})
	begun := time.Now()
	var all sync.WaitGroup
	for _, o := range orders {
		all.Go(func() {
			secured, err := d.Secure(t.Context(), loginOf(o))
			if err != nil || secured.Killed != 4 {
				t.Errorf("%d sessions were killed, of 4: %v", secured.Killed, err)
			}
		})
	}
	all.Wait()
	busy.Wait()
	if took := time.Since(begun); took > 2*time.Second { // for which a KILL tries
		t.Errorf("48 sleepers of 12 logins were ended after %s", took)
	}
	for _, o := range orders {
		takeBack(t, c, d, o)
	}
}

// Whoever tries again finds no session and a login that is locked: what a failed try did is told with its error.
func TestAFailedLockTellsWhatItDid(t *testing.T) { onEach(t, aFailedLockTellsWhatItDid) }

func aFailedLockTellsWhatItDid(t *testing.T, on flavour) {
	c := shared(t, on)
	d, impatient := c.open(t, nil), c.open(t, nil)
	impatient.patience = -1
	o := newOrder(t, d, "pa_read_only")
	issued, err := d.Issue(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s, err := openSession(t.Context(), c.srv.Config(o.Login, o.Password.Reveal(), ""))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// Somebody is still at work on the account, and does not end in time.
	worker, _, err := d.everyday.borrow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer worker.Close()
	if n, err := change(t.Context(), worker, "UPDATE prodaccess.logins SET worker = CONNECTION_ID() WHERE login = "+literal(o.Login)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	begun := time.Now()
	secured, err := impatient.Secure(t.Context(), loginOf(o))
	if grants.ReasonOf(err) != grants.FailBusy || !strings.Contains(err.Error(), "does not end") {
		t.Fatalf("the worker is still there, and the failure is: %v", err)
	}
	killed := 1
	if on == mysql {
		killed = 0 // sessions are ended after the worker there
	}
	if secured.Killed != killed || !secured.Existed || secured.OID != issued.OID || secured.LockedAt.Before(begun) {
		t.Errorf("a lock and %d sessions were not told: %+v", killed, secured)
	}
	takeBack(t, c, d, o)
}
