package localpg

import (
	"context"
	"sync"
	"time"
)

// M is the part of *testing.M that this package uses.
type M interface{ Run() int }

// Main runs a package's tests with one Fast server for all of them, started when the first one calls [Shared] and
// stopped when the last one has ended. The result is for os.Exit.
func Main(m M, opts Options) int { return Around(m, opts).Run() }

// Around is Main for something else that wants to run the tests, such as goleak.VerifyTestMain: when its Run returns,
// the server is gone.
func Around(m M, opts Options) M { return &around{m: m, opts: opts} }

type around struct {
	m    M
	opts Options
}

// shared is how tests reach the server of their binary.
var shared struct {
	wanted  chan struct{} // closed by the first test that wants the server; nil outside Main
	want    sync.Once
	started chan struct{} // closed when srv or err is set
	srv     *Server
	err     error
}

func (a *around) Run() int {
	a.opts.Fast = true
	shared.wanted, shared.started = make(chan struct{}), make(chan struct{})
	over := make(chan struct{})
	var starter sync.WaitGroup
	// The server is started here and not by the test, which may be in a testing/synctest bubble.
	starter.Go(func() {
		select {
		case <-over:
		case <-shared.wanted:
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			shared.srv, shared.err = Start(ctx, a.opts)
			close(shared.started)
		}
	})
	defer func() {
		close(over)
		starter.Wait()
		if shared.srv != nil {
			shared.srv.Stop()
		}
	}()
	return a.m.Run()
}

// Shared returns the server of the test binary, whose TestMain calls [Main] or [Around].
func Shared(t TB) *Server {
	t.Helper()
	if shared.wanted == nil {
		t.Fatalf("localpg: no shared server: call localpg.Main from TestMain")
	}
	shared.want.Do(func() { close(shared.wanted) })
	<-shared.started
	if shared.err != nil {
		t.Fatalf("localpg: %v", shared.err)
	}
	return shared.srv
}
