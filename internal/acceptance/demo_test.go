package acceptance

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestTheDemoPlaysToItsEnd runs what a newcomer runs first.
func TestTheDemoPlaysToItsEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, "demo").CombinedOutput()
	if err != nil {
		t.Fatalf("the demo ended with %v:\n%s", err, out)
	}
	at := 0
	for _, words := range []string{
		"contractors never write", "Waiting for approval", "own request", "postgresql://pa_bo_", "permission denied for table orders",
		"postgresql://pa_ana_", "terminating connection due to administrator command", "logins_left\n   0", "digest", "The chain is whole", "That is all of it",
	} {
		i := bytes.Index(out[at:], []byte(words))
		if i < 0 {
			t.Fatalf("%q does not come, or not in its place:\n%s", words, out)
		}
		at += i
	}
}

// TestTheDemoCanBePlayed drives the interactive demo through its standard input.
func TestTheDemoCanBePlayed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "demo", "--interactive")
	cmd.Stdin = strings.NewReader(`help
nobody sees
bo /prodaccess orders-prod read-only 5m INC-123 checkout is failing
dora click Frobnicate
roles
audit
quit
`)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the demo ended with %v:\n%s", err, out)
	}
	for _, words := range []string{"WHO click LABEL", `nobody here is called "nobody"`, "It needs one of @dba", "Frobnicate", "pa_read_only", "The chain is whole"} {
		if !bytes.Contains(out, []byte(words)) {
			t.Errorf("%q is not said:\n%s", words, out)
		}
	}
}
