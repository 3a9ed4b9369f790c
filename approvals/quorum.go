package approvals

import (
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/policy"
)

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }

// assign finds the largest assignment of approvals to requirements in which every approval counts once, and returns how
// many approvals each requirement got. A greedy assignment would not do: a person who may fill two requirements must
// not take the only place somebody else could fill.
func assign(needed []policy.Requirement, given []Approval) []int {
	type slot struct{ requirement int }
	var slots []slot
	for i, r := range needed {
		for range r.Count {
			slots = append(slots, slot{i})
		}
	}
	holder := make([]int, len(slots)) // which approval holds the slot, -1 for none
	for i := range holder {
		holder[i] = -1
	}
	var place func(approval int, seen []bool) bool
	place = func(approval int, seen []bool) bool {
		for s, sl := range slots {
			if seen[s] || !slices.Contains(given[approval].Fills, sl.requirement) {
				continue
			}
			seen[s] = true
			if holder[s] == -1 || place(holder[s], seen) {
				holder[s] = approval
				return true
			}
		}
		return false
	}
	for a := range given {
		if given[a].Verdict == Yes {
			place(a, make([]bool, len(slots)))
		}
	}
	got := make([]int, len(needed))
	for s, a := range holder {
		if a != -1 {
			got[slots[s].requirement]++
		}
	}
	return got
}

// missing returns the requirements not met by the approvals given, with how many each still needs.
func missing(needed []policy.Requirement, given []Approval) []policy.Requirement {
	got := assign(needed, given)
	var out []policy.Requirement
	for i, r := range needed {
		if got[i] < r.Count {
			out = append(out, policy.Requirement{From: r.From, Count: r.Count - got[i]})
		}
	}
	return out
}
