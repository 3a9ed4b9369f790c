package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
)

// BenchmarkDeadline measures how late access ends: what the receipts say about the lock, and, from outside, when the
// session of each holder died. Both count from the deadline.
func BenchmarkDeadline(b *testing.B) {
	l := openLibrary(b)
	reaper := grants.NewReaper(l.grants)
	reaper.Start()
	b.Cleanup(reaper.Stop)

	b.Run("one-by-one", func(b *testing.B) {
		for b.Loop() {
			const many, apart = 100, 80 * time.Millisecond
			first := time.Now().Add(12 * time.Second) // by then all of them are issued and have a session
			ends := l.stagger(b, many, many, openSession, func(i int) time.Time { return first.Add(time.Duration(i) * apart) })
			publishLate(b, "one deadline: login locked", ends.locked, 25*time.Millisecond, 100*time.Millisecond)
			publishLate(b, "one deadline: session dead, seen by its holder", ends.dead, 25*time.Millisecond, 100*time.Millisecond)
			publishLate(b, "one deadline: receipt written", ends.proven, 0, 0)
		}
		b.ReportMetric(0, "ns/op")
	})
	for _, c := range []struct {
		many         int
		ahead        time.Duration
		lock, proven time.Duration
	}{{200, 12 * time.Second, 0, 0}, {1000, 45 * time.Second, time.Second, 3 * time.Second}} {
		b.Run(fmt.Sprintf("at-one-instant=%d", c.many), func(b *testing.B) {
			for b.Loop() {
				l.oneInstant(b, "", c.many, c.ahead, openSession, c.lock, c.proven)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// oneInstant lets many grants end at one instant, 100 of them in use.
func (l *library) oneInstant(b *testing.B, where string, many int, ahead time.Duration, visit visiting, lock, drop time.Duration) {
	b.Helper()
	at := time.Now().Add(ahead)
	ends := l.stagger(b, many, 100, visit, func(int) time.Time { return at })
	locked, dead, proven := quantile(1, ends.locked), quantile(1, ends.dead), quantile(1, ends.proven)
	b.ReportMetric(millis(locked), "all-locked-ms")
	b.ReportMetric(millis(dead), "all-dead-ms")
	b.ReportMetric(millis(proven), "all-proven-ms")
	what := fmt.Sprintf("%s%d at one instant: ", where, many)
	report.add(what+"all locked", ms(locked), fmt.Sprintf("median %s", ms(quantile(0.5, ends.locked))), goalOf(lock), locked <= lock)
	report.add(what+"100 sessions, all dead", ms(dead), fmt.Sprintf("median %s", ms(quantile(0.5, ends.dead))), goalOf(lock), dead <= lock)
	report.add(what+"all dropped and proven", ms(proven), fmt.Sprintf("median %s", ms(quantile(0.5, ends.proven))), goalOf(drop), proven <= drop)
}

func goalOf(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return "≤ " + d.String()
}

func publishLate(b *testing.B, what string, late []time.Duration, mid, worst time.Duration) {
	b.Helper()
	p50, p99 := quantile(0.5, late), quantile(0.99, late)
	goal := ""
	if mid > 0 {
		goal = fmt.Sprintf("%v and %v; the issue's bound is 250ms", mid, worst)
	}
	report.add(what, fmt.Sprintf("median %s, 99th percentile %s", ms(p50), ms(p99)), "", goal, p50 <= mid && p99 <= worst)
	b.ReportMetric(millis(p50), metricName(what)+"-p50-ms")
	b.ReportMetric(millis(p99), metricName(what)+"-p99-ms")
}

// endings are how late things were, one value for each grant or session.
type endings struct{ locked, dead, proven []time.Duration }

// stagger issues grants with the given deadlines, opens sessions with the first of them, and waits for the end of all.
// Deadlines are set by the end of the shift.
func (l *library) stagger(b *testing.B, many, sessions int, visit visiting, deadline func(i int) time.Time) endings {
	b.Helper()
	requests := make([]string, many)
	for i := range many {
		l.people.shiftEnds(deadline(i))
		requests[i] = l.file(b, 1)[0]
	}
	dead := make([]<-chan time.Time, sessions)
	over := make([]<-chan grants.Grant, many)
	var mu sync.Mutex
	inParallel(b, 8, many, func(i int) error {
		credential, err := l.issue(b.Context(), requests[i])
		if err != nil {
			return err
		}
		done := l.store.over(credential.Grant)
		mu.Lock()
		over[i] = done
		mu.Unlock()
		if i < sessions {
			dead[i], err = visit(b.Context(), credential)
		}
		return err
	})
	if spare := time.Until(deadline(0)); spare < 300*time.Millisecond {
		b.Fatalf("issuing took too long: the first deadline is in %s", spare)
	}
	var out endings
	for i, done := range over {
		select {
		case g := <-done:
			out.locked = append(out.locked, g.Receipt.LockedAt.Sub(g.Deadline))
			out.proven = append(out.proven, g.EndedAt.Sub(g.Deadline))
			if i < sessions {
				out.dead = append(out.dead, (<-dead[i]).Sub(g.Deadline))
			}
		case <-time.After(2 * time.Minute):
			b.Fatal("a grant does not end")
		}
	}
	return out
}

// visiting opens a session with a credential and tells when it dies.
type visiting func(context.Context, grants.Credential) (<-chan time.Time, error)

// openSession opens a session with a credential and tells when it dies.
func openSession(ctx context.Context, credential grants.Credential) (<-chan time.Time, error) {
	conn, err := pgx.Connect(ctx, credential.URL().Reveal())
	if err != nil {
		return nil, errors.New("connecting with a credential failed")
	}
	died := make(chan time.Time, 1)
	go func() {
		_, _ = conn.Exec(ctx, "SELECT pg_sleep(600)")
		died <- time.Now()
		_ = conn.Close(context.WithoutCancel(ctx))
	}()
	return died, nil
}
