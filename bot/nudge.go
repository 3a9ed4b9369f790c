package bot

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/slack-go/slack"
)

// What a nudge is about: the first part of its job's subject.
const (
	nudgeRemind   = "remind"
	nudgeEscalate = "escalate"
	nudgeReview   = "review"
	nudgeOverdue  = "overdue"
	nudgeEnding   = "ending"
	nudgeLeft     = "left"
)

// nudge is a reminder that is about to be posted.
type nudge struct {
	what    string
	number  int
	request string
}

// parseNudge reads a job's subject: "remind/2/<request>".
func parseNudge(subject string) (nudge, error) {
	parts := strings.SplitN(subject, "/", 3)
	if len(parts) == 3 && parts[2] != "" {
		n, err := strconv.Atoi(parts[1])
		switch parts[0] {
		case nudgeRemind, nudgeEscalate, nudgeReview, nudgeOverdue, nudgeEnding, nudgeLeft:
			if err == nil && n > 0 {
				return nudge{parts[0], n, parts[2]}, nil
			}
		}
	}
	return nudge{}, fmt.Errorf("%q is no nudge", subject)
}

// PostNudge posts one reminder or escalation into the thread of its request, once, and mentions those who may act. What came too
// late for that, because somebody acted or a later reminder is out, is done without a word.
func (b *Bot) PostNudge(ctx context.Context, subject string) error {
	n, err := parseNudge(subject)
	if err != nil {
		return &Undelivered{Permanent: true, Err: err}
	}
	c, err := b.service.Case(ctx, n.request)
	if err != nil {
		return unread(fmt.Errorf("reading request %s: %w", n.request, err))
	}
	switch n.what {
	case nudgeEnding:
		return b.warnOfEnd(ctx, c)
	case nudgeLeft:
		return b.countDown(ctx, c, n.number)
	}
	if n.late(c, b.now()) {
		return nil
	}
	key, otherwise := cardKey(n.request), b.approvalsChannel
	if n.ofReview() {
		key, otherwise = glassKey(n.request), b.securityChannel
	}
	channel, thread, lost := b.thread(ctx, key, otherwise)
	if lost != nil && !(n.ofReview() && unreachable[codeOf(lost)]) {
		return lost
	}
	who, err := b.mentions(ctx, n.to(c), n.except(c))
	if err != nil {
		return delay(err)
	}
	p := posting{key: "nudge:" + subject, version: 1, channel: channel, thread: thread, content: n.message(c, who, b.now())}
	switch {
	case lost != nil:
		return b.heard(ctx, p, lost)
	case n.ofReview():
		return b.loud(ctx, p)
	}
	return b.keep(ctx, p)
}

// callFor mentions those who may answer a new request, on its card. A card does not wait for Slack to say who they are: a reminder
// follows anyhow.
func (b *Bot) callFor(ctx context.Context, c approvals.Case) string {
	n := nudge{what: nudgeRemind, number: 1, request: c.Request.ID}
	if n.late(c, b.now()) || len(c.Approvals) > 0 {
		return ""
	}
	who, err := b.mentions(ctx, n.to(c), n.except(c))
	if err != nil || !strings.Contains(who, "<") {
		return "" // without anybody to mention, the card has said who it needs
	}
	return who
}

func (n nudge) ofReview() bool { return n.what == nudgeReview || n.what == nudgeOverdue }

// late says whether nobody needs it any more. Reminders that piled up while Slack was away are one reminder.
func (n nudge) late(c approvals.Case, now time.Time) bool {
	if n.ofReview() {
		return !c.Review.Open() || n.number < c.Review.Reminders
	}
	if c.Request.State != approvals.Pending || !now.Before(c.Request.LapsesAt) {
		return true
	}
	if n.what == nudgeEscalate {
		return n.number > len(c.Request.Decision.Escalations)
	}
	return n.number < c.Request.Reminders
}

// to lists the selectors of those who may act now. Where approvals are asked for in order, it is the first who are waited for.
func (n nudge) to(c approvals.Case) []string {
	switch {
	case n.what == nudgeEscalate:
		return c.Request.Decision.Escalations[n.number-1].To
	case n.ofReview():
		return c.ReviewedBy()
	}
	waiting := c.Waiting()
	if c.Request.Decision.InOrder {
		waiting = waiting[:min(1, len(waiting))]
	}
	var from []string
	for _, r := range waiting {
		from = append(from, r.From...)
	}
	return from
}

// except are those who are never called: the requester, and whoever answered already.
func (n nudge) except(c approvals.Case) []approvals.Person {
	out := []approvals.Person{c.Request.Requester}
	for _, a := range c.Approvals {
		if a.WithdrawnAt.IsZero() {
			out = append(out, a.By)
		}
	}
	return out
}

func (n nudge) message(c approvals.Case, who string, now time.Time) message {
	r := c.Request
	about := person(r.Requester) + " asks for " + whatFor(c) + because(r.Reason)
	var text string
	switch n.what {
	case nudgeRemind:
		text = "⏳ " + who + " this still waits for an answer: " + about + ". Needs " + mrkdwn(needs(c), 300) + ". Lapses " + at(r.LapsesAt) + " (" + timeLeft(r.LapsesAt, now) + ")."
	case nudgeEscalate:
		stands := " nobody has answered, so you may as well: "
		if standingYes(c) {
			stands = " it still needs " + mrkdwn(needs(c), 300) + ", and you may answer as well: "
		}
		text = "⏫ " + who + stands + about + ". Lapses " + at(r.LapsesAt) + " (" + timeLeft(r.LapsesAt, now) + ")."
	case nudgeReview, nudgeOverdue:
		text = "🔎 " + who + " " + person(r.Requester) + " broke the glass for " + whatFor(c) + ", and that waits for a review. " + reviewStands(c, now)
	}
	return message{text: text, blocks: []slack.Block{section(text)}}
}
