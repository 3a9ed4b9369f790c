package postgres

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// From 16 on an administrator has power over the roles it made and no others, and a REVOKE of what somebody else granted is
// a warning that changes nothing. So nothing counts as done before the catalogs say so.
func TestAnotherAdministrator(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *cluster) {
		d := c.open(t, nil)
		o := d.testOrder(t, readOnly)
		second := "second_" + o.Stamp.Grant
		friend := "friend_" + o.Stamp.Grant
		run(t, c.srv.URL("app"), "CREATE ROLE "+second+" LOGIN CREATEROLE PASSWORD 'second' IN ROLE pg_signal_backend", "GRANT CONNECT ON DATABASE app TO "+second,
			"CREATE ROLE "+friend+" LOGIN", "GRANT "+ident(o.Login)+" TO "+friend)
		t.Cleanup(func() {
			run(t, c.srv.URL("app"), "DROP OWNED BY "+second, "DROP ROLE "+second, "DROP ROLE "+friend)
		})

		// The wrong grantor: what a superuser granted is not the administrator's to take back.
		var warned string
		cfg, err := pgx.ParseConfig(c.admin.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { warned = n.Severity }
		admin, err := pgx.ConnectConfig(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { admin.Close(context.Background()) })
		can(t, admin, "REVOKE "+ident(o.Login)+" FROM "+friend)
		members := value[int](t, c, "SELECT count(*) FROM pg_auth_members WHERE member = $1::regrole", friend)
		if (c.major >= 16) != (members == 1) || (c.major >= 16) != (warned == "WARNING") {
			t.Errorf("after the REVOKE there are %d memberships, and the server said %q", members, warned)
		}

		// The wrong administrator is told so, and has not done anything.
		other := c.open(t, func(cfg *Config) { cfg.AdminURL = secret.New(c.srv.UserURL(second, "second", "app")) })
		_, err = other.Secure(t.Context(), loginOf(o))
		if c.major >= 16 {
			if grants.ReasonOf(err) != grants.FailPrivilege {
				t.Errorf("secured by another administrator: %v", err)
			}
			if _, err := other.Clean(t.Context(), loginOf(o)); err == nil {
				t.Error("cleaned by another administrator")
			}
			can(t, c.visitor(t, o), "SELECT * FROM sc.orders")
		} else if err != nil {
			t.Errorf("up to 15 every CREATEROLE may lock: %v", err)
		}
		_, cleaned := takeBack(t, d, o)
		holds(t, cleaned.Checks)
		if n := value[int](t, c, "SELECT count(*) FROM pg_auth_members WHERE member = $1::regrole", friend); n != 0 {
			t.Errorf("%d memberships are left", n)
		}
	})
}

// What comes back from the catalogs after an issue has to be what was ordered, in every column.
func TestAnIssueIsReadBack(t *testing.T) {
	t.Parallel()
	o := grants.Order{
		Login: "pa_bo_x", AccessRole: "pa_read_only", Stamp: grants.Stamp{Installation: "test", Grant: "x"}, ConnectionLimit: 4,
		ValidUntil: time.UnixMicro(1_800_000_000_000_000),
	}
	good := []string{"16384", "t", "f", "4", strconv.FormatInt(o.ValidUntil.UnixMicro(), 10), o.Stamp.String(), "pa_read_only"}
	row := func(values []string) *pgconn.Result {
		r := &pgconn.Result{Rows: [][][]byte{{}}}
		for _, v := range values {
			r.Rows[0] = append(r.Rows[0], []byte(v))
		}
		return r
	}
	if issued, err := checkIssued(row(good), o, prepared{}); err != nil || issued.OID != 16384 {
		t.Errorf("as ordered: %+v, %v", issued, err)
	}
	for column, wrong := range []string{"x", "f", "t", "-1", "infinity", "", "pa_read_only with admin"} {
		values := slices.Clone(good)
		values[column] = wrong
		if _, err := checkIssued(row(values), o, prepared{}); err == nil {
			t.Errorf("column %d says %q instead of %q, and it counts as issued", column, wrong, good[column])
		}
	}
	if _, err := checkIssued(&pgconn.Result{}, o, prepared{}); err == nil {
		t.Error("a login that is not there counts as issued")
	}
}

// A cluster as a cloud sells it: nobody is a superuser, a master user owns the databases and may create roles.
func TestManagedServer(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, shared *cluster) {
		srv := startServer(t, shared.major, nil)
		t.Cleanup(srv.Stop)
		admin := ""
		if shared.major >= 16 {
			admin = " WITH ADMIN OPTION"
		}
		run(t, srv.URL("postgres"), "CREATE ROLE master LOGIN CREATEROLE CREATEDB PASSWORD 'master'", "GRANT pg_signal_backend TO master"+admin)
		master := func(database string) string { return srv.UserURL("master", "master", database) }
		run(t, master("postgres"), "CREATE DATABASE app")
		run(t, master("app"), "CREATE SCHEMA sc", "CREATE TABLE sc.orders (id int, email text)", "INSERT INTO sc.orders VALUES (1, 'ana@example.com')")
		run(t, srv.URL("postgres"), "GRANT CONNECT ON DATABASE postgres, template1 TO master") // a cloud's are its own
		c := &cluster{major: shared.major, srv: srv, admin: secret.New(srv.UserURL("prodaccess_admin", "admin", "app"))}
		dba := c.open(t, func(cfg *Config) { cfg.PrepareURL = secret.New(master("app")) })
		all := grants.Profile{Name: "all", MemberOf: []string{"pg_read_all_data"}, Privileges: []grants.Privilege{
			{Schema: "sc", Tables: []string{"*"}, Privileges: []string{"select"}},
		}}
		err := dba.Apply(t.Context(), mustPlan(t, dba, readOnly, all))
		const unowned = `REVOKE CONNECT, TEMPORARY ON DATABASE "postgres" FROM PUBLIC; -- in database postgres`
		if grants.ReasonOf(err) != grants.FailPrivilege || !strings.Contains(err.Error(), unowned) {
			t.Fatalf("what only the cloud may do is not listed: %v", err)
		}
		// pg_read_all_data is a superuser's to give from 16 on; up to 15 every CREATEROLE may.
		if missing := strings.Contains(err.Error(), `GRANT "pg_read_all_data" TO "pa_all"`); missing != (c.major >= 16) {
			t.Errorf("pg_read_all_data is out of reach: %v; %v", missing, err)
		}
		run(t, master("app"), "ALTER ROLE prodaccess_admin PASSWORD 'admin'")
		r := c.doctor(t, nil).Rehearse(t.Context(), grants.AccessRole(readOnly.Name))
		if !r.OK() {
			t.Errorf("the rehearsal: %+v", r.Steps)
		}
		d := c.open(t, nil)
		o := d.testOrder(t, readOnly)
		session := c.visitor(t, o)
		can(t, session, "SELECT * FROM sc.orders")
		cannot(t, session, "42501", "DELETE FROM sc.orders")
		can(t, session, "SELECT lo_create(0)")
		if secured, cleaned := takeBack(t, d, o); secured.Killed != 1 || len(cleaned.Leftovers) != 1 {
			t.Errorf("%+v %+v", secured, cleaned)
		}
		// The cloud takes a right away, and the rehearsal says how to get it back.
		run(t, srv.URL("postgres"), "REVOKE pg_signal_backend FROM prodaccess_admin CASCADE", "REVOKE pg_signal_backend FROM master CASCADE")
		if c.major >= 16 {
			run(t, srv.URL("postgres"), "DO $$ BEGIN IF pg_has_role('prodaccess_admin', 'pg_signal_backend', 'MEMBER') THEN RAISE 'still a member'; END IF; END $$")
		}
		r = c.doctor(t, nil).Rehearse(t.Context(), grants.AccessRole(readOnly.Name))
		if r.OK() || !slices.ContainsFunc(r.Steps, func(s grants.RehearsalStep) bool {
			return s.Err != nil && strings.Contains(s.What, "sessions ended") && strings.Contains(s.Err.Error(), "pg_signal_backend")
		}) {
			t.Errorf("the rehearsal without pg_signal_backend: %+v", r.Steps)
		}
	})
}
