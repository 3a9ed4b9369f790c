package app

import (
	"context"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/prodaccess/prodaccess/audit"
)

// lookBack is how far back it is looked for when a digest was due: as far as a schedule itself looks ahead. The configuration refuses
// schedules that rest for longer than about a month (see internal/config); what is found here does not rest on that, and costs nothing.
const lookBack = 5 * 366 * 24 * time.Hour

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
	// A schedule can only be asked what comes next. Twice as far back each time, few instants have to be walked through,
	// whether they are a minute apart or a year.
	for back := time.Hour; back < 2*lookBack; back *= 2 {
		var last time.Time
		for at := schedule.Next(now.Add(-min(back, lookBack)).In(location)); !at.IsZero() && !at.After(now); at = schedule.Next(at) {
			last = at
		}
		if !last.IsZero() {
			return last
		}
	}
	return time.Time{}
}

// digestDue files the digest that is due, once, whichever replica looks and however often. None is due for the time before
// the store was set up, nor for time that a digest has covered: a schedule that was changed may have been due in between.
func (a *App) digestDue(ctx context.Context) error {
	due := lastDue(a.digests.schedule, a.digests.location, a.now())
	if due.IsZero() || due.Before(a.installedAt) {
		return nil
	}
	covered, err := a.store.LastDigest(ctx, a.now().Add(time.Microsecond))
	if err != nil {
		return err
	}
	if !due.After(covered) {
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

// digests gives the bot the digest that is due at an instant. It begins where the one before ended, however long ago that
// was, and the first when the store was set up: no hour is in none.
type digests struct{ app *App }

// Digest implements bot.Digests.
func (d digests) Digest(ctx context.Context, due time.Time) (audit.Digest, error) {
	from, err := d.app.store.LastDigest(ctx, due)
	if err != nil {
		return audit.Digest{}, err
	}
	if from.IsZero() {
		from = d.app.installedAt
	}
	return d.app.store.Digest(ctx, from.UTC(), due.UTC(), d.app.now())
}
