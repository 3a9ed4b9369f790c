package demo

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/prodaccess/prodaccess/internal/stage"
)

// binary is the real executable.
var binary string

func TestMain(m *testing.M) { goleak.VerifyTestMain(stage.Built(m, &binary)) }
