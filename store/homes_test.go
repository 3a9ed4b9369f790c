package store_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/internal/outbox"
)

// looked are the people whose stale Homes a look at an instant finds.
func (b *bundle) looked(since, checked time.Time, limit int) []outbox.Home {
	b.t.Helper()
	found, err := b.StaleHomes(b.t.Context(), since, checked, checked, limit)
	b.must(err)
	return found
}

func (b *bundle) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func users(list []outbox.Home) []string {
	var out []string
	for _, h := range list {
		out = append(out, h.User)
	}
	return out
}

func TestHomesGoStaleAndFresh(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	hourAgo := noon.Add(-time.Hour)
	jobs := func() int { return b.count(`SELECT count(*) FROM river_job WHERE args ->> 'work' = 'homes'`) }

	b.must(b.WantHomes(ctx, hourAgo, noon))
	if jobs() != 0 {
		t.Error("a job is filed for nobody")
	}
	b.must(b.HomeOpened(ctx, "U0ANA", noon.Add(-2*time.Hour), noon, hourAgo))
	b.must(b.HomeOpened(ctx, "U00BO", noon.Add(-time.Minute), noon, hourAgo)) // which forgets ana
	b.must(b.HomeOpened(ctx, "U00CY", noon, noon, hourAgo))
	b.must(b.HomeOpened(ctx, "U00CY", noon.Add(-time.Minute), noon, hourAgo)) // a late delivery takes nothing back
	if n := b.count(`SELECT count(*) FROM slack_homes`); n != 2 {
		t.Errorf("%d homes are remembered", n)
	}
	// What was announced before a Home was opened may change after it.
	if got := b.looked(hourAgo, noon, 10); len(got) != 2 {
		t.Errorf("stale by noon are %v", users(got))
	}

	for range 3 {
		b.must(b.WantHomes(ctx, hourAgo, noon.Add(time.Second)))
	}
	if n := jobs(); n != 1 {
		t.Errorf("%d jobs for three changes", n)
	}
	if got := users(b.looked(hourAgo, noon.Add(time.Second), 10)); !slices.Equal(got, []string{"U00BO", "U00CY"}) {
		t.Errorf("stale are %v, not those looked at longest ago first", got)
	}
	if got := users(b.looked(hourAgo, noon.Add(time.Second), 1)); !slices.Equal(got, []string{"U00BO"}) {
		t.Errorf("of one at a time, %v", got)
	}
	if got := users(b.looked(noon, noon.Add(time.Second), 10)); !slices.Equal(got, []string{"U00CY"}) {
		t.Errorf("of those opened since noon, %v", got)
	}

	if got, err := b.StaleHomes(ctx, hourAgo, noon, noon.Add(time.Hour), 10); err != nil || len(got) > 0 {
		t.Errorf("out of date before it is: %v %v", users(got), err)
	}
	seen := b.looked(hourAgo, noon.Add(time.Second), 10)
	b.must(b.HomeShown(ctx, "U00BO", "digest", noon.Add(2*time.Second)))
	if got := users(b.looked(hourAgo, noon.Add(time.Second), 10)); !slices.Equal(got, []string{"U00CY"}) {
		t.Errorf("not looked at for a second are %v", got)
	}
	b.must(b.HomeChecked(ctx, seen[0], noon.Add(3*time.Second)))
	// What changes between the look and the end of it stays to be looked at.
	b.must(b.WantHomes(ctx, hourAgo, noon.Add(4*time.Second)))
	b.must(b.HomeChecked(ctx, seen[1], noon.Add(5*time.Second)))
	got := b.looked(hourAgo, noon.Add(time.Hour), 10)
	if !slices.Equal(users(got), []string{"U00BO", "U00CY"}) || got[0].Shows != "digest" || got[1].Shows != "" {
		t.Errorf("after another change %+v", got)
	}
	for _, h := range got {
		b.must(b.HomeChecked(ctx, h, noon.Add(6*time.Second)))
	}
	if got := b.looked(hourAgo, noon.Add(time.Hour), 10); len(got) != 0 {
		t.Errorf("still stale: %v", users(got))
	}
}

// homesJob is what a Homes job is in the store.
const homesJob = `FROM river_job WHERE queue = 'homes' AND args ->> 'work' = 'homes'`

// However far ahead the Homes are wanted, and whoever wants them, one job waits for all.
func TestWantedHomesAreOneJob(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	other := b.open(5)
	now := time.Now()
	b.must(b.HomeOpened(ctx, "U00BO", now, now, now.Add(-time.Hour)))
	var all sync.WaitGroup
	for i := range 12 {
		st, by := b.Store, now.Add(time.Duration(i+1)*3*time.Second)
		if i%2 == 0 {
			st = other
		}
		all.Go(func() {
			if err := st.WantHomes(ctx, now.Add(-time.Hour), by); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := b.count(`SELECT count(*) ` + homesJob); n != 1 {
		t.Fatalf("%d jobs for changes that are ahead", n)
	}
	waits := func() bool {
		t.Helper()
		waits, err := b.HomesWanted(ctx)
		b.must(err)
		return waits
	}
	if !waits() {
		t.Error("the job that was filed does not wait")
	}
	// One that runs may have looked already: another is filed, once.
	b.asOwner(`UPDATE river_job SET state = 'running' WHERE queue = 'homes'`)
	if waits() {
		t.Error("a job that runs counts as waiting")
	}
	for range 3 {
		b.must(b.WantHomes(ctx, now.Add(-time.Hour), now.Add(time.Minute)))
	}
	if n := b.count(`SELECT count(*) ` + homesJob); n != 2 || !waits() {
		t.Errorf("%d jobs, with one that runs", n)
	}
}

// A minute of changes from two replicas, in every round, leaves one job that runs and one that waits, also where none of them ends.
func TestSteadyChangesLeaveFewHomesJobs(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.must(b.HomeOpened(ctx, "U00BO", noon, noon, noon.Add(-time.Hour)))
	for second := range 60 {
		at := noon.Add(time.Duration(second) * time.Second)
		b.must(b.WantHomes(ctx, noon.Add(-time.Hour), at.Add(3*time.Second)))
		b.must(b.WantHomes(ctx, noon.Add(-time.Hour), at))
		switch second % 3 {
		case 0: // the one worker begins the job that was filed last
			b.asOwner(`UPDATE river_job SET state = 'running', attempted_at = now() WHERE id = (SELECT max(id) ` + homesJob + ` AND state = 'available')`)
		case 2: // which finds more to be done and comes again
			b.asOwner(`UPDATE river_job SET state = 'available' WHERE queue = 'homes' AND state = 'running'`)
		}
		if n := b.count(`SELECT count(*) ` + homesJob + ` AND state NOT IN ('completed', 'cancelled', 'discarded')`); n < 1 || n > 2 {
			t.Fatalf("after %d seconds there are %d jobs", second, n)
		}
	}
}
