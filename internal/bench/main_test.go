package bench

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the real executable, as `make build` makes it.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	if f := flag.Lookup("test.bench"); f == nil || f.Value.String() == "" {
		return m.Run() // plain `go test ./...` measures nothing and builds nothing
	}
	dir, err := os.MkdirTemp("", "prodaccess-bench-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "prodaccess")
	cmd := exec.Command("go", "build", "-trimpath", "-o", binary, "github.com/prodaccess/prodaccess/cmd/prodaccess")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the binary: %v\n%s", err, out)
		return 1
	}
	report.begin()
	code := m.Run()
	report.print(os.Stdout)
	return code
}
