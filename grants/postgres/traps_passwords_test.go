package postgres

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// A server logs what it is told to, and with default settings every statement that fails, passwords and all. It is never
// told a password of ours.
func TestNoPasswordReachesTheServersLog(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, shared *cluster) {
		ddl := tightOf(t, shared.major)
		run(t, ddl.srv.URL("app"), "CREATE ROLE careless LOGIN PASSWORD 'logged-by-ddl'", "DROP ROLE careless")
		refusesFrom(t, shared.srv.URL("app"), "42710", "CREATE ROLE pa_quarantine PASSWORD 'logged-by-failing'")
		if !strings.Contains(ddl.srv.LogText(), "logged-by-ddl") || !strings.Contains(shared.srv.LogText(), "logged-by-failing") {
			t.Error("the server has kept a password to itself: nothing is shown here")
		}
		for _, c := range []*cluster{ddl, shared} {
			d := c.open(t, nil)
			o := d.testOrder(t, readOnly)
			again, unprepared := o, d.newOrder(t, readOnly)
			again.Password, unprepared.AccessRole = secret.New("Password-of-a-second-issue"), "pa_missing"
			for _, order := range []grants.Order{again, unprepared} {
				if _, err := d.Issue(t.Context(), order); err == nil {
					t.Error("issued")
				}
			}
			fresh := secret.New("Password-of-a-rotation")
			if err := d.Rotate(t.Context(), loginOf(o), fresh); err != nil {
				t.Fatal(err)
			}
			takeBack(t, d, o)
			if err := d.Rotate(t.Context(), loginOf(o), fresh); err == nil {
				t.Error("a login that is gone was given a password")
			}
			log := c.srv.LogText()
			if c == ddl && !strings.Contains(log, o.Login) {
				t.Error("the log does not speak of the login: nothing is shown here")
			}
			for _, p := range []secret.String{o.Password, again.Password, unprepared.Password, fresh} {
				if strings.Contains(log, p.Reveal()) {
					t.Error("a password is in the server's log")
				}
			}
		}
	})
}

// A login can change its own password and settings, and neither its end nor how many sessions it may have. A setting that
// says read-only is no more than a wish; a missing privilege is not.
func TestWhatALoginMayChangeAboutItself(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *cluster) {
		d := c.open(t, nil)
		o := d.testOrder(t, readOnly)
		me := ident(o.Login)
		session := c.visitor(t, o)
		can(t, session, "ALTER ROLE "+me+" PASSWORD 'Mine-and-known-to-nobody-else'")
		can(t, session, "ALTER ROLE "+me+" SET default_transaction_read_only = off")
		cannot(t, session, "42501", "ALTER ROLE "+me+" VALID UNTIL 'infinity'")
		cannot(t, session, "42501", "ALTER ROLE "+me+" CONNECTION LIMIT 100")
		cannot(t, session, "42501", "ALTER ROLE "+me+" CREATEROLE")
		// Somebody's idea of read-only, and the end of it.
		run(t, c.srv.URL("app"), "ALTER ROLE "+me+" SET default_transaction_read_only = on", "GRANT UPDATE ON sc.orders TO "+me)
		own := o
		own.Password = secret.New("Mine-and-known-to-nobody-else")
		wish := c.visitor(t, own)
		cannot(t, wish, "25006", "UPDATE sc.orders SET email = email")
		can(t, wish, "SET default_transaction_read_only = off")
		can(t, wish, "UPDATE sc.orders SET email = email")
		run(t, c.srv.URL("app"), "REVOKE UPDATE ON sc.orders FROM "+me)
		cannot(t, wish, "42501", "UPDATE sc.orders SET email = email")
		// A password of its own choosing ends with it.
		if secured, _ := takeBack(t, d, o); secured.Killed != 2 {
			t.Errorf("%+v", secured)
		}
		if _, err := pgx.Connect(t.Context(), c.srv.UserURL(o.Login, own.Password.Reveal(), "app")); err == nil {
			t.Error("its own password lets it in")
		}
	})
}
