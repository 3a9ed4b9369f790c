package mysql

import (
	"context"
	"database/sql"
	"slices"
	"sync"
	"testing"
	"time"

	client "github.com/go-sql-driver/mysql"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/grantstest"
	"github.com/prodaccess/prodaccess/internal/secret"
)

func TestConformance(t *testing.T) { onEach(t, conformance) }

func conformance(t *testing.T, on flavour) {
	grantstest.Exercise(t, fixture{shared(t, on)})
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
	cfg := f.srv.Config(login, password.Reveal(), "app")
	return openSession(ctx, cfg)
}

func openSession(ctx context.Context, cfg *client.Config) (*session, error) {
	cfg.Logger = &client.NopLogger{}
	connector, err := client.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	conn, err := db.Conn(ctx)
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	return &session{db: db, conn: conn}, nil
}

func (f fixture) Exists(t testing.TB, login string) bool { return f.exists(t, login) }

func (f fixture) Sessions(t testing.TB, oid uint32) int {
	return value[int](t, f.cluster, "SELECT COUNT(*) FROM information_schema.PROCESSLIST p JOIN prodaccess.logins l ON l.login = p.USER WHERE l.id = ?", oid)
}

func (f fixture) Refused(err error) bool {
	return slices.Contains([]uint16{errDenyStatement, errDeniedDB, 1143, 1370}, number(err))
}

func (f fixture) MakeForeign(t testing.TB, name string) {
	run(t, f.cluster, "CREATE USER '"+name+"'@'%' IDENTIFIED BY 'foreign'")
	t.Cleanup(func() { run(t, f.cluster, "DROP USER '"+name+"'@'%'") })
}

// session is a visitor's.
type session struct {
	db   *sql.DB
	conn *sql.Conn
	busy sync.WaitGroup // what runs in the background until the session is killed
}

func (s *session) Read(ctx context.Context) error {
	var n int
	return s.conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM app.orders").Scan(&n)
}

func (s *session) Write(ctx context.Context) error {
	_, err := s.conn.ExecContext(ctx, "UPDATE app.orders SET email = 'x'")
	return err
}

func (s *session) Close() {
	s.busy.Wait()
	_ = s.conn.Close()
	_ = s.db.Close()
}

func (s *session) run(t testing.TB, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, sql := range statements {
		if _, err := s.conn.ExecContext(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}
