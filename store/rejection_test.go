package store_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

func TestARejectionIsRecordedOnceForAllReplicas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.open(5)
	reject := func(hash string) int {
		t.Helper()
		var recorded atomic.Int32
		var wg sync.WaitGroup
		for i := range 10 {
			st := b.Store
			if i%2 == 0 {
				st = other
			}
			wg.Go(func() {
				e := event(audit.PolicyRejected, "")
				e.Detail = map[string]string{"rejected": hash}
				did, err := st.RecordRejection(t.Context(), e, []jobs.Job{{Kind: jobs.Finding}})
				if err != nil {
					t.Error(err)
				}
				if did {
					recorded.Add(1)
				}
			})
		}
		wg.Wait()
		return int(recorded.Load())
	}
	for i, step := range []struct {
		hash string
		want int
	}{{"bad", 1}, {"bad", 0}, {"worse", 1}, {"bad", 1}} {
		if got := reject(step.hash); got != step.want {
			t.Errorf("step %d: recorded %d times, want %d", i, got, step.want)
		}
	}
	if err := b.Record(t.Context(), []audit.Event{event(audit.PolicyLoaded, "")}, nil); err != nil {
		t.Fatal(err)
	}
	if got := reject("bad"); got != 1 {
		t.Errorf("after another policy was in force it was recorded %d times", got)
	}
	if n := b.count(`SELECT count(*) FROM audit_events WHERE kind = 'policy.rejected'`); n != 4 {
		t.Errorf("%d events", n)
	}
	if n := b.count(`SELECT count(*) FROM river_job WHERE args ->> 'work' = 'finding'
		AND args ->> 'subject' IN (SELECT id::text FROM audit_events WHERE kind = 'policy.rejected')`); n != 4 {
		t.Errorf("%d findings about them", n)
	}
}
