package store_test

import (
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/internal/jobs"
)

func TestRedrawAsksForWhatWasInterrupted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	redraw := func(want int) {
		t.Helper()
		if n, err := b.Redraw(t.Context(), time.Time{}); err != nil || n != want {
			t.Fatalf("%d asked for again, %v; want %d", n, err, want)
		}
	}
	available := func(kind jobs.Kind, subject string) int {
		t.Helper()
		return b.count(`SELECT count(*) FROM river_job WHERE state = 'available' AND args ->> 'work' = $1 AND args ->> 'subject' = $2`, string(kind), subject)
	}
	killed, waiting := b.file(pending()).Request.ID, b.file(pending()).Request.ID
	g := b.active(noon.Add(time.Hour))
	if err := b.Record(t.Context(), nil, []jobs.Job{{Kind: jobs.Alarm, Subject: g.ID}, {Kind: jobs.Receipt, Subject: g.ID}, {Kind: jobs.Revoke, Subject: g.ID}}); err != nil {
		t.Fatal(err)
	}
	redraw(0) // nobody has begun
	run := `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now() WHERE args ->> 'subject' IN ('` + killed + `', '` + g.ID + `')`
	b.asOwner(run)
	for range 3 { // as replicas start one after the other
		redraw(2)
	}
	for _, want := range []struct {
		kind    jobs.Kind
		subject string
		n       int
	}{{jobs.Draw, killed, 1}, {jobs.Alarm, g.ID, 1}, {jobs.Draw, waiting, 1}, {jobs.Receipt, g.ID, 0}, {jobs.Revoke, g.ID, 0}} {
		if n := available(want.kind, want.subject); n != want.n {
			t.Errorf("%d of %s can run, want %d", n, want.kind, want.n)
		}
	}
	// In a replica that runs, only those are interrupted that take too long.
	if n, err := b.Redraw(t.Context(), time.Now().Add(-time.Minute)); err != nil || n != 0 {
		t.Errorf("%d asked for again that have only begun, %v", n, err)
	}
	if n, err := b.Redraw(t.Context(), time.Now().Add(time.Minute)); err != nil || n != 2 {
		t.Errorf("%d asked for again of two that take too long, %v", n, err)
	}
	// What was asked for by a look, and takes too long as well, because Slack hangs, is not asked for by the next look.
	b.asOwner(run)
	if n, err := b.Redraw(t.Context(), time.Now().Add(time.Minute)); err != nil || n != 2 {
		t.Errorf("%d asked for again while they are drawn again, %v", n, err)
	}
	// killed while it was drawn again
	redraw(4)
	if n := available(jobs.Draw, killed); n == 0 {
		t.Error("interrupted twice, and nobody draws it")
	}
	b.asOwner(`UPDATE river_job SET state = 'completed', finalized_at = now()`)
	redraw(0)
}
