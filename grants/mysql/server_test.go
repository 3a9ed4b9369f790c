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
	for _, one := range started {
		if one.cluster != nil {
			one.cluster.stop()
		}
	}
	return code
}

// started are the servers that tests share, one of each kind.
var started = map[flavour]*struct {
	sync.Mutex
	cluster *cluster
}{mariadb: {}, mysql: {}}

// products are the servers that every test runs on.
var products = map[flavour]localmysql.Product{mariadb: localmysql.MariaDB, mysql: localmysql.MySQL}

// onEach runs a test on both servers, in parallel with all others.
func onEach(t *testing.T, test func(t *testing.T, on flavour)) {
	t.Parallel()
	for _, on := range []flavour{mariadb, mysql} {
		t.Run(string(on), func(t *testing.T) {
			t.Parallel()
			test(t, on)
		})
	}
}

// cluster is a prepared target: databases app and other, a table app.orders, the profile read-only.
type cluster struct {
	on    flavour
	srv   *localmysql.Server
	admin secret.String
	super *sql.DB // root's, for looking at the catalogs with eyes of our own
}

// choose is what one of the two servers says otherwise.
func (c *cluster) choose(onMariaDB, onMySQL string) string {
	if c.on == mysql {
		return onMySQL
	}
	return onMariaDB
}

// exists says whether the server's own table of accounts has one of that name.
func (c *cluster) exists(t testing.TB, name string) bool {
	t.Helper()
	return value[bool](t, c, c.choose("SELECT COUNT(*) > 0 FROM mysql.global_priv WHERE User = ?", "SELECT COUNT(*) > 0 FROM mysql.user WHERE User = ?"), name)
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
func shared(t testing.TB, on flavour) *cluster {
	t.Helper()
	one := started[on]
	one.Lock()
	defer one.Unlock()
	if one.cluster == nil {
		one.cluster = prepare(t, on, nil)
		one.cluster.loosen(t)
		run(t, one.cluster, "SET GLOBAL slow_query_log = ON")
	}
	return one.cluster
}

const adminPassword = "admin-password-of-the-tests"

// startCluster starts a server with nothing on it.
func startCluster(t testing.TB, on flavour, settings map[string]string) *cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	srv, err := localmysql.Start(ctx, localmysql.Options{Product: products[on], Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{on: on, srv: srv, admin: secret.New(srv.URL("prodaccess_admin", adminPassword))}
	connector, err := client.NewConnector(srv.Root(""))
	if err != nil {
		t.Fatal(err)
	}
	c.super = sql.OpenDB(connector)
	return c
}

func prepare(t testing.TB, on flavour, settings map[string]string) *cluster {
	t.Helper()
	c := startCluster(t, on, settings)
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
