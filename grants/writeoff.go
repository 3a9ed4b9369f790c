package grants

import (
	"context"
	"fmt"
	"strings"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// Vanished says why a grant's cluster counts as gone: its target left the configuration, or another cluster answers under
// its name. The error says why it does not count as gone; a cluster that does not answer may come back.
func (s *Service) Vanished(ctx context.Context, g Grant) (string, error) {
	driver := s.cfg.Drivers[g.Target]
	if driver == nil {
		return fmt.Sprintf("the target %s is not configured any more", g.Target), nil
	}
	fingerprint, err := driver.Fingerprint(ctx)
	if err != nil {
		return "", fmt.Errorf("%s does not say which cluster it is, and may be the one that grant %s was issued on; take it out of the configuration if it is gone for good: %w", g.Target, g.ID, err)
	}
	if fingerprint == g.Fingerprint {
		return "", fmt.Errorf("%w: %s is the very cluster that grant %s was issued on, so that the login can be taken away and need not be written off", ErrState, g.Target, g.ID)
	}
	return fmt.Sprintf("another cluster (%s) answers as %s; the grant was issued on %s", fingerprint, g.Target, g.Fingerprint), nil
}

// WriteOff ends a grant whose cluster is gone for good, which nothing else can end. Nothing is verified, and the receipt
// says so. Should the cluster ever answer again, the sweep finds its login like any that came back.
func (s *Service) WriteOff(ctx context.Context, id string, by audit.Actor, source, reason string) (Grant, error) {
	if strings.TrimSpace(reason) == "" {
		return Grant{}, fmt.Errorf("writing off grant %s: a reason is needed", id)
	}
	g, err := s.cfg.Store.Grant(ctx, id)
	if err != nil {
		return Grant{}, fmt.Errorf("writing off grant %s: %w", id, err)
	}
	why, err := s.Vanished(ctx, g)
	if err != nil {
		return g, err
	}
	words := fmt.Sprintf("written off by %s because %s; nothing was verified", who(by), reason)
	g, err = s.cfg.Store.ChangeGrant(ctx, id, func(g Grant) (Change, error) {
		next, err := writtenOff(g, words, s.cfg.Now())
		if err != nil {
			return Change{}, err
		}
		event := s.event(audit.GrantWrittenOff, next, by, source)
		event.Reason = reason
		event.Detail["why"], event.Detail["fingerprint"], event.Detail["state"] = why, g.Fingerprint, string(g.State)
		follow := []jobs.Job{draw(next)}
		if !next.AlarmedAt.IsZero() {
			follow = append(follow, jobs.Job{Kind: jobs.Alarm, Subject: next.ID, Version: 2})
		}
		if !next.IssuedAt.IsZero() {
			follow = append(follow, jobs.Job{Kind: jobs.Receipt, Subject: next.ID})
		}
		return Change{Grant: next, Events: []audit.Event{event}, Jobs: follow}, nil
	})
	if err != nil {
		return g, fmt.Errorf("writing off grant %s: %w", id, err)
	}
	return g, nil
}

func who(by audit.Actor) string {
	if by.Name != "" {
		return by.Name
	}
	return by.ID
}
