package config

import (
	"strconv"
	"time"
)

// A tree is the configuration as it was found: map[string]any, []any, and at the leaves string, int, bool or []string.
// Durations and secrets are still strings.
type tree = map[string]any

// A reading collects what was found, where, and what was wrong with it.
type reading struct {
	root   tree
	origin map[string]string // key path → where it was read
	faults Faults
	broken map[string]bool // key paths with a fault already: validation has nothing to add to them
}

func newReading() *reading {
	return &reading{root: tree{}, origin: map[string]string{}, broken: map[string]bool{}}
}

func (r *reading) fault(key, where, problem, fix string) {
	r.broken[key] = true
	r.faults = append(r.faults, Fault{Key: key, Where: where, Problem: problem, Fix: fix})
}

// leaf turns the words found at a key into the key's type, or says why that cannot be.
func leaf(f field, words string) (value any, problem, fix string) {
	switch f.kind {
	case number:
		n, err := strconv.Atoi(words)
		if err != nil {
			return nil, "is not a whole number", "Write digits only."
		}
		return n, "", ""
	case truth:
		switch words {
		case "true":
			return true, "", ""
		case "false":
			return false, "", ""
		}
		return nil, "is neither true nor false", "Write true or false."
	case duration:
		return durationLeaf(words)
	default:
		return words, "", ""
	}
}

// durationLeaf refuses what would quietly mean nanoseconds.
func durationLeaf(words string) (value any, problem, fix string) {
	d, err := time.ParseDuration(words)
	if err != nil {
		if _, isNumber := strconv.ParseFloat(words, 64); isNumber == nil {
			return nil, "has no unit", "Write a duration such as 30s, 5m or 24h."
		}
		return nil, "is not a duration", "Write a number and its unit, such as 30s, 5m or 24h; a day is 24h."
	}
	if d < time.Second {
		return nil, "is shorter than a second", "Write a duration of at least 1s."
	}
	return words, "", ""
}
