package bot

import (
	"context"
	"fmt"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/slack-go/slack"
)

func glassKey(request string) string { return "break-glass:" + request }

// glassMessage is what the security channel sees of broken glass, from the first second to the reviewer's verdict.
func glassMessage(c approvals.Case, events []audit.Event, now time.Time) message {
	r, s := c.Request, stands(withoutReceipt(c), now)
	icon, head := "🚨", "Glass broken"
	switch {
	case !c.Review.Open() && c.Review != nil && c.Review.Verdict == approvals.NotJustified:
		icon, head = "🔴", "Broken glass, not justified"
	case !c.Review.Open():
		icon, head = "⚪", "Broken glass, review closed"
	case afterwards(c):
		icon, head = "🟠", "Broken glass, waiting for its review"
	}
	who := r.Requester.Name
	if r.Requester.Email != "" {
		who += " (" + r.Requester.Email + ")"
	}
	fields := []*slack.TextBlockObject{field("Who", who), field("Database", r.Target), field("Access", accessWords(r)), field("Duration", lengthWords(r))}
	if r.Ticket != "" {
		fields = append(fields, field("Ticket", r.Ticket))
	}
	if len(r.Params) > 0 {
		fields = append(fields, field("Only for", paramWords(r.Params)))
	}
	// That it was taken is said below, once it was: it may never be.
	text := icon + " " + head + ": " + mrkdwn(r.Requester.Name, 25) + ", " + mrkdwn(r.Access(), 30) + " on " + mrkdwn(r.Target, 35) + " for " +
		lasting(r.Length()) + ", approved by nobody" + because(r.Reason)
	m := message{text: glance(text), long: text}
	m.blocks = []slack.Block{header(icon + " " + head), row(fields...)}
	if reason := plain(r.Reason, longestSection); reason != "" {
		m.blocks = append(m.blocks, section("*Reason*"), plainSection(reason))
	}
	m.blocks = append(m.blocks, section("*"+mrkdwn(s.head, 100)+"*. "+s.saying(c, now)), section("*Allowed by the policy, approved by nobody*\n"+said(r.Decision)))
	if c.Grant != nil && c.Grant.Live() && r.State == approvals.Activated {
		m.blocks = append(m.blocks, buttonsOf("access", button("Revoke", actRevoke, r.ID).WithStyle(slack.StyleDanger)))
	}
	if c.Grant != nil {
		m.blocks = append(m.blocks, section("*What was done*\n"+doneWords(c, events)))
	}
	if lines := recorded(events, 15); lines != "" {
		m.blocks = append(m.blocks, section("*Timeline*\n"+lines))
	}
	m.blocks = append(m.blocks, section("*Review*\n"+reviewWords(c, now)))
	if acts := reviewButtons(c); len(acts) > 0 {
		m.blocks = append(m.blocks, buttonsOf("review", acts...))
	}
	m.blocks = append(m.blocks, footer(stamp(c)))
	return m
}

// withoutReceipt is a case for saying where it stands in a message that has the receipt already, in what was done.
func withoutReceipt(c approvals.Case) approvals.Case {
	if c.Grant != nil {
		g := *c.Grant
		g.Receipt, c.Grant = nil, &g
	}
	return c
}

// drawGlass keeps the loud message true.
func (b *Bot) drawGlass(ctx context.Context, c approvals.Case) error {
	// An event may be committed between the two reads; the version of the case is the older of the two, so it is drawn again.
	events, err := b.service.Timeline(ctx, c.Request.ID)
	if err != nil {
		return unread(fmt.Errorf("reading the timeline of request %s: %w", c.Request.ID, err))
	}
	return b.loud(ctx, posting{
		key: glassKey(c.Request.ID), version: c.Request.Version, channel: b.securityChannel, content: glassMessage(c, events, b.now()),
	})
}
