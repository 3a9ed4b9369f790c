package sandbox

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open starts a workspace with a few people that ends with the test.
func open(t *testing.T, opts Options) *Workspace {
	t.Helper()
	ws, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ws.Close)
	for _, name := range []string{"ana", "bo", "cy"} {
		ws.AddPerson(Person{Name: name, Email: name + "@example.com"})
	}
	return ws
}

// soon is a context no wait should outlast.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, r Reply) Reply {
	t.Helper()
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return r
}

func no(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
