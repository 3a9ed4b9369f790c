package store_test

import (
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
)

// The digest counts what is approved and has not begun, and says when the next begins.
func TestDigestCountsLaterStarts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	approved := func(startsIn time.Duration) {
		r := pending()
		if startsIn > 0 {
			r.StartsAt = noon.Add(startsIn)
		}
		b.file(r)
		for _, who := range []approvals.Person{bo, cy} {
			_, err := b.ChangeCase(t.Context(), r.ID, func(c approvals.Case) (approvals.Change, error) {
				change := approve(c, who)
				if change.Request.State == approvals.Approved {
					change.Request.LapsesAt = noon.Add(6 * time.Hour)
				}
				return change, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	digest := func(now time.Time, later int, next time.Time) {
		t.Helper()
		d, err := b.Digest(t.Context(), noon.Add(-time.Hour), noon.Add(time.Hour), now)
		if err != nil || d.Later != later || !d.NextStart.Equal(next) {
			t.Errorf("at %s: %d start later, the next %s, %v", now, d.Later, d.NextStart, err)
		}
	}
	digest(noon, 0, time.Time{})
	approved(0)
	approved(3 * time.Hour)
	approved(2 * time.Hour)
	waiting := pending()
	waiting.StartsAt = noon.Add(time.Hour)
	b.file(waiting)
	digest(noon.Add(time.Minute), 2, noon.Add(2*time.Hour))
	digest(noon.Add(2*time.Hour), 1, noon.Add(3*time.Hour))
	digest(noon.Add(5*time.Hour), 0, time.Time{})
}
