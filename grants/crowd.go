package grants

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Logins that are to be taken back while others are being taken back on the same target share the next message to it.
// Nobody waits for company: one that comes alone is dealt with at once. Each keeps its own outcome.

const (
	// mostTogether is how many logins share a message.
	mostTogether = 128
	// crowdsAtOnce is how many such messages are under way at a time on one target: one waits for its commit while the
	// other is at work.
	crowdsAtOnce = 2
	// crowdPatience is how long the next message waits for one in which a login is stubborn (a session that does not die).
	crowdPatience = 150 * time.Millisecond
)

// crowd gathers what is asked of one target.
type crowd[T any] struct {
	// carry takes a step for many. all says that nobody else waits for the same.
	carry func(ctx context.Context, logins []Login, all bool, done func(i int, out T, err error))
	// life bounds everything that is under way.
	life context.Context

	mu       sync.Mutex
	waiting  []*entry[T]
	carriers int
	under    sync.WaitGroup
	closed   bool
}

// entry is one login that waits for its step.
type entry[T any] struct {
	login Login
	done  chan struct{}
	out   T
	err   error
}

// join takes the step for one login, in one message with others. A context that ends ends the waiting, not the step.
func (c *crowd[T]) join(ctx context.Context, login Login) (T, error) {
	one := &entry[T]{login: login, done: make(chan struct{})}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return one.out, context.Canceled
	}
	c.waiting = append(c.waiting, one)
	if c.carriers < crowdsAtOnce {
		c.carriers++
		c.under.Go(c.work)
	}
	c.mu.Unlock()
	select {
	case <-one.done:
		return one.out, one.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// close waits for everything under way. Nobody may join any more.
func (c *crowd[T]) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.under.Wait()
}

// work takes the step for what waits, until nothing does.
func (c *crowd[T]) work() {
	for {
		batch, all := c.take()
		if len(batch) == 0 {
			return
		}
		over := make(chan struct{})
		c.under.Go(func() {
			defer close(over)
			c.carryAll(batch, all)
		})
		patience := time.NewTimer(crowdPatience)
		select {
		case <-over:
		case <-patience.C:
		}
		patience.Stop()
	}
}

func (c *crowd[T]) carryAll(batch []*entry[T], all bool) {
	ctx, cancel := context.WithTimeout(c.life, stepTimeout)
	defer cancel()
	logins := make([]Login, len(batch))
	for i, one := range batch {
		logins[i] = one.login
	}
	c.carry(ctx, logins, all, func(i int, out T, err error) {
		batch[i].out, batch[i].err = out, err
		close(batch[i].done)
	})
}

// take gives the next logins, each once; none ends the carrier.
func (c *crowd[T]) take() (batch []*entry[T], all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var later []*entry[T]
	for _, one := range c.waiting {
		again := slices.ContainsFunc(batch, func(other *entry[T]) bool { return other.login.Name == one.login.Name })
		if again || len(batch) == mostTogether {
			later = append(later, one)
		} else {
			batch = append(batch, one)
		}
	}
	c.waiting = later
	if len(batch) == 0 {
		c.carriers--
	}
	return batch, len(later) == 0
}
