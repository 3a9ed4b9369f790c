package policy

import (
	"testing"
	"time"
)

// TestWaitsCompare: 0 is the configuration's, of which nothing is known, so it is within itself only.
func TestWaitsCompare(t *testing.T) {
	t.Parallel()
	said := func(minutes int) wait { return wait{time.Duration(minutes) * time.Minute, false} }
	sooner := func(minutes int) wait { return wait{time.Duration(minutes) * time.Minute, true} }
	for _, test := range []struct {
		name   string
		a, b   wait
		within bool
	}{
		{"neither says", wait{}, wait{}, true},
		{"only the first says", said(5), wait{}, false},
		{"only the second says", wait{}, said(5), false},
		{"the same", said(5), said(5), true},
		{"shorter", said(5), said(9), true},
		{"longer", said(9), said(5), false},
		{"at most the configuration's", sooner(5), wait{}, true},
		{"the configuration's, at most", wait{}, sooner(5), false},
		{"shorter, or sooner", sooner(5), said(9), true},
		{"as long, or sooner", sooner(5), said(5), true},
		{"longer, or sooner", sooner(9), said(5), false},
		{"as long, and not sooner", said(5), sooner(5), false},
		{"shorter, and not sooner", said(5), sooner(9), false},
		{"both or sooner", sooner(5), sooner(9), true},
		{"both or sooner, longer", sooner(9), sooner(5), false},
	} {
		if got := test.a.within(test.b); got != test.within {
			t.Errorf("%s: got %t", test.name, got)
		}
	}
}

// TestExtentsCompare: how often counts as well as how long.
func TestExtentsCompare(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		a, b   extent
		within bool
	}{
		{"never", extent{}, extent{}, true},
		{"never, whatever the total", extent{0, 9}, extent{}, true},
		{"once against never", extent{1, 5}, extent{}, false},
		{"less often", extent{1, 5}, extent{2, 5}, true},
		{"more often", extent{3, 5}, extent{2, 5}, false},
		{"longer", extent{1, 6}, extent{2, 5}, false},
		{"any number of times", extent{unlimited, 5}, extent{2, 5}, false},
		{"any number of times in either", extent{unlimited, 5}, extent{unlimited, 5}, true},
	} {
		if got := test.a.within(test.b); got != test.within {
			t.Errorf("%s: got %t", test.name, got)
		}
	}
}
