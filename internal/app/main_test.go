package app

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/prodaccess/prodaccess/internal/localpg"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(localpg.Around(m, localpg.Options{Fast: true}))
}
