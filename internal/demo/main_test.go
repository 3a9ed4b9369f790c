package demo

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// binary is the real executable, built once with the race detector on.
var binary string

func TestMain(m *testing.M) { goleak.VerifyTestMain(built{m}) }

type built struct{ m *testing.M }

// Run builds the binary, runs the tests and removes it.
func (b built) Run() int {
	dir, err := os.MkdirTemp("", "prodaccess-binary-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "prodaccess")
	cmd := exec.Command("go", "build", "-race", "-o", binary, "github.com/prodaccess/prodaccess/cmd/prodaccess")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the binary: %v\n%s", err, out)
		return 1
	}
	return b.m.Run()
}
