package bot

import (
	"context"
	"errors"
	"fmt"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/internal/outbox"
)

// A message says how much is left of live access as of when it was drawn. That stays true, and is of less use the longer it stands. So
// its copies are drawn anew when little enough is left ([approvals.NextCount]): by an update, which notifies nobody, and behind
// everything that somebody waits for. What finds no turn before the next time is not drawn: that one comes anyhow. Ten thousand
// live grants therefore hold no more places in line than Slack takes updates between two times.

// countDown draws the messages about live access anew, and says when to come again. What ended, or was extended since, is left
// alone: that drew them, and an extension counts by a job of its own.
func (b *Bot) countDown(ctx context.Context, c approvals.Case, number int) error {
	g := c.Grant
	if c.Request.State != approvals.Activated || g == nil || !approvals.Counts(*g, number) || g.Due(b.now()) {
		return nil
	}
	next, more := approvals.NextCount(g.Deadline, b.now())
	if !more {
		next = g.Deadline
	}
	who := "left:" + c.Request.ID
	if err := b.pace.turn(ctx, updateLane, updates, who, countdown); err != nil {
		after := delay(err)
		if b.now().Add(after.After).Before(next) {
			return after
		}
		b.pace.leave(updateLane, who)
	} else if err := b.drawAnew(ctx, c); err != nil {
		return err
	}
	if !more {
		return nil
	}
	// ErrEarly: this is no failure, it is not over yet.
	return &Undelivered{After: next.Sub(b.now()), Err: fmt.Errorf("more is to be counted of grant %s: %w", g.ID, approvals.ErrEarly)}
}

// drawAnew draws every copy that shows what is stored once more, in one turn, and the Home of its holder who opened it lately.
func (b *Bot) drawAnew(ctx context.Context, c approvals.Case) error {
	r, now := c.Request, b.now()
	copies := []posting{{key: noticeKey(r.ID), content: notice(c, now)}}
	if hasCard(c) {
		copies = append(copies, posting{key: cardKey(r.ID), content: card(c, now)})
	}
	if c.Review != nil {
		events, err := b.service.Timeline(ctx, r.ID)
		if err != nil {
			return unread(fmt.Errorf("reading the timeline of request %s: %w", r.ID, err))
		}
		copies = append(copies, posting{key: glassKey(r.ID), content: glassMessage(c, events, now)})
	}
	var failed error
	for i, p := range copies {
		if i > 0 {
			b.pace.spend(updateLane, updates)
		}
		p.version, p.anew, p.urgency = r.Version, true, countdown
		err := b.keep(ctx, p)
		if errors.Is(err, outbox.ErrBusy) {
			err = nil // whoever draws it now draws what is left now
		}
		failed = sooner(failed, err)
	}
	b.freshenHome(r.Requester.ID)
	return failed
}
