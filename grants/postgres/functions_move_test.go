package postgres

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// A running prodaccess does not notice that a superuser takes the administrator's rights away, or gives them back: whoever
// works goes on working, and what was made before can be taken back afterwards.
func TestTheFunctionsComeAndGoUnderARunningDriver(t *testing.T) {
	t.Parallel()
	onEachApart(t, prepare, func(t *testing.T, c *cluster) {
		// What somebody else put under the functions' name is not called.
		run(t, c.srv.URL("app"), "CREATE SCHEMA prodaccess AUTHORIZATION app_owner", "GRANT USAGE ON SCHEMA prodaccess TO PUBLIC",
			"CREATE FUNCTION prodaccess.version() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
			"CREATE FUNCTION prodaccess.remember(text, text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'the trap caught'; END $$")
		d := c.open(t, nil)
		if err := d.Remember(t.Context(), "before"); err != nil {
			t.Fatal(err)
		}
		orders := map[string]grants.Order{}
		issue := func(when string) {
			t.Helper()
			orders[when] = d.newOrder(t, readOnly)
			if _, err := d.Issue(t.Context(), orders[when]); err != nil {
				t.Fatalf("issued %s: %v", when, err)
			}
		}
		works := func(when string) {
			t.Helper()
			for issued, o := range orders {
				conn := c.visitor(t, o)
				can(t, conn, "SELECT * FROM sc.orders")
				if t.Failed() {
					t.Fatalf("%s, the login issued %s", when, issued)
				}
			}
		}
		issue("before")
		issue("before, for later")
		working := c.visitor(t, orders["before"])
		can(t, working, "SELECT * FROM sc.orders")

		c.applyFunctions(t, readOnly)
		powerless(t, c)
		can(t, working, "SELECT * FROM sc.orders")
		works("with the functions")
		issue("with the functions")
		if err := d.Rotate(t.Context(), loginOf(orders["before, for later"]), orders["before, for later"].Password); err != nil {
			t.Errorf("a new password for a login from before: %v", err)
		}
		secured, cleaned := takeBack(t, d, orders["before"])
		if secured.Killed == 0 {
			t.Errorf("%+v", secured)
		}
		holds(t, cleaned.Checks)
		delete(orders, "before")
		if err := d.Remember(t.Context(), "with the functions"); err != nil {
			t.Errorf("remembering: %v", err)
		}

		// Without them nothing goes on, and what an application that may create schemas puts in their place is not called,
		// neither by who knew the functions nor by who looks for the first time.
		run(t, c.srv.URL("app"), "DROP SCHEMA prodaccess CASCADE", "CREATE ROLE ledger", "GRANT CREATE ON DATABASE app TO ledger", "SET ROLE ledger",
			"CREATE SCHEMA prodaccess CREATE TABLE called (by_whom name)", "GRANT ALL ON prodaccess.called TO PUBLIC", "GRANT USAGE ON SCHEMA prodaccess TO PUBLIC",
			"CREATE FUNCTION prodaccess.remember(text, text) RETURNS void LANGUAGE sql AS 'INSERT INTO prodaccess.called VALUES (current_user)'",
			"CREATE FUNCTION prodaccess.lock_login(text, text, oid) RETURNS void LANGUAGE sql AS 'INSERT INTO prodaccess.called VALUES (current_user)'",
			"CREATE FUNCTION prodaccess.end_session(int, oid) RETURNS boolean LANGUAGE sql AS 'INSERT INTO prodaccess.called VALUES (current_user) RETURNING true'",
			"CREATE FUNCTION prodaccess.set_valid_until(text, text, oid, timestamptz) RETURNS void LANGUAGE sql AS 'INSERT INTO prodaccess.called VALUES (current_user)'",
			"CREATE FUNCTION prodaccess.create_login(text, text, text, timestamptz, int) RETURNS void LANGUAGE sql AS 'INSERT INTO prodaccess.called VALUES (current_user)'")
		login := loginOf(orders["with the functions"])
		foreign := map[string]func(d *Driver) error{
			"remembering": func(d *Driver) error { return d.Remember(t.Context(), "trapped") },
			"issuing":     func(d *Driver) error { _, err := d.Issue(t.Context(), d.newOrder(t, readOnly)); return err },
			"extending":   func(d *Driver) error { return d.Extend(t.Context(), login, time.Now().Add(time.Hour)) },
			"locking":     func(d *Driver) error { _, err := d.Secure(t.Context(), login); return err },
		}
		known := *d.mustKnow(t)
		for doing, do := range foreign {
			d.known.Store(&known)
			for who, d := range map[string]*Driver{"who knew them": d, "who looks now": c.open(t, nil)} {
				if err := do(d); grants.ReasonOf(err) != grants.FailUnprepared || !strings.Contains(err.Error(), "targets plan") {
					t.Errorf("%s with somebody else's functions, %s: %v", doing, who, err)
				}
			}
		}
		conn, err := d.security.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = exchangeOn(t.Context(), conn.Conn(), look(byFunctions{}, target{name: "prodaccess_admin"}))
		conn.Release()
		if stateOf(err) != "3F000" {
			t.Errorf("ending sessions with somebody else's function: %v", err)
		}
		if value[bool](t, c, "SELECT EXISTS (SELECT FROM prodaccess.called)") {
			t.Error("the trap caught")
		}
		run(t, c.srv.URL("app"), "DROP SCHEMA prodaccess CASCADE")
		c.applyFunctions(t, readOnly)
		works("with the functions again")
		if err := d.Remember(t.Context(), "again"); err != nil {
			t.Errorf("remembering: %v", err)
		}

		back, away, gone := removal(t)
		run(t, c.srv.URL("postgres"), back)
		for _, database := range []string{"app", "other", "postgres"} {
			run(t, c.srv.URL(database), away)
		}
		run(t, c.srv.URL("postgres"), gone)
		dba := c.asDBA(t)
		plan, err := dba.Plan(t.Context(), []grants.Profile{readOnly})
		if err != nil {
			t.Fatal(err)
		}
		if err := dba.Apply(t.Context(), plan); err != nil {
			t.Fatal(err)
		}
		if found, err := dba.Check(t.Context(), []grants.Profile{readOnly}); err != nil || len(found) > 1 || len(found) == 1 && !found[0].Advice {
			t.Errorf("without the functions: %v %+v", err, found)
		}
		if value[bool](t, c, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'prodaccess_functions') OR EXISTS (SELECT FROM pg_namespace WHERE nspname = 'prodaccess')") {
			t.Error("something is left of the functions")
		}
		works("without the functions")
		issue("afterwards")
		if err := d.Remember(t.Context(), "after"); err != nil {
			t.Errorf("remembering: %v", err)
		}
		for when, o := range orders {
			secured, cleaned := takeBack(t, d, o)
			holds(t, append(secured.Checks, cleaned.Checks...))
			if t.Failed() {
				t.Fatalf("taken back: the login issued %s", when)
			}
		}
	})
}

// removal is the SQL of docs/operating.md that takes the functions away.
func removal(t *testing.T) (back, away, gone string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "### Removing the functions\n")
	if !ok {
		t.Fatal("docs/operating.md does not say how the functions are removed")
	}
	rest, _, _ = strings.Cut(rest, "\n#")
	var blocks []string
	for _, found := range regexp.MustCompile("(?ms)^```sql\n(.*?)^```").FindAllStringSubmatch(rest, -1) {
		blocks = append(blocks, found[1])
	}
	if len(blocks) != 3 {
		t.Fatalf("%d blocks of SQL", len(blocks))
	}
	return blocks[0], blocks[1], blocks[2]
}

// A database that was made after the functions were installed lacks them, and somebody may have put something else there.
func TestWhatIsLeftWhereTheFunctionsAreNot(t *testing.T) {
	t.Parallel()
	onApart(t, []int{15, 18}, prepareFunctions, func(t *testing.T, c *cluster) {
		for _, test := range []struct{ database, setUp string }{
			{"late", "SELECT"},
			{"trapped", "CREATE SCHEMA prodaccess CREATE TABLE called (by_whom name); GRANT ALL ON prodaccess.called TO PUBLIC; GRANT USAGE ON SCHEMA prodaccess TO PUBLIC;" +
				" CREATE FUNCTION prodaccess.disown(text, text, oid) RETURNS void LANGUAGE sql AS 'INSERT INTO prodaccess.called VALUES (current_user)'"},
		} {
			run(t, c.srv.URL("postgres"), "CREATE DATABASE "+test.database)
			run(t, c.srv.URL(test.database), test.setUp, "GRANT CONNECT ON DATABASE "+test.database+" TO PUBLIC")
			d := c.open(t, nil)
			o := d.newOrder(t, readOnly)
			issued, err := d.Issue(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			run(t, c.srv.UserURL(o.Login, o.Password.Reveal(), test.database), "SELECT lo_create(0)")
			if _, err := d.Secure(t.Context(), loginOf(o)); err != nil {
				t.Fatal(err)
			}
			login := loginOf(o)
			login.OID = issued.OID
			_, err = d.Clean(t.Context(), login)
			if grants.ReasonOf(err) != grants.FailUnprepared || !strings.Contains(err.Error(), test.database) || !strings.Contains(err.Error(), "targets plan") {
				t.Errorf("cleaned in %s: %v", test.database, err)
			}
			if test.database == "trapped" {
				run(t, c.srv.URL(test.database), "DO $$ BEGIN IF EXISTS (SELECT FROM prodaccess.called) THEN RAISE 'the trap caught'; END IF; END $$", "DROP SCHEMA prodaccess CASCADE")
			}
			c.applyFunctions(t, readOnly)
			if cleaned, err := d.Clean(t.Context(), login); err != nil || len(cleaned.Leftovers) != 1 {
				t.Errorf("with the functions in %s: %+v %v", test.database, cleaned, err)
			}
		}
	})
}

// A login that is lent has nothing, and what it is given ends the loan. The session that had become it meanwhile has
// nothing either, once the login is dropped.
func TestWhatIsLentHasNothing(t *testing.T) {
	t.Parallel()
	onEachWithFunctions(t, func(t *testing.T, c *cluster) {
		d := c.open(t, nil)
		o := d.newOrder(t, readOnly)
		admin := c.connect(t, c.admin.Reveal())
		where := "('" + o.Login + "', '" + o.Stamp.String() + "', "
		can(t, admin, "SELECT prodaccess.create_login"+where+"'"+aVerifier+"', now() + '1h', 1)")
		can(t, admin, "SELECT prodaccess.lend"+where+"0)")
		can(t, admin, "SET ROLE "+o.Login)
		cannot(t, admin, "42501", "SELECT * FROM sc.orders")
		can(t, admin, "RESET ROLE")
		run(t, c.srv.URL("app"), "REVOKE "+o.Login+" FROM prodaccess_admin", "GRANT SELECT ON sc.orders TO "+o.Login) // a DBA's own idea
		cannot(t, admin, "42501", "SELECT prodaccess.lend"+where+"0)")
		run(t, c.srv.URL("app"), "REVOKE SELECT ON sc.orders FROM "+o.Login)

		// What was lent by a transaction that is over gets no access by another, whatever that one does first: a session
		// that became the login would have it, and nobody would find that session.
		can(t, admin, "SELECT prodaccess.lend"+where+"0); SET ROLE "+o.Login)
		other := c.connect(t, c.admin.Reveal())
		for _, first := range []string{"lend" + where + "0)", "expel" + where + "0)", "set_verifier" + where + "0, '" + aVerifier + "')"} {
			can(t, other, "BEGIN; SELECT prodaccess."+first)
			cannot(t, other, "42501", "SELECT prodaccess.grant_access"+where+"'pa_read_only')")
			can(t, other, "ROLLBACK")
		}
		can(t, other, "SELECT prodaccess.expel"+where+"0)")
		cannot(t, other, "42501", "SELECT prodaccess.grant_access"+where+"'pa_read_only')")
		can(t, other, "SELECT prodaccess.lock_login"+where+"0)")
		cannot(t, admin, "42501", "SELECT * FROM sc.orders")
		can(t, admin, "RESET ROLE")
		takeBack(t, d, o)

		// In one transaction, it gets access when nothing was made as the login, and the session does not act as it.
		run(t, c.srv.URL("app"), "CREATE SCHEMA lent AUTHORIZATION prodaccess_admin", "GRANT USAGE ON SCHEMA lent TO PUBLIC",
			"CREATE ROLE pa_lent__owner", "GRANT pa_lent__owner TO prodaccess_functions WITH ADMIN OPTION")
		defer run(t, c.srv.URL("app"), "DROP SCHEMA lent CASCADE", "DROP ROLE pa_lent__owner")
		can(t, admin, "CREATE FUNCTION lent.gives(text, text, text) RETURNS void LANGUAGE sql SECURITY DEFINER AS 'SELECT prodaccess.grant_access($1, $2, $3)'")
		for _, test := range []struct{ done, refused string }{
			{"SELECT lo_create(0); SET LOCAL ROLE NONE", "SELECT prodaccess.grant_access"},
			{"SELECT lo_create(0); SET LOCAL ROLE NONE", "SELECT prodaccess.act_as"},
			{"SELECT", "SELECT lent.gives"},
			{"ALTER ROLE CURRENT_USER SET role = 'pa_lent__owner'; SET LOCAL ROLE NONE", ""},
		} {
			o = d.newOrder(t, readOnly)
			where = "('" + o.Login + "', '" + o.Stamp.String() + "', "
			can(t, admin, "BEGIN; SELECT prodaccess.create_login"+where+"'"+aVerifier+"', now() + '1h', 1);"+
				" SELECT prodaccess.lend"+where+"0); SET LOCAL ROLE "+o.Login+"; "+test.done)
			if test.refused != "" {
				role := "pa_read_only"
				if strings.HasSuffix(test.refused, "act_as") {
					role = "pa_lent__owner"
				}
				cannot(t, admin, "42501", test.refused+where+"'"+role+"')")
				can(t, admin, "ROLLBACK")
			}
		}
		can(t, admin, "SELECT prodaccess.act_as"+where+"'pa_lent__owner'); SELECT prodaccess.grant_access"+where+"'pa_read_only'); COMMIT")
		cannot(t, admin, "42501", "SET ROLE "+o.Login)
		cannot(t, admin, "42501", "SELECT prodaccess.lend"+where+"0)")
		takeBack(t, d, o)

		// Of what was locked and has prepared transactions, the access goes first.
		o = d.newOrder(t, readOnly)
		if _, err := d.Issue(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		visitor := c.visitor(t, o)
		can(t, visitor, "BEGIN; CREATE TABLE sc."+o.Login+" (a int); PREPARE TRANSACTION '"+o.Login+"'")
		if _, err := d.Secure(t.Context(), loginOf(o)); err != nil {
			t.Fatal(err)
		}
		where = "('" + o.Login + "', '" + o.Stamp.String() + "', "
		can(t, admin, "SELECT prodaccess.lend"+where+"0)")
		can(t, admin, "SET ROLE "+o.Login)
		cannot(t, admin, "42501", "SELECT * FROM sc.orders")
		can(t, admin, "RESET ROLE")
		takeBack(t, d, o)
	})
}
