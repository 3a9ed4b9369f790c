package mysql

import (
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// Trap 23: an event of a locked account goes on; a definer's account cannot be dropped (MySQL, without the privilege);
// a name that is used again arms what an earlier one left.
func TestEventsOutliveALockAndNamesArmThem(t *testing.T) {
	onEach(t, eventsOutliveALockAndNamesArmThem)
}

func eventsOutliveALockAndNamesArmThem(t *testing.T, on flavour) {
	c := shared(t, on)
	run(t, c, "CREATE TABLE IF NOT EXISTS other.ticks (a INT)")
	guest(t, c, "ticker", "other", "GRANT EVENT, INSERT ON other.* TO ticker").run(t, "CREATE EVENT ticking ON SCHEDULE EVERY 1 SECOND DO INSERT INTO ticks VALUES (1)")
	t.Cleanup(func() { run(t, c, "DROP EVENT IF EXISTS other.ticking") })
	ticks := func() int { return value[int](t, c, "SELECT COUNT(*) FROM other.ticks") }
	run(t, c, "ALTER USER ticker ACCOUNT LOCK")
	before := ticks()
	eventually(t, "the locked account's event writes", func() bool { return ticks() > before+1 })
	run(t, c, "DROP USER ticker")
	var still int
	eventually(t, "the event of nobody fails", func() bool {
		was := ticks()
		time.Sleep(1100 * time.Millisecond) // it would fire once a second
		still = ticks()
		return still == was
	})
	run(t, c, "CREATE USER ticker IDENTIFIED BY 'another'", "GRANT EVENT, INSERT ON other.* TO ticker")
	eventually(t, "the new account's name arms the old event", func() bool { return ticks() > still })
}

// What MySQL needs a privilege for: without it, the account of a definer cannot be dropped, and the driver says so.
func TestDroppingADefinerNeedsAPrivilege(t *testing.T) {
	t.Parallel()
	c := prepare(t, mysql, nil)
	t.Cleanup(c.stop)
	c.loosen(t)
	d := c.open(t, nil)
	o, s := visitor(t, c, d, "pa_read_only", "other")
	s.run(t, "CREATE SQL SECURITY DEFINER VIEW other.left_behind AS SELECT 1")
	if _, err := d.Secure(t.Context(), loginOf(o)); err != nil {
		t.Fatal(err)
	}
	run(t, c, "REVOKE ALLOW_NONEXISTENT_DEFINER ON *.* FROM prodaccess_admin")
	if _, err := d.Clean(t.Context(), loginOf(o)); grants.ReasonOf(err) != grants.FailPrivilege {
		t.Errorf("dropped a definer without the privilege: %v", err)
	}
	run(t, c, "GRANT ALLOW_NONEXISTENT_DEFINER ON *.* TO prodaccess_admin")
	takeBack(t, c, d, o)
}
