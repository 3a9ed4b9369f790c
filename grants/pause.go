package grants

import (
	"context"
	"math/rand/v2"
	"time"
)

// Pause is how long to wait before looking at a grant's revocation again: as long as before the next try, and, while this
// replica is at it, longer the longer that takes, so that the jobs of a target that hangs do not keep the store busy.
func (s *Service) Pause(ctx context.Context, id string) time.Duration {
	s.mu.Lock()
	since, pursued := s.pursuits[id]
	s.mu.Unlock()
	pause := s.untilNextTry(ctx, id)
	if pursued {
		pause = max(pause, min(MaxSecurityPause, time.Since(since)))
	}
	return pause
}

// untilNextTry doubles from half a second with each failure, bounded by MaxSecurityPause until the login is locked out and
// by MaxHygienePause after, with a little randomness so that many grants of a target that came back do not all press at once.
func (s *Service) untilNextTry(ctx context.Context, id string) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	g, err := s.cfg.Store.Grant(ctx, id)
	if err != nil {
		return 5 * time.Second
	}
	longest := MaxSecurityPause
	if g.State == Cleanup {
		longest = MaxHygienePause
	}
	pause := longest
	if g.Attempts < 12 {
		pause = min(longest, 500*time.Millisecond<<max(g.Attempts-1, 0))
	}
	return pause - time.Duration(rand.Int64N(int64(pause)/5+1))
}
