package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
)

// The tests in files whose names begin with traps show two things on every version: what the server does to whoever does
// not know, with plain SQL, and that it does not happen here. docs/traps.md is their table. Where a version stops doing
// what its table says, the first half fails.

// tightOf is the version's cluster as a plan leaves it, the same one for all tests, with nothing opened to visitors. It logs
// statements that define something, and counts statements.
func tightOf(t testing.TB, major int) *cluster {
	t.Helper()
	started.Lock()
	defer started.Unlock()
	if started.clusters == nil {
		started.clusters = map[int]*cluster{}
	}
	if c := started.clusters[-major]; c != nil {
		return c
	}
	c := prepare(t, startServer(t, major, map[string]string{"log_statement": "ddl", "shared_preload_libraries": "pg_stat_statements"}), major)
	started.clusters[-major] = c
	return c
}

// onEachTight runs a test on every version, as a plan leaves it.
func onEachTight(t *testing.T, f func(t *testing.T, c *cluster)) {
	onEach(t, func(t *testing.T, c *cluster) { f(t, tightOf(t, c.major)) })
}

// visitor opens a session of an issued login.
func (c *cluster) visitor(t testing.TB, o grants.Order) *pgx.Conn {
	t.Helper()
	return c.connect(t, c.srv.UserURL(o.Login, o.Password.Reveal(), "app"))
}

func (c *cluster) connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// can fails unless a statement works, cannot unless the server refuses it with that state.
func can(t testing.TB, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
}

func cannot(t testing.TB, conn *pgx.Conn, state, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); stateOf(err) != state {
		t.Errorf("%s: %v, want SQLSTATE %s", sql, err, state)
	}
}

// refusesFrom is cannot for a statement on a connection of its own.
func refusesFrom(t testing.TB, url, state, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err == nil {
		_, err = conn.Exec(t.Context(), sql)
		_ = conn.Close(context.Background())
	}
	if stateOf(err) != state {
		t.Errorf("%s: %v, want SQLSTATE %s", sql, err, state)
	}
}

func (c *cluster) oid(t testing.TB, login string) uint32 {
	t.Helper()
	return value[uint32](t, c, "SELECT oid::bigint FROM pg_roles WHERE rolname = $1", login)
}

func (c *cluster) sessions(t testing.TB, oid uint32) int {
	t.Helper()
	return value[int](t, c, "SELECT count(*) FROM pg_stat_activity WHERE usesysid = $1", oid)
}

// comesDownTo waits until a login has so many sessions and no more: one that its client has closed is there for a moment
// longer, and whoever takes the login back then counts it.
func (c *cluster) comesDownTo(t testing.TB, sessions int, login string) {
	t.Helper()
	oid := c.oid(t, login)
	for limit := time.Now().Add(30 * time.Second); c.sessions(t, oid) != sessions; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s has %d sessions, not %d", login, c.sessions(t, oid), sessions)
		}
	}
}

// holds asserts that everything was checked and is so.
func holds(t testing.TB, checks []grants.Check) {
	t.Helper()
	if len(checks) == 0 {
		t.Error("nothing was checked")
	}
	for _, check := range checks {
		if !check.OK {
			t.Errorf("it is not so: %s", check.What)
		}
	}
}
