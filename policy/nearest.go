package policy

import "strings"

// Nearest finds the entry somebody probably meant by word, for "did you mean". It compares without regard to case and
// says false when nothing is near enough to be worth suggesting, or when word is itself an entry.
func Nearest(word string, among []string) (string, bool) {
	// A pasted page is not a typo, and the comparison costs the product of the lengths.
	const longestWord = 64
	if word == "" || len(word) > longestWord {
		return "", false
	}
	lower := strings.ToLower(word)
	best, distance := "", 1+max(1, len(lower)/3)
	for _, entry := range among {
		if entry == word {
			return "", false
		}
		if len(entry) > longestWord {
			continue
		}
		candidate := strings.ToLower(entry)
		d := editDistance(lower, candidate)
		// A beginning that is long enough to be meant counts as near: "ord" for "orders-prod".
		if len(lower) >= 3 && strings.HasPrefix(candidate, lower) {
			d = min(d, 1)
		}
		if d < distance || d == distance && best != "" && entry < best {
			best, distance = entry, d
		}
	}
	return best, best != ""
}

// editDistance counts insertions, deletions, replacements and swaps of neighbours, in bytes.
func editDistance(a, b string) int {
	before, previous, current := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return previous[len(b)]
}

func didYouMean(word string, among []string) string {
	if near, ok := Nearest(word, among); ok {
		return "; did you mean \"" + near + "\"?"
	}
	return ""
}
