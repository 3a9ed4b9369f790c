package approvals

import (
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/policy"
)

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }

// assign finds the best assignment of standing approvals to requirements in which every approval counts once, and returns
// how many approvals each requirement still lacks. It is a largest one, and of those the one that meets the requirements
// ahead first. A greedy assignment would not do: a person who may fill two requirements must not take the only place
// somebody else could fill.
func assign(needed []policy.Requirement, given []Approval) []int {
	holds := make([]int, len(given)) // which requirement an approval is held by, -1 for none
	for i := range holds {
		holds[i] = -1
	}
	// take finds an approval for a requirement, moving others from where they are if they may fill another. A place that
	// is filled stays filled, so filling them in order meets the ones ahead first.
	var take func(requirement int, seen []bool) bool
	take = func(requirement int, seen []bool) bool {
		for a := range given {
			if seen[a] || given[a].Verdict != Yes || !given[a].stands() || !slices.Contains(given[a].Fills, requirement) {
				continue
			}
			seen[a] = true
			if holds[a] == -1 || take(holds[a], seen) {
				holds[a] = requirement
				return true
			}
		}
		return false
	}
	short := make([]int, len(needed))
	for i, r := range needed {
		for range r.Count {
			if !take(i, make([]bool, len(given))) {
				short[i]++
			}
		}
	}
	return short
}

// met says whether every requirement is.
func met(needed []policy.Requirement, given []Approval) bool {
	return total(assign(needed, given)) == 0
}

// helps says whether one more approval, which may fill these, brings the request nearer to its quorum.
func helps(needed []policy.Requirement, given []Approval, fills []int) bool {
	with := append(slices.Clone(given), Approval{Verdict: Yes, Fills: fills})
	return total(assign(needed, with)) < total(assign(needed, given))
}

func total(counts []int) int {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return sum
}

// missing returns the requirements not met by the approvals given, with how many each still needs.
func missing(needed []policy.Requirement, given []Approval) []policy.Requirement {
	var out []policy.Requirement
	for i, short := range assign(needed, given) {
		if short > 0 {
			out = append(out, policy.Requirement{From: needed[i].From, Count: short})
		}
	}
	return out
}
