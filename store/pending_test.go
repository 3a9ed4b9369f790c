package store_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/store"
)

// Of many requests at the same instant in two replicas as many wait as may, and a delivery that comes again finds its request though
// that is what took the last place.
func TestAsManyRequestsWaitAsMay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	replicas := []*store.Store{b.Store, b.open(20)}
	var created, crowded atomic.Int32
	ask := func(st *store.Store, r approvals.Request) error {
		_, isNew, err := st.CreateRequest(t.Context(), approvals.Change{Request: r, MostPending: 3})
		if isNew {
			created.Add(1)
		}
		return err
	}
	var all sync.WaitGroup
	var kept sync.Map
	for i := range 24 {
		r := pending()
		r.Key = fmt.Sprintf("delivery %d", i/2)
		all.Go(func() {
			switch err := ask(replicas[i%2], r); {
			case err == nil:
				kept.Store(r.Key, true)
			case errors.Is(err, approvals.ErrCrowded):
				crowded.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if created.Load() != 3 || crowded.Load() != 18 || b.count(`SELECT count(*) FROM requests`) != 3 {
		t.Errorf("%d wait and %d were refused", created.Load(), crowded.Load())
	}
	kept.Range(func(key, _ any) bool {
		r := pending()
		r.Key = key.(string)
		if err := ask(b.Store, r); err != nil {
			t.Errorf("%s came again: %v", key, err)
		}
		return true
	})

	somebodyElse := pending()
	somebodyElse.Requester = bo
	atOnce := approvedRequest()
	later := pending()
	later.FiledAt = pending().LapsesAt // by then nobody wrote down that the others have lapsed
	later.LapsesAt = later.FiledAt.Add(time.Hour)
	for name, r := range map[string]approvals.Request{"of somebody else": somebodyElse, "approved at once": atOnce, "when the others have lapsed": later} {
		if err := ask(b.Store, r); err != nil {
			t.Errorf("a request %s: %v", name, err)
		}
	}
	if _, created, err := b.CreateRequest(t.Context(), approvals.Change{Request: pending()}); err != nil || !created {
		t.Errorf("without a bound: %v", err)
	}
}
