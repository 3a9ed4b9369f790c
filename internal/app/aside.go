package app

import (
	"context"
	"sync"
)

// aside does what waits for a target and was asked for by a job, so that a target that hangs holds no worker of the job engine.
// Of each name there is one piece of work at a time: what is still at it when it is asked for again is not begun twice. Nothing
// here is promised to be finished; the job comes back by the clock. The zero value is ready.
type aside struct {
	mu      sync.Mutex
	busy    map[string]bool
	closed  bool
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
}

// begin starts the work and does not wait for it. The work bounds itself; its context ends when this replica stops.
func (a *aside) begin(name string, work func(context.Context)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy[name] || a.closed {
		return
	}
	if a.busy == nil {
		a.busy = map[string]bool{}
		a.ctx, a.stop = context.WithCancel(context.Background())
	}
	a.busy[name] = true
	a.running.Go(func() {
		defer func() {
			a.mu.Lock()
			delete(a.busy, name)
			a.mu.Unlock()
		}()
		work(a.ctx)
	})
}

// close cuts off what is under way and waits for it until ctx ends.
func (a *aside) close(ctx context.Context) error {
	a.mu.Lock()
	a.closed = true
	if a.stop != nil {
		a.stop()
	}
	a.mu.Unlock()
	return waited(ctx, &a.running)
}
