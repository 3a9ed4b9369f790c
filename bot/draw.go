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

// The keys of messages in the outbox.
func cardKey(request string) string   { return "card:" + request }
func noticeKey(request string) string { return "notice:" + request }

// Draw makes every Slack copy of a request show what is stored, and the Homes it is on of those who opened theirs lately. It may run
// at any time, any number of times. The error is an *Undelivered, and says nothing of the Home.
func (b *Bot) Draw(ctx context.Context, requestID string) error {
	b.wantHomes(ctx)
	requester, err := b.drawCopies(ctx, requestID)
	b.freshenHome(requester)
	return err
}

// drawCopies draws the messages about a request and says whose it is.
func (b *Bot) drawCopies(ctx context.Context, requestID string) (requester string, err error) {
	// A request changes a handful of times in its life; a bound keeps a bug from spinning.
	const rounds = 5
	for range rounds {
		c, err := b.service.Case(ctx, requestID)
		if err != nil {
			return requester, unread(fmt.Errorf("reading request %s: %w", requestID, err))
		}
		requester = c.Request.Requester.ID
		usual := ""
		if c.Request.State == approvals.Pending {
			usual = b.service.Usual(ctx, c.Request.Decision.Approvals).String()
		}
		// All are tried: a person who left must not keep the channel's card from being true, nor the other way round. The requester's
		// own copy is first: it never waits behind everybody else's cards.
		own := b.keep(ctx, posting{
			key: noticeKey(requestID), version: c.Request.Version, content: noticeOf(c, b.now(), usual), person: requester, urgency: noticeUrgency(c),
		})
		if own == nil {
			own = b.tellRequester(ctx, c)
		}
		var failed error
		if hasCard(c) {
			failed = b.keep(ctx, posting{
				key: cardKey(requestID), version: c.Request.Version, channel: b.approvalsChannel, content: cardOf(c, b.now(), usual),
				urgency: cardUrgency(c), calling: func(ctx context.Context) string { return b.callFor(ctx, c) },
			})
		}
		if c.Review != nil {
			failed = sooner(failed, b.drawGlass(ctx, c))
		}
		if err := sooner(failed, own); err != nil {
			return requester, err
		}
		after, err := b.service.Case(ctx, requestID)
		if err != nil {
			return requester, unread(fmt.Errorf("reading request %s: %w", requestID, err))
		}
		if after.Request.Version == c.Request.Version {
			return requester, nil
		}
	}
	return requester, &Undelivered{After: pauseBusy, Err: fmt.Errorf("request %s changes faster than it is drawn", requestID)}
}

// cardUrgency says what goes first where the approvals channel takes less than there is: what somebody may have to answer or to
// end. What is decided and over is there to be looked up.
func cardUrgency(c approvals.Case) urgency {
	if c.Request.State == approvals.Pending || c.Review.Open() || (c.Grant != nil && c.Grant.Live()) {
		return waitedFor
	}
	return record
}

// noticeUrgency is the same for the requester's own copy: what they may take or have goes first, and what they were told
// already, by the answer to their command or press, can wait.
func noticeUrgency(c approvals.Case) urgency {
	switch {
	case c.Request.State == approvals.Approved, c.Request.State == approvals.Activated && (c.Grant == nil || c.Grant.Live()):
		return waitedFor
	case c.Request.State == approvals.Denied && c.Request.EndedBy.ID != "":
		return waitedFor
	}
	return record
}

// DrawAlarm makes the overdue alarm of a grant show what is stored: raised, or over. A grant that was never alarmed about
// has none.
func (b *Bot) DrawAlarm(ctx context.Context, grantID string) error {
	b.wantHomes(ctx)
	const rounds = 5
	for range rounds {
		g, err := b.grants.Grant(ctx, grantID)
		if err != nil {
			return unread(fmt.Errorf("reading grant %s: %w", grantID, err))
		}
		if g.AlarmedAt.IsZero() {
			return nil
		}
		err = b.loud(ctx, posting{key: "alarm:" + grantID, version: g.Version, channel: b.securityChannel, content: alarm(g, b.now())})
		if err != nil {
			return err
		}
		after, err := b.grants.Grant(ctx, grantID)
		if err != nil {
			return unread(fmt.Errorf("reading grant %s: %w", grantID, err))
		}
		if after.Version == g.Version {
			return nil
		}
	}
	return &Undelivered{After: pauseBusy, Err: fmt.Errorf("grant %s changes faster than it is drawn", grantID)}
}

// PostReceipt posts the receipt of a finished grant into the thread of its request's card, once, and in one line into that of
// its holder's copy.
func (b *Bot) PostReceipt(ctx context.Context, grantID string) error {
	g, err := b.grants.Grant(ctx, grantID)
	if err != nil {
		return unread(fmt.Errorf("reading grant %s: %w", grantID, err))
	}
	if g.Receipt == nil {
		return &Undelivered{After: pausePassing, Err: fmt.Errorf("grant %s has no receipt yet", grantID)}
	}
	// Both are tried: a channel that cannot be reached keeps nobody from hearing that their access is over.
	channel, thread, posted := b.threadOf(ctx, g.Request)
	if posted == nil {
		posted = b.keep(ctx, posting{key: "receipt:" + grantID, version: 1, channel: channel, thread: thread, content: receiptMessage(g), urgency: record})
	}
	if g.Cause == grants.Failed {
		return posted // nobody had this login, and the request says what became of it
	}
	over := "⚪ Your access to *" + mrkdwn(g.Target, 100) + "* is over" + cause(g) + ". " + receiptLine(*g.Receipt)
	var more []slack.Block
	if g.Cause == grants.Expired || g.Cause == grants.Missing {
		if c, err := b.service.Case(ctx, g.Request); err == nil && repeatable(c.Request) {
			more = b.onceMore(c)
		}
	}
	own := b.inNotice(ctx, approvals.Request{ID: g.Request, Requester: approvals.Person{ID: g.Holder.ID}}, "ended:"+grantID, false, over, more...)
	return sooner(posted, own)
}

// threadOf finds a request's card. A card that is gone leaves the channel itself.
func (b *Bot) threadOf(ctx context.Context, request string) (channel, thread string, err error) {
	return b.thread(ctx, cardKey(request), b.approvalsChannel)
}

// thread finds a message by its key; for one that is gone it is the channel itself.
func (b *Bot) thread(ctx context.Context, key, otherwise string) (channel, thread string, err error) {
	m, err := b.outbox.Message(ctx, key)
	switch {
	case err != nil && !errors.Is(err, outbox.ErrNoMessage):
		return "", "", delay(fmt.Errorf("reading where message %s is: %w", key, err))
	case m.Gone:
		return otherwise, "", nil
	case m.TS == "" && b.reach.why(otherwise) != nil:
		return "", "", delay(fmt.Errorf("message %s waits for its channel: %w", key, b.reach.why(otherwise)))
	case m.TS == "":
		return "", "", &Undelivered{After: b.pace.expected(b.postLane(posting{channel: otherwise}), key), Err: fmt.Errorf("message %s is not posted yet", key)}
	}
	return m.Channel, m.TS, nil
}

// PostDigest posts the digest that is due at an instant, once.
func (b *Bot) PostDigest(ctx context.Context, due time.Time) error {
	d, err := b.digests.Digest(ctx, due)
	if err != nil {
		return unread(fmt.Errorf("reading the digest: %w", err))
	}
	key := "digest:" + due.UTC().Format(time.RFC3339)
	return b.keep(ctx, posting{key: key, version: 1, channel: b.auditChannel, content: digestMessage(d)})
}

// PostFinding posts what a sweep met to the security channel, once.
func (b *Bot) PostFinding(ctx context.Context, eventID string) error {
	words, err := b.findings.Finding(ctx, eventID)
	if err != nil {
		return unread(fmt.Errorf("reading finding %s: %w", eventID, err))
	}
	return b.loud(ctx, posting{key: "finding:" + eventID, version: 1, channel: b.securityChannel, content: findingMessage(words)})
}

// unread is what came of not being able to read what to draw.
func unread(err error) error {
	permanent := errors.Is(err, approvals.ErrNotFound) || errors.Is(err, grants.ErrNotFound)
	return &Undelivered{After: pausePassing, Permanent: permanent, Err: err}
}

// sooner is the failure to retry first; a permanent one never hides another.
func sooner(a, b error) error {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	first, second := delay(a), delay(b)
	if first.Permanent || (!second.Permanent && second.After < first.After) {
		return second
	}
	return first
}

// release gives a claim back without having posted. A message that is gone comes without a claim.
func (b *Bot) release(ctx context.Context, key, claim string) error {
	if claim == "" {
		return nil
	}
	// A claim that is not given back blocks the message until its lease ends, so this outlives a cancelled job.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer cancel()
	if err := b.outbox.ReleaseMessage(ctx, key, claim); err != nil {
		return fmt.Errorf("releasing %s: %w", key, err)
	}
	return nil
}
