package approvals

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/prodaccess/prodaccess/policy"
)

// drawQuorum makes a small world: requirements, and approvals of different people, some of them taken back.
func drawQuorum(t *rapid.T) (needed []policy.Requirement, given []Approval) {
	for range rapid.IntRange(1, 3).Draw(t, "requirements") {
		needed = append(needed, policy.Requirement{Count: rapid.IntRange(1, 2).Draw(t, "count")})
	}
	for i := range rapid.IntRange(0, 6).Draw(t, "approvals") {
		a := Approval{By: person(fmt.Sprint(i)), Verdict: Yes, Fills: drawFills(t, len(needed))}
		if rapid.IntRange(0, 4).Draw(t, "withdrawn") == 0 {
			a.WithdrawnAt = began
		}
		given = append(given, a)
	}
	return needed, given
}

func drawFills(t *rapid.T, requirements int) []int {
	return rapid.SliceOfNDistinct(rapid.IntRange(0, requirements-1), 0, requirements, rapid.ID).Draw(t, "fills")
}

// The assignment is compared with every assignment there is.
func TestAssignIsTheBestAssignment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		needed, given := drawQuorum(t)
		short := assign(needed, given)
		for i, n := range short {
			if n < 0 || n > needed[i].Count {
				t.Fatalf("requirement %d lacks %d of %d", i, n, needed[i].Count)
			}
		}
		if want := everyAssignment(needed, given); !slices.Equal(short, want) {
			t.Fatalf("assigned with %v lacking, possible is %v", short, want)
		}
		if met(needed, given) != (total(short) == 0) {
			t.Fatal("met and assign differ")
		}
	})
}

// everyAssignment tries them all, and of the largest returns what the one that meets the requirements ahead first lacks.
func everyAssignment(needed []policy.Requirement, given []Approval) []int {
	var best []int
	short := make([]int, len(needed))
	for i, r := range needed {
		short[i] = r.Count
	}
	var try func(i int)
	try = func(i int) {
		if i == len(given) {
			if best == nil || total(short) < total(best) || total(short) == total(best) && slices.Compare(short, best) < 0 {
				best = slices.Clone(short)
			}
			return
		}
		try(i + 1)
		if !given[i].WithdrawnAt.IsZero() {
			return
		}
		for _, r := range given[i].Fills {
			if short[r] > 0 {
				short[r]--
				try(i + 1)
				short[r]++
			}
		}
	}
	try(0)
	return best
}

// The order in which people answered does not matter for whether they are enough.
func TestTheOrderOfAnswersDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		needed, given := drawQuorum(t)
		other := rapid.Permutation(given).Draw(t, "other order")
		if got, want := assign(needed, other), assign(needed, given); !slices.Equal(got, want) {
			t.Fatalf("lacking %v and, in another order, %v", want, got)
		}
	})
}
