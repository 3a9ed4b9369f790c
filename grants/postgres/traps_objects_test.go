package postgres

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/localpg"
)

// A table's list of privileges has to fit a page: after some two thousand logins nobody can be granted anything any more.
// An access role has as many members as anybody likes.
func TestThreeThousandLoginsThenOneMore(t *testing.T) {
	t.Parallel()
	onApart(t, []int{15, 18}, prepare, func(t *testing.T, c *cluster) {
		const fill = "DO $$ BEGIN FOR i IN 1..3000 LOOP EXECUTE format('%s', i); END LOOP; END $$"
		run(t, c.srv.URL("app"), strings.Replace(fill, "%s", "CREATE ROLE per_login_%s", 1), "CREATE TABLE sc.crowded (a int)")
		refusesFrom(t, c.srv.URL("app"), "54000", strings.Replace(fill, "%s", "GRANT SELECT ON sc.crowded TO per_login_%s", 1)) // row is too big
		// The rest of what the driver does on its way: from 16 on whoever makes a role is a member of it, with ADMIN OPTION.
		made := "CREATE ROLE pa_full_%1$s LOGIN; GRANT pa_read_only TO pa_full_%1$s"
		if c.major >= 16 {
			made += "; GRANT pa_full_%1$s TO prodaccess_admin WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"
		}
		run(t, c.srv.URL("app"), strings.Replace(fill, "%s", made, 1))
		d := c.open(t, nil)
		o := d.newOrder(t, readOnly)
		start := time.Now()
		if _, err := d.Issue(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		t.Logf("one more took %s", time.Since(start))
		can(t, c.visitor(t, o), "SELECT * FROM sc.orders")
		secured, cleaned := takeBack(t, d, o)
		if secured.Killed != 1 {
			t.Errorf("%+v", secured)
		}
		holds(t, cleaned.Checks)
		if n := value[int](t, c, "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE r.rolname = 'pa_read_only' AND starts_with(m.member::regrole::text, 'pa_full_')"); n != 3000 {
			t.Errorf("%d members are left of 3,000", n)
		}
	})
}

// Two who grant on one table at the same time: the later of them fails. Members of an access role can be made by many at
// once, which is "many at once" of TestConformance.
func TestGrantsOnOneTableCollide(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *cluster) {
		table := "same_" + strings.ToLower(rand.Text()[:12])
		run(t, c.srv.URL("app"), "CREATE TABLE sc."+table+" (a int)")
		first, second := c.connect(t, c.srv.URL("app")), c.connect(t, c.srv.URL("app"))
		can(t, first, "BEGIN; GRANT SELECT ON sc."+table+" TO pa_read_only")
		late := make(chan error, 1)
		go func() {
			_, err := second.Exec(t.Context(), "GRANT INSERT ON sc."+table+" TO pa_read_only")
			late <- err
		}()
		pid := second.PgConn().PID()
		for value[int](t, c, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'", pid) == 0 {
			time.Sleep(time.Millisecond)
		}
		can(t, first, "COMMIT")
		if err := <-late; err == nil || !strings.Contains(err.Error(), "tuple concurrently updated") {
			t.Errorf("the later GRANT: %v", err)
		}
		run(t, c.srv.URL("app"), "DROP TABLE sc."+table)
	})
}

// A visitor's SECURITY DEFINER function, handed to the owner of the application's tables, opens them to everybody. Handed
// to the quarantine role it opens nothing.
func TestAFunctionLeftBehindIsNoBackDoor(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *cluster) {
		d := c.open(t, nil)
		leaves := func() (grants.Order, string) {
			o := d.testOrder(t, readOnly)
			name := "sc." + ident("door_"+o.Stamp.Grant)
			session := c.visitor(t, o)
			can(t, session, "CREATE FUNCTION "+name+"() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM sc.orders'")
			can(t, session, "GRANT EXECUTE ON FUNCTION "+name+" TO PUBLIC")
			return o, name
		}
		outsider := "outsider_" + strings.ToLower(rand.Text()[:12])
		run(t, c.srv.URL("app"), "CREATE ROLE "+outsider+" LOGIN PASSWORD 'outside'", "GRANT USAGE ON SCHEMA sc TO "+outsider, "GRANT CONNECT ON DATABASE app TO "+outsider)
		stranger := c.connect(t, c.srv.UserURL(outsider, "outside", "app"))
		cannot(t, stranger, "42501", "SELECT * FROM sc.orders")

		o, name := leaves()
		refusesFrom(t, c.srv.URL("app"), "2BP01", "DROP ROLE "+ident(o.Login))
		run(t, c.srv.URL("app"), "REASSIGN OWNED BY "+ident(o.Login)+" TO app_owner")
		can(t, stranger, "SELECT "+name+"()") // it reads what the stranger may not
		run(t, c.srv.URL("app"), "DROP FUNCTION "+name)

		o, name = leaves()
		_, cleaned := takeBack(t, d, o)
		if len(cleaned.Leftovers) != 1 || cleaned.Leftovers[0].Owner != grants.QuarantineRole {
			t.Errorf("leftovers: %+v", cleaned.Leftovers)
		}
		cannot(t, stranger, "42501", "SELECT "+name+"()")
		run(t, c.srv.URL("app"), "DROP OWNED BY "+outsider, "DROP ROLE "+outsider)
	})
}

// Whoever may enter a database may leave a large object in it, without any privilege there. A plan shuts the doors.
func TestOtherDatabasesAreShut(t *testing.T) {
	t.Parallel()
	onEachTight(t, func(t *testing.T, c *cluster) {
		d := c.open(t, nil)
		open := localpg.NewDatabase(t, c.srv, "") // as the server makes it: everybody may enter
		o := d.testOrder(t, readOnly)
		there := c.srv.UserURL(o.Login, o.Password.Reveal(), open)
		run(t, there, "SELECT lo_create(0)")
		refusesFrom(t, c.srv.URL("app"), "2BP01", "DROP ROLE "+ident(o.Login))
		if _, cleaned := takeBack(t, d, o); len(cleaned.Leftovers) != 1 || cleaned.Leftovers[0].Database != open {
			t.Errorf("leftovers: %+v", cleaned.Leftovers)
		}

		plan, err := c.open(t, nil).Plan(t.Context(), []grants.Profile{readOnly})
		i := slices.IndexFunc(plan.Steps, func(s grants.PreparationStep) bool {
			return s.Database == open && strings.HasPrefix(s.SQL, "REVOKE CONNECT")
		})
		if err != nil || i < 0 {
			t.Fatalf("the plan leaves the database open: %+v, %v", plan.Steps, err)
		}
		run(t, c.srv.URL(open), plan.Steps[i].SQL)
		o = d.testOrder(t, readOnly)
		for _, database := range []string{open, "other", "postgres", "template1"} {
			refusesFrom(t, c.srv.UserURL(o.Login, o.Password.Reveal(), database), "42501", "SELECT lo_create(0)")
		}
		can(t, c.visitor(t, o), "SELECT * FROM sc.orders")
	})
}

// A visitor's ALTER DEFAULT PRIVILEGES keeps its role from being dropped; and a table made tomorrow is seen only because
// its owner's default privileges say so. An owner without them is a finding.
func TestDefaultPrivileges(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, shared *cluster) {
		c := prepare(t, startServer(t, shared.major, nil), shared.major)
		t.Cleanup(func() { c.super.Close(); c.srv.Stop() })
		d := c.open(t, nil)
		o := d.testOrder(t, readOnly)
		session := c.visitor(t, o)
		can(t, session, "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")
		refusesFrom(t, c.srv.URL("app"), "2BP01", "DROP ROLE "+ident(o.Login))

		profiles := []grants.Profile{readOnly}
		if findings, err := drifted(t, d, profiles); err != nil || len(findings) > 0 {
			t.Fatalf("findings: %+v, %v", findings, err)
		}
		run(t, c.srv.URL("app"), "CREATE ROLE second_owner", "GRANT CREATE, USAGE ON SCHEMA sc TO second_owner",
			"SET ROLE app_owner", "CREATE TABLE sc.tomorrow (a int)", "SET ROLE second_owner", "CREATE TABLE sc.unseen (a int)")
		can(t, session, "SELECT * FROM sc.tomorrow")
		cannot(t, session, "42501", "SELECT * FROM sc.unseen")
		findings, err := drifted(t, d, profiles)
		if err != nil || !slices.ContainsFunc(findings, func(f grants.Finding) bool {
			return strings.HasPrefix(f.Mend, `ALTER DEFAULT PRIVILEGES FOR ROLE "second_owner"`)
		}) {
			t.Errorf("an owner without default privileges is not found: %+v, %v", findings, err)
		}
		for _, f := range findings {
			run(t, c.srv.URL("app"), f.Mend)
		}
		run(t, c.srv.URL("app"), "SET ROLE second_owner", "CREATE TABLE sc.seen (a int)")
		can(t, session, "SELECT * FROM sc.seen")
		_, cleaned := takeBack(t, d, o)
		holds(t, cleaned.Checks)
	})
}

// A prepared transaction survives the end of its session and of its role, and goes on holding its locks.
func TestPreparedTransactionsOutliveTheirRole(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *cluster) {
		d := c.open(t, nil)
		prepares := func(o grants.Order, database string) string {
			gid := "tx_" + o.Stamp.Grant
			run(t, c.srv.UserURL(o.Login, o.Password.Reveal(), database), "BEGIN", "SELECT pg_advisory_xact_lock(1)", "PREPARE TRANSACTION "+literal(gid))
			return gid
		}
		left := func(gid string) int {
			return value[int](t, c, "SELECT count(*) FROM pg_prepared_xacts WHERE gid = $1", gid)
		}
		o := d.testOrder(t, readOnly)
		gid := prepares(o, "app")
		run(t, c.admin.Reveal(), "DROP ROLE "+ident(o.Login))
		if left(gid) != 1 {
			t.Error("the server has ended the prepared transaction with its role")
		}
		run(t, c.srv.URL("app"), "ROLLBACK PREPARED "+literal(gid))

		o = d.testOrder(t, readOnly)
		gid = prepares(o, "app")
		takeBack(t, d, o)
		if left(gid) != 0 {
			t.Error("the prepared transaction is still there")
		}

		// Where it may not be rolled back the login is not dropped: dropped, it would be nobody's.
		o = d.testOrder(t, readOnly)
		shut := localpg.NewDatabase(t, c.srv, "")
		gid = prepares(o, shut)
		run(t, c.srv.URL(shut), "REVOKE CONNECT ON DATABASE "+ident(shut)+" FROM PUBLIC")
		if _, err := d.Secure(t.Context(), loginOf(o)); err != nil {
			t.Fatal(err)
		}
		_, err := d.Clean(t.Context(), loginOf(o))
		if grants.ReasonOf(err) != grants.FailPrivilege || !strings.Contains(err.Error(), shut) || left(gid) != 1 ||
			!value[bool](t, c, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1 AND NOT rolcanlogin)", o.Login) {
			t.Errorf("with a prepared transaction out of reach: %v", err)
		}
		run(t, c.srv.URL(shut), "GRANT CONNECT ON DATABASE "+ident(shut)+" TO prodaccess_admin")
		if _, err := d.Clean(t.Context(), loginOf(o)); err != nil || left(gid) != 0 {
			t.Errorf("within reach: %v", err)
		}
	})
}

// An order that was in time when it began, and then waited for somebody's lock, is not carried out after its end: whoever
// takes the grant back may have looked by then, and found nothing.
func TestAnOrderThatWaitsPastItsEnd(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, shared *cluster) {
		c := prepare(t, startServer(t, shared.major, nil), shared.major)
		t.Cleanup(func() { c.super.Close(); c.srv.Stop() })
		d := c.open(t, nil)
		for try := 1; ; try++ {
			blocker := c.connect(t, c.srv.URL("app"))
			can(t, blocker, "BEGIN; LOCK TABLE pg_auth_members IN EXCLUSIVE MODE")
			o := d.newOrder(t, readOnly)
			o.NotAfter = time.Now().Add(1200 * time.Millisecond)
			done := make(chan error, 1)
			go func() {
				_, err := d.Issue(t.Context(), o)
				done <- err
			}()
			waited := false
			for !waited && time.Now().Before(o.NotAfter) {
				waited = value[bool](t, c, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'prodaccess_admin' AND wait_event_type = 'Lock')")
			}
			time.Sleep(time.Until(o.NotAfter.Add(10 * time.Millisecond)))
			can(t, blocker, "COMMIT")
			err := <-done
			if value[bool](t, c, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", o.Login) {
				t.Errorf("the login came to be after the end of its order: %v", err)
			}
			if waited && grants.ReasonOf(err) == grants.FailLate {
				return
			}
			// It did not get as far as the lock in time, or waited for so long that its patience ended.
			if reason := grants.ReasonOf(err); try == 5 || t.Failed() || reason != grants.FailLate && reason != grants.FailBusy {
				t.Fatalf("waited: %v, and then %v", waited, err)
			}
		}
	})
}
