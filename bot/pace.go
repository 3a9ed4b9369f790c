package bot

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// pace is how often Slack takes calls of one kind, and how many at once.
type pace struct {
	every time.Duration
	burst int
}

// Slack lets an app post about once a second in one channel, update about fifty times a minute in all of them, read history as
// often and publish Home tabs a hundred times a minute, and forgives short bursts.
var (
	posts     = pace{time.Second, 3}
	updates   = pace{time.Minute / 50, 10}
	reads     = pace{time.Minute / 50, 10}
	publishes = pace{time.Minute / 100, 20}
)

const (
	// patience is how long a drawing waits for its turn before it gives its worker back.
	patience = time.Second
	// early is how long before its turn a drawing is asked back. The job engine looks for jobs that were put off for long
	// every five seconds only, and a turn that nobody takes is lost.
	early = 4 * time.Second
	// forgottenAfter is how long a place in line is kept for a drawing that does not come back: another replica may have it.
	forgottenAfter = time.Minute
	// mostWaiting bounds the places of one lane. Whoever finds no place comes back as if for the first time.
	mostWaiting = 10_000
	mostLanes   = 2000
)

// pacer spreads calls over time within this replica, keeps those in line that Slack takes no sooner, and keeps quiet where Slack
// asked for it.
type pacer struct {
	now func() time.Time
	// wait lets time pass, or ends with its context.
	wait func(context.Context, time.Duration) error

	mu    sync.Mutex
	lanes map[string]*lane
}

// lane is one limit of Slack's: a method, and for posts the channel.
type lane struct {
	pace  pace
	limit *rate.Limiter
	quiet time.Time // Slack said to wait until then
	used  time.Time
	queue queue
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

func (p *pacer) lane(name string, pace pace) *lane {
	now := p.now()
	l, ok := p.lanes[name]
	if !ok {
		if len(p.lanes) >= mostLanes {
			for key, l := range p.lanes {
				if now.Sub(l.used) > time.Minute && l.queue.empty(now) {
					delete(p.lanes, key)
				}
			}
		}
		l = &lane{pace: pace, limit: rate.NewLimiter(rate.Every(pace.every), pace.burst)}
		p.lanes[name] = l
	}
	l.used = now
	return l
}

// turn waits for a turn on a lane, or says when to come back when that takes longer than patience. Who was sent away has a place in
// line: what is waited for goes before what is not, and otherwise the first goes first. Without a name nobody is kept in line.
func (p *pacer) turn(ctx context.Context, name string, pace pace, who string, u urgency) error {
	p.mu.Lock()
	l, now := p.lane(name, pace), p.now()
	wait, why := l.turn(now, who, u)
	p.mu.Unlock()
	if why != "" {
		return &Undelivered{After: wait, Err: fmt.Errorf("%s on %s: %w", why, name, ErrInLine)}
	}
	if wait <= 0 {
		return nil
	}
	return p.wait(ctx, wait)
}

// turn gives a turn after a wait, or with a reason the time after which to come back.
func (l *lane) turn(now time.Time, who string, u urgency) (wait time.Duration, why string) {
	mine := l.queue.place(who)
	if mine != nil && u < mine.urgency { // it became more urgent
		l.queue.leave(who)
		mine = nil
	}
	near, ahead := time.Duration(0), false
	if mine != nil {
		near = l.near(mine, now)
		ahead = near > 0
	} else {
		ahead = l.queue.before(u, now)
	}
	// A lane that nobody used for a while is there for everybody: those in line are with another replica.
	ahead = ahead && l.limit.TokensAt(now) < float64(l.pace.burst)
	why = "slack asked for a pause"
	if wait = l.quiet.Sub(now); wait <= 0 {
		why = "too many messages at once"
		reserved := l.limit.ReserveN(now, 1)
		if wait = reserved.DelayFrom(now); wait <= patience && !ahead {
			l.queue.leave(who)
			return wait, ""
		}
		reserved.CancelAt(now)
	}
	if who == "" {
		return wait, why
	}
	if mine == nil {
		mine = l.queue.join(who, u, now)
		near = l.near(mine, now)
	}
	wait = max(wait, near, l.pace.every)
	mine.back = now.Add(wait)
	return wait, why
}

// leave gives up a place in line.
func (p *pacer) leave(name, who string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.lanes[name]; l != nil {
		l.queue.leave(who)
	}
}

// spend counts a call that is made in the turn of the one before it: whoever comes next waits longer.
func (p *pacer) spend(name string, pace pace) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lane(name, pace).limit.ReserveN(p.now(), 1)
}

// near is after what time the turn of a place will be near.
func (l *lane) near(p *place, now time.Time) time.Duration {
	return time.Duration(l.queue.ahead(p, now))*l.pace.every - early
}

// expected is after what time somebody in line for a lane will have had their turn. Who is not in line is being served.
func (p *pacer) expected(name, who string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, now := p.lanes[name], p.now()
	if l == nil || l.queue.empty(now) {
		return pauseBusy
	}
	if mine := l.queue.place(who); mine != nil {
		return max(l.near(mine, now)+early+l.pace.every, pauseBusy)
	}
	return pausePassing
}

// call makes a call whose turn it is. Its error is safe to log.
func (p *pacer) call(name string, pace pace, call func() error) error {
	err := safe(call())
	if f, ok := err.(*failure); ok && f.after > 0 {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.lane(name, pace).quiet = p.now().Add(f.after)
	}
	return err
}

// run makes a call in its turn. Its error is safe to log.
func (p *pacer) run(ctx context.Context, name string, pace pace, call func() error) error {
	if err := p.turn(ctx, name, pace, "", waitedFor); err != nil {
		return err
	}
	return p.call(name, pace, call)
}
