package acceptance

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/prodaccess/prodaccess/internal/stage"
)

// binary is the real executable.
var binary string

func TestMain(m *testing.M) {
	// The tests mostly wait, for deadlines and for processes, so more of them run at once than there are processors. A
	// flag on the command line still wins.
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(stage.Built(m, &binary))
}
