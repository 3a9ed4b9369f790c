package postgres

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/localpg"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// majors are the versions we support; each has rules of its own for CREATEROLE. scripts/setup.sh installs them.
var majors = []int{15, 16, 17, 18}

// twoMajors have the two sets of rules for CREATEROLE: of 15 and older, and of 16 and later.
var twoMajors = []int{15, 18}

func TestMain(m *testing.M) { goleak.VerifyTestMain(stopping{m}) }

// stopping runs the tests and then takes down the servers they started.
type stopping struct{ m *testing.M }

func (s stopping) Run() int {
	code := s.m.Run()
	for _, clusters := range []map[int]*cluster{started.clusters, withFunctions.clusters} {
		for _, c := range clusters {
			c.super.Close()
			c.srv.Stop()
		}
	}
	return code
}

var started struct {
	sync.Mutex
	clusters map[int]*cluster
}

func startServer(t testing.TB, major int, settings map[string]string) *localpg.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	srv, err := localpg.Start(ctx, localpg.Options{Major: major, Fast: true, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	return srv
}

// cluster is a prepared target: databases app and other, a table sc.orders, the profile read-only.
type cluster struct {
	major int
	srv   *localpg.Server
	admin secret.String
	super *pgxpool.Pool // the superuser's, for looking at the catalogs with eyes of our own
}

var readOnly = grants.Profile{
	Name:            "read-only",
	ConnectionLimit: 4,
	Privileges:      []grants.Privilege{{Schema: "sc", Tables: []string{"*"}, Privileges: []string{"select"}}},
}

func ordersProd() grants.Target {
	return grants.Target{Name: "orders-prod", Engine: "postgres", Databases: []string{"app"}}
}

// clusterOf returns the version's prepared cluster, the same one for all tests.
func clusterOf(t testing.TB, major int) *cluster {
	t.Helper()
	started.Lock()
	defer started.Unlock()
	if c := started.clusters[major]; c != nil {
		return c
	}
	c := prepare(t, startServer(t, major, nil), major)
	c.loosen(t)
	if started.clusters == nil {
		started.clusters = map[int]*cluster{}
	}
	started.clusters[major] = c
	return c
}

func prepare(t testing.TB, srv *localpg.Server, major int) *cluster {
	t.Helper()
	const password = "admin-password-of-the-tests"
	fillShop(t, srv)
	c := &cluster{major: major, srv: srv, admin: secret.New(srv.UserURL("prodaccess_admin", password, "app"))}
	d := c.open(t, func(cfg *Config) { cfg.PrepareURL = secret.New(srv.URL("app")) })
	plan, err := d.Plan(context.Background(), []grants.Profile{readOnly})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(context.Background(), plan); err != nil {
		t.Fatal(err)
	}
	run(t, srv.URL("app"), "ALTER ROLE prodaccess_admin PASSWORD '"+localpg.Verifier(password)+"'")
	if c.super, err = pgxpool.New(context.Background(), srv.URL("app")); err != nil {
		t.Fatal(err)
	}
	return c
}

// fillShop makes what there is before prodaccess comes.
func fillShop(t testing.TB, srv *localpg.Server) {
	t.Helper()
	run(t, srv.URL("postgres"), "CREATE DATABASE app", "CREATE DATABASE other", "CREATE ROLE app_owner")
	run(t, srv.URL("app"),
		"CREATE SCHEMA sc AUTHORIZATION app_owner",
		"CREATE TABLE sc.orders (id int PRIMARY KEY, email text)",
		"ALTER TABLE sc.orders OWNER TO app_owner",
		"INSERT INTO sc.orders VALUES (1, 'ana@example.com')")
}

// loosen opens what a prepared target has shut, so that visitors can do what they must not get away with.
func (c *cluster) loosen(t testing.TB) {
	t.Helper()
	run(t, c.srv.URL("app"),
		"GRANT CREATE ON SCHEMA sc TO pa_read_only, pa_quarantine",
		"GRANT TEMPORARY ON DATABASE app TO pa_read_only",
		"GRANT CONNECT ON DATABASE other TO PUBLIC")
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

// run executes statements one by one on a connection of their own.
func run(t testing.TB, url string, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// value asks for one value as the superuser, in database app.
func value[T any](t testing.TB, c *cluster, query string, args ...any) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var v T
	if err := c.super.QueryRow(ctx, query, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

// onTwo runs a test on twoMajors.
func onTwo(t *testing.T, f func(t *testing.T, c *cluster)) {
	for _, major := range twoMajors {
		t.Run(fmt.Sprintf("postgres %d", major), func(t *testing.T) {
			t.Parallel()
			f(t, clusterOf(t, major))
		})
	}
}

// onEach runs a test on every version.
func onEach(t *testing.T, f func(t *testing.T, c *cluster)) {
	for _, major := range majors {
		t.Run(fmt.Sprintf("postgres %d", major), func(t *testing.T) {
			t.Parallel()
			f(t, clusterOf(t, major))
		})
	}
}
