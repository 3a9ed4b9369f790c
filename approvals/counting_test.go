package approvals

import (
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

func TestNextCount(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ left, next time.Duration }{
		{24 * time.Hour, 4 * time.Hour},
		{4 * time.Hour, 2 * time.Hour}, // what lasts no longer begins at what it would say
		{2 * time.Hour, time.Hour},
		{time.Hour + 31*time.Second, time.Hour},
		{time.Hour + 30*time.Second, 30 * time.Minute}, // just drawn
		{time.Hour, 30 * time.Minute},
		{31 * time.Minute, 30 * time.Minute},
		{20 * time.Minute, 15 * time.Minute},
		{15 * time.Minute, 5 * time.Minute},
		{5 * time.Minute, 0},
		{time.Minute, 0},
		{0, 0},
		{-time.Hour, 0},
	} {
		next, ok := NextCount(began.Add(tc.left), began)
		if ok != (tc.next > 0) || ok && !next.Equal(began.Add(tc.left-tc.next)) {
			t.Errorf("%s before the end the next is %s before it (%v), not %s", tc.left, began.Add(tc.left).Sub(next), ok, tc.next)
		}
	}
}

func TestOneJobCounts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		state              grants.State
		extensions, number int
		counts             bool
	}{
		{grants.Active, 0, 1, true},
		{grants.Active, 1, 2, true},
		{grants.Active, 1, 1, false}, // an extension came after it
		{grants.Active, 0, 2, false}, // its extension did not come
		{grants.Provisioning, 0, 1, false},
		{grants.Revoking, 0, 1, false},
		{grants.Revoked, 0, 1, false},
	} {
		if got := Counts(grants.Grant{State: tc.state, Extensions: tc.extensions}, tc.number); got != tc.counts {
			t.Errorf("%s, extended %d times: job %d counts: %v", tc.state, tc.extensions, tc.number, got)
		}
	}
}
