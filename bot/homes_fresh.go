package bot

import (
	"context"
	"errors"
	"fmt"

	"github.com/prodaccess/prodaccess/internal/outbox"
)

// A change shows on the Homes of others too: of those whose answer it waits for, of reviewers, of operators. Who that is depends on
// the policy, on user groups and on shifts, so nobody is guessed: every Home opened within the last hour is looked at, and the few on
// which something changed are published. The first change of three seconds is looked at right away, the rest of them together when they are
// over. So a Home is published at most every three seconds by what others do, a hundred changes a second cost one look each round, and what
// is published is the last state. One run of the job looks at mostLooked Homes and publishes mostFreshened; what is left comes in the next,
// those first that were looked at longest ago. Slack takes a hundred publishes a minute of an app.
const (
	mostLooked    = 40
	mostFreshened = 10
)

// wantHomes asks for a look at all Homes that are open. Nothing waits for it, and a Home that is missed is put right when it is opened.
func (b *Bot) wantHomes(ctx context.Context) {
	now := b.now()
	by, ok := b.homes.round(now)
	if !ok {
		return
	}
	if err := b.shown.WantHomes(ctx, now.Add(-openedLately), by); err != nil {
		b.log.Info().Err(err).Msg("homes are not redrawn")
	}
}

// FreshenHomes redraws the open Homes on which something changed. It is the Homes job; the error is an *Undelivered, and says when to
// come for the rest.
func (b *Bot) FreshenHomes(ctx context.Context) error {
	now := b.now()
	stale, err := b.shown.StaleHomes(ctx, now.Add(-openedLately), now, now.Add(-homesEvery), mostLooked)
	if err != nil {
		return unread(err)
	}
	published := 0
	for _, h := range stale {
		if published == mostFreshened || ctx.Err() != nil {
			break
		}
		did, err := b.freshen(ctx, h)
		if err != nil {
			return err
		}
		if did {
			published++
		}
	}
	now = b.now()
	// What is out of date in a moment counts too: clocks of replicas differ.
	ahead := now.Add(2 * homesEvery)
	left, err := b.shown.StaleHomes(ctx, now.Add(-openedLately), ahead, ahead, 1)
	if err != nil {
		return unread(err)
	}
	if len(left) == 0 {
		return nil
	}
	// A job that was filed meanwhile has them. Otherwise each change would leave a job behind that comes again while changes go on.
	switch wanted, err := b.shown.HomesWanted(ctx); {
	case err != nil:
		return unread(err)
	case wanted:
		return nil
	}
	after := homesEvery
	if soon := left[0].StaleAt.Sub(now); soon > 0 {
		after = min(after, soon)
	}
	return &Undelivered{After: after, Err: fmt.Errorf("more homes are to be looked at: %w", ErrInLine)}
}

// freshen draws one Home if something on it changed, and says whether it did. The error is an *Undelivered of a Slack that asks for a
// pause; anything else is not worth coming again for.
func (b *Bot) freshen(ctx context.Context, h outbox.Home) (published bool, err error) {
	before := b.homes.drawings()
	b.homes.know(h.User, b.now())
	switch err := b.drawHome(unasked(ctx), h.User, false, h.Shows); {
	case err == nil:
	case isPause(err):
		return false, delay(err)
	default:
		b.log.Info().Str("who", h.User).Err(err).Msg("a home was not redrawn")
	}
	if err := b.shown.HomeChecked(ctx, h, b.now()); err != nil {
		return false, unread(err)
	}
	return b.homes.drawings() > before, nil
}

// isPause says whether Slack, or our own pacing on its behalf, asked to wait.
func isPause(err error) bool {
	if _, paced := errors.AsType[*Undelivered](err); paced {
		return true
	}
	f, ok := errors.AsType[*failure](err)
	return ok && f.after > 0
}
