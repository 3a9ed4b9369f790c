package stage

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// built are tests that play with the real binary.
type built struct {
	tests interface{ Run() int }
	path  *string
}

// Built is a package's tests with the real binary, built once with the race detector on and removed after them: path is where it
// is while they run. It is for TestMain, which runs it in place of the tests.
func Built(tests interface{ Run() int }, path *string) interface{ Run() int } {
	return built{tests, path}
}

// Run builds the binary, runs the tests and removes it.
func (b built) Run() int {
	dir, err := os.MkdirTemp("", "prodaccess-binary-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	*b.path = filepath.Join(dir, "prodaccess")
	cmd := exec.Command("go", "build", "-race", "-o", *b.path, "github.com/prodaccess/prodaccess/cmd/prodaccess")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the binary: %v\n%s", err, out)
		return 1
	}
	return b.tests.Run()
}
