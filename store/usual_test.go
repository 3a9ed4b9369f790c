package store_test

import (
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
)

// What is usual is what became of the newest requests; a busy month is not read whole.
func TestUsualIsOfTheNewest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.file(pending()).Request
	_, err := b.ChangeCase(t.Context(), r.ID, func(c approvals.Case) (approvals.Change, error) {
		c.Request.State, c.Request.EndedAt = approvals.Lapsed, noon.Add(time.Hour)
		return approvals.Change{Request: c.Request}, nil
	})
	b.must(err)
	lapsed := func(want int) {
		t.Helper()
		u, err := b.Usual(t.Context(), r.Decision.Approvals, noon.Add(-time.Hour))
		b.must(err)
		if u.Lapsed != want {
			t.Errorf("%d lapsed, want %d", u.Lapsed, want)
		}
	}
	for i := range 300 {
		if i == 299 {
			lapsed(1)
		}
		newer := pending()
		newer.FiledAt = noon.Add(time.Minute)
		b.file(newer)
	}
	lapsed(0)
}
