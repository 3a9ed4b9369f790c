package bot

import (
	"context"
	"sync"
	"time"
)

// replays remembers signatures for as long as they would be accepted. It is bounded; when it is full of signatures that
// are still good, the oldest goes, and the delivery keys in the store keep a replay from acting twice.
type replays struct {
	now func() time.Time

	mu    sync.Mutex
	slots map[string]*replaySlot
	order []string
}

const mostReplays = 4096

type replaySlot struct {
	at     time.Time
	done   chan struct{}
	answer reply
}

func newReplays(now func() time.Time) *replays {
	return &replays{now: now, slots: map[string]*replaySlot{}}
}

// take returns the slot of a signature and whether it is the first to ask: the first must fill it.
func (r *replays) take(key string) (first bool, slot *replaySlot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slot, ok := r.slots[key]; ok {
		return false, slot
	}
	// A timestamp may be ahead of us by the window and is good for the window after that.
	for len(r.order) > 0 && (len(r.order) >= mostReplays || r.now().Sub(r.slots[r.order[0]].at) > 2*signedWithin) {
		delete(r.slots, r.order[0])
		r.order = r.order[1:]
	}
	slot = &replaySlot{at: r.now(), done: make(chan struct{})}
	r.slots[key] = slot
	r.order = append(r.order, key)
	return true, slot
}

func (s *replaySlot) fill(answer reply) {
	s.answer = answer
	close(s.done)
}

func (s *replaySlot) wait(ctx context.Context) (reply, error) {
	select {
	case <-s.done:
		return s.answer, nil
	case <-ctx.Done():
		return reply{}, ctx.Err()
	}
}
