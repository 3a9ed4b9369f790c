package policy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var crowds = []string{"g", "h", "k"}

func drawNeeds(t *rapid.T, label string, most int) []need {
	var out []need
	for i := range rapid.IntRange(0, most).Draw(t, label) {
		out = append(out, need{
			count: rapid.IntRange(1, 2).Draw(t, fmt.Sprint(label, " count ", i)),
			from:  rapid.SliceOfNDistinct(rapid.SampledFrom(crowds), 1, 3, rapid.ID[string]).Draw(t, fmt.Sprint(label, " from ", i)),
		})
	}
	return out
}

// TestMeetsIsExact plays every way in which people can give the approvals that one policy asks for, each as the group they
// speak for, and looks whether the other policy would have let that pass.
func TestMeetsIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		have, wanted := drawNeeds(t, "have", 2), drawNeeds(t, "wanted", 3)
		haveInOrder, wantedInOrder := rapid.Bool().Draw(t, "have in order"), rapid.Bool().Draw(t, "wanted in order")
		passes := true
		everyRun(have, haveInOrder, nil, func(run []string) {
			if wantedInOrder {
				passes = passes && stepByStep(wanted, run)
			} else {
				passes = passes && somehow(wanted, run)
			}
		})
		if got := meets(have, wanted, haveInOrder, wantedInOrder); got != passes {
			t.Fatalf("have %+v in order %t, wanted %+v in order %t: meets says %t, trying says %t", have, haveInOrder, wanted, wantedInOrder, got, passes)
		}
	})
}

// everyRun gives every sequence of answers that fills the needs.
func everyRun(left []need, inOrder bool, run []string, do func([]string)) {
	done := true
	for i, n := range left {
		if n.count == 0 {
			continue
		}
		done = false
		for _, who := range n.from {
			rest := slices.Clone(left)
			rest[i].count--
			everyRun(rest, inOrder, append(slices.Clone(run), who), do)
		}
		if inOrder {
			break
		}
	}
	if done {
		do(run)
	}
}

// stepByStep fills one stage after another; an answer for which no stage is open counts for nothing.
func stepByStep(wanted []need, run []string) bool {
	wanted = slices.Clone(wanted)
	for _, who := range run {
		for len(wanted) > 0 && wanted[0].count == 0 {
			wanted = wanted[1:]
		}
		if len(wanted) > 0 && slices.Contains(wanted[0].from, who) {
			wanted[0].count--
		}
	}
	return !slices.ContainsFunc(wanted, func(n need) bool { return n.count > 0 })
}

// somehow fills the needs in any way at all.
func somehow(wanted []need, run []string) bool {
	if !slices.ContainsFunc(wanted, func(n need) bool { return n.count > 0 }) {
		return true
	}
	if len(run) == 0 {
		return false
	}
	for i, n := range wanted {
		if n.count > 0 && slices.Contains(n.from, run[0]) {
			rest := slices.Clone(wanted)
			rest[i].count--
			if somehow(rest, run[1:]) {
				return true
			}
		}
	}
	return somehow(wanted, run[1:])
}

func TestLatecomers(t *testing.T) {
	t.Parallel()
	dba := func(late ...latecomers) need { return need{count: 1, from: []string{"dba"}, late: late} }
	managers := func(after int) latecomers {
		return latecomers{after: time.Duration(after) * time.Minute, from: []string{"managers"}}
	}
	for _, test := range []struct {
		name         string
		wide, narrow need
		covers       bool
	}{
		{"the same", dba(managers(20)), dba(managers(20)), true},
		{"nobody late", dba(managers(20)), dba(), true},
		{"later", dba(managers(20)), dba(managers(30)), true},
		{"sooner", dba(managers(20)), dba(managers(10)), false},
		{"late against never", dba(), dba(managers(10)), false},
		{"late against at once", need{from: []string{"dba", "managers"}}, dba(managers(10)), true},
		{"at once against late", dba(managers(10)), need{from: []string{"dba", "managers"}}, false},
		{"everybody, late", dba(latecomers{after: time.Minute, from: []string{"anyone"}}), dba(managers(10)), true},
		{"everybody, too late", dba(latecomers{after: time.Hour, from: []string{"anyone"}}), dba(managers(10)), false},
		{"everybody", need{from: []string{"anyone"}}, dba(managers(10)), true},
		{"the second step", dba(managers(20), latecomers{after: time.Hour, from: []string{"security"}}), dba(latecomers{after: 2 * time.Hour, from: []string{"security"}}), true},
		{"late, who is there at once", dba(), dba(latecomers{after: time.Minute, from: []string{"dba"}}), true},
	} {
		if got := test.wide.covers(test.narrow); got != test.covers {
			t.Errorf("%s: got %t", test.name, got)
		}
	}
}
