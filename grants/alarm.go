package grants

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

const (
	// alarmsTimeout bounds one look for overdue grants with its alarms, alarmTimeout one alarm: a grant that somebody holds has
	// its turn again.
	alarmsTimeout = 4 * time.Second
	alarmTimeout  = time.Second
	// alarmsAtOnce is how many alarms are written at a time, sharing transactions. It leaves connections to others where each
	// of them waits for somebody's lock.
	alarmsAtOnce = 5
)

// cry is the loop of alarms.
func (r *Reaper) cry(ctx context.Context) {
	log := r.service.cfg.Log
	var said string
	for {
		raised, err := r.shout(ctx)
		if ctx.Err() != nil {
			return
		}
		switch {
		case err != nil && err.Error() != said:
			said = err.Error()
			log.Error().Err(err).Msg("reaper: alarms could not be raised; trying again every few seconds")
		case err == nil && said != "":
			said = ""
			log.Info().Msg("reaper: alarms can be raised again")
		}
		if raised > 0 {
			log.Info().Int("alarmed", raised).Msg("reaper: pass")
		}
		timer := time.NewTimer(overdueEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// shout is a pass of it. What this replica found and could not write down before is written down as well.
func (r *Reaper) shout(ctx context.Context) (raised int, err error) {
	raised, err = r.service.alarm(ctx, r.service.cfg.Now())
	return raised, errors.Join(err, r.service.tellFinds(ctx))
}

// alarm raises the alarm once for every grant that is past its end by Config.OverdueAfter and not locked out. One that
// cannot be written keeps no other from being shouted about: they come in no order, so that those which somebody holds do not
// always come first.
func (s *Service) alarm(ctx context.Context, now time.Time) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, alarmsTimeout)
	defer cancel()
	overdue, err := s.cfg.Store.Overdue(ctx, now.Add(-s.cfg.OverdueAfter))
	if err != nil {
		return 0, fmt.Errorf("looking for overdue grants: %w", err)
	}
	rand.Shuffle(len(overdue), func(i, j int) { overdue[i], overdue[j] = overdue[j], overdue[i] })
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
	ctx, cancel := context.WithTimeout(ctx, alarmTimeout)
	defer cancel()
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
