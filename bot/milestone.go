package bot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/outbox"
	"github.com/slack-go/slack"
)

// Slack tells nobody that a message was changed. What a requester waits for is therefore also said in the thread of their own copy:
// once for each milestone, and nothing about what they did themselves.

// milestone is something a requester should be told.
type milestone struct {
	key string
	// urgent ones mention the requester.
	urgent bool
	words  string
}

// reached is the milestone a case stands at, if it stands at one.
func reached(c approvals.Case) (m milestone, ok bool) {
	r, g := c.Request, c.Grant
	switch {
	case r.State == approvals.Approved && g != nil:
		return milestone{fmt.Sprintf("again:%s:%d", r.ID, c.Grants), true, "🔧 The login could not be made" + because(g.Note) +
			". Your request still stands: press *Get credentials* again before " + at(r.LapsesAt) + "."}, true
	case r.State == approvals.Approved && !r.Ready():
		if !standingYes(c) {
			return milestone{}, false // its requester was told when it was filed
		}
		return milestone{"approved:" + r.ID, false, "✅ " + mrkdwn(approvers(c), 300) + " approved " + whatFor(c) + yielded(r) +
			". You are told here when it can be taken."}, true
	case r.State == approvals.Approved && !r.StartedAt.IsZero():
		return milestone{"ready:" + r.ID, true, "🗓️ " + what(c) + " for " + lasting(r.Length()) + yielded(r) + " can be taken now. Press *Get credentials* above before " +
			at(r.LapsesAt) + "; the time starts then."}, true
	case r.State == approvals.Approved && standingYes(c):
		words := "✅ " + mrkdwn(approvers(c), 300) + " approved " + whatFor(c) + yielded(r)
		return milestone{"ready:" + r.ID, true, words + ". Press *Get credentials* above before " + at(r.LapsesAt) + "; the time starts then."}, true
	case r.State == approvals.Denied && r.EndedBy.ID != "":
		return milestone{"refused:" + r.ID, true, "⛔ " + person(r.EndedBy) + " said no to " + whatFor(c) + because(r.Answer) +
			". Talk to " + person(r.EndedBy) + ", or ask for less: a shorter time, or an access that can do less."}, true
	case r.State == approvals.Lapsed && r.ApprovedAt.IsZero():
		return milestone{"lapsed:" + r.ID, false, "⚪ " + unanswered(c) + " in time, so this lapsed: " + whatFor(c) + ". Ask again if you still need it."}, true
	case r.State == approvals.Lapsed:
		return milestone{"lapsed:" + r.ID, false, "⚪ It was not taken in time, so this lapsed: " + whatFor(c) + ". Ask again if you still need it."}, true
	case g != nil && g.Cause == grants.Withdrawn:
		is := "is being" // it is said once, and most often before the login is locked
		if !g.SecuredAt.IsZero() || g.State == grants.Revoked {
			is = "was"
		}
		return milestone{"revoked:" + g.ID, true, "🔒 Your access " + is + " taken back" + cause(*g) + ". It was " + what(c) + "."}, true
	}
	return milestone{}, false
}

// yielded is what was agreed to instead of what was asked for, in brackets; empty when it is all.
func yielded(r approvals.Request) string {
	if less := instead(r, r.Less); less != "" {
		return " (" + less + ")"
	}
	return ""
}

// approvers are those whose approval stands.
func approvers(c approvals.Case) string {
	var names []string
	for _, a := range c.Approvals {
		if a.Verdict == approvals.Yes && a.WithdrawnAt.IsZero() {
			names = append(names, firstOf(line(a.By.Name), a.By.Email, a.By.ID))
		}
	}
	return both(names)
}

// tellRequester says a milestone in the thread of the requester's copy.
func (b *Bot) tellRequester(ctx context.Context, c approvals.Case) error {
	m, ok := reached(c)
	if !ok {
		return nil
	}
	return b.inNotice(ctx, c.Request, m.key, m.urgent, m.words, b.waysOn(ctx, c)...)
}

// waysOn are what a requester can do at a milestone besides what their copy offers.
func (b *Bot) waysOn(ctx context.Context, c approvals.Case) []slack.Block {
	if c.Request.State == approvals.Lapsed && repeatable(c.Request) {
		return b.onceMore(c)
	}
	return b.insteadOf(ctx, c)
}

// inNotice posts once into the thread of the requester's copy. Where that copy is gone, so is whoever would read it.
func (b *Bot) inNotice(ctx context.Context, r approvals.Request, key string, urgent bool, words string, more ...slack.Block) error {
	at, err := b.outbox.Message(ctx, noticeKey(r.ID))
	switch {
	case err != nil && !errors.Is(err, outbox.ErrNoMessage):
		return delay(fmt.Errorf("reading where the notice of request %s is: %w", r.ID, err))
	case at.Gone:
		return nil
	case at.TS == "":
		return &Undelivered{After: b.pace.expected(b.postLane(posting{person: r.Requester.ID}), noticeKey(r.ID)), Err: fmt.Errorf("the notice of request %s is not posted yet", r.ID)}
	}
	if urgent {
		words = "<@" + r.Requester.ID + "> " + words
	}
	return b.keep(ctx, posting{
		key: key, version: 1, channel: at.Channel, thread: at.TS,
		content: message{text: words, blocks: append([]slack.Block{section(words)}, more...)},
	})
}

const (
	// endsSoon is how long before its end a holder is told.
	endsSoon = 5 * time.Minute
	// aboutNow is what clocks and queues may differ by.
	aboutNow = 30 * time.Second
)

// warnOfEnd tells a holder that their access is about to end. When it was extended meanwhile, it says when to come again.
func (b *Bot) warnOfEnd(ctx context.Context, c approvals.Case) error {
	g := c.Grant
	if c.Request.State != approvals.Activated || g == nil || g.State != grants.Active {
		return nil
	}
	left := g.Deadline.Sub(b.now())
	switch {
	case left <= 0:
		return nil
	case left > endsSoon+aboutNow:
		// ErrEarly: this is no failure, it was extended.
		return &Undelivered{After: left - endsSoon, Err: fmt.Errorf("grant %s ends later by now: %w", g.ID, approvals.ErrEarly)}
	}
	words := "⏰ " + what(c) + " ends " + atSecond(g.Deadline) + " (" + timeLeft(g.Deadline, b.now()) + "); open sessions are closed then."
	acts := []*slack.ButtonBlockElement{button("Extend", actExtend, c.Request.ID).WithStyle(slack.StylePrimary), releaseButton(c)}
	switch most, why, err := b.service.Extendable(ctx, c); {
	case err != nil: // whoever presses Extend is told
	case most <= 0:
		words += " It cannot be extended: " + mrkdwn(why, 500)
		acts = acts[1:]
	default:
		words += " You may extend it by up to " + lasting(most) + "."
	}
	return b.inNotice(ctx, c.Request, fmt.Sprintf("ending:%s:%d", g.ID, g.Deadline.Unix()), true, words, buttons(acts...))
}
