package grants_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

// TestSoak lets sixteen people issue, use, extend and give back at once, or forget to, while connections to the store and
// the target are killed at random; at the end the store and the catalogs must agree to the row. `make soak` does it ten
// thousand times; PRODACCESS_SOAK says another number.
func TestSoak(t *testing.T) {
	t.Parallel()
	many := 400
	if text := os.Getenv("PRODACCESS_SOAK"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		many = n
	}
	b := setup(t)
	s := b.serve(b.store, b.driver.Driver)
	reaper := grants.NewReaper(s)
	reaper.Start()
	k := &soak{b: b, s: s, over: make(chan struct{})}
	for _, loop := range []func(){k.time, k.faults, k.jobs} {
		k.beside.Go(loop)
	}
	var next atomic.Int64
	var people sync.WaitGroup
	for range 16 {
		people.Go(func() {
			for next.Add(1) <= int64(many) {
				k.live()
			}
		})
	}
	people.Wait()
	close(k.over)
	k.beside.Wait()
	k.settles()
	reaper.Stop()
	k.agrees(many)
}

type soak struct {
	b      *bundle
	s      *grants.Service
	over   chan struct{}
	beside sync.WaitGroup

	issued, failed, extended, rotated, released, kept, killed atomic.Int64
}

// every does something again and again until the people are done.
func (k *soak) every(pause time.Duration, do func()) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-k.over:
			return
		case <-tick.C:
			do()
		}
	}
}

// time runs twenty times as fast as it should.
func (k *soak) time() {
	k.every(10*time.Millisecond, func() { k.b.clock.advance(200 * time.Millisecond) })
}

// faults ends connections of the service at random, on the store and on the target.
func (k *soak) faults() {
	conn, err := pgx.Connect(k.b.t.Context(), k.b.srv.URL("postgres"))
	if err != nil {
		k.b.t.Error(err)
		return
	}
	defer conn.Close(k.b.t.Context())
	k.every(100*time.Millisecond, func() {
		tag, err := conn.Exec(k.b.t.Context(), `SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity
			WHERE datname = ANY ($1) AND usename IN ('`+serviceLogin+`', '`+adminLogin+`') ORDER BY state = 'idle', random() LIMIT 1) AS one`,
			[]string{databaseOf(k.b.owner), databaseOf(k.b.target)})
		if err != nil {
			k.b.t.Error(err)
		}
		k.killed.Add(tag.RowsAffected())
	})
}

// jobs does what the job engine and the cron would.
func (k *soak) jobs() { k.every(250*time.Millisecond, k.sweep) }

func (k *soak) sweep() {
	ctx := k.b.t.Context()
	_, _ = k.s.Sweep(ctx)
	unfinished, _ := k.b.store.Unfinished(ctx, "orders-prod")
	for _, g := range unfinished {
		if g.State == grants.Provisioning && k.b.clock.now().Sub(g.Intended) > grants.RecoverAfter {
			_ = k.s.Recover(ctx, g.ID)
		}
	}
}

// live is one grant in the hands of a person.
func (k *soak) live() {
	ctx := k.b.t.Context()
	duration := time.Hour
	if rand.IntN(4) == 0 {
		duration = time.Duration(5+rand.IntN(20)) * time.Second // ends by itself
	}
	g, err := k.b.tryIntend(k.s, duration)
	if err != nil {
		k.failed.Add(1)
		return
	}
	credential, err := k.s.Issue(ctx, g.ID)
	if err != nil {
		k.failed.Add(1)
		return
	}
	k.issued.Add(1)
	if rand.IntN(8) == 0 {
		if conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s", credential.Login, credential.Password.Reveal(), k.b.srv.Port(), credential.Database)); err == nil {
			defer conn.Close(ctx)
		}
	}
	if rand.IntN(3) == 0 {
		if _, err := k.s.Extend(ctx, g.ID, 0, g.Deadline.Add(time.Duration(1+rand.IntN(60))*time.Minute), time.Time{}, audit.System("test"), "", ""); err == nil {
			k.extended.Add(1)
		}
	}
	if rand.IntN(8) == 0 {
		if _, err := k.s.Rotate(ctx, g.ID, audit.System("test"), "", ""); err == nil {
			k.rotated.Add(1)
		}
	}
	if rand.IntN(20) == 0 {
		k.kept.Add(1)
		return
	}
	if _, err := k.s.End(ctx, g.ID, grants.Ending{Cause: grants.Released, By: audit.System("test")}); err == nil {
		k.released.Add(1)
	}
}

// settles waits until every grant is live or over. Nothing is killed any more.
func (k *soak) settles() {
	k.b.t.Helper()
	k.b.clock.advance(2 * time.Minute)
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		k.sweep()
		left := k.b.one(k.b.owner, `SELECT count(*) FROM grants WHERE state NOT IN ('active', 'revoked') OR (state = 'active' AND deadline <= $1)`, k.b.clock.now())
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			k.b.t.Fatalf("%d grants do not come to an end", left)
		}
	}
}

func (k *soak) agrees(many int) {
	b := k.b
	b.t.Helper()
	b.t.Logf("%d lives: %d issued, %d failed, %d extended, %d rotated, %d released, %d kept; %d connections killed",
		many, k.issued.Load(), k.failed.Load(), k.extended.Load(), k.rotated.Load(), k.released.Load(), k.kept.Load(), k.killed.Load())
	if k.issued.Load() < int64(many)/4 || k.killed.Load() == 0 || k.extended.Load() == 0 {
		b.t.Error("too little happened to prove anything")
	}
	rows := func(url, sql string) map[string]string {
		conn, err := pgx.Connect(b.t.Context(), url)
		if err != nil {
			b.t.Fatal(err)
		}
		defer conn.Close(b.t.Context())
		found, err := conn.Query(b.t.Context(), sql)
		if err != nil {
			b.t.Fatal(err)
		}
		out := map[string]string{}
		var key, value string
		if _, err := pgx.ForEachRow(found, []any{&key, &value}, func() error { out[key] = value; return nil }); err != nil {
			b.t.Fatal(err)
		}
		return out
	}
	live := rows(b.owner, `SELECT login, format('oid %s', login_oid) FROM grants WHERE state = 'active'`)
	there := rows(b.target, `SELECT rolname::text, format('oid %s', oid) FROM pg_roles
		WHERE shobj_description(oid, 'pg_authid') LIKE 'prodaccess installation=`+b.installation+` grant=%'`)
	for login, what := range live {
		if there[login] != what {
			b.t.Errorf("%s is live with %s in the store, and %q on the target", login, what, there[login])
		}
	}
	for login, what := range there {
		if live[login] == "" {
			b.t.Errorf("%s (%s) is on the target, and not live in the store", login, what)
		}
	}
	if n := b.one(b.target, `SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'pa\_ana\_%' AND usename <> ALL (SELECT rolname FROM pg_roles)`); n != 0 {
		b.t.Errorf("%d sessions of logins that are gone", n)
	}
	if n := b.one(b.owner, `SELECT count(*) FROM grants WHERE state = 'revoked' AND (receipt IS NULL OR receipt ? 'written_off')`); n != 0 {
		b.t.Errorf("%d grants are over without proof", n)
	}
	if n := b.one(b.owner, `SELECT count(*) FROM (SELECT grant_id FROM audit_events WHERE kind = 'grant.revoked' GROUP BY grant_id HAVING count(*) > 1) AS twice`); n != 0 {
		b.t.Errorf("%d grants ended twice", n)
	}
	ends := rows(b.owner, `SELECT login, (extract(epoch FROM deadline) * 1000000)::bigint::text FROM grants WHERE state = 'active'`)
	for login, until := range rows(b.target, `SELECT rolname::text, (extract(epoch FROM rolvaliduntil) * 1000000)::bigint::text FROM pg_roles
		WHERE shobj_description(oid, 'pg_authid') LIKE 'prodaccess installation=`+b.installation+` grant=%'`) {
		deadline, _ := strconv.ParseInt(ends[login], 10, 64)
		server, _ := strconv.ParseInt(until, 10, 64)
		if server > deadline+(30*time.Second).Microseconds() {
			b.t.Errorf("the server lets %s in for longer than the store says", login)
		}
	}
}
