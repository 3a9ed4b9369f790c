package postgres

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// A session that ran SET ROLE reads on after REVOKE, NOLOGIN and DROP ROLE, and then has no name any more, only an OID.
func TestSessionsOutliveTheirRole(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *cluster) {
		d := c.open(t, nil)
		o := d.testOrder(t, readOnly)
		login := loginOf(o)
		login.OID = c.oid(t, o.Login)
		session := c.visitor(t, o)
		can(t, session, "SET ROLE pa_read_only")
		for _, end := range []string{
			"REVOKE pa_read_only FROM " + ident(o.Login), "ALTER ROLE " + ident(o.Login) + " NOLOGIN", "DROP ROLE " + ident(o.Login),
		} {
			run(t, c.admin.Reveal(), end)
			can(t, session, "SELECT * FROM sc.orders")
		}
		if name := value[*string](t, c, "SELECT usename FROM pg_stat_activity WHERE usesysid = $1", login.OID); name != nil {
			t.Errorf("the session is still called %s", *name)
		}
		secured, err := d.Secure(t.Context(), login)
		if err != nil || secured.Existed || secured.Killed != 1 || c.sessions(t, login.OID) != 0 {
			t.Errorf("%+v, %v", secured, err)
		}
		if _, err := session.Exec(t.Context(), "SELECT * FROM sc.orders"); err == nil {
			t.Error("the session reads on")
		}
		cleaned, err := d.Clean(t.Context(), login)
		if err != nil {
			t.Fatal(err)
		}
		holds(t, cleaned.Checks)
	})
}

// The same on a standby, where no kill on the primary reaches.
func TestSessionsOutliveTheirRoleOnAStandby(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, shared *cluster) {
		c := prepare(t, startServer(t, shared.major, nil), shared.major)
		t.Cleanup(func() { c.super.Close(); c.srv.Stop() })
		standby, err := c.srv.Standby(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		d := c.open(t, func(cfg *Config) {
			cfg.Nodes = []Node{{Name: "orders-replica", URL: secret.New(standby.UserURL("prodaccess_admin", "admin-password-of-the-tests", "app"))}}
		})
		// reader is a session on the standby. Issue has waited until the standby knows the login.
		reader := func() (*pgx.Conn, grants.Login) {
			o := d.testOrder(t, readOnly)
			conn := c.connect(t, standby.UserURL(o.Login, o.Password.Reveal(), "app"))
			can(t, conn, "SET ROLE pa_read_only")
			login := loginOf(o)
			login.OID = c.oid(t, o.Login)
			return conn, login
		}
		byHand, gone := reader()
		run(t, c.admin.Reveal(), "DROP ROLE "+ident(gone.Name))
		there := c.connect(t, standby.URL("app"))
		for ask(t, there, "SELECT count(*)::text FROM pg_roles WHERE rolname = $1", gone.Name) != "0" && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
		can(t, byHand, "SELECT * FROM sc.orders")
		secured, err := d.Secure(t.Context(), gone)
		if err != nil || secured.Killed != 1 || len(secured.Nodes) != 2 {
			t.Errorf("%+v, %v", secured, err)
		}
		live, login := reader()
		if secured, err = d.Secure(t.Context(), login); err != nil || secured.Killed != 1 || len(secured.Nodes) != 2 {
			t.Errorf("%+v, %v", secured, err)
		}
		for _, conn := range []*pgx.Conn{byHand, live} {
			if _, err := conn.Exec(t.Context(), "SELECT * FROM sc.orders"); err == nil {
				t.Error("a session on the standby reads on")
			}
		}
	})
}

// A session that appears after the lock was taken and the sessions were looked for is found by its OID after the drop.
func TestASessionBehindTheLock(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *cluster) {
		d := c.open(t, nil)
		for name, clean := range map[string]func(grants.Login) (grants.Cleaned, error){
			"alone": func(l grants.Login) (grants.Cleaned, error) { return d.Clean(t.Context(), l) },
			"among others": func(l grants.Login) (out grants.Cleaned, err error) {
				d.CleanMany(t.Context(), []grants.Login{l}, func(_ int, c grants.Cleaned, e error) { out, err = c, e })
				return out, err
			},
		} {
			o := d.testOrder(t, readOnly)
			login := loginOf(o)
			login.OID = c.oid(t, o.Login)
			if _, err := d.Secure(t.Context(), login); err != nil {
				t.Fatal(err)
			}
			run(t, c.srv.URL("app"), "ALTER ROLE "+ident(o.Login)+" LOGIN CONNECTION LIMIT 1 VALID UNTIL 'infinity'")
			session := c.visitor(t, o)
			run(t, c.srv.URL("app"), "ALTER ROLE "+ident(o.Login)+" NOLOGIN CONNECTION LIMIT 0 VALID UNTIL '-infinity'")
			can(t, session, "SELECT * FROM sc.orders")
			cleaned, err := clean(login)
			if err != nil || c.sessions(t, login.OID) != 0 {
				t.Errorf("%s: %+v, %v", name, cleaned, err)
			}
			holds(t, cleaned.Checks)
			if _, err := session.Exec(t.Context(), "SELECT * FROM sc.orders"); err == nil {
				t.Errorf("%s: the session lives on", name)
			}
		}
	})
}

// Whoever is only killed is back at once. Whoever is locked out first is not, however often it tries.
func TestClientsThatComeBackAtOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *cluster) {
		d := c.open(t, nil)
		o := d.testOrder(t, readOnly)
		url := c.srv.UserURL(o.Login, o.Password.Reveal(), "app")
		oid := c.oid(t, o.Login)
		c.visitor(t, o)
		value[bool](t, c, "SELECT bool_and(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE usesysid = $1", oid)
		back := c.connect(t, url)
		can(t, back, "SELECT * FROM sc.orders")

		var clients sync.WaitGroup
		var over atomic.Bool
		ready := make(chan struct{}, 100)
		for range 3 {
			clients.Go(func() {
				for !over.Load() {
					conn, err := pgx.Connect(t.Context(), url)
					if err != nil {
						continue
					}
					select {
					case ready <- struct{}{}:
					default:
					}
					_, _ = conn.Exec(context.Background(), "SELECT pg_sleep(0.01)")
					_ = conn.Close(context.Background())
				}
			})
		}
		for range 3 {
			<-ready
		}
		_, err := d.Secure(t.Context(), loginOf(o))
		if err != nil || c.sessions(t, oid) != 0 {
			t.Errorf("%d sessions after the security step: %v", c.sessions(t, oid), err)
		}
		if conn, err := pgx.Connect(t.Context(), url); err == nil {
			_ = conn.Close(context.Background())
			t.Error("a client is back")
		}
		over.Store(true)
		clients.Wait()
	})
}

// VALID UNTIL looks at whoever logs in with a password, and at no session that is open.
func TestValidUntilEndsNoSession(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *cluster) {
		d := c.open(t, nil)
		o := d.testOrder(t, readOnly)
		session := c.visitor(t, o)
		run(t, c.admin.Reveal(), "ALTER ROLE "+ident(o.Login)+" VALID UNTIL '-infinity'")
		can(t, session, "SELECT * FROM sc.orders")
		refusesFrom(t, c.srv.UserURL(o.Login, o.Password.Reveal(), "app"), "28P01", "SELECT 1")
		if secured, err := d.Secure(t.Context(), loginOf(o)); err != nil || secured.Killed != 1 {
			t.Errorf("%+v, %v", secured, err)
		}
		if _, err := session.Exec(t.Context(), "SELECT 1"); err == nil {
			t.Error("the session lives on")
		}
	})
}
