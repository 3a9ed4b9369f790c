package grants_test

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	client "github.com/go-sql-driver/mysql"
	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/mysql"
	"github.com/prodaccess/prodaccess/internal/faultproxy"
	"github.com/prodaccess/prodaccess/internal/localmysql"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// What TestCutAfterEveryStatement says of a target on Postgres holds on MariaDB and on MySQL, where no statement about
// accounts can be rolled back.
func TestCutAfterEveryStatementOnMySQL(t *testing.T) {
	t.Parallel()
	for _, product := range localmysql.Products {
		t.Run(string(product), func(t *testing.T) {
			t.Parallel()
			on := startMySQL(t, product)
			for _, name := range []string{"issue", "extend", "rotate", "release"} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					b := setup(t)
					b.cutEverywhere(name, "target", b.moveTo(on))
				})
			}
		})
	}
}

// mysqlServer is a prepared target of that kind, which several tests share.
type mysqlServer struct {
	*bundle
	srv   *localmysql.Server
	super *sql.DB
}

const mysqlAdmin = "prodaccess_admin"

var mysqlTarget = grants.Target{Name: "orders-prod", Engine: "mysql", Databases: []string{"app"}}

func startMySQL(t *testing.T, product localmysql.Product) *mysqlServer {
	t.Helper()
	srv, err := localmysql.Start(t.Context(), localmysql.Options{Product: product})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	s := &mysqlServer{srv: srv}
	cfg := srv.Root("")
	cfg.Logger = &client.NopLogger{}
	connector, err := client.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.super = sql.OpenDB(connector)
	t.Cleanup(func() { _ = s.super.Close() })
	run := func(statement string) {
		t.Helper()
		if _, err := s.super.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	run("CREATE DATABASE app")
	run("CREATE TABLE app.orders (id INT PRIMARY KEY)")
	d, err := mysql.Open(mysql.Config{
		Target: mysqlTarget, AdminURL: secret.New(s.url()), PrepareURL: secret.New(srv.RootURL()), Installation: "prepares",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	plan, err := d.Plan(t.Context(), []grants.Profile{{Name: "read-only", Privileges: []grants.Privilege{{Schema: "app", Tables: []string{"*"}, Privileges: []string{"select"}}}}})
	if err != nil || len(plan.Problems) > 0 {
		t.Fatal(err, plan.Problems)
	}
	if err := d.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	run("ALTER USER " + mysqlAdmin + "@'%' IDENTIFIED BY '" + somePassword + "' ACCOUNT UNLOCK")
	return s
}

// moveTo makes a server of that kind the target of a bundle's service.
func (b *bundle) moveTo(s *mysqlServer) server {
	b.t.Helper()
	if err := b.Close(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	on := &mysqlServer{bundle: b, srv: s.srv, super: s.super}
	d, err := on.open(secret.New(on.url()))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(d.Close)
	b.driver.Driver = d
	b.Service, err = grants.New(grants.Config{
		Store: b.absent, Targets: []grants.Target{mysqlTarget}, Drivers: map[string]grants.Driver{"orders-prod": b.driver},
		Installation: b.installation, Now: b.clock.now, Log: zerolog.Nop(), ConnectionLimit: 5,
		Grace: 30 * time.Second, OverdueAfter: 45 * time.Second, Parallel: 4,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return on
}

func (s *mysqlServer) target() grants.Target { return mysqlTarget }
func (s *mysqlServer) url() string           { return s.srv.URL(mysqlAdmin, somePassword) }

func (s *mysqlServer) inFront(url string) (*faultproxy.Proxy, error) {
	return faultproxy.InFrontOfMySQL(url)
}

func (s *mysqlServer) open(url secret.String) (driver, error) {
	return mysql.Open(mysql.Config{Target: mysqlTarget, AdminURL: url, Installation: s.installation, MaxConns: 4})
}

// accounts counts those that are in the server's own table and fulfil a condition on their row in the ledger.
func (s *mysqlServer) accounts(where string, args ...any) (n int) {
	s.t.Helper()
	table := "mysql.global_priv"
	if s.srv.Product() == localmysql.MySQL {
		table = "mysql.user"
	}
	query := "SELECT COUNT(*) FROM " + table + " a LEFT JOIN prodaccess.logins l ON l.login = CONVERT(a.User USING utf8mb4) COLLATE utf8mb4_bin WHERE " + where
	if err := s.super.QueryRowContext(s.t.Context(), query, args...).Scan(&n); err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	return n
}

func (s *mysqlServer) logins(login string) int { return s.accounts("a.User = ?", login) }

func (s *mysqlServer) longer(login string, than time.Time) int {
	return s.accounts("a.User = ? AND (l.valid_until > ? OR l.login IS NULL)", login, than.UTC())
}

// left also counts what no row explains. Other installations' are other tests'.
func (s *mysqlServer) left() int {
	return s.accounts("l.stamp LIKE ? OR a.User LIKE 'pa|_ana|_%' ESCAPE '|' AND l.login IS NULL", "%"+strings.ReplaceAll(s.installation, "_", "|_")+"%")
}
