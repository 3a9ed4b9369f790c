package config

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong. None of its texts holds a secret.
type Fault struct {
	Key     string // as in the file: targets[0].admin_url; empty when it is about the file as a whole
	Where   string // "config.yaml:12", or the environment variable; empty when the key is nowhere
	Problem string // what is wrong, continuing the key: "is missing"
	Fix     string // what to do about it: a sentence
}

func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.Key)
	if f.Where != "" {
		if f.Key != "" {
			fmt.Fprintf(&b, " (%s)", f.Where)
		} else {
			b.WriteString(f.Where)
		}
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	fmt.Fprintf(&b, "%s. %s", f.Problem, f.Fix)
	return b.String()
}

// Faults is every fault of a configuration; as an error it is one line each.
type Faults []Fault

func (f Faults) Error() string {
	var b strings.Builder
	if len(f) == 1 {
		b.WriteString("the configuration has a fault:")
	} else {
		fmt.Fprintf(&b, "the configuration has %d faults:", len(f))
	}
	for _, fault := range f {
		b.WriteString("\n  - ")
		b.WriteString(fault.String())
	}
	return b.String()
}

// err is nil when there is no fault, which a Faults in an error variable would not be.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// shown quotes a value for a person, unless it could be a secret that was put into the wrong place.
func shown(value string) string {
	if len(value) > 40 || strings.HasPrefix(value, "xox") || strings.HasPrefix(value, "xapp") ||
		strings.Contains(value, "://") || strings.Contains(value, "@") && strings.Contains(value, ":") {
		return "something that may be a secret"
	}
	return fmt.Sprintf("%q", value)
}
