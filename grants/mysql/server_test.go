package mysql

import (
	"context"
	"database/sql"
	"sync"
	"testing"
	"time"

	client "github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/localmysql"
	"github.com/prodaccess/prodaccess/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(stopping{m}) }

// stopping runs the tests and then takes down the servers they started.
type stopping struct{ m *testing.M }

func (s stopping) Run() int {
	code := s.m.Run()
	if c := started.cluster; c != nil {
		c.stop()
	}
	return code
}

var started struct {
	sync.Mutex
	cluster *cluster
}

// cluster is a prepared target: databases app and other, a table app.orders, the profile read-only.
type cluster struct {
	srv   *localmysql.Server
	admin secret.String
	super *sql.DB // root's, for looking at the catalogs with eyes of our own
}

var readOnly = grants.Profile{
	Name:            "read-only",
	ConnectionLimit: 4,
	Privileges:      []grants.Privilege{{Schema: "app", Tables: []string{"*"}, Privileges: []string{"select"}}},
}

func ordersProd() grants.Target {
	return grants.Target{Name: "orders-prod", Engine: "mysql", Databases: []string{"app"}}
}

// shared returns the prepared cluster, the same one for all tests.
func shared(t testing.TB) *cluster {
	t.Helper()
	started.Lock()
	defer started.Unlock()
	if started.cluster == nil {
		started.cluster = prepare(t, nil)
		started.cluster.loosen(t)
	}
	return started.cluster
}

const adminPassword = "admin-password-of-the-tests"

// startCluster starts a server with nothing on it.
func startCluster(t testing.TB, settings map[string]string) *cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	srv, err := localmysql.Start(ctx, localmysql.Options{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{srv: srv, admin: secret.New(srv.URL("prodaccess_admin", adminPassword))}
	connector, err := client.NewConnector(srv.Root(""))
	if err != nil {
		t.Fatal(err)
	}
	c.super = sql.OpenDB(connector)
	return c
}

func prepare(t testing.TB, settings map[string]string) *cluster {
	t.Helper()
	c := startCluster(t, settings)
	run(t, c, "CREATE DATABASE app", "CREATE DATABASE other", "CREATE TABLE app.orders (id INT PRIMARY KEY, email VARCHAR(100))",
		"INSERT INTO app.orders VALUES (1, 'ana@example.com')")
	c.apply(t, c.open(t, func(cfg *Config) { cfg.PrepareURL = secret.New(c.srv.RootURL()) }), []grants.Profile{readOnly})
	return c
}

func (c *cluster) stop() {
	_ = c.super.Close()
	c.srv.Stop()
}

func (c *cluster) open(t testing.TB, change func(*Config)) *Driver {
	t.Helper()
	cfg := Config{Target: ordersProd(), AdminURL: c.admin, Installation: "test"}
	if change != nil {
		change(&cfg)
	}
	d, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// run executes statements one by one as root.
func run(t testing.TB, c *cluster, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, s := range statements {
		if _, err := c.super.ExecContext(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// value asks for one value as root.
func value[T any](t testing.TB, c *cluster, query string, args ...any) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var v T
	if err := c.super.QueryRowContext(ctx, query, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}
