package grants

import (
	"errors"
	"time"
)

// ErrPursued is what Revoke returns while this replica is at it already: not a failure, and not done.
var ErrPursued = errors.New("the revocation is under way in this replica")

// pursue carries a revocation out in the background, trying again after each failure until it is done or the service
// closes. A grant is pursued once at a time, and Parallel steps run at once on one target.
func (s *Service) pursue(g Grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lane, known := s.lanes[g.Target]
	if _, already := s.pursuits[g.ID]; already || !known || s.closing() {
		return
	}
	s.pursuits[g.ID] = struct{}{}
	s.running.Go(func() {
		defer func() {
			s.mu.Lock()
			delete(s.pursuits, g.ID)
			s.mu.Unlock()
		}()
		s.persist(g, lane)
	})
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
		next, err := s.step(s.stopping, g)
		lane.leave(security)
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
		pause := time.NewTimer(s.Pause(s.stopping, g.ID))
		select {
		case <-pause.C:
		case <-s.draining:
			pause.Stop()
			return
		}
		if now, err := s.cfg.Store.Grant(s.stopping, g.ID); err == nil {
			g = now
		}
	}
}
