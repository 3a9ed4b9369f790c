package app

import (
	"slices"
	"testing"
	"time"
)

// on looks for a due digest at each instant, with a schedule in UTC, and returns the instants at which one was filed.
func (b *bundle) on(spec string, instants ...string) (filed []string) {
	b.t.Helper()
	var err error
	b.digests.schedule, b.digests.location, err = digestSchedule(spec, "UTC")
	b.must(err)
	for _, text := range instants {
		b.now = func() time.Time { return instant(b.t, text) }
		b.must(b.digestDue(b.t.Context()))
	}
	rows, err := b.store.Pool().Query(b.t.Context(), `SELECT due FROM digests ORDER BY due`)
	b.must(err)
	defer rows.Close()
	for rows.Next() {
		var due time.Time
		b.must(rows.Scan(&due))
		filed = append(filed, due.UTC().Format("2006-01-02T15:04"))
	}
	b.must(rows.Err())
	return filed
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04", text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// Whatever the schedule and however long nothing ran, each digest begins where the one before ended.
func TestDigestsLeaveNoTimeOut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spec  string
		looks []string
		filed []string
	}{
		"daily": {"0 9 * * *", []string{"2026-03-04T09:00", "2026-03-04T09:01", "2026-03-05T09:00"}, []string{"2026-03-04T09:00", "2026-03-05T09:00"}},
		"weekdays": {
			"0 9 * * 1-5",
			[]string{"2026-03-05T09:00", "2026-03-06T09:00", "2026-03-07T09:00", "2026-03-08T09:00", "2026-03-09T09:00"},
			[]string{"2026-03-05T09:00", "2026-03-06T09:00", "2026-03-09T09:00"},
		},
		"weekly, seen only on Saturday": {"0 9 * * 1", []string{"2026-03-03T10:00", "2026-03-14T12:00"}, []string{"2026-03-02T09:00", "2026-03-09T09:00"}},
		"an outage of two days":         {"0 9 * * *", []string{"2026-03-05T09:00", "2026-03-05T18:00", "2026-03-07T10:00"}, []string{"2026-03-05T09:00", "2026-03-07T09:00"}},
		"an outage of a month":          {"0 9 * * *", []string{"2026-03-05T09:00", "2026-04-07T10:00"}, []string{"2026-03-05T09:00", "2026-04-07T09:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.installedAt = instant(t, "2026-03-01T15:30")
			if filed := b.on(tc.spec, tc.looks...); !slices.Equal(filed, tc.filed) {
				t.Fatalf("filed %v, want %v", filed, tc.filed)
			}
			from := b.installedAt
			for _, text := range tc.filed {
				d, err := digests{b.App}.Digest(t.Context(), instant(t, text))
				b.must(err)
				if !d.From.Equal(from) || !d.To.Equal(instant(t, text)) {
					t.Errorf("the digest of %s covers %s to %s, want it from %s", text, d.From, d.To, from)
				}
				from = d.To
			}
		})
	}
}

// There is none for the time before the store was set up, and a changed schedule files none for time that has been covered.
func TestNoDigestOfTheTimeBeforeOrAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.installedAt = instant(t, "2026-03-03T15:30")
	if filed := b.on("0 9 * * 1", "2026-03-04T12:00"); len(filed) > 0 {
		t.Errorf("filed %v before there was anything", filed)
	}
	b.on("0 9 * * *", "2026-03-10T09:00", "2026-03-11T09:00")
	if filed := b.on("0 10 * * 1", "2026-03-11T09:30"); !slices.Equal(filed, []string{"2026-03-10T09:00", "2026-03-11T09:00"}) {
		t.Errorf("filed %v", filed)
	}
}
