package mysql

import (
	"testing"

	"github.com/prodaccess/prodaccess/grants"
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
	var kept []*session
	go func() {
		defer close(tried)
		for {
			select {
			case <-stop:
				return
			default:
				if s, err := openSession(t.Context(), c.srv.Config(o.Login, o.Password.Reveal(), "")); err == nil {
					kept = append(kept, s)
				}
			}
		}
	}()
	_, err := d.Secure(t.Context(), loginOf(o))
	close(stop)
	<-tried
	if err != nil {
		t.Error(err)
	}
	for i, s := range kept {
		if s.can(t, "DO 0") {
			t.Errorf("session %d of %d lives after the login was secured", i+1, len(kept))
		}
		s.Close()
	}
	takeBack(t, c, d, o)
}
