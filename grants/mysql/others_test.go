package mysql

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// What these servers do to whoever takes logins back in the obvious way. Each test first shows the trap with statements of
// its own, so that a server which has mended it is noticed, and then that a grant of ours is not caught in it.

// guest makes an account that is not ours and returns a session of it.
func guest(t *testing.T, c *cluster, name, database string, give ...string) *session {
	t.Helper()
	run(t, c, "CREATE USER "+name+" IDENTIFIED BY 'theirs'")
	t.Cleanup(func() { run(t, c, "DROP USER IF EXISTS "+name) })
	run(t, c, give...)
	return guestAgain(t, c, name, database)
}

func guestAgain(t *testing.T, c *cluster, name, database string) *session {
	t.Helper()
	s, err := openSession(t.Context(), c.srv.Config(name, "theirs", database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func (s *session) can(t *testing.T, statement string) bool {
	t.Helper()
	_, err := s.conn.ExecContext(t.Context(), statement)
	return err == nil
}

// visitor issues a login of ours and returns a session of it.
func visitor(t *testing.T, c *cluster, d *Driver, role, database string) (grants.Order, *session) {
	t.Helper()
	o := newOrder(t, d, role)
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	s, err := openSession(t.Context(), c.srv.Config(o.Login, o.Password.Reveal(), database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return o, s
}

// Trap 2: a lock, REVOKE and DROP USER leave what a session has cached of its database, and global privileges.
func TestLivePrivilegesAfterTheEnd(t *testing.T) { onEach(t, livePrivilegesAfterTheEnd) }

func livePrivilegesAfterTheEnd(t *testing.T, on flavour) {
	c := prepare(t, on, nil)
	t.Cleanup(c.stop)
	run(t, c, "CREATE TABLE other.notes (id INT AUTO_INCREMENT PRIMARY KEY, login VARCHAR(32))")
	s := guest(t, c, "lingers", "other", "GRANT SELECT ON other.* TO lingers", "GRANT INSERT ON *.* TO lingers")
	run(t, c, "ALTER USER lingers ACCOUNT LOCK")
	if !s.can(t, "SELECT * FROM notes") || !s.can(t, "INSERT INTO notes (login) VALUES ('locked')") {
		t.Error("a lock ends what a session may do: the trap is gone")
	}
	run(t, c, "REVOKE ALL PRIVILEGES, GRANT OPTION FROM lingers")
	if !s.can(t, "SELECT * FROM notes") || !s.can(t, "INSERT INTO notes (login) VALUES ('revoked')") {
		t.Error("REVOKE ends what a session may do at once: the trap is gone")
	}
	run(t, c, "DROP USER lingers")
	if !s.can(t, "SELECT * FROM notes") || !s.can(t, "INSERT INTO notes (login) VALUES ('dropped')") {
		t.Error("DROP USER ends what a session may do: the trap is gone")
	}

	run(t, c, "GRANT INSERT ON *.* TO pa_read_only", "GRANT SELECT ON other.* TO pa_read_only")
	d := c.open(t, nil)
	o, mine := visitor(t, c, d, "pa_read_only", "other")
	if !mine.can(t, "INSERT INTO notes (login) VALUES ('live')") {
		t.Fatal("the visitor cannot write while it may")
	}
	if _, err := d.Secure(t.Context(), loginOf(o)); err != nil {
		t.Fatal(err)
	}
	if mine.can(t, "SELECT * FROM notes") || mine.can(t, "INSERT INTO notes (login) VALUES ('secured')") {
		t.Error("the session outlives its grant")
	}
	takeBack(t, c, d, o)
}

// A role that is taken away ends what sessions may do on MySQL, and does not on MariaDB.
func TestARevokedRoleInALiveSession(t *testing.T) { onEach(t, aRevokedRoleInALiveSession) }

func aRevokedRoleInALiveSession(t *testing.T, on flavour) {
	c := shared(t, on)
	s := guest(t, c, "through_role", "", "CREATE ROLE IF NOT EXISTS reads_orders", "GRANT SELECT ON app.orders TO reads_orders", "GRANT reads_orders TO through_role",
		on.setDefaultRole("reads_orders", "through_role"))
	if err := s.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, c, "REVOKE reads_orders FROM through_role")
	if err := s.Read(t.Context()); (err == nil) != (on == mariadb) {
		t.Errorf("after its role was revoked: %v", err)
	}
}

// Trap 3: whoever is killed before the lock is back at once.
func TestKilledBeforeTheLock(t *testing.T) { onEach(t, killedBeforeTheLock) }

func killedBeforeTheLock(t *testing.T, on flavour) {
	c := shared(t, on)
	s := guest(t, c, "comes_back", "")
	run(t, c, "KILL "+value[string](t, c, "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'comes_back'"))
	eventually(t, "the session is over", func() bool { return !s.can(t, "DO 0") })
	guestAgain(t, c, "comes_back", "")
	// Ours: a client that comes back as fast as it can does not, once it is secured.
	d := c.open(t, nil)
	o, _ := visitor(t, c, d, "pa_read_only", "")
	stop, tried := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(tried)
		for {
			select {
			case <-stop:
				return
			default:
				if s, err := openSession(t.Context(), c.srv.Config(o.Login, o.Password.Reveal(), "")); err == nil {
					s.Close()
				}
			}
		}
	}()
	_, err := d.Secure(t.Context(), loginOf(o))
	if n := value[int](t, c, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = ?", o.Login); err == nil && n > 0 && c.canLogin(o) {
		t.Errorf("%d sessions after it was secured", n)
	}
	close(stop)
	<-tried
	if err != nil {
		t.Error(err)
	}
	takeBack(t, c, d, o)
}

// Trap 13: PASSWORD EXPIRE is no lock.
func TestAnExpiredPasswordIsNoLock(t *testing.T) { onEach(t, anExpiredPasswordIsNoLock) }

func anExpiredPasswordIsNoLock(t *testing.T, on flavour) {
	c := prepare(t, on, map[string]string{"disconnect-on-expired-password": "OFF"}) // or the client must say that it can handle it
	t.Cleanup(c.stop)
	guest(t, c, "expires", "", "GRANT SELECT ON app.orders TO expires")
	run(t, c, "ALTER USER expires PASSWORD EXPIRE")
	s := guestAgain(t, c, "expires", "")
	if s.can(t, "SELECT * FROM app.orders") {
		t.Error("an expired password is good for reading")
	}
	s.run(t, c.choose("SET PASSWORD = PASSWORD('new')", "SET PASSWORD = 'new'"))
	if !s.can(t, "SELECT * FROM app.orders") {
		t.Error("setting another password does not let the user in: the trap is gone")
	}
}

// Trap 24: a role does nothing until it is the default, or is set.
func TestARoleDoesNothingUntilItIsDefault(t *testing.T) { onEach(t, aRoleDoesNothingUntilItIsDefault) }

func aRoleDoesNothingUntilItIsDefault(t *testing.T, on flavour) {
	c := shared(t, on)
	s := guest(t, c, "not_default", "", "CREATE ROLE not_yet", "GRANT SELECT ON app.orders TO not_yet", "GRANT not_yet TO not_default")
	t.Cleanup(func() { run(t, c, "DROP ROLE not_yet") })
	if err := s.Read(t.Context()); err == nil {
		t.Error("a role that is not the default works: the trap is gone")
	}
	run(t, c, on.setDefaultRole("not_yet", "not_default"))
	if err := guestAgain(t, c, "not_default", "").Read(t.Context()); err != nil {
		t.Error(err)
	}
}

// Trap 25: IF NOT EXISTS keeps the old password without a word.
func TestIfNotExistsKeepsTheOldPassword(t *testing.T) { onEach(t, ifNotExistsKeepsTheOldPassword) }

func ifNotExistsKeepsTheOldPassword(t *testing.T, on flavour) {
	c := shared(t, on)
	guest(t, c, "was_there", "")
	run(t, c, "CREATE USER IF NOT EXISTS was_there IDENTIFIED BY 'another'")
	guestAgain(t, c, "was_there", "") // with the old one
	d := c.open(t, nil)
	o := newOrder(t, d, "pa_read_only")
	run(t, c, "CREATE USER '"+o.Login+"'@'%' IDENTIFIED BY 'theirs'")
	t.Cleanup(func() { run(t, c, "DROP USER '"+o.Login+"'@'%'") })
	if _, err := d.Issue(t.Context(), o); grants.ReasonOf(err) != grants.FailForeign {
		t.Errorf("issued over an account that was there: %v", err)
	}
	theirs := o
	theirs.Password = secret.New("theirs")
	if !c.canLogin(theirs) || c.canLogin(o) {
		t.Error("somebody else's password was changed")
	}
}

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

// Verifiers are what the server itself would make of a password, in every form that it takes; and with any salt.
func TestVerifiersOpenSessions(t *testing.T) { onEach(t, verifiersOpenSessions) }

func verifiersOpenSessions(t *testing.T, on flavour) {
	c := shared(t, on)
	plugin := map[flavour]plugin{mariadb: nativePassword, mysql: cachingSHA2}[on]
	for i, password := range []string{"a", strings.Repeat("long ", 40), `quo'te"back\slash$dollar`, "0123456789ABCDEF0123456789ABCDEF", "0123456789ABCDEF0123456789ABCDE"} {
		verifier, err := plugin.verifier(secret.New(password))
		if err != nil {
			t.Fatal(err)
		}
		name := "verified_" + string(rune('a'+i))
		run(t, c, "CREATE USER "+account(name)+plugin.identified(verifier))
		t.Cleanup(func() { run(t, c, "DROP USER "+account(name)) })
		s, err := openSession(t.Context(), c.srv.Config(name, password, ""))
		if err != nil {
			t.Errorf("%q does not open a session: %v", password, err)
			continue
		}
		s.Close()
	}
	if on == mariadb {
		return
	}
	// The server's own salts have any byte; a verifier that is read back as hexadecimal and set again still opens.
	guest(t, c, "binary_salt", "")
	for range 20 {
		run(t, c, "ALTER USER binary_salt IDENTIFIED BY 'theirs'")
		hex := value[string](t, c, "SELECT HEX(authentication_string) FROM mysql.user WHERE User = 'binary_salt'")
		run(t, c, "ALTER USER binary_salt IDENTIFIED WITH caching_sha2_password AS 0x"+hex)
		guestAgain(t, c, "binary_salt", "").Close()
	}
}

// A name may have 32 characters, and no more.
func TestTheLongestName(t *testing.T) { onEach(t, theLongestName) }

func theLongestName(t *testing.T, on flavour) {
	c := shared(t, on)
	d := c.open(t, nil)
	o := newOrder(t, d, "pa_read_only")
	o.Login += strings.Repeat("x", longestName-len(o.Login))
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Error(err)
	}
	takeBack(t, c, d, o)
	o.Login += "x"
	if _, err := d.Issue(t.Context(), o); err == nil || c.exists(t, o.Login) {
		t.Errorf("33 characters: %v", err)
	}
}

// A role that everybody has, and roles that are all active, do not make a login of ours more than it is said to be without
// being told.
func TestMandatoryRoles(t *testing.T) {
	t.Parallel()
	c := prepare(t, mysql, map[string]string{"activate-all-roles-on-login": "ON"})
	t.Cleanup(c.stop)
	run(t, c, "CREATE ROLE everyone", "GRANT DELETE ON app.orders TO everyone", "SET GLOBAL mandatory_roles = 'everyone'")
	d := c.open(t, nil)
	o, s := visitor(t, c, d, "pa_read_only", "app")
	if err := s.Read(t.Context()); err != nil {
		t.Error(err)
	}
	if !s.can(t, "DELETE FROM orders") {
		t.Error("a mandatory role does nothing: the trap is gone")
	}
	found, err := d.Check(t.Context(), []grants.Profile{readOnly})
	if err != nil || !slices.ContainsFunc(found, func(f grants.Finding) bool { return strings.Contains(f.What, "role everyone") && !f.Advice }) {
		t.Errorf("check does not speak of it: %+v, %v", found, err)
	}
	run(t, c, "CREATE USER bystander IDENTIFIED BY 'x'")
	standing, err := d.Standing(t.Context())
	if err != nil || !slices.ContainsFunc(standing, func(s grants.Standing) bool { return s.Login == "bystander" && s.Power == grants.Writer }) {
		t.Errorf("what everybody has is not in the inventory: %+v, %v", standing, err)
	}
	takeBack(t, c, d, o)
}
