package mysql

import (
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/grants"
)

// The row of a login that is gone may be gone too, and its account: a target that was restored from a backup, a failover that
// lost the last transactions, a clean-up that was put off for longer than rows are kept.
func TestALoginWhoseRowIsGoneIsTakenBack(t *testing.T) { onEach(t, aLoginWhoseRowIsGoneIsTakenBack) }

func aLoginWhoseRowIsGoneIsTakenBack(t *testing.T, on flavour) {
	c := shared(t, on)
	d := c.open(t, nil)
	lose := func(o grants.Order) {
		t.Helper()
		run(t, c, "DROP USER IF EXISTS '"+o.Login+"'@'%'", "DELETE FROM prodaccess.logins WHERE login = '"+o.Login+"'")
	}
	for _, cleanedBefore := range []bool{false, true} {
		o := newOrder(t, d, "pa_read_only")
		issued, err := d.Issue(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		login := loginOf(o)
		login.OID = issued.OID
		if cleanedBefore {
			takeBack(t, c, d, o)
		}
		lose(o)
		for range 2 {
			if secured, err := d.Secure(t.Context(), login); err != nil || secured.OID != issued.OID || secured.Existed {
				t.Errorf("secure: %+v, %v", secured, err)
			}
			if _, err := d.Clean(t.Context(), login); err != nil {
				t.Errorf("clean: %v", err)
			}
		}
		lose(o)
		if _, err := d.Clean(t.Context(), login); err != nil {
			t.Errorf("clean alone: %v", err)
		}
		if _, err := d.Issue(t.Context(), o); err == nil {
			t.Error("the late order was carried out")
		}
		// Another number still is another login, where there is one.
		another := newOrder(t, d, "pa_read_only")
		if _, err := d.Issue(t.Context(), another); err != nil {
			t.Fatal(err)
		}
		wrong := loginOf(another)
		wrong.OID = 1 << 30
		if _, err := d.Secure(t.Context(), wrong); grants.ReasonOf(err) != grants.FailForeign {
			t.Errorf("another number: %v", err)
		}
		takeBack(t, c, d, another)
	}
}

// Of a row that is asked for again and again, the day that it is kept begins anew.
func TestARowThatIsAskedForIsKept(t *testing.T) { onEach(t, aRowThatIsAskedForIsKept) }

func aRowThatIsAskedForIsKept(t *testing.T, on flavour) {
	c := shared(t, on)
	d := c.open(t, nil)
	stuck, other := newOrder(t, d, "pa_read_only"), newOrder(t, d, "pa_read_only")
	takeBack(t, c, d, stuck)
	run(t, c, "UPDATE prodaccess.logins SET changed = changed - INTERVAL 25 HOUR WHERE login = '"+stuck.Login+"'")
	if _, err := d.Secure(t.Context(), loginOf(stuck)); err != nil {
		t.Fatal(err)
	}
	takeBack(t, c, d, other)
	if n := value[int](t, c, "SELECT COUNT(*) FROM prodaccess.logins WHERE state = 'gone' AND login = ?", stuck.Login); n != 1 {
		t.Error("the row was removed while its login was still being taken back")
	}
}

// Somebody made an account of a login's name at another host. Ours is locked all the same, and its session ended; then it is
// said.
func TestAnAccountOfTheSameNameElsewhere(t *testing.T) { onEach(t, anAccountOfTheSameNameElsewhere) }

func anAccountOfTheSameNameElsewhere(t *testing.T, on flavour) {
	c := shared(t, on)
	d := c.open(t, nil)
	o := newOrder(t, d, "pa_read_only")
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	s, err := openSession(t.Context(), c.srv.Config(o.Login, o.Password.Reveal(), "app"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	run(t, c, "CREATE USER '"+o.Login+"'@'10.9.8.7' IDENTIFIED BY 'theirs'")
	_, err = d.Secure(t.Context(), loginOf(o))
	if grants.ReasonOf(err) != grants.FailForeign || !strings.Contains(err.Error(), "at another host") {
		t.Errorf("secure: %v", err)
	}
	if c.canLogin(o) || s.Read(t.Context()) == nil {
		t.Error("the login goes on because of somebody else's account")
	}
	if _, err := d.Clean(t.Context(), loginOf(o)); grants.ReasonOf(err) != grants.FailForeign {
		t.Errorf("clean: %v", err)
	}
	locked := c.choose("SELECT COALESCE(JSON_VALUE(Priv, '$.account_locked'), 0) FROM mysql.global_priv WHERE Host = '10.9.8.7' AND User = ?",
		"SELECT account_locked = 'Y' FROM mysql.user WHERE Host = '10.9.8.7' AND User = ?")
	if value[bool](t, c, locked, o.Login) {
		t.Error("somebody else's account was locked")
	}
	run(t, c, "DROP USER '"+o.Login+"'@'10.9.8.7'")
	takeBack(t, c, d, o)
}
