package bot

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/slack-go/slack"
)

// What buttons say they are; their value is the request's id.
const (
	actApprove  = "approve"
	actLess     = "approve_less"
	actDeny     = "deny"
	actWithdraw = "withdraw"
	actGet      = "get_credentials"
	actExtend   = "extend"
	actRelease  = "release"
	actRevoke   = "revoke"
	actCancel   = "cancel"
)

// hasCard says whether a request is shown in the approvals channel. What the policy refused is nobody's business there.
func hasCard(c approvals.Case) bool { return c.Request.Decision.Outcome != policy.Denied }

// card is the request as everybody in the approvals channel sees it.
func card(c approvals.Case, now time.Time) message { return cardOf(c, now, "") }

// cardOf is card with what is known of how long an answer takes.
func cardOf(c approvals.Case, now time.Time, usual string) message {
	s := standsWith(c, now, usual)
	m := message{text: glance(summary(c, s)), long: summary(c, s)}
	m.blocks = append(m.blocks, header(s.icon+" "+s.head), section(lead(c)+"\n"+s.saying(c, now)))
	if c.Review != nil {
		m.blocks = append(m.blocks, section("🚨 *The glass was broken: nobody approved this.* The security channel has the timeline and the review.\n*Review*: "+reviewWords(c, now)))
	}
	m.blocks = append(m.blocks, particulars(c)...)
	var acts []*slack.ButtonBlockElement
	id := c.Request.ID
	switch {
	case c.Request.State == approvals.Pending:
		acts = deciderButtons(c)
	case c.Request.State == approvals.Activated && c.Grant != nil && c.Grant.Live():
		acts = append(acts, button("Revoke", actRevoke, id).WithStyle(slack.StyleDanger))
	}
	if len(acts) > 0 {
		m.blocks = append(m.blocks, buttons(acts...))
	}
	m.blocks = append(m.blocks, footer(stamp(c)))
	return m
}

// notice is the requester's own copy, in their direct messages.
func notice(c approvals.Case, now time.Time) message { return noticeOf(c, now, "") }

func noticeOf(c approvals.Case, now time.Time, usual string) message {
	s := standsWith(c, now, usual)
	m := message{text: glance(summary(c, s)), long: summary(c, s)}
	m.blocks = append(m.blocks, header(s.icon+" "+s.head), section(strings.TrimSpace(lead(c)+"\n"+s.saying(c, now)+"\n"+s.next)))
	if c.Review != nil {
		m.blocks = append(m.blocks, section(glassWords(c, now)))
	}
	m.blocks = append(m.blocks, particulars(c)...)
	if acts := requesterButtons(c); len(acts) > 0 {
		m.blocks = append(m.blocks, buttons(acts...))
	}
	m.blocks = append(m.blocks, footer(stamp(c)))
	return m
}

func requesterButtons(c approvals.Case) []*slack.ButtonBlockElement {
	id := c.Request.ID
	get := button("Get credentials", actGet, id)
	cancel := cancelButton(c)
	switch {
	case c.Request.State == approvals.Pending, c.Request.State == approvals.Approved && !c.Request.Ready():
		return []*slack.ButtonBlockElement{cancel}
	case c.Request.State == approvals.Approved:
		return []*slack.ButtonBlockElement{get.WithStyle(slack.StylePrimary), cancel}
	case c.Request.State == approvals.Activated && c.Grant != nil && c.Grant.State == grants.Active:
		// A holder who closed the window too soon has no other way to a password.
		if neverLonger(c) {
			return []*slack.ButtonBlockElement{get, releaseButton(c)}
		}
		return []*slack.ButtonBlockElement{get, button("Extend", actExtend, id), releaseButton(c)}
	}
	return nil
}

func cancelButton(c approvals.Case) *slack.ButtonBlockElement {
	cancel := button("Cancel", actCancel, c.Request.ID)
	cancel.Confirm = confirm("Cancel this request?", "It ends here. You can ask again at any time.", "Cancel it", "Keep it")
	return cancel
}

func releaseButton(c approvals.Case) *slack.ButtonBlockElement {
	release := button("Release", actRelease, c.Request.ID)
	release.Confirm = confirm("Give the access back?", "Open sessions of this login are closed at once.", "Release", "Not yet")
	return release
}

// neverLonger says whether what is stored rules an extension out. What it does not rule out is asked of the policy at the press.
func neverLonger(c approvals.Case) bool {
	r, g, e := c.Request, c.Grant, c.Request.Decision.Extend
	return r.BreakGlass || r.Less != nil && r.Less.Duration > 0 ||
		e != nil && (g.Extensions >= e.Times || e.Total > 0 && g.Deadline.Sub(g.Intended) >= e.Total)
}

// particulars are what a card says in every state: who, what, where, for how long, why, what the policy said, what
// happened so far.
func particulars(c approvals.Case) []slack.Block {
	r := c.Request
	who := r.Requester.Name
	if r.Requester.Email != "" {
		who += " (" + r.Requester.Email + ")"
	}
	fields := []*slack.TextBlockObject{
		field("Who", who), field("Database", r.Target), field("Access", accessWords(r)), field("Duration", lengthWords(r)),
	}
	if !r.StartsAt.IsZero() {
		fields = append(fields, markup("*Start*\n"+at(r.StartsAt)))
	}
	if r.Ticket != "" {
		fields = append(fields, field("Ticket", r.Ticket))
	}
	if len(r.Params) > 0 {
		fields = append(fields, field("Only for", paramWords(r.Params)))
	}
	out := []slack.Block{row(fields...)}
	if reason := plain(r.Reason, longestSection); reason != "" {
		out = append(out, section("*Reason*"), plainSection(reason))
	}
	out = append(out, section("*Policy*\n"+said(r.Decision)))
	if words := stages(c); words != "" {
		out = append(out, section("*Approvals*\n"+words))
	}
	if r.Decision.Advice != "" {
		out = append(out, section("*Advice*\n"+mrkdwn(r.Decision.Advice, 1000)))
	}
	if lines := timeline(c); len(lines) > 0 {
		out = append(out, section("*So far*\n"+strings.Join(lines, "\n")))
	}
	return out
}

func paramWords(params map[string]string) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(params)) {
		out = append(out, name+" = "+params[name])
	}
	return strings.Join(out, ", ")
}

// timeline lists what happened, oldest first.
func timeline(c approvals.Case) []string {
	r := c.Request
	lines := []string{"• asked " + at(r.FiledAt)}
	if c.Review != nil {
		lines = []string{"• glass broken, approved by nobody " + at(r.FiledAt)}
	}
	const most = 8
	for i, a := range c.Approvals {
		if i == most {
			lines = append(lines, fmt.Sprintf("• and %d more answers", len(c.Approvals)-most))
			break
		}
		lines = append(lines, "• "+answerWords(c, a))
	}
	if r.Reminders > 0 {
		lines = append(lines, "• reminded "+times(r.Reminders))
	}
	if r.Escalated > 0 {
		lines = append(lines, "• escalated to "+mrkdwn(either(selectors(escalatedTo(r))), 300)+" "+at(r.EscalatedAt))
	}
	if !r.ApprovedAt.IsZero() && len(c.Approvals) == 0 && c.Review == nil {
		lines = append(lines, "• approved by the policy "+at(r.ApprovedAt))
	}
	if !r.StartedAt.IsZero() {
		lines = append(lines, "• its start came "+at(r.StartedAt))
	}
	g := c.Grant
	if g == nil {
		return lines
	}
	if c.Grants > 1 {
		lines = append(lines, "• "+plural(c.Grants-1, "earlier try", "earlier tries")+" to make a login failed")
	}
	over := "login gone"
	if g.Receipt != nil && g.Receipt.WrittenOff != "" {
		over = "written off, nothing was verified"
	}
	for _, step := range []struct {
		words string
		when  time.Time
	}{
		{"login made", g.IssuedAt},
		{"credential last shown", g.ShownAt},
		{"taking it back since", g.EndingAt},
		{"locked, no session left", g.SecuredAt},
		{over, g.EndedAt},
	} {
		if !step.when.IsZero() {
			lines = append(lines, "• "+step.words+" "+atSecond(step.when))
		}
	}
	return lines
}

func stamp(c approvals.Case) string {
	out := "Request " + mrkdwn(c.Request.ID, 60)
	if hash := c.Request.Decision.Policy; hash != "" {
		out += " · policy " + mrkdwn(hash[:min(12, len(hash))], 20)
	}
	return out
}

// lead is who, what, where and for how long: the first line under where it stands, to be read at a glance on a phone.
func lead(c approvals.Case) string { return "*" + person(c.Request.Requester) + "*: " + whatFor(c) }

// summary is the message in one line, what is looked for first in front: a notification shows its beginning.
func summary(c approvals.Case, s standing) string {
	r := c.Request
	return s.icon + " " + mrkdwn(s.head, 45) + ": " + mrkdwn(r.Requester.Name, 25) + ", " + mrkdwn(r.Access(), 30) + " on " + mrkdwn(r.Target, 35) + " for " +
		lasting(r.Length()) + startWords(r) + because(r.Reason)
}
