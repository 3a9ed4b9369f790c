package grants

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

const (
	// alarmTimeout bounds one look for overdue grants with its alarms: a grant that somebody holds has its turn again, and
	// deadlines do not wait for it.
	alarmTimeout = 2 * time.Second
	// alarmsAtOnce is how many alarms are written at a time, sharing transactions. It leaves connections to others where each
	// of them waits for somebody's lock.
	alarmsAtOnce = 5
)

// alarm raises the alarm once for every grant that is past its end by Config.OverdueAfter and not locked out. One that
// cannot be written keeps no other from being shouted about.
func (s *Service) alarm(ctx context.Context, now time.Time) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, alarmTimeout)
	defer cancel()
	overdue, err := s.cfg.Store.Overdue(ctx, now.Add(-s.cfg.OverdueAfter))
	if err != nil {
		return 0, fmt.Errorf("looking for overdue grants: %w", err)
	}
	failed := make([]error, len(overdue))
	slots := make(chan struct{}, alarmsAtOnce)
	var all sync.WaitGroup
	for i, g := range overdue {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			failed[i] = s.alarmOf(ctx, g.ID, now)
		})
	}
	all.Wait()
	raised := 0
	for _, err := range failed {
		if err == nil {
			raised++
		}
	}
	return raised, errors.Join(failed...)
}

func (s *Service) alarmOf(ctx context.Context, id string, now time.Time) error {
	_, err := s.cfg.Store.ChangeGrant(ctx, id, func(g Grant) (Change, error) {
		if !g.AlarmedAt.IsZero() || g.State == Cleanup || g.State == Revoked {
			return Change{Grant: g}, ErrNoChange
		}
		g.AlarmedAt = now
		event := s.event(audit.GrantOverdue, g, audit.System("reaper"), "")
		event.Reason = g.LastError
		event.Detail["since"] = g.End().UTC().Format(time.RFC3339)
		return Change{Grant: g, Events: []audit.Event{event}, Jobs: []jobs.Job{
			draw(g), {Kind: jobs.Alarm, Subject: g.ID, Version: 1},
		}}, nil
	})
	if err != nil && !errors.Is(err, ErrNoChange) {
		return fmt.Errorf("raising the alarm for grant %s: %w", id, err)
	}
	return nil
}
