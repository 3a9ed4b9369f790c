package mysql

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants/grantstest"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// loosen opens what a prepared target has shut, so that visitors can do what they must not get away with.
func (c *cluster) loosen(t testing.TB) {
	t.Helper()
	run(t, c,
		"CREATE TABLE other.notes (id INT AUTO_INCREMENT PRIMARY KEY, login VARCHAR(32)) ENGINE = InnoDB",
		"GRANT SELECT, INSERT, UPDATE, CREATE, CREATE ROUTINE, CREATE VIEW, CREATE TEMPORARY TABLES, LOCK TABLES, EVENT, TRIGGER, EXECUTE, DROP ON other.* TO pa_read_only",
		"GRANT INSERT ON *.* TO pa_read_only",
		"GRANT SHOW VIEW, TRIGGER, EVENT ON other.* TO prodaccess_admin")
}

func (f fixture) Mischief() []grantstest.Mischief {
	do := func(statements ...string) func(testing.TB, string, secret.String, grantstest.Session) {
		return func(t testing.TB, _ string, _ secret.String, s grantstest.Session) {
			s.(*session).run(t, statements...)
		}
	}
	named := func(statements func(login string) []string) func(testing.TB, string, secret.String, grantstest.Session) {
		return func(t testing.TB, login string, _ secret.String, s grantstest.Session) {
			s.(*session).run(t, statements(login)...)
		}
	}
	cannotRun := func(statement func(login string) string) func(testing.TB, string) {
		return func(t testing.TB, login string) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if _, err := f.super.ExecContext(ctx, statement(login)); number(err) != 1449 { // ER_NO_SUCH_USER
				t.Errorf("%s: %v, want the definer to be missing", statement(login), err)
			}
		}
	}
	all := []grantstest.Mischief{
		{Name: "idle in a transaction", Do: do("USE other", "BEGIN", "SELECT * FROM app.orders", "INSERT INTO notes (login) VALUES ('idle')")},
		{Name: "privileges cached by USE", Do: do("USE app", "SELECT * FROM orders")},
		{Name: "SET ROLE to the access role", Do: do("SET ROLE pa_read_only", "SELECT * FROM app.orders")},
		{Name: "temporary table and a named lock", Do: do("USE other", "CREATE TEMPORARY TABLE held (a INT)", "DO GET_LOCK('held', 1)")},
		{Name: "locked tables", Do: do("LOCK TABLES other.notes READ")},
		{Name: "own password", Do: do(f.choose("SET PASSWORD = PASSWORD('mine')", "SET PASSWORD = 'mine'"))},
		{
			Name: "writing with a global privilege in a loop",
			Do: func(t testing.TB, login string, _ secret.String, s grantstest.Session) {
				visitor := s.(*session)
				visitor.busy.Go(func() {
					for {
						if _, err := visitor.conn.ExecContext(context.Background(), "INSERT INTO other.notes (login) VALUES ('"+login+"')"); err != nil {
							return
						}
					}
				})
				eventually(t, "the visitor writes", func() bool {
					return value[int](t, f.cluster, "SELECT COUNT(*) FROM other.notes WHERE login = ?", login) > 0
				})
			},
			After: func(t testing.TB, login string) { f.standsStill(t, login) },
		},
		{
			Name: "sleeping, deaf to everything", Do: func(t testing.TB, login string, _ secret.String, s grantstest.Session) {
				visitor := s.(*session)
				visitor.busy.Go(func() { _, _ = visitor.conn.ExecContext(context.Background(), "DO SLEEP(600)") })
				eventually(t, "the visitor sleeps", func() bool {
					return value[int](t, f.cluster, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = ? AND INFO LIKE 'DO SLEEP%'", login) == 1
				})
			},
		},
		{Name: "stalled in the handshake", Do: f.stall(true)},
		{
			Name: "an event that goes on writing", Leftovers: 1, Owner: "nobody: it was dropped",
			Do: func(t testing.TB, login string, _ secret.String, s grantstest.Session) {
				s.(*session).run(t, "CREATE EVENT other."+login+" ON SCHEDULE EVERY 1 SECOND DO INSERT INTO other.notes (login) VALUES ('"+login+"')")
			},
			After: func(t testing.TB, login string) {
				if n := value[int](t, f.cluster, "SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_NAME = ?", login); n != 0 {
					t.Error("the event is still there")
				}
				f.standsStill(t, login)
			},
		},
		{
			Name: "routines with the login's rights", Leftovers: 2, Owner: nobody,
			Do: named(func(login string) []string {
				return []string{
					"CREATE PROCEDURE other." + login + "() SQL SECURITY DEFINER UPDATE app.orders SET email = email",
					"CREATE FUNCTION other.f_" + login + "() RETURNS INT SQL SECURITY DEFINER RETURN (SELECT COUNT(*) FROM app.orders)",
				}
			}),
			After: cannotRun(func(login string) string { return "CALL other." + login + "()" }),
		},
		{
			Name: "a view and a trigger with the login's rights", Leftovers: 2, Owner: nobody,
			Do: named(func(login string) []string {
				return []string{
					"CREATE TABLE other.t_" + login + " (a INT)",
					"CREATE SQL SECURITY DEFINER VIEW other.v_" + login + " AS SELECT * FROM app.orders",
					"CREATE TRIGGER other.g_" + login + " BEFORE INSERT ON other.t_" + login + " FOR EACH ROW SET NEW.a = 1",
				}
			}),
			After: cannotRun(func(login string) string { return "INSERT INTO other.t_" + login + " VALUES (2)" }),
		},
	}
	if f.on == mysql {
		// Further on: the server does not have the verifier in memory and has asked for the password itself.
		all = append(all, grantstest.Mischief{Name: "stalled in the handshake, asked for the password", Do: f.stall(false)})
	}
	return all
}

// standsStill says that nobody writes under the login's name any more.
func (f fixture) standsStill(t testing.TB, login string) {
	t.Helper()
	count := func() int { return value[int](t, f.cluster, "SELECT COUNT(*) FROM other.notes WHERE login = ?", login) }
	before := count()
	// An event fires once a second; another one shows when the server has come by.
	witness := "other.witness_" + login
	run(t, f.cluster, "CREATE EVENT "+witness+" ON SCHEDULE EVERY 1 SECOND DO DO 0")
	eventually(t, "events are run", func() bool {
		return value[int](t, f.cluster, "SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'other' AND EVENT_NAME = ? AND LAST_EXECUTED > STARTS + INTERVAL 1 SECOND", "witness_"+login) == 1
	})
	run(t, f.cluster, "DROP EVENT "+witness)
	if after := count(); after != before {
		t.Errorf("%d rows were written after the end", after-before)
	}
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("it does not come to this: %s", what)
		}
	}
}

// stall holds a connection between its name and its password: the server has looked the account up by then, unlocked as
// it was, and would let it in however long after the lock. MySQL does not say whose it is.
func (f fixture) stall(rename bool) func(testing.TB, string, secret.String, grantstest.Session) {
	return func(t testing.TB, login string, password secret.String, _ grantstest.Session) {
		f.stalled(t, login, password, rename)
	}
}

func (f fixture) stalled(t testing.TB, login string, password secret.String, rename bool) {
	if !rename {
		run(t, f.cluster, "FLUSH PRIVILEGES") // the server forgets what it has in memory, and asks for the password itself
	}
	cfg := f.srv.Config(login, password.Reveal(), "") // no database, which it would be refused for want of a role
	held := &holdsBack{reached: make(chan struct{}), release: make(chan struct{}), rename: rename}
	cfg.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		held.Conn = conn
		return held, err
	}
	outcome := make(chan error, 1)
	go func() {
		s, err := openSession(context.Background(), cfg)
		if err == nil {
			s.Close()
		}
		outcome <- err
	}()
	select {
	case <-held.reached:
	case err := <-outcome:
		t.Fatalf("the handshake was not held: %v", err)
	}
	t.Cleanup(func() {
		close(held.release) // after the login is gone
		if err := <-outcome; err == nil {
			t.Error("the handshake was finished after the end")
		}
	})
}

// holdsBack waits with its second message. If it is to rename, the first names a plugin that the server does not have, so
// that it asks for another; the second is the answer to that.
type holdsBack struct {
	net.Conn
	once             sync.Once
	reached, release chan struct{}
	rename, named    bool
}

func (h *holdsBack) Write(b []byte) (int, error) {
	if !h.named {
		h.named = true
		for _, asks := range []string{"mysql_native_password", "caching_sha2_password"} {
			if !h.rename {
				break
			}
			b = bytes.Replace(b, []byte(asks), []byte("nobody_knows_this_one"), 1) // as long as either
		}
		return h.Conn.Write(b)
	}
	h.once.Do(func() { close(h.reached) })
	<-h.release
	return h.Conn.Write(b)
}
