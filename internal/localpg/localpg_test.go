package localpg_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/prodaccess/prodaccess/internal/localpg"
)

func TestMain(m *testing.M) {
	if os.Getenv(orphanEnv) != "" {
		leaveAnOrphan()
		return
	}
	goleak.VerifyTestMain(localpg.Around(m, localpg.Options{}))
}

// query returns the only value of a query, on a connection of its own.
func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var value string
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func exec1(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func start(t *testing.T, opts localpg.Options) *localpg.Server {
	t.Helper()
	srv, err := localpg.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	return srv
}

func TestSharedServerIsForTests(t *testing.T) {
	t.Parallel()
	srv := localpg.Shared(t)
	if srv != localpg.Shared(t) {
		t.Error("two shared servers in one binary")
	}
	for setting, want := range map[string]string{
		"listen_addresses":          "127.0.0.1",
		"fsync":                     "off",
		"synchronous_commit":        "on",
		"max_prepared_transactions": "10",
		"password_encryption":       "scram-sha-256",
		"TimeZone":                  "UTC",
	} {
		if got := query(t, srv.URL("postgres"), "SELECT current_setting('"+setting+"')"); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
}

func TestNewDatabaseIsACopyOfItsTemplateAndGoesWithItsTest(t *testing.T) {
	t.Parallel()
	srv := localpg.Shared(t)
	builds := 0
	template := func(t *testing.T) string {
		return localpg.Template(t, srv, "with_a_table", func(url string) error {
			builds++
			exec1(t, url, "CREATE TABLE greeting AS SELECT 'hello' AS words")
			return nil
		})
	}
	var first, second string
	t.Run("inner", func(t *testing.T) {
		first, second = localpg.NewDatabase(t, srv, template(t)), localpg.NewDatabase(t, srv, template(t))
		exec1(t, srv.URL(first), "UPDATE greeting SET words = 'changed'")
		if got := query(t, srv.URL(second), "SELECT words FROM greeting"); got != "hello" {
			t.Errorf("the second database says %q: it is not a copy of its own", got)
		}
		conn, err := pgx.Connect(t.Context(), srv.URL(first)) // left open: dropping must not wait for it
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(context.Background()) })
	})
	if builds != 1 {
		t.Errorf("the template was built %d times", builds)
	}
	left := query(t, srv.URL("postgres"), "SELECT count(*)::text FROM pg_database WHERE datname IN ('"+first+"','"+second+"')")
	if left != "0" {
		t.Errorf("%s databases are left after the test", left)
	}
}

func TestEverybodyNeedsAPassword(t *testing.T) {
	t.Parallel()
	srv := localpg.Shared(t)
	exec1(t, srv.URL("postgres"), "CREATE ROLE visitor LOGIN PASSWORD 'right'")
	if got := query(t, srv.UserURL("visitor", "right", "postgres"), "SELECT current_user::text"); got != "visitor" {
		t.Errorf("logged in as %q", got)
	}
	for who, url := range map[string]string{
		"a login with a wrong password":     srv.UserURL("visitor", "wrong", "postgres"),
		"the superuser without a password":  srv.UserURL("postgres", "", "postgres"),
		"the superuser through the socket":  "postgres://postgres@/postgres?host=" + srv.SocketDir() + "&port=" + portOf(srv),
		"the superuser with a wrong secret": srv.UserURL("postgres", "postgres", "postgres"),
	} {
		conn, err := pgx.Connect(t.Context(), url)
		if err == nil {
			conn.Close(t.Context())
			t.Errorf("%s got in", who)
		} else if !strings.Contains(err.Error(), "28P01") {
			t.Errorf("%s: want a refused password, got %v", who, err)
		}
	}
}

func portOf(srv *localpg.Server) string { return strconv.Itoa(srv.Port()) }

func TestKilledServerComesBackOnItsPortWithEverything(t *testing.T) {
	t.Parallel()
	srv := start(t, localpg.Options{Fast: true, Settings: map[string]string{"log_statement": "all"}})
	exec1(t, srv.URL("postgres"), "CREATE TABLE kept AS SELECT 1 AS n")
	for range 2 {
		exec1(t, srv.URL("postgres"), "INSERT INTO kept VALUES (2)")
		url := srv.URL("postgres")
		srv.Kill()
		srv.Kill() // killing the dead is nothing
		if srv.Running() {
			t.Fatal("a killed server says that it runs")
		}
		if conn, err := pgx.Connect(t.Context(), url); err == nil {
			conn.Close(t.Context())
			t.Fatal("a killed server lets people in")
		}
		if err := srv.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if srv.URL("postgres") != url {
			t.Error("the server came back elsewhere")
		}
	}
	if got := query(t, srv.URL("postgres"), "SELECT count(*)::text FROM kept"); got != "3" {
		t.Errorf("%s of 3 acknowledged rows came back", got)
	}
	if !strings.Contains(srv.LogText(), "INSERT INTO kept") {
		t.Errorf("the log does not have every statement:\n%s", srv.LogText())
	}
}

func TestClusterInANamedDirectoryIsKept(t *testing.T) {
	t.Parallel()
	dir := publicDir(t)
	var log lockedBuffer
	srv := start(t, localpg.Options{Dir: dir, Log: &log})
	exec1(t, srv.URL("postgres"), "CREATE TABLE kept AS SELECT 'still here' AS words")
	url, port := srv.URL("postgres"), srv.Port()
	srv.Stop()
	srv.Stop()
	if err := srv.Restart(t.Context()); err == nil {
		t.Error("a server came back after Stop")
	}
	if !strings.Contains(log.String(), "database system is ready") {
		t.Errorf("the log writer got %q", log.String())
	}
	again := start(t, localpg.Options{Dir: dir, Port: port})
	if again.URL("postgres") != url {
		t.Error("the URL has changed")
	}
	if got := query(t, url, "SELECT words FROM kept"); got != "still here" {
		t.Errorf("got %q", got)
	}
	if got := query(t, url, "SHOW fsync"); got != "on" {
		t.Errorf("fsync is %s on a server that is not Fast", got)
	}
}

func TestFreshClusterHasItsOwnIdentity(t *testing.T) {
	t.Parallel()
	const identity = "SELECT system_identifier::text FROM pg_control_system()"
	srv := start(t, localpg.Options{Fast: true, Fresh: true})
	if query(t, srv.URL("postgres"), identity) == query(t, localpg.Shared(t).URL("postgres"), identity) {
		t.Error("a fresh cluster is a copy")
	}
}

func TestSharedWorksInASynctestBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := localpg.Shared(t)
		db := localpg.NewDatabase(t, srv, "")
		if got := query(t, srv.URL(db), "SELECT current_database()::text"); got != db {
			t.Errorf("in database %q, want %q", got, db)
		}
	})
}

func TestStandbyFollows(t *testing.T) {
	t.Parallel()
	for _, major := range []int{15, 16, 17, 18} {
		t.Run(strconv.Itoa(major), func(t *testing.T) {
			t.Parallel()
			standbyFollows(t, major)
		})
	}
}

func standbyFollows(t *testing.T, major int) {
	srv := start(t, localpg.Options{Fast: true, Major: major})
	standby, err := srv.Standby(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exec1(t, srv.URL("postgres"), "CREATE TABLE news AS SELECT 1 AS n")
	const seen = "SELECT (to_regclass('news') IS NOT NULL)::text"
	for query(t, standby.URL("postgres"), seen) != "true" {
		time.Sleep(time.Millisecond) // t.Context ends with the test's own time limit
	}
	if got := query(t, standby.URL("postgres"), "SELECT pg_is_in_recovery()::text"); got != "true" {
		t.Error("the standby is no standby")
	}
	srv.Stop()
	if standby.Running() {
		t.Error("the standby outlived its primary's Stop")
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	taken := localpg.Shared(t).Port()
	for name, tc := range map[string]struct {
		opts localpg.Options
		want string
	}{
		"no such setting": {localpg.Options{Fast: true, Settings: map[string]string{"no_such_thing": "1"}}, "no_such_thing"},
		"port taken":      {localpg.Options{Fast: true, Port: taken}, "port is taken"},
		"no binaries":     {localpg.Options{Fast: true, BinDir: "/nowhere"}, "/nowhere"},
		"no such version": {localpg.Options{Fast: true, Major: 99}, "Postgres 99"},
	} {
		srv, err := localpg.Start(t.Context(), tc.opts)
		if err == nil {
			srv.Stop()
			t.Errorf("%s: no error", name)
		} else if !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %q does not name %q", name, err, tc.want)
		}
	}
}

const orphanEnv = "LOCALPG_TEST_ORPHAN"

// leaveAnOrphan is another process: it starts a server, prints where it is and waits to be killed.
func leaveAnOrphan() {
	srv, err := localpg.Start(context.Background(), localpg.Options{Fast: true})
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString(srv.URL("postgres") + "\n" + srv.DataDir() + "\n")
	select {}
}

func TestServerDiesWithAKilledProcess(t *testing.T) {
	t.Parallel()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), orphanEnv+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var text string
	buf := make([]byte, 4096)
	for strings.Count(text, "\n") < 2 {
		n, err := out.Read(buf)
		if err != nil {
			t.Fatalf("the child ended: %v", err)
		}
		text += string(buf[:n])
	}
	url, dataDir, _ := strings.Cut(strings.TrimSpace(text), "\n")
	query(t, url, "SELECT 'up'")
	_ = child.Process.Signal(syscall.SIGKILL)
	_ = child.Wait()
	for {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			break
		}
		conn.Close(t.Context())
	}
	for { // the postmaster removes its pid file last; then the next start clears its directory away
		if _, err := os.Stat(dataDir + "/postmaster.pid"); err != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	start(t, localpg.Options{Fast: true})
	if _, err := os.Stat(dataDir); !os.IsNotExist(err) {
		t.Errorf("the killed process' directory is still there: %v", err)
	}
}

// publicDir is a directory that the server's account can pass through, unlike t.TempDir's.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "localpg-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestEveryVersionStarts(t *testing.T) {
	t.Parallel()
	for _, major := range []int{0, 16, 17, 18} {
		srv := start(t, localpg.Options{Fast: true, Major: major})
		got, err := strconv.Atoi(query(t, srv.URL("postgres"), "SHOW server_version_num"))
		if err != nil {
			t.Fatal(err)
		}
		if major != 0 && got/10000 != major {
			t.Errorf("asked for Postgres %d, got %d", major, got)
		}
	}
}

func TestShortcutsAreForServersOfTestsOnly(t *testing.T) {
	t.Parallel()
	const iterations = "SELECT split_part(split_part(rolpassword, '$', 2), ':', 1) FROM pg_authid WHERE rolname = 'postgres'"
	for _, c := range []struct {
		opts localpg.Options
		want string
	}{
		{localpg.Options{Fast: true}, "1"},
		{localpg.Options{Fast: true, Fresh: true}, "1"},
		{localpg.Options{}, "4096"},
	} {
		srv := start(t, c.opts)
		if got := query(t, srv.URL("postgres"), iterations); got != c.want {
			t.Errorf("%+v: the superuser's verifier has %s iterations, want %s", c.opts, got, c.want)
		}
		if !c.opts.Fast && strings.HasPrefix(srv.DataDir(), "/dev/shm/") {
			t.Errorf("a server that keeps its promises is in memory: %s", srv.DataDir())
		}
	}
}

func TestAVerifierLetsInWhoKnowsThePassword(t *testing.T) {
	t.Parallel()
	srv := localpg.Shared(t)
	exec1(t, srv.URL("postgres"), "CREATE ROLE quick LOGIN PASSWORD '"+localpg.Verifier("right")+"'")
	if got := query(t, srv.UserURL("quick", "right", "postgres"), "SELECT current_user::text"); got != "quick" {
		t.Errorf("logged in as %q", got)
	}
	conn, err := pgx.Connect(t.Context(), srv.UserURL("quick", "wrong", "postgres"))
	if err == nil {
		conn.Close(t.Context())
		t.Error("a wrong password got in")
	} else if !strings.Contains(err.Error(), "28P01") {
		t.Errorf("want a refused password, got %v", err)
	}
}
