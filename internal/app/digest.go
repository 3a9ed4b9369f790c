package app

import (
	"context"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/prodaccess/prodaccess/audit"
)

// lookBack is how far back a digest that was missed is still posted.
const lookBack = 48 * time.Hour

// digestSchedule reads a cron schedule in a time zone.
func digestSchedule(spec, zone string) (cron.Schedule, *time.Location, error) {
	location, err := time.LoadLocation(zone)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the time zone of the digest: %w", err)
	}
	schedule, err := cron.ParseStandard(spec)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the schedule of the digest: %w", err)
	}
	return schedule, location, nil
}

// lastDue is the latest instant at or before now at which a digest was due, zero when there was none within lookBack.
// Every replica finds the same instant, which is what makes one digest of many looks.
func lastDue(schedule cron.Schedule, location *time.Location, now time.Time) time.Time {
	if every, ok := schedule.(cron.ConstantDelaySchedule); ok {
		return now.Truncate(every.Delay)
	}
	var last time.Time
	for at := schedule.Next(now.Add(-lookBack).In(location)); !at.IsZero() && !at.After(now); at = schedule.Next(at) {
		last = at
	}
	return last
}

// digestDue files the digest that is due, once, whichever replica looks and however often. None is due for the time before
// the store was set up.
func (a *App) digestDue(ctx context.Context) error {
	due := lastDue(a.digests.schedule, a.digests.location, a.now())
	if due.IsZero() || due.Before(a.installedAt) {
		return nil
	}
	created, err := a.store.ClaimDigest(ctx, due.UTC())
	if err != nil {
		return fmt.Errorf("filing the digest of %s: %w", due.UTC().Format(time.RFC3339), err)
	}
	if created {
		a.log.Info().Time("due", due).Msg("digest filed")
	}
	return nil
}

// digests gives the bot the digest that is due at an instant: it covers the time since the one before.
type digests struct{ app *App }

// Digest implements bot.Digests.
func (d digests) Digest(ctx context.Context, due time.Time) (audit.Digest, error) {
	schedule, location := d.app.digests.schedule, d.app.digests.location
	before := lastDue(schedule, location, due.Add(-time.Nanosecond))
	if before.IsZero() {
		before = due.Add(-24 * time.Hour)
	}
	return d.app.store.Digest(ctx, before.UTC(), due.UTC(), d.app.now())
}
