package audit_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/prodaccess/prodaccess/audit"
)

// Kinds has every kind that is declared: one that is missing could not be asked for at the command line.
func TestKindsAreAll(t *testing.T) {
	source, err := os.ReadFile("event.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := map[audit.Kind]bool{}
	for _, found := range regexp.MustCompile(`(?m)^\t\w+\s+Kind\s*= "([^"]+)"`).FindAllSubmatch(source, -1) {
		declared[audit.Kind(found[1])] = true
	}
	listed := map[audit.Kind]bool{}
	for _, k := range audit.Kinds() {
		listed[k] = true
		if !declared[k] {
			t.Errorf("%s is not declared", k)
		}
	}
	for k := range declared {
		if !listed[k] {
			t.Errorf("%s is not listed", k)
		}
	}
	if len(declared) < 30 {
		t.Errorf("%d kinds are declared", len(declared))
	}
}
