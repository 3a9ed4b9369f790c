package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/localpg"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// A target that is down when the driver is opened, and again across the end of a grant.
func TestDownAndUpAgain(t *testing.T) {
	t.Parallel()
	c := prepare(t, startServer(t, 0, nil), 0)
	t.Cleanup(c.srv.Stop)
	c.super.Close()
	c.srv.Kill()
	d := c.open(t, nil)
	start := time.Now()
	_, err := d.Fingerprint(t.Context())
	if grants.ReasonOf(err) != grants.FailUnreachable || time.Since(start) > connectTimeout+time.Second {
		t.Errorf("down: %v after %s", err, time.Since(start))
	}
	up := func() {
		t.Helper()
		if err := c.srv.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	up()
	o := d.newOrder(t, readOnly)
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	c.srv.Kill()
	for name, step := range map[string]func() error{
		"secure": func() error { _, err := d.Secure(t.Context(), loginOf(o)); return err },
		"clean":  func() error { _, err := d.Clean(t.Context(), loginOf(o)); return err },
		"rotate": func() error { return d.Rotate(t.Context(), loginOf(o), o.Password) },
		"extend": func() error { return d.Extend(t.Context(), loginOf(o), o.ValidUntil) },
		"logins": func() error { _, err := d.Logins(t.Context()); return err },
		"issue":  func() error { _, err := d.Issue(t.Context(), o); return err },
		"plan":   func() error { _, err := d.Plan(t.Context(), nil); return err },
	} {
		err := step()
		if grants.ReasonOf(err) != grants.FailUnreachable {
			t.Errorf("%s while down: %v", name, err)
		}
		noSecrets(t, err, c, o)
	}
	up()
	takeBack(t, d, o)
}

// A session on a standby that ran SET ROLE survives everything but a kill on that standby.
func TestStandby(t *testing.T) {
	t.Parallel()
	standsBy(t, prepare(t, startServer(t, 15, nil), 15))
}

func TestStandbyWithLeastPrivilege(t *testing.T) {
	t.Parallel()
	standsBy(t, prepareFunctions(t, startServer(t, 18, nil), 18))
}

func standsBy(t *testing.T, c *cluster) {
	t.Cleanup(c.srv.Stop)
	t.Cleanup(c.super.Close)
	standby, err := c.srv.Standby(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	node := Node{Name: "orders-replica", URL: secret.New(standby.UserURL("prodaccess_admin", "admin-password-of-the-tests", "app"))}
	d := c.open(t, func(cfg *Config) { cfg.Nodes = []Node{node} })
	o := d.newOrder(t, readOnly)
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	reader := func() *pgx.Conn {
		for {
			conn, err := pgx.Connect(t.Context(), standby.UserURL(o.Login, o.Password.Reveal(), "app"))
			if err == nil {
				t.Cleanup(func() { conn.Close(context.Background()) })
				return conn
			}
			if t.Context().Err() != nil {
				t.Fatal(err)
			}
		}
	}
	conn, err := pgx.Connect(t.Context(), standby.UserURL(o.Login, o.Password.Reveal(), "app")) // Issue waited for the replay
	if err != nil {
		t.Fatalf("right after the issue the standby refuses the login: %v", err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "SET ROLE pa_read_only"); err != nil {
		t.Fatal(err)
	}
	secured, cleaned := takeBack(t, d, o)
	if secured.Killed != 1 || len(secured.Nodes) != 2 || len(cleaned.Checks) < 4 {
		t.Errorf("%+v %+v", secured, cleaned)
	}
	if _, err := conn.Exec(t.Context(), "SELECT * FROM sc.orders"); err == nil {
		t.Error("the session on the standby lives on")
	}

	// With the standby gone, the primary is locked and cleared nevertheless, and the node is named.
	o = d.newOrder(t, readOnly)
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	visitor, err := pgx.Connect(t.Context(), c.srv.UserURL(o.Login, o.Password.Reveal(), "app"))
	if err != nil {
		t.Fatal(err)
	}
	defer visitor.Close(context.Background())
	standby.Kill()
	secured, err = d.Secure(t.Context(), loginOf(o))
	if grants.ReasonOf(err) != grants.FailUnreachable || !strings.Contains(err.Error(), "orders-replica") {
		t.Errorf("with a node down: %v", err)
	}
	noSecrets(t, err, c, o)
	if secured.Killed != 1 || secured.LockedAt.IsZero() {
		t.Errorf("with a node down: %+v", secured)
	}
	if _, err := visitor.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("the session on the primary lives on")
	}

	// A node that has not replayed the lock is not called secure: here it has stopped replaying.
	if err := standby.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	takeBack(t, d, o)
	o = d.newOrder(t, readOnly)
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	reader()
	run(t, standby.URL("app"), "SELECT pg_wal_replay_pause()")
	d.patience = 300 * time.Millisecond
	if _, err := d.Secure(t.Context(), loginOf(o)); grants.ReasonOf(err) != grants.FailBusy || !strings.Contains(err.Error(), "does not show the lock") {
		t.Errorf("with replay paused: %v", err)
	}
	// Issue waits for it, but not for ever, and says so.
	late := d.newOrder(t, readOnly)
	d.replay = 300 * time.Millisecond
	start := time.Now()
	issued, err := d.Issue(t.Context(), late)
	if err != nil || !slices.Equal(issued.Lagging, []string{"orders-replica"}) || time.Since(start) < d.replay || time.Since(start) > 30*time.Second {
		t.Errorf("with replay paused: issued %+v after %s: %v", issued, time.Since(start), err)
	}
	// So is a new password that it does not know.
	if err := d.Rotate(t.Context(), loginOf(late), late.Password); err != nil {
		t.Fatal(err)
	}
	if behind := d.Behind(t.Context()); !slices.Equal(behind, []string{"orders-replica"}) {
		t.Errorf("behind while replay is paused: %v", behind)
	}
	run(t, standby.URL("app"), "SELECT pg_wal_replay_resume()")
	d.replay = replayPatience
	if behind := d.Behind(t.Context()); len(behind) != 0 {
		t.Errorf("behind after replay went on: %v", behind)
	}
	d.patience, d.replay = drainPatience, replayPatience
	takeBack(t, d, o)
	takeBack(t, d, late)
	// Several at once are looked for on every node, too.
	crowd := []grants.Login{}
	for range 5 {
		o := d.newOrder(t, readOnly)
		if issued, err := d.Issue(t.Context(), o); err != nil || len(issued.Lagging) != 0 {
			t.Fatal(issued, err)
		}
		login := loginOf(o)
		login.OID = value[uint32](t, c, "SELECT oid::bigint FROM pg_roles WHERE rolname = $1", o.Login)
		crowd = append(crowd, login)
		reader := func() *pgx.Conn {
			conn, err := pgx.Connect(t.Context(), standby.UserURL(o.Login, o.Password.Reveal(), "app"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close(context.Background()) })
			return conn
		}()
		if _, err := reader.Exec(t.Context(), "SET ROLE pa_read_only"); err != nil {
			t.Fatal(err)
		}
	}
	d.FinishMany(t.Context(), crowd, func(i int, s grants.Secured, c *grants.Cleaned, err error) {
		if err != nil || s.Killed != 1 || len(s.Nodes) != 2 || c != nil {
			t.Errorf("of a crowd: %+v %v %v", s, c, err)
		}
	})
	d.CleanMany(t.Context(), crowd, func(i int, c grants.Cleaned, err error) {
		if err != nil || len(c.Checks) < 4 {
			t.Errorf("of a crowd: %+v %v", c, err)
		}
	})
}

// A node that belongs to another cluster proves nothing.
func TestForeignNode(t *testing.T) {
	t.Parallel()
	c, other := clusterOf(t, 18), clusterOf(t, 15)
	d := c.open(t, func(cfg *Config) { cfg.Nodes = []Node{{Name: "replica", URL: other.admin}} })
	o := d.testOrder(t, readOnly)
	if _, err := d.Secure(t.Context(), loginOf(o)); grants.ReasonOf(err) != grants.FailSwapped || !strings.Contains(err.Error(), "replica") {
		t.Error(err)
	}
}

// No login can make others members of itself; a DBA can, and then the receipt says so.
func TestMembershipHandedOn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *cluster) {
		d := c.open(t, nil)
		o := d.testOrder(t, readOnly)
		friend := o.Login[3:]
		run(t, c.srv.URL("app"), "CREATE ROLE "+ident(friend)+" LOGIN")
		t.Cleanup(func() { run(t, c.srv.URL("app"), "DROP ROLE "+ident(friend)) })
		conn, err := pgx.Connect(t.Context(), c.srv.UserURL(o.Login, o.Password.Reveal(), "app"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		handOn := "GRANT " + ident(o.Login) + " TO " + ident(friend)
		if _, err = conn.Exec(t.Context(), handOn); stateOf(err) != "42501" {
			t.Errorf("a visitor hands its login on: %v", err)
		}
		run(t, c.srv.URL("app"), handOn)
		secured, cleaned := takeBack(t, d, o)
		if !slices.ContainsFunc(secured.Checks, func(c grants.Check) bool { return !c.OK && strings.Contains(c.What, friend) }) {
			t.Errorf("checks: %+v", secured.Checks)
		}
		for _, check := range cleaned.Checks {
			if !check.OK {
				t.Errorf("after cleaning: %+v", check)
			}
		}
	})
}

// What somebody else gave a login straight, only they can take back; the login stays locked until then, and the failure
// says what to do.
func TestPrivilegesOfItsOwn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *cluster) {
		d := c.open(t, nil)
		o := d.testOrder(t, readOnly)
		run(t, c.srv.URL("app"), "GRANT UPDATE ON sc.orders TO "+ident(o.Login))
		if _, err := d.Secure(t.Context(), loginOf(o)); err != nil {
			t.Fatal(err)
		}
		_, err := d.Clean(t.Context(), loginOf(o))
		if grants.ReasonOf(err) != grants.FailPrivilege || !strings.Contains(err.Error(), "table sc.orders in database app") ||
			!strings.Contains(err.Error(), "DROP OWNED BY "+ident(o.Login)) {
			t.Fatal(err)
		}
		run(t, c.srv.URL("app"), "DROP OWNED BY "+ident(o.Login))
		if _, err := d.Clean(t.Context(), loginOf(o)); err != nil {
			t.Error(err)
		}
	})
}

// A database that cannot be entered is named, and what could be done elsewhere is done and reported.
func TestDatabaseThatCannotBeEntered(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *cluster) {
		d := c.open(t, nil)
		shut := localpg.NewDatabase(t, c.srv, "")
		o := d.testOrder(t, readOnly)
		for _, database := range []string{shut, "app"} {
			run(t, c.srv.UserURL(o.Login, o.Password.Reveal(), database), "SELECT lo_create(0)")
		}
		run(t, c.srv.URL("postgres"), "ALTER DATABASE "+ident(shut)+" ALLOW_CONNECTIONS false")
		if _, err := d.Secure(t.Context(), loginOf(o)); err != nil {
			t.Fatal(err)
		}
		cleaned, err := d.Clean(t.Context(), loginOf(o))
		if grants.ReasonOf(err) != grants.FailPrivilege || !strings.Contains(err.Error(), shut) || len(cleaned.Leftovers) != 1 {
			t.Errorf("%+v %v", cleaned, err)
		}
		run(t, c.srv.URL("postgres"), "ALTER DATABASE "+ident(shut)+" ALLOW_CONNECTIONS true", "REVOKE CONNECT ON DATABASE "+ident(shut)+" FROM PUBLIC")
		_, err = d.Clean(t.Context(), loginOf(o))
		if grants.ReasonOf(err) != grants.FailPrivilege || !strings.Contains(err.Error(), "GRANT CONNECT ON DATABASE "+ident(shut)) {
			t.Error(err)
		}
		run(t, c.srv.URL("postgres"), "GRANT CONNECT ON DATABASE "+ident(shut)+" TO prodaccess_admin")
		if cleaned, err := d.Clean(t.Context(), loginOf(o)); err != nil || len(cleaned.Leftovers) != 1 {
			t.Errorf("%+v %v", cleaned, err)
		}
	})
}

// DROP OWNED waits behind readers; it must not make others wait behind it for long.
func TestLockedTable(t *testing.T) {
	t.Parallel()
	onEach(t, lockedTable)
}

func lockedTable(t *testing.T, c *cluster) {
	d := c.open(t, nil)
	o := d.testOrder(t, readOnly)
	table := "sc." + ident(o.Login)
	run(t, c.srv.UserURL(o.Login, o.Password.Reveal(), "app"), "CREATE TABLE "+table+" (a int)")
	tx, err := c.super.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE "+table+" IN ACCESS SHARE MODE"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Secure(t.Context(), loginOf(o)); err != nil {
		t.Fatal(err)
	}
	// It is the wait for the lock that ended, after lockTimeout, and not the statement, which may take longer.
	_, err = d.Clean(t.Context(), loginOf(o))
	if grants.ReasonOf(err) != grants.FailBusy || !strings.Contains(err.Error(), "SQLSTATE 55P03") {
		t.Errorf("behind a reader: %v", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if cleaned, err := d.Clean(t.Context(), loginOf(o)); err != nil || len(cleaned.Leftovers) != 1 {
		t.Errorf("%+v %v", cleaned, err)
	}
}

// No error of any step shows the password, a verifier or the administrator's URL, nor does the server's log, with
// everything logged, show a password.
func TestNoSecretIsTold(t *testing.T) {
	t.Parallel()
	c := prepare(t, startServer(t, 18, map[string]string{"log_statement": "all"}), 18)
	t.Cleanup(c.srv.Stop)
	t.Cleanup(c.super.Close)
	d := c.open(t, nil)
	o := d.newOrder(t, readOnly)
	o.AccessRole = "pa_missing"
	_, err := d.Issue(t.Context(), o)
	noSecrets(t, err, c, o)
	o.AccessRole = grants.AccessRole(readOnly.Name)
	run(t, c.srv.URL("app"), "ALTER ROLE prodaccess_admin NOCREATEROLE")
	_, err = d.Issue(t.Context(), o)
	if grants.ReasonOf(err) != grants.FailPrivilege {
		t.Error(err)
	}
	noSecrets(t, err, c, o)
	run(t, c.srv.URL("app"), "ALTER ROLE prodaccess_admin CREATEROLE")
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	fresh := secret.New("another-Password-of-this-test")
	if err := d.Rotate(t.Context(), loginOf(o), fresh); err != nil {
		t.Fatal(err)
	}
	takeBack(t, d, o)
	if log := c.srv.LogText(); strings.Contains(log, o.Password.Reveal()) || strings.Contains(log, fresh.Reveal()) || !strings.Contains(log, o.Login) {
		t.Error("the server's log shows a password, or no statement at all")
	}
	wrong := c.open(t, func(cfg *Config) {
		cfg.AdminURL = secret.New(c.srv.UserURL("prodaccess_admin", "Wrong-password-of-this-test", "app"))
	})
	_, err = wrong.Fingerprint(t.Context())
	if grants.ReasonOf(err) != grants.FailPrivilege || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "Wrong-password") {
		t.Error(err)
	}
	for _, url := range []string{"postgres://u:Se%cret-of-this-test@h/db", "postgres://u:Secret-of-this-test@h:port/db", "password=Secret-of-this-test host", "\x00Secret-of-this-test"} {
		for _, cfg := range []Config{
			{AdminURL: secret.New(url)},
			{AdminURL: c.admin, PrepareURL: secret.New(url)},
			{AdminURL: c.admin, Nodes: []Node{{Name: "n", URL: secret.New(url)}}},
		} {
			cfg.Target, cfg.Installation = ordersProd(), "test"
			_, err := Open(cfg)
			if err == nil || strings.Contains(fmt.Sprintf("%+v %#v", err, err), "cret-of-this-test") {
				t.Errorf("opening with a bad URL: %v", err)
			}
		}
	}
}

func noSecrets(t *testing.T, err error, c *cluster, o grants.Order) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	for e := err; e != nil; {
		text += fmt.Sprintf(" %+v", e)
		u, ok := e.(interface{ Unwrap() error })
		if !ok {
			break
		}
		e = u.Unwrap()
	}
	for _, bad := range []string{o.Password.Reveal(), "SCRAM-SHA-256$", "admin-password-of-the-tests", c.admin.Reveal()} {
		if strings.Contains(text, bad) {
			t.Errorf("an error shows a secret: %s", text)
		}
	}
}

func TestOpenNamesEveryFault(t *testing.T) {
	t.Parallel()
	_, err := Open(Config{Installation: "a b", MaxConns: 1, Nodes: []Node{{}}})
	for _, fault := range []string{"no name", "two connections", "installation's name", "administrator's URL: it is missing", "a node has no name", "URL of node"} {
		if err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("no word of %q: %v", fault, err)
		}
	}
}

// A copy of a server's files has its fingerprint and its logins, and is another server: as a standby, and once it is its own master.
func TestAPhysicalCopyIsAnotherServer(t *testing.T) {
	t.Parallel()
	c := prepare(t, startServer(t, 18, nil), 18)
	t.Cleanup(func() { c.super.Close(); c.srv.Stop() })
	copied, err := c.srv.Standby(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(copied.Stop)
	one, same := c.open(t, nil), c.open(t, nil)
	other := c.open(t, func(cfg *Config) {
		cfg.AdminURL = secret.New(copied.UserURL("prodaccess_admin", "admin-password-of-the-tests", "app"))
	})
	for _, step := range []string{"SELECT", "SELECT pg_promote()"} {
		run(t, copied.URL("app"), step)
		mine, err1 := one.Fingerprint(t.Context())
		theirs, err2 := other.Fingerprint(t.Context())
		if err1 != nil || err2 != nil || mine != theirs {
			t.Fatalf("%q %v, %q %v", mine, err1, theirs, err2)
		}
		if apart, known := grants.Apart(t.Context(), one, other); !apart || !known {
			t.Errorf("after %s, the copy is taken for the server itself: %t, %t", step, apart, known)
		}
		if apart, known := grants.Apart(t.Context(), one, same); apart || !known {
			t.Errorf("after %s, one server is taken for two: %t, %t", step, apart, known)
		}
	}
}
