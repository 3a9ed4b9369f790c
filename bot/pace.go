package bot

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Slack lets an app post about once a second in one channel and update about fifty times a minute, and forgives short bursts.
const (
	postsEvery   = time.Second
	postsBurst   = 3
	updatesEvery = time.Minute / 50
	updatesBurst = 10
	// patience is how long a drawing waits for its turn before it gives its worker back.
	patience = 2 * time.Second
)

// pacer spreads calls over time within this replica and keeps quiet where Slack asked for it.
type pacer struct {
	now func() time.Time
	// wait lets time pass, or ends with its context.
	wait func(context.Context, time.Duration) error

	mu    sync.Mutex
	lanes map[string]*lane
}

type lane struct {
	limit *rate.Limiter
	quiet time.Time // Slack said to wait until then
	used  time.Time
}

func newPacer(now func() time.Time) *pacer {
	return &pacer{now: now, wait: pass, lanes: map[string]*lane{}}
}

func pass(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (p *pacer) lane(name string, every time.Duration, burst int) *lane {
	const most = 2000
	if len(p.lanes) >= most {
		for key, l := range p.lanes {
			if p.now().Sub(l.used) > time.Minute {
				delete(p.lanes, key)
			}
		}
	}
	l, ok := p.lanes[name]
	if !ok {
		l = &lane{limit: rate.NewLimiter(rate.Every(every), burst)}
		p.lanes[name] = l
	}
	l.used = p.now()
	return l
}

// turn waits for a turn, or says when to come back when that takes longer than patience.
func (p *pacer) turn(ctx context.Context, name string, every time.Duration, burst int) error {
	p.mu.Lock()
	l := p.lane(name, every, burst)
	now := p.now()
	if wait := l.quiet.Sub(now); wait > 0 {
		p.mu.Unlock()
		return &Undelivered{After: wait, Err: fmt.Errorf("slack asked for a pause on %s", name)}
	}
	reserved := l.limit.ReserveN(now, 1)
	wait := reserved.DelayFrom(now)
	if wait > patience {
		reserved.CancelAt(now)
		p.mu.Unlock()
		return &Undelivered{After: wait, Err: fmt.Errorf("too many messages at once on %s", name)}
	}
	p.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	return p.wait(ctx, wait)
}

// hush keeps a lane quiet for as long as Slack asked.
func (p *pacer) hush(name string, every time.Duration, burst int, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lane(name, every, burst).quiet = p.now().Add(d)
}

func (p *pacer) post(ctx context.Context, channel string, call func() error) error {
	return p.run(ctx, "chat.postMessage in "+channel, postsEvery, postsBurst, call)
}

func (p *pacer) update(ctx context.Context, call func() error) error {
	return p.run(ctx, "chat.update", updatesEvery, updatesBurst, call)
}

// run makes a call in its turn. Its error is safe to log.
func (p *pacer) run(ctx context.Context, name string, every time.Duration, burst int, call func() error) error {
	if err := p.turn(ctx, name, every, burst); err != nil {
		return err
	}
	err := safe(call())
	if f, ok := err.(*failure); ok && f.after > 0 {
		p.hush(name, every, burst, f.after)
	}
	return err
}
