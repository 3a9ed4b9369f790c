package grants

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// catchUp repeats, on the server, extensions that are in the store only: the target did not answer when they were made. It
// names the logins it did so for.
func (s *Service) catchUp(ctx context.Context, driver Driver, fingerprint string, live []Grant, logins []Login) (told []string, err error) {
	until := make(map[string]time.Time, len(logins))
	for _, l := range logins {
		until[l.Name] = l.ValidUntil // not by its stamp, which another login may carry too
	}
	for _, g := range live {
		if g.Fingerprint != fingerprint || !s.behind(g, until[g.Login]) {
			continue
		}
		if failed := s.tellAgain(ctx, driver, g); failed != nil {
			err = errors.Join(err, fmt.Errorf("telling %s the later end of login %s: %w", g.Target, g.Login, failed))
			continue
		}
		told = append(told, g.Login)
	}
	return told, err
}

// behind says whether the server ends a live login before the store does.
func (s *Service) behind(g Grant, until time.Time) bool {
	const rounding = time.Second
	return g.State == Active && g.Extensions > 0 && !g.Due(s.cfg.Now()) && !until.IsZero() &&
		until.Add(rounding).Before(g.Deadline.Add(s.cfg.Grace))
}

// tellAgain gives the server the end that the store has. Whoever extends the grant meanwhile may have told the server a later
// end before this one arrives, so the store is asked again afterwards.
func (s *Service) tellAgain(ctx context.Context, driver Driver, g Grant) error {
	for {
		if err := driver.Extend(ctx, s.login(g), g.Deadline.Add(s.cfg.Grace)); err != nil {
			return err
		}
		now, err := s.cfg.Store.Grant(ctx, g.ID)
		if err != nil || now.State != Active || now.Deadline.Equal(g.Deadline) {
			return err
		}
		g = now
	}
}
