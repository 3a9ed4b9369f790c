package grants

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prodaccess/prodaccess/audit"
)

const (
	// reapBatch is how many due grants one transaction takes.
	reapBatch = 100
	// reapAtLeast is the longest sleep: another replica may have died with the only knowledge of a nearer deadline.
	reapAtLeast = time.Second
	// heldPause is how long what somebody else is at is left to them, who may take seconds.
	heldPause = 20 * time.Millisecond
	// answerTimeout is how long the store may take for the first answer of a pass, and passTimeout for all of them.
	answerTimeout = 2 * time.Second
	passTimeout   = 15 * time.Second
	// overdueEvery is how often overdue grants are looked for.
	overdueEvery = 5 * time.Second
	// heldPatience is how long a due grant may be held by somebody else in the store before it is locked out all the same, and
	// heldEvery how often those are looked for.
	heldPatience = 2 * time.Second
	heldEvery    = 500 * time.Millisecond
)

// Reaper ends grants at their deadline. It sleeps until the earliest deadline in the store, is woken when an earlier
// one appears, and any number of replicas may run one.
type Reaper struct {
	service *Service
	cancel  context.CancelFunc
	loops   sync.WaitGroup

	sentinel    sentinel
	lastOverdue time.Time
	resumed     bool
	// held are the due grants that somebody else holds, and since when; lookedAt is when they were read last.
	held     map[string]time.Time
	lookedAt time.Time
}

// Reaped is what one pass did.
type Reaped struct {
	// Ended is how many grants were moved to revoking, Alarmed how many overdue ones were shouted about.
	Ended, Alarmed int
	// Resumed is how many unfinished revocations the first pass took up.
	Resumed int
	// Next is the earliest deadline left, zero when there is none.
	Next time.Time
	// held says that somebody else was at what is due.
	held bool
}

// NewReaper makes a reaper that is not running.
func NewReaper(service *Service) *Reaper {
	return &Reaper{service: service, sentinel: sentinel{service: service, locked: map[string]bool{}}}
}

// Start begins two loops, one for deadlines and one for alarms, so that an alarm that cannot be written keeps no deadline
// waiting. The first passes are made at once; they catch up on deadlines missed while nobody ran.
func (r *Reaper) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.loops.Go(func() { r.loop(ctx) })
	r.loops.Go(func() { r.cry(ctx) })
}

// Stop ends the loops and waits for the passes under way.
func (r *Reaper) Stop() {
	if r.cancel != nil {
		r.cancel()
		r.loops.Wait()
	}
}

func (r *Reaper) loop(ctx context.Context) {
	s := r.service
	var said string
	for {
		result, err := r.endDue(ctx)
		if ctx.Err() != nil {
			return
		}
		switch {
		case err != nil && err.Error() != said:
			said = err.Error()
			s.cfg.Log.Error().Err(err).Msg("reaper: pass failed; trying again every second")
		case err == nil && said != "":
			said = ""
			s.cfg.Log.Info().Msg("reaper: passes succeed again")
		}
		if result.Ended+result.Resumed > 0 {
			s.cfg.Log.Info().Int("ended", result.Ended).Int("resumed", result.Resumed).Msg("reaper: pass")
		}
		pause := reapAtLeast
		if !result.Next.IsZero() { // known though something else failed
			pause = min(pause, max(result.Next.Sub(s.cfg.Now()), 0))
		}
		if result.held || err != nil {
			pause = max(pause, heldPause)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.woken:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// RunOnce is a pass of each loop, one after the other: it ends every grant that is due, starts their revocations, and raises
// the alarm for those that should be over and are not.
func (r *Reaper) RunOnce(ctx context.Context) (Reaped, error) {
	out, err := r.endDue(ctx)
	if now := r.service.cfg.Now(); now.Sub(r.lastOverdue) >= overdueEvery {
		r.lastOverdue = now
		var failed error
		out.Alarmed, failed = r.shout(ctx)
		err = errors.Join(err, failed)
	}
	return out, err
}

// endDue is a pass of the loop of deadlines. While the store does not answer it locks out what it knows to be due, and what
// somebody else holds there for more than a moment.
func (r *Reaper) endDue(life context.Context) (out Reaped, err error) {
	// A store that hangs must not keep the pass, and with it the deadlines, waiting.
	ctx, cancel := context.WithTimeout(life, passTimeout)
	defer cancel()
	stop := r.sentinel.watch()
	answers, err := r.takeDue(ctx, life, &out)
	stop()
	if err != nil && life.Err() == nil {
		r.sentinel.guard(r.service.cfg.Now())
	}
	if answers && !r.resumed {
		n, failed := r.service.Resume(ctx)
		if out.Resumed = n; failed != nil {
			err = errors.Join(err, fmt.Errorf("taking up unfinished revocations: %w", failed))
		} else {
			r.resumed = true
		}
	}
	return out, err
}

// takeDue ends what is due and starts its revocations. It says whether the store answers at all.
func (r *Reaper) takeDue(ctx, life context.Context, out *Reaped) (answers bool, err error) {
	s := r.service
	first, stop := context.WithTimeout(ctx, answerTimeout)
	next, err := s.cfg.Store.NextDeadline(first)
	stop()
	if err != nil {
		return false, fmt.Errorf("reading the next deadline: %w", err)
	}
	for !next.IsZero() && !next.After(s.cfg.Now()) {
		taken, err := s.cfg.Store.TakeDue(ctx, s.cfg.Now(), reapBatch, func(g Grant) Change {
			change, err := s.end(g, Ending{Cause: Expired, By: audit.System("reaper")})
			if err != nil {
				// TakeDue hands out live grants only; leave the row as it is rather than guess.
				return Change{Grant: g}
			}
			return change
		})
		if err != nil {
			return true, errors.Join(fmt.Errorf("taking due grants: %w", err), r.sentinel.learn(life, s.cfg.Now()))
		}
		for _, g := range taken {
			s.pursue(g)
		}
		out.Ended += len(taken)
		if next, err = s.cfg.Store.NextDeadline(ctx); err != nil {
			return true, fmt.Errorf("reading the next deadline: %w", err)
		}
		if out.held = len(taken) == 0; out.held {
			break
		}
	}
	out.Next = next
	if out.held {
		if err := r.guardHeld(ctx); err != nil {
			return true, err
		}
	} else {
		r.held = nil
		r.sentinel.over()
	}
	if err := r.sentinel.learn(ctx, s.cfg.Now()); err != nil {
		return true, fmt.Errorf("reading the next deadlines: %w", err)
	}
	return true, nil
}

// guardHeld locks out what has been due for a while and could not be taken: a replica that froze in the middle of taking it,
// or somebody at the store's console, holds its row. A grant that is being extended is held for milliseconds.
func (r *Reaper) guardHeld(ctx context.Context) error {
	now := r.service.cfg.Now()
	if now.Sub(r.lookedAt) < heldEvery {
		return nil
	}
	r.lookedAt = now
	due, err := r.service.cfg.Store.Upcoming(ctx, now, mostKnown)
	if err != nil {
		return fmt.Errorf("reading the due grants that somebody holds: %w", err)
	}
	since := map[string]time.Time{}
	var stuck []Grant
	for _, g := range due {
		since[g.ID] = now
		if before, held := r.held[g.ID]; held {
			since[g.ID] = before
		}
		if now.Sub(since[g.ID]) >= heldPatience {
			stuck = append(stuck, g)
		}
	}
	r.held = since
	r.sentinel.lockOut(stuck, now, "somebody holds its row in the store")
	return nil
}
