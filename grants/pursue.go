package grants

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrPursued is what Revoke and TakeUp return while this replica is at it: not a failure, and not done.
var ErrPursued = errors.New("the revocation is under way in this replica")

// errStopping is what TakeUp returns when this replica begins nothing any more.
var errStopping = errors.New("this replica is stopping; the revocation is taken up again")

// TakeUp is the Revoke job. It begins a try of a grant's revocation and does not wait for it: a target that hangs would
// otherwise hold the workers of the job engine, which are there for all targets. nil means that there is nothing left to
// do, and any error, [ErrPursued] among them, means "look again, after [Service.Pause]": a job ends only when the store
// says that the grant is over, so that a replica which dies in the middle of a try loses nothing.
func (s *Service) TakeUp(ctx context.Context, id string) error {
	g, err := s.cfg.Store.Grant(ctx, id)
	if err != nil {
		return fmt.Errorf("taking up grant %s: %w", id, err)
	}
	if g.State != Revoking && g.State != Cleanup {
		return nil
	}
	lane, known := s.lanes[g.Target]
	if !known {
		return s.revoke(ctx, g) // says that the target is not configured, and waits for nobody
	}
	if !s.aside(g, func() { s.try(g, lane) }) {
		return errStopping
	}
	return ErrPursued
}

// pursue carries a revocation out in the background, trying again after each failure until it is done or the service
// closes. A grant is pursued once at a time, and Parallel steps run at once on one target.
func (s *Service) pursue(g Grant) {
	if lane, known := s.lanes[g.Target]; known {
		s.aside(g, func() { s.persist(g, lane) })
	}
}

// aside works on a grant in the background, unless this replica is at it already. false means that it is closing.
func (s *Service) aside(g Grant, work func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing() {
		return false
	}
	if _, already := s.pursuits[g.ID]; already {
		return true
	}
	s.pursuits[g.ID] = time.Now()
	s.running.Go(func() {
		defer func() {
			s.mu.Lock()
			delete(s.pursuits, g.ID)
			s.mu.Unlock()
		}()
		work()
	})
	return true
}

// reread is the grant as it is now, or as it was when the store does not say.
func (s *Service) reread(g Grant) Grant {
	ctx, cancel := context.WithTimeout(s.stopping, answerTimeout)
	defer cancel()
	if now, err := s.cfg.Store.Grant(ctx, g.ID); err == nil {
		return now
	}
	return g
}

// pursued says whether this replica is at a grant's revocation.
func (s *Service) pursued(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, pursued := s.pursuits[id]
	return pursued
}

// try goes on, step by step, until the revocation is done or a step fails. The job that asked for it asks again.
func (s *Service) try(g Grant, lane *lane) {
	for g.State == Revoking || g.State == Cleanup {
		security := g.State == Revoking
		if !lane.enter(security, s.draining) {
			return
		}
		write := s.step(s.stopping, g)
		lane.leave(security)
		next, err := write()
		if err != nil {
			if g.Attempts == 0 && s.stopping.Err() == nil {
				s.cfg.Log.Warn().Err(err).Str("grant", g.ID).Str("target", g.Target).Msg("revocation not finished; trying again")
			}
			return
		}
		g = next
	}
}

// closing says whether no new try may begin.
func (s *Service) closing() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}

// persist goes on, step by step, until the revocation is done. Waiting between tries holds no slot.
func (s *Service) persist(g Grant, lane *lane) {
	var said string
	for {
		security := g.State == Revoking
		if !lane.enter(security, s.draining) {
			return
		}
		write := s.step(s.stopping, g)
		lane.leave(security)
		next, err := write()
		if s.stopping.Err() != nil || (err == nil && next.State != Cleanup) {
			return
		}
		if err == nil {
			g = next
			continue
		}
		if text := err.Error(); text != said {
			said = text
			s.cfg.Log.Warn().Err(err).Str("grant", g.ID).Str("target", g.Target).Msg("revocation not finished; trying again")
		}
		pause := time.NewTimer(s.untilNextTry(s.stopping, g.ID))
		select {
		case <-pause.C:
		case <-s.draining:
			pause.Stop()
			return
		}
		g = s.reread(g)
	}
}
