package grants

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// found is what tries of the security step did that is not written down yet: those that failed half way, with one node down
// for example, and those of the sentinel, which cannot write anything. A later try finds no session any more and a login
// that is locked already, and the receipt would say that there was nothing to end.
type found struct {
	killed   int
	lockedAt time.Time
}

func foundIn(s Secured) found { return found{killed: s.Killed, lockedAt: s.LockedAt} }

// and adds up two finds: all sessions, and the first lock.
func (f found) and(other found) found {
	f.killed += other.killed
	if f.lockedAt.IsZero() || !other.lockedAt.IsZero() && other.lockedAt.Before(f.lockedAt) {
		f.lockedAt = other.lockedAt
	}
	return f
}

// keep remembers a find until it is written down.
func (s *Service) keep(id string, f found) {
	if f == (found{}) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finds[id] = s.finds[id].and(f)
}

// take hands out what is to be written down. Whoever fails to gives it back to keep.
func (s *Service) take(id string) found {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.finds[id]
	delete(s.finds, id)
	return f
}

// record is change with what was found before, which the change writes into the grant's receipt along with what was found
// now. Where it does not come about, both are kept for the next one.
func (s *Service) record(ctx context.Context, id string, now found, change func(g Grant, before found) (Change, error)) (Grant, error) {
	before := s.take(id)
	var applied bool
	g, err := s.change(ctx, id, func(g Grant) (Change, error) {
		c, err := change(g, before)
		applied = err == nil
		return c, err
	})
	if (err != nil || !applied) && g.State != Revoked && !errors.Is(err, ErrNotFound) {
		s.keep(id, before.and(now))
	}
	return g, err
}

// onto adds a find to a grant's receipt, and begins one where there is none: the login is not locked out on every node yet.
func (f found) onto(g Grant) Grant {
	if f == (found{}) {
		return g
	}
	receipt := Receipt{Login: g.Login, OID: g.OID, Target: g.Target, Fingerprint: g.Fingerprint, Deadline: g.Deadline, Nodes: []string{}, Checks: []Check{}}
	if g.Receipt != nil {
		receipt = *g.Receipt
	}
	sum := found{killed: receipt.Killed, lockedAt: receipt.LockedAt}.and(f)
	receipt.Killed, receipt.LockedAt = sum.killed, sum.lockedAt
	g.Receipt = &receipt
	return g
}

// tellFinds writes down what this replica found and did not write down with a step of its own: it was the sentinel's, or
// another replica goes on with the revocation.
func (s *Service) tellFinds(ctx context.Context) error {
	s.mu.Lock()
	ids := slices.DeleteFunc(slices.Collect(maps.Keys(s.finds)), func(id string) bool { return strings.Contains(id, "/") }) // an orphan's
	s.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	var failed []error
	for _, id := range ids {
		if g, err := s.cfg.Store.Grant(ctx, id); s.pursued(id) || err == nil && g.Live() {
			continue // its revocation will
		}
		_, err := s.record(ctx, id, found{}, func(g Grant, before found) (Change, error) {
			if g.State != Revoking && g.State != Cleanup {
				return Change{Grant: g}, ErrNoChange
			}
			return Change{Grant: before.onto(g)}, nil
		})
		if err != nil && !errors.Is(err, ErrNotFound) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
