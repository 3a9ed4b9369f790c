package store_test

import (
	"slices"
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

	b.must(b.WantHomes(ctx, hourAgo, noon, 1))
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
		b.must(b.WantHomes(ctx, hourAgo, noon.Add(time.Second), 7))
	}
	b.must(b.WantHomes(ctx, hourAgo, noon.Add(time.Second), 8))
	if n := jobs(); n != 2 {
		t.Errorf("%d jobs for two rounds", n)
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
	b.must(b.WantHomes(ctx, hourAgo, noon.Add(4*time.Second), 9))
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
