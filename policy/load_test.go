package policy

import (
	"os"
	"strings"
	"testing"
	"time"
)

// loaded is the policy in a text that must load.
func loaded(t testing.TB, source string) *Policy {
	t.Helper()
	p, _, err := Load([]byte(source), "policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestDesignExample loads the file that DESIGN section 5 shows, word for word.
func TestDesignExample(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("testdata/design.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, warnings, err := Load(source, "design.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		t.Log(w)
	}
	for _, result := range p.Test() {
		if !result.OK {
			t.Errorf("%s: %s", result.Name, strings.Join(result.Differences, "\n"))
		}
	}
	support, ok := p.Profile("support")
	if !ok || len(support.Parameters) != 1 || !support.Parameters[0].Required || support.Grants[1].Mask["card_number"] != "hide" {
		t.Errorf("support was read as %+v", support)
	}
	readOnly, _ := p.Profile("read-only")
	if readOnly.MaxDuration != 4*time.Hour || readOnly.Grants[0].Tables[0] != "*" {
		t.Errorf("read-only was read as %+v", readOnly)
	}
	if b, ok := p.BreakGlass(); !ok || b.MaxDuration != time.Hour || b.ReviewWithin != 24*time.Hour {
		t.Errorf("break_glass was read as %+v", b)
	}
}
