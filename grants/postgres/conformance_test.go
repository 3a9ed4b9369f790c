package postgres

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/grantstest"
	"github.com/prodaccess/prodaccess/internal/secret"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *cluster) { grantstest.Exercise(t, fixture{c}) })
}

type fixture struct{ *cluster }

func (f fixture) Open(t testing.TB, opts grantstest.Options) grants.Driver {
	return f.open(t, func(cfg *Config) {
		cfg.Installation = grantstest.Installation
		if opts.Installation != "" {
			cfg.Installation = opts.Installation
		}
		cfg.Now = opts.Now
		cfg.MaxConns = 4
	})
}

func (f fixture) AccessRole() string { return grants.AccessRole(readOnly.Name) }

func (f fixture) Login(ctx context.Context, login string, password secret.String) (grantstest.Session, error) {
	conn, err := pgx.Connect(ctx, f.srv.UserURL(login, password.Reveal(), "app"))
	if err != nil {
		return nil, err
	}
	return &session{conn: conn}, nil
}

func (f fixture) Exists(t testing.TB, login string) bool {
	return value[bool](t, f.cluster, "SELECT EXISTS (SELECT FROM pg_authid WHERE rolname = $1)", login)
}

func (f fixture) Sessions(t testing.TB, oid uint32) int {
	return value[int](t, f.cluster, "SELECT count(*) FROM pg_stat_activity WHERE usesysid = $1", oid)
}

func (f fixture) Refused(err error) bool { return stateOf(err) == "42501" }

func (f fixture) MakeForeign(t testing.TB, name string) {
	run(t, f.srv.URL("postgres"), "CREATE ROLE "+ident(name)+" LOGIN")
	t.Cleanup(func() { run(t, f.srv.URL("postgres"), "DROP ROLE "+ident(name)) })
}

// session is a visitor's, with psql's habits: the simple protocol.
type session struct {
	conn *pgx.Conn
	busy sync.WaitGroup // what runs in the background until the session is killed
}

func (s *session) Read(ctx context.Context) error {
	_, err := s.conn.Exec(ctx, "SELECT * FROM sc.orders")
	return err
}

func (s *session) Write(ctx context.Context) error {
	_, err := s.conn.Exec(ctx, "UPDATE sc.orders SET email = 'x'")
	return err
}

func (s *session) Close() {
	s.busy.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.conn.Close(ctx)
}

func (s *session) run(t testing.TB, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := s.conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func (f fixture) Mischief() []grantstest.Mischief {
	do := func(statements ...string) func(testing.TB, string, secret.String, grantstest.Session) {
		return func(t testing.TB, _ string, _ secret.String, s grantstest.Session) {
			s.(*session).run(t, statements...)
		}
	}
	return []grantstest.Mischief{
		{Name: "idle in a transaction", Do: do("BEGIN", "SELECT * FROM sc.orders")},
		{Name: "SET ROLE to the access role", Do: do("SET ROLE pa_read_only", "SELECT * FROM sc.orders")},
		{Name: "SET SESSION AUTHORIZATION DEFAULT", Do: do("SET SESSION AUTHORIZATION DEFAULT")},
		{Name: "temporary table held open", Do: do("CREATE TEMP TABLE held (a int)", "BEGIN", "LOCK TABLE held")},
		{Name: "own password and settings", Do: func(t testing.TB, login string, _ secret.String, s grantstest.Session) {
			s.(*session).run(t, "ALTER ROLE "+ident(login)+" PASSWORD 'mine'", "ALTER ROLE "+ident(login)+" SET work_mem = '8MB'")
		}},
		{Name: "large object", Do: do("SELECT lo_create(0)"), Leftovers: 1},
		{
			Name: "large object in another database", Leftovers: 1,
			Do: func(t testing.TB, login string, password secret.String, _ grantstest.Session) {
				run(t, f.srv.UserURL(login, password.Reveal(), "other"), "SELECT lo_create(0)")
			},
		},
		{Name: "objects of all kinds", Leftovers: 6, Do: func(t testing.TB, login string, _ secret.String, s grantstest.Session) {
			s.(*session).run(t,
				"CREATE TABLE sc."+ident(login)+" (a serial)",
				"CREATE VIEW sc."+ident(login+"_v")+" AS SELECT * FROM sc.orders",
				"CREATE FUNCTION sc."+ident(login+"_f")+"() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM sc.orders'",
				"CREATE TYPE sc."+ident(login+"_e")+" AS ENUM ('a')",
				"CREATE SEQUENCE sc."+ident(login+"_s"))
		}, After: func(t testing.TB, login string) {
			owner := value[string](t, f.cluster, "SELECT proowner::regrole::text FROM pg_proc WHERE proname = $1", login+"_f")
			if owner != grants.QuarantineRole {
				t.Errorf("the SECURITY DEFINER function belongs to %s", owner)
			}
		}},
		{Name: "default privileges", Do: do("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
			"ALTER DEFAULT PRIVILEGES IN SCHEMA sc GRANT SELECT ON TABLES TO PUBLIC")},
		{Name: "prepared transaction", Leftovers: 0, Do: func(t testing.TB, login string, _ secret.String, s grantstest.Session) {
			s.(*session).run(t, "BEGIN", "CREATE TABLE sc."+ident(login+"_p")+" (a int)", "PREPARE TRANSACTION "+literal(login+`'\x`))
		}, After: func(t testing.TB, login string) {
			if n := value[int](t, f.cluster, "SELECT count(*) FROM pg_prepared_xacts WHERE starts_with(gid, $1)", login); n != 0 {
				t.Error("the prepared transaction survives")
			}
		}},
		{Name: "prepared transaction in another database", Do: func(t testing.TB, login string, password secret.String, _ grantstest.Session) {
			run(t, f.srv.UserURL(login, password.Reveal(), "other"), "BEGIN", "SELECT lo_create(0)", "PREPARE TRANSACTION "+literal(login+"_o"))
		}},
		{Name: "ignoring SIGTERM in a loop", Do: func(t testing.TB, _ string, _ secret.String, s grantstest.Session) {
			s.(*session).busy.Go(func() {
				_, _ = s.(*session).conn.Exec(context.Background(), "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(0.01);"+
					" EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$")
			})
		}},
	}
}
