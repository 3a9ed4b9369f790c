package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

// rounds is how often ours and the limit take turns.
const rounds = 4

// BenchmarkLogins issues and revokes logins, and lets the same server make and drop bare roles in between. The bare role
// is the least that could be done: one message with one transaction to make it and grant it the access role; to end it,
// one message that locks it, commits, terminates its sessions and drops it.
func BenchmarkLogins(b *testing.B) {
	l := openLibrary(b)
	raw := newRaw(b, l)
	commit := raw.commit(b)
	report.add("a bare commit of the same server", ms(commit), "", "", true)
	for _, at := range []struct{ tables, once, round int }{
		{50, 1, 30}, {50, 4, 60}, {50, 16, 120}, {50, 64, 200}, {500, 1, 30}, {500, 4, 60}, {500, 16, 120}, {500, 64, 200},
	} {
		b.Run(fmt.Sprintf("tables=%d/at-once=%d", at.tables, at.once), func(b *testing.B) {
			l.tables(b, at.tables)
			for b.Loop() {
				var issue, revoke contest
				for i := range rounds {
					raceOne(b, l, raw, at.once, at.round, i%2 == 0, &issue, &revoke)
				}
				where := fmt.Sprintf("%d at a time, %d tables", at.once, at.tables)
				issue.publish(b, "issues", "issue, "+where, 0.7)
				revoke.publish(b, "revocations", "lock, kill, drop, prove, "+where, 0.5)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// tables sees to it that the database has so many tables that the access role may read. There are never fewer than before.
func (l *library) tables(b *testing.B, many int) {
	b.Helper()
	fatal(b, l.ExecTarget(b.Context(), fmt.Sprintf(`DO $$ BEGIN
		FOR i IN 1..%d LOOP
			EXECUTE format('CREATE TABLE IF NOT EXISTS public.bench_table_%%s (id bigint PRIMARY KEY, what text)', i);
			EXECUTE format('GRANT SELECT ON public.bench_table_%%s TO pa_read_only', i);
		END LOOP; END $$`, many)))
}

// rival does with bare accounts what the driver does with logins.
type rival interface {
	names(many int) []string
	make(ctx context.Context, name string) error
	drop(ctx context.Context, name string) error
}

// raceOne is one round; who begins changes from round to round.
func raceOne(b *testing.B, l *library, raw rival, workers, many int, oursFirst bool, issue, revoke *contest) {
	b.Helper()
	requests := l.file(b, many)
	ids := make([]string, many)
	names := raw.names(many)
	turn := func(ours, theirs func() time.Duration, c *contest) {
		var o, t time.Duration
		measured := func() {
			before := l.spent(b)
			o = ours()
			c.spent = append(c.spent, l.spent(b).since(before, many))
		}
		if oursFirst {
			measured()
			t = theirs()
		} else {
			t = theirs()
			measured()
		}
		c.add(many, o, t)
	}
	turn(func() time.Duration {
		return inParallel(b, workers, many, func(i int) error {
			credential, err := l.issue(b.Context(), requests[i])
			ids[i] = credential.Grant
			return err
		})
	}, func() time.Duration {
		return inParallel(b, workers, many, func(i int) error { return raw.make(b.Context(), names[i]) })
	}, issue)
	turn(func() time.Duration {
		return inParallel(b, workers, many, func(i int) error { return l.revoke(b.Context(), ids[i]) })
	}, func() time.Duration {
		return inParallel(b, workers, many, func(i int) error { return raw.drop(b.Context(), names[i]) })
	}, revoke)
}

// revoke ends a grant and waits for its receipt.
func (l *library) revoke(ctx context.Context, id string) error {
	over := l.store.over(id)
	if _, err := l.grants.End(ctx, id, grants.Ending{Cause: grants.Released, By: audit.System("bench")}); err != nil {
		return err
	}
	select {
	case <-over:
		return nil
	case <-time.After(30 * time.Second):
		return fmt.Errorf("grant %s is not over after 30 s", id)
	}
}

// contest compares two rates, round by round.
type contest struct {
	ours, limit, ratios []float64
	spent               []spent // for each of ours, round by round
}

func (c *contest) add(many int, ours, limit time.Duration) {
	o, l := float64(many)/ours.Seconds(), float64(many)/limit.Seconds()
	c.ours, c.limit, c.ratios = append(c.ours, o), append(c.limit, l), append(c.ratios, o/l)
}

func (c *contest) publish(b *testing.B, unit, what string, goal float64) {
	b.Helper()
	ours, limit, ratio := median(c.ours), median(c.limit), median(c.ratios)
	b.ReportMetric(ours, unit+"/s")
	b.ReportMetric(limit, "raw-"+unit+"/s")
	b.ReportMetric(ratio, unit+"-ratio")
	words := ""
	if goal > 0 {
		words = fmt.Sprintf("≥ %.1f", goal)
	}
	report.add(what, fmt.Sprintf("%.0f/s", ours), fmt.Sprintf("%.0f/s, ratio %.2f (%.2f–%.2f)", limit, ratio, slices.Min(c.ratios), slices.Max(c.ratios)),
		words, ratio >= goal)
	var all spent
	for _, s := range c.spent {
		all.target, all.store, all.self = all.target+s.target, all.store+s.store, all.self+s.self
	}
	report.add(what+": processor for each", all.since(spent{}, len(c.spent)).String(), "", "", true)
}

// raw is the rival on PostgreSQL.
type raw struct {
	pool     *pgxpool.Pool
	verifier string
	made     int
}

func newRaw(b *testing.B, l *library) *raw {
	b.Helper()
	config, err := pgxpool.ParseConfig(l.Conf.AdminURL)
	fatal(b, err)
	config.MaxConns = 16 // as many as the driver has
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	fatal(b, err)
	b.Cleanup(pool.Close)
	// The verifier is computed once: what making one costs is on our side of the comparison alone.
	fatal(b, l.ExecTarget(b.Context(), `CREATE ROLE bench_verifier PASSWORD 'bench-verifier'; CREATE TABLE bench_commits (n int); GRANT ALL ON bench_commits TO prodaccess_admin`))
	r := &raw{pool: pool}
	conn, err := pgx.Connect(b.Context(), l.Target.URL("orders"))
	fatal(b, err)
	defer conn.Close(b.Context())
	fatal(b, conn.QueryRow(b.Context(), `SELECT rolpassword FROM pg_authid WHERE rolname = 'bench_verifier'`).Scan(&r.verifier))
	return r
}

func (r *raw) names(many int) []string {
	out := make([]string, many)
	for i := range out {
		r.made++
		out[i] = fmt.Sprintf("bench_raw_%d", r.made)
	}
	return out
}

func (r *raw) make(ctx context.Context, name string) error {
	return r.send(ctx, "BEGIN", "CREATE ROLE "+name+" LOGIN PASSWORD '"+r.verifier+"'", "GRANT pa_read_only TO "+name, "COMMIT")
}

func (r *raw) drop(ctx context.Context, name string) error {
	return r.send(ctx, "BEGIN", "ALTER ROLE "+name+" NOLOGIN", "COMMIT",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '"+name+"'", "DROP ROLE "+name)
}

func (r *raw) send(ctx context.Context, statements ...string) error {
	conn, err := r.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	_, err = conn.Conn().PgConn().Exec(ctx, strings.Join(statements, "; ")).ReadAll()
	return err
}

// commit is how long the smallest durable transaction takes, at the median.
func (r *raw) commit(b *testing.B) time.Duration {
	b.Helper()
	var took []time.Duration
	for range 200 {
		start := time.Now()
		fatal(b, r.send(b.Context(), "INSERT INTO bench_commits VALUES (1)"))
		took = append(took, time.Since(start))
	}
	return quantile(0.5, took)
}
