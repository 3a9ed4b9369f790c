package mysql

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// The server's general log has every statement as it arrived, the slow log what was carried out, the error log what failed:
// none has a password, nor does any error of ours.
func TestNoPasswordReachesTheServersLogs(t *testing.T) { onEach(t, noPasswordReachesTheServersLogs) }

func noPasswordReachesTheServersLogs(t *testing.T, on flavour) {
	c := shared(t, on)
	d := c.open(t, nil)
	o := newOrder(t, d, "pa_read_only")
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	fresh := secret.New(rand.Text())
	if err := d.Rotate(t.Context(), loginOf(o), fresh); err != nil {
		t.Fatal(err)
	}
	failing := o // the name is taken: the server refuses
	failing.Password = secret.New(rand.Text())
	_, err := d.Issue(t.Context(), failing)
	if err == nil {
		t.Fatal("issued twice")
	}
	// A statement that the server cannot read at all is quoted in its error.
	plugin := map[flavour]plugin{mariadb: nativePassword, mysql: cachingSHA2}[on]
	verifier, _ := plugin.verifier(o.Password)
	_, syntax := change(t.Context(), d.everyday.db, "CREATE USER x"+plugin.identified(verifier)+" NONSENSE '"+verifier.Reveal()+"'")
	takeBack(t, c, d, o)
	logs := c.srv.GeneralLog() + c.srv.ErrorLog() + c.srv.SlowLog()
	for name, log := range map[string]string{"general": c.srv.GeneralLog(), "slow": c.srv.SlowLog()} {
		if !strings.Contains(log, o.Login) {
			t.Fatalf("the %s log does not speak of the login, so that it proves nothing", name)
		}
	}
	for _, p := range []secret.String{o.Password, fresh, failing.Password} {
		if strings.Contains(logs+err.Error(), p.Reveal()) {
			t.Error("a password is in the server's logs, or in an error")
		}
	}
	if text := failure("making", syntax).Error(); strings.Contains(text, verifier.Reveal()[1:20]) {
		t.Errorf("a verifier is in an error: %s", text)
	}
}

// `app_prod`.* in a GRANT covers appXprod as well.
func TestUnderscoreIsNoWildcard(t *testing.T) { onEach(t, underscoreIsNoWildcard) }

func underscoreIsNoWildcard(t *testing.T, on flavour) { isNoWildcard(t, on, nil) }

// With partial_revokes a MySQL takes names in GRANT to the letter, and the backslash before _ as well.
func TestUnderscoreIsNoWildcardWithPartialRevokes(t *testing.T) {
	t.Parallel()
	isNoWildcard(t, mysql, map[string]string{"partial-revokes": "ON"})
}

func isNoWildcard(t *testing.T, on flavour, settings map[string]string) {
	c := startCluster(t, on, settings)
	t.Cleanup(c.stop)
	run(t, c, "CREATE DATABASE app_prod", "CREATE DATABASE appXprod", "CREATE DATABASE `a%`", "CREATE DATABASE abc",
		"CREATE TABLE app_prod.orders (id INT)", "CREATE TABLE appXprod.orders (id INT)", "CREATE TABLE `a%`.orders (id INT)", "CREATE TABLE abc.orders (id INT)")
	d := c.open(t, func(cfg *Config) {
		cfg.Target.Databases = []string{"app_prod", "a%"}
		cfg.PrepareURL = secret.New(c.srv.RootURL())
	})
	c.apply(t, d, []grants.Profile{{Name: "read-only", Privileges: []grants.Privilege{{Schema: "*", Tables: []string{"*"}, Privileges: []string{"select"}}}}})
	o := newOrder(t, d, "pa_read_only")
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	s, err := openSession(t.Context(), c.srv.Config(o.Login, o.Password.Reveal(), ""))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for table, may := range map[string]bool{"app_prod.orders": true, "`a%`.orders": true, "appXprod.orders": false, "abc.orders": false} {
		if _, err := s.conn.ExecContext(t.Context(), "SELECT * FROM "+table); (err == nil) != may {
			t.Errorf("reading %s: %v", table, err)
		}
	}
}

// A GRANT that fails after CREATE USER leaves an account that nobody can use and that a revocation finds.
func TestGrantFailsAfterCreate(t *testing.T) { onEach(t, grantFailsAfterCreate) }

func grantFailsAfterCreate(t *testing.T, on flavour) {
	c := shared(t, on)
	d := c.open(t, nil)
	run(t, c, "CREATE ROLE pa_no_admin_option")
	t.Cleanup(func() { run(t, c, "DROP ROLE pa_no_admin_option") })
	o := newOrder(t, d, "pa_no_admin_option")
	_, err := d.Issue(t.Context(), o)
	if grants.ReasonOf(err) != grants.FailPrivilege {
		t.Errorf("issue: %v", err)
	}
	if !c.exists(t, o.Login) {
		t.Fatal("the account was not made, so that this proves nothing")
	}
	if c.canLogin(o) {
		t.Error("the account can be used")
	}
	takeBack(t, c, d, o)
}

// A name is never used twice, or it would arm what an earlier login left behind.
func TestNameReuse(t *testing.T) { onEach(t, nameReuse) }

func nameReuse(t *testing.T, on flavour) {
	c := shared(t, on)
	d := c.open(t, nil)
	o := newOrder(t, d, "pa_read_only")
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	takeBack(t, c, d, o)
	for _, grant := range []string{o.Stamp.Grant, "another"} {
		again := o
		again.Stamp.Grant, again.Password = grant, secret.New(rand.Text())
		if _, err := d.Issue(t.Context(), again); err == nil {
			t.Errorf("%s: the name was used again", grant)
		}
	}
	if c.exists(t, o.Login) {
		t.Error("there is an account")
	}
}

// The row of a login that is gone does not stay for ever.
func TestRowsOfTheGoneAreRemovedAfterADay(t *testing.T) { onEach(t, rowsOfTheGoneAreRemovedAfterADay) }

func rowsOfTheGoneAreRemovedAfterADay(t *testing.T, on flavour) {
	c := shared(t, on)
	d := c.open(t, nil)
	old, fresh := newOrder(t, d, "pa_read_only"), newOrder(t, d, "pa_read_only")
	takeBack(t, c, d, old)
	run(t, c, "UPDATE prodaccess.logins SET changed = changed - INTERVAL 25 HOUR WHERE login = '"+old.Login+"'")
	takeBack(t, c, d, fresh)
	for login, want := range map[string]int{old.Login: 0, fresh.Login: 1} {
		if n := value[int](t, c, "SELECT COUNT(*) FROM prodaccess.logins WHERE login = ?", login); n != want {
			t.Errorf("%d rows of %s, want %d", n, login, want)
		}
	}
}

// The dead man's switch: nobody but the server does anything, and the login is locked and its sessions are over.
func TestTheServerEndsItByItself(t *testing.T) { onEach(t, theServerEndsItByItself) }

func theServerEndsItByItself(t *testing.T, on flavour) {
	c := prepare(t, on, nil)
	t.Cleanup(c.stop)
	run(t, c, "ALTER EVENT prodaccess.deadman ON SCHEDULE EVERY 1 SECOND")
	d := c.open(t, nil)
	over, lasting := newOrder(t, d, "pa_read_only"), newOrder(t, d, "pa_read_only")
	var sessions []*session
	for _, o := range []grants.Order{over, lasting} {
		if _, err := d.Issue(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		s, err := openSession(t.Context(), c.srv.Config(o.Login, o.Password.Reveal(), "app"))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		sessions = append(sessions, s)
	}
	// Its end comes when everything is there that it ends.
	if err := d.Extend(t.Context(), loginOf(over), time.Now()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the login is locked", func() bool { return !c.canLogin(over) })
	eventually(t, "its session is over", func() bool { return sessions[0].Read(t.Context()) != nil })
	if err := sessions[1].Read(t.Context()); err != nil || !c.canLogin(lasting) {
		t.Errorf("another login was ended: %v", err)
	}
	// Extended a moment too late: the same login works again.
	if err := d.Extend(t.Context(), loginOf(over), time.Now().Add(time.Hour)); err != nil || !c.canLogin(over) {
		t.Errorf("extended: %v", err)
	}
	takeBack(t, c, d, over)
	if err := d.Extend(t.Context(), loginOf(over), time.Now().Add(time.Hour)); err == nil || c.canLogin(over) {
		t.Error("a login that is gone was extended")
	}
}

// A connection id from before a restart of the server is somebody else's now.
func TestAWorkerOfLongAgoIsNotSomebodyElse(t *testing.T) {
	onEach(t, aWorkerOfLongAgoIsNotSomebodyElse)
}

func aWorkerOfLongAgoIsNotSomebodyElse(t *testing.T, on flavour) {
	c := shared(t, on)
	d := c.open(t, nil)
	o := newOrder(t, d, "pa_read_only")
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	bystander, err := openSession(t.Context(), c.srv.Root("app"))
	if err != nil {
		t.Fatal(err)
	}
	defer bystander.Close()
	var id int
	if err := bystander.conn.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		t.Fatal(err)
	}
	if _, err := c.super.ExecContext(t.Context(), "UPDATE prodaccess.logins SET worker = ? WHERE login = ?", id, o.Login); err != nil {
		t.Fatal(err)
	}
	takeBack(t, c, d, o)
	if err := bystander.Read(t.Context()); err != nil {
		t.Errorf("a bystander's connection was killed: %v", err)
	}
}

// Somebody makes an account of the same name between our row and our CREATE USER: the row does not make it ours.
func TestARowDoesNotClaimSomebodyElsesAccount(t *testing.T) {
	onEach(t, aRowDoesNotClaimSomebodyElsesAccount)
}

func aRowDoesNotClaimSomebodyElsesAccount(t *testing.T, on flavour) {
	c := shared(t, on)
	d := c.open(t, nil)
	o := newOrder(t, d, "pa_read_only")
	verifier, err := nativePassword.verifier(o.Password)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := change(t.Context(), d.everyday.db, on.writeDown(o, verifier, time.Now())); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	run(t, c, "CREATE USER '"+o.Login+"'@'%' IDENTIFIED BY 'theirs'")
	t.Cleanup(func() { run(t, c, "DROP USER '"+o.Login+"'@'%'") })
	if _, err := d.Secure(t.Context(), loginOf(o)); grants.ReasonOf(err) != grants.FailForeign {
		t.Errorf("secure: %v", err)
	}
	if _, err := d.Clean(t.Context(), loginOf(o)); grants.ReasonOf(err) != grants.FailForeign {
		t.Errorf("clean: %v", err)
	}
	if logins, err := d.Logins(t.Context()); err != nil || slices.ContainsFunc(logins, func(l grants.Login) bool { return l.Name == o.Login }) {
		t.Errorf("listed as ours: %v", err)
	}
	theirs := o
	theirs.Password = secret.New("theirs")
	if !c.canLogin(theirs) {
		t.Error("somebody else's account was touched")
	}
}
