package grants

import "context"

// unbounded is the width of a lane whose steps share messages: what waits for one costs nothing.
const unbounded = 1 << 20

// mostFinished is how many logins are locked and dropped in one message. More are locked first, all of them.
const mostFinished = 16

// together takes the steps of many logins of one target in few messages.
type together struct {
	security *crowd[finished]
	hygiene  *crowd[Cleaned]
	// lock is the security step and nothing beyond it, for when the store cannot be told.
	lock *crowd[Secured]
}

// finished is what the security step did, and what clean-up did along with it, nil if nothing.
type finished struct {
	Secured
	cleaned *Cleaned
}

func newTogether(driver Many, life context.Context) *together {
	return &together{
		security: &crowd[finished]{life: life, carry: func(ctx context.Context, logins []Login, all bool, done func(int, finished, error)) {
			if !all || len(logins) > mostFinished {
				driver.SecureMany(ctx, logins, func(i int, s Secured, err error) { done(i, finished{Secured: s}, err) })
				return
			}
			driver.FinishMany(ctx, logins, func(i int, s Secured, c *Cleaned, err error) { done(i, finished{s, c}, err) })
		}},
		hygiene: &crowd[Cleaned]{life: life, carry: func(ctx context.Context, logins []Login, _ bool, done func(int, Cleaned, error)) {
			driver.CleanMany(ctx, logins, done)
		}},
		lock: &crowd[Secured]{life: life, carry: func(ctx context.Context, logins []Login, _ bool, done func(int, Secured, error)) {
			driver.SecureMany(ctx, logins, done)
		}},
	}
}

func (t *together) close() {
	t.security.close()
	t.hygiene.close()
	t.lock.close()
}

// secureLogin takes the security step with the target's driver, and clean-up with it where that costs nobody anything.
func (s *Service) secureLogin(ctx context.Context, driver Driver, g Grant) (finished, error) {
	if t := s.together[g.Target]; t != nil {
		return t.security.join(ctx, s.login(g))
	}
	secured, err := driver.Secure(ctx, s.login(g))
	return finished{Secured: secured}, err
}

// lockLogin takes the security step alone.
func (s *Service) lockLogin(ctx context.Context, driver Driver, g Grant) (Secured, error) {
	if t := s.together[g.Target]; t != nil {
		return t.lock.join(ctx, s.login(g))
	}
	return driver.Secure(ctx, s.login(g))
}

// cleanLogin takes the hygiene step with the target's driver.
func (s *Service) cleanLogin(ctx context.Context, driver Driver, g Grant) (Cleaned, error) {
	if t := s.together[g.Target]; t != nil {
		return t.hygiene.join(ctx, s.login(g))
	}
	return driver.Clean(ctx, s.login(g))
}
