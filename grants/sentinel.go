package grants

import (
	"context"
	"sync"
	"time"
)

const (
	// horizon is how far ahead a replica knows deadlines by heart, and mostKnown how many.
	horizon   = 15 * time.Minute
	mostKnown = 1000
	// refreshEvery is how old that knowledge may be while the store answers.
	refreshEvery = 5 * time.Second
)

// sentinel locks grants out at their deadline while the store does not answer. A deadline was committed and recorded when
// the grant was made or extended, so that keeping it needs no store; what it did is written down by the ordinary
// revocation when the store is back, which finds the login locked. It only locks and kills, and never drops anything.
//
// Another replica may have extended a grant, or ended it, since this one last read: an extension committed less than
// refreshEvery before the store went away is not known here, and that grant is locked out at the earlier deadline.
type sentinel struct {
	service *Service

	mu     sync.Mutex
	known  []Grant
	readAt time.Time
	// locked are the grants this outage was carried out for, or is being.
	locked map[string]bool
}

// learn reads the next deadlines, unless it did a moment ago. That the store took what was due ends an outage.
func (n *sentinel) learn(ctx context.Context, now time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.locked = map[string]bool{}
	return n.read(ctx, now)
}

// relearn does so from a store that answers and takes nothing: its disk is full, or a standby answers in its place.
func (n *sentinel) relearn(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.read(ctx, now)
}

func (n *sentinel) read(ctx context.Context, now time.Time) error {
	if now.Sub(n.readAt) < refreshEvery {
		return nil
	}
	known, err := n.service.cfg.Store.Upcoming(ctx, now.Add(horizon), mostKnown)
	if err != nil {
		return err
	}
	n.known, n.readAt = known, now
	return nil
}

// guard locks out what is due by heart.
func (n *sentinel) guard(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, g := range n.known {
		if g.State == Active && g.Due(now) && !n.locked[g.ID] {
			n.locked[g.ID] = true
			n.service.lockOut(g, func() {
				n.mu.Lock()
				defer n.mu.Unlock()
				delete(n.locked, g.ID) // the next pass tries again
			})
		}
	}
}

// lockOut carries out the security step without the store.
func (s *Service) lockOut(g Grant, failed func()) {
	lane, known := s.lanes[g.Target]
	driver, err := s.driver(g.Target)
	if !known || err != nil || s.closing() {
		return
	}
	s.running.Go(func() {
		if !lane.enter(true, s.draining) {
			return
		}
		defer lane.leave(true)
		ctx, cancel := context.WithTimeout(s.stopping, stepTimeout)
		defer cancel()
		log := s.cfg.Log.With().Str("grant", g.ID).Str("target", g.Target).Str("login", g.Login).Logger()
		done, err := s.lockLogin(ctx, driver, g)
		if err != nil {
			log.Error().Err(err).Msg("the store does not answer, and a grant could not be locked out at its deadline; trying again")
			failed()
			return
		}
		log.Warn().Int("sessions_killed", done.Killed).Msg("the store does not answer; a grant was locked out at its deadline without it")
	})
}
