package mysql

import (
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// What a person locked by hand stays locked, whoever extends it, and however late: the operator's page tells them to lock a
// login and leave the rest to prodaccess.
func TestALockByHandStays(t *testing.T) { onEach(t, aLockByHandStays) }

func aLockByHandStays(t *testing.T, on flavour) {
	c := prepare(t, on, nil)
	t.Cleanup(c.stop)
	run(t, c, "ALTER DEFINER = prodaccess_admin@'%' EVENT prodaccess.deadman ON SCHEDULE EVERY 1 SECOND")
	d := c.open(t, nil)
	o := newOrder(t, d, "pa_read_only")
	o.ValidUntil = time.Now().Add(3 * time.Second)
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	run(t, c, "ALTER USER '"+o.Login+"'@'%' ACCOUNT LOCK")
	refused := func(when string) {
		t.Helper()
		for range 2 {
			err := d.Extend(t.Context(), loginOf(o), time.Now().Add(time.Hour))
			if grants.ReasonOf(err) != grants.FailForeign || !strings.Contains(err.Error(), "locked the login by hand") {
				t.Errorf("%s: %v", when, err)
			}
		}
		if c.canLogin(o) {
			t.Fatalf("%s: the extension undid the lock", when)
		}
	}
	refused("before its end")
	ran(t, c, o.ValidUntil.Add(2*time.Second)) // twice at least since its end
	refused("after its end")
	run(t, c, "ALTER USER '"+o.Login+"'@'%' ACCOUNT UNLOCK")
	eventually(t, "the server ends what is over and unlocked", func() bool { return !c.canLogin(o) })
	if err := d.Extend(t.Context(), loginOf(o), time.Now().Add(time.Hour)); err != nil || !c.canLogin(o) {
		t.Errorf("what the server locked by itself is not extended: %v", err)
	}
	takeBack(t, c, d, o)
}

// ran waits until the event was begun after an instant, which is on the same clock.
func ran(t *testing.T, c *cluster, after time.Time) {
	t.Helper()
	eventually(t, "the event is run", func() bool {
		return value[int](t, c, "SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'prodaccess' AND UNIX_TIMESTAMP(LAST_EXECUTED) > ?", after.Unix()) == 1
	})
}

// The event fails where the ledger cannot be read, and does not go round for ever.
func TestTheServersSwitchDoesNotSpin(t *testing.T) { onEach(t, theServersSwitchDoesNotSpin) }

func theServersSwitchDoesNotSpin(t *testing.T, on flavour) {
	c := prepare(t, on, nil)
	t.Cleanup(c.stop)
	run(t, c, "RENAME TABLE prodaccess.logins TO prodaccess.elsewhere", "ALTER DEFINER = prodaccess_admin@'%' EVENT prodaccess.deadman ON SCHEDULE EVERY 1 SECOND")
	ran(t, c, time.Now().Add(2*time.Second)) // so that the first run is no more about to begin
	at := func() int {
		return value[int](t, c, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'prodaccess_admin'")
	}
	eventually(t, "the event is through", func() bool { return at() == 0 })
	run(t, c, "RENAME TABLE prodaccess.elsewhere TO prodaccess.logins")
	d := c.open(t, nil)
	o := newOrder(t, d, "pa_read_only")
	o.ValidUntil = time.Now().Add(time.Second)
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the event works again", func() bool { return !c.canLogin(o) })
	takeBack(t, c, d, o)
}
