package grants

import (
	"context"
	"maps"
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

// sentinel locks grants out at their deadline while the store does not answer, or does not give them out. A deadline was
// committed and recorded when the grant was made or extended, so that keeping it needs no store; what it did is written down by
// the ordinary revocation when the store is back, which finds the login locked. It only locks and kills, and never drops anything.
//
// Another replica may have extended a grant, or ended it, since this one last read: an extension that another one committed less
// than refreshEvery before the store went away, or began to hang, is not known here, and that grant is locked out at the earlier
// deadline. One of this replica's own is known at once.
type sentinel struct {
	service *Service

	mu     sync.Mutex
	known  []Grant
	readAt time.Time
	// locked are the grants that this was carried out for since nothing was outstanding, or is being.
	locked map[string]bool
}

// over says that the store took everything that was due.
func (n *sentinel) over() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.locked = map[string]bool{}
}

// learn reads the next deadlines, unless it did a moment ago.
func (n *sentinel) learn(ctx context.Context, now time.Time) error {
	n.mu.Lock()
	fresh := now.Sub(n.readAt) < refreshEvery
	n.mu.Unlock()
	if fresh {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	known, err := n.service.cfg.Store.Upcoming(ctx, now.Add(horizon), mostKnown)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known, n.readAt = known, now
	return nil
}

// watch guards while a pass takes longer than it may: its store hangs in the middle of an answer. It ends with stop.
func (n *sentinel) watch() (stop func()) {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(heldPatience)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				n.guard(n.service.cfg.Now())
			}
		}
	}()
	return func() {
		close(over)
		<-ended
	}
}

// guard locks out what is due by heart.
func (n *sentinel) guard(now time.Time) {
	n.mu.Lock()
	known := n.known
	n.mu.Unlock()
	n.lockOut(known, now, "the store does not answer")
}

// lockOut locks out those of the grants that are due, once each, unless this replica is at their revocation already.
func (n *sentinel) lockOut(list []Grant, now time.Time, why string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, g := range list {
		if g.State == Active && g.Due(now) && !n.locked[g.ID] && !n.service.pursued(g.ID) && !n.service.moved(g, now) {
			n.locked[g.ID] = true
			n.service.lockOut(g, why, func() {
				n.mu.Lock()
				defer n.mu.Unlock()
				delete(n.locked, g.ID) // the next pass tries again
			})
		}
	}
}

// move remembers a deadline that this replica has just moved, for as long as it is to come.
func (s *Service) move(g Grant) {
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.extended, func(_ string, deadline time.Time) bool { return !deadline.After(now) })
	s.extended[g.ID] = g.Deadline
}

// moved says whether a grant has another deadline by now than the one that is known by heart.
func (s *Service) moved(g Grant, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.extended[g.ID].After(now)
}

// lockOut carries out the security step without the store; why is what is the matter with that.
func (s *Service) lockOut(g Grant, why string, failed func()) {
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
		s.keep(g.ID, foundIn(done))
		if err != nil {
			log.Error().Err(err).Msg(why + ", and the grant could not be locked out at its deadline; trying again")
			failed()
			return
		}
		log.Warn().Int("sessions_killed", done.Killed).Msg(why + "; the grant was locked out at its deadline all the same")
	})
}
