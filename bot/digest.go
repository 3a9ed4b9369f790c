package bot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/slack-go/slack"
)

// digestMessage is the daily digest. What did not happen is left out, but for what somebody would look for: that nothing is
// overdue, and the head of the audit chain.
func digestMessage(d audit.Digest) message {
	overdue := "nothing overdue"
	if n := len(d.Overdue); n > 0 {
		overdue = fmt.Sprintf("%d OVERDUE", n)
	}
	if n := len(d.WrittenOff); n > 0 {
		overdue += fmt.Sprintf(", %d WRITTEN OFF", n)
	}
	if n := len(d.OpenReviews); n > 0 {
		overdue += ", " + plural(n, "open review", "open reviews")
	}
	m := message{text: fmt.Sprintf("prodaccess digest: %d asked, %d issued, %s.", d.Asked, d.Issued, overdue)}
	m.blocks = []slack.Block{header("📒 prodaccess digest"), footer(at(d.From) + " to " + at(d.To)), figures(d)}
	for _, b := range []slack.Block{
		open("🚨 Overdue", "Nothing is overdue.", d.Overdue), writtenOff(d.WrittenOff), openReviews(d.OpenReviews), open("🧹 Clean-up pending", "", d.Leftovers),
		named("🔎", orphans(d.Orphans)), named("*Who answered*", counts(d.Approvers)), named("*Issued on*", counts(d.Targets)),
		named("*Standing access*", standingAccess(d.Standing)),
	} {
		if b != nil {
			m.blocks = append(m.blocks, b)
		}
	}
	head := "no event is sealed yet"
	if d.Head.Hash != "" {
		// As `audit verify --head` takes it.
		head = fmt.Sprintf("head `%d:%s`", d.Head.Seq, mrkdwn(d.Head.Hash, 64))
	}
	m.blocks = append(m.blocks, footer("Audit chain: "+head))
	return m
}

// figures are the numbers that are not zero, with what they are made of.
func figures(d audit.Digest) slack.Block {
	var fields []*slack.TextBlockObject
	add := func(label string, n int, parts ...string) {
		parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
		if n > 0 || len(parts) > 0 {
			fields = append(fields, count(label, n, strings.Join(parts, ", ")))
		}
	}
	add("Asked", d.Asked, of(d.ApprovedAtOnce, "approved at once"), of(d.ApprovedByPeople, "by people"), answered(d.MedianAnswer))
	add("Refused", d.DeniedByPolicy+d.DeniedByPeople, of(d.DeniedByPolicy, "by the policy"), of(d.DeniedByPeople, "by people"), attempts(d.Refused))
	add("🚨 Broken glass", d.BrokenGlass, reviewed(d.Reviewed)...)
	if d.Escalated > 0 {
		add("Escalated", d.Escalated, "others were told")
	}
	add("Approvals withdrawn", d.Withdrawn)
	add("Issued", d.Issued, of(d.FailedToIssue, "could not be issued"))
	add("Ended", d.Ended, of(d.EndedEarly, "before their time"))
	add("Not taken up", d.Cancelled+d.Lapsed, of(d.Cancelled, "cancelled"), of(d.Lapsed, "lapsed"))
	switch {
	case d.Live > 0 && d.Waiting > 0:
		add("Now", d.Live, fmt.Sprintf("live; %d waiting for an answer", d.Waiting))
	case d.Live > 0:
		add("Now", d.Live, "live")
	case d.Waiting > 0:
		add("Now", d.Waiting, "waiting for an answer; none live")
	}
	if d.Later > 0 {
		add("Starts later", d.Later, "approved; the next starts "+at(d.NextStart))
	}
	if len(fields) == 0 {
		return section("Nothing was asked and nothing is live.")
	}
	return row(fields...)
}

// of is a part of a figure; empty when there is none.
func of(n int, what string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s", n, what)
}

func attempts(n int) string {
	if n == 0 {
		return ""
	}
	return plural(n, "refused attempt", "refused attempts")
}

func answered(median time.Duration) string {
	switch {
	case median <= 0:
		return ""
	case median < time.Second:
		return "answered within a second at the median"
	}
	return "answered in " + lasting(median) + " at the median"
}

func orphans(n int) string {
	if n == 0 {
		return ""
	}
	return plural(n, "login", "logins") + " that no live grant explains."
}

// named is a section with a title; nil when there is nothing under it.
func named(title, words string) slack.Block {
	if words == "" {
		return nil
	}
	return section(title + " " + words)
}

func count(label string, n int, more string) *slack.TextBlockObject {
	return markup(strings.TrimSpace(fmt.Sprintf("*%s* %d\n%s", label, n, more)))
}

func counts(list []audit.Count) string {
	const most = 10
	var out []string
	for i, c := range list {
		if i == most {
			out = append(out, fmt.Sprintf("and %d more", len(list)-most))
			break
		}
		out = append(out, fmt.Sprintf("%s %d", mrkdwn(c.Name, 80), c.N))
	}
	return strings.Join(out, " · ")
}

// writtenOff lists the grants that ended without proof, the only ones that do; nil when there are none.
func writtenOff(items []audit.OpenItem) slack.Block {
	if len(items) == 0 {
		return nil
	}
	var lines []string
	for _, item := range items {
		lines = append(lines, fmt.Sprintf("%s on %s (%s) %s, %s (`%s`)", mrkdwn(item.Login, 60), mrkdwn(item.Target, 80), mrkdwn(item.Holder, 60),
			at(item.Since), mrkdwn(item.Why, 120), mrkdwn(item.Request, 20)))
	}
	return section(fmt.Sprintf("*🚨 %s ended without proof*\n", plural(len(items), "grant", "grants")) + bullets(lines, 6))
}

// open lists what somebody should look at; nil when there is nothing and nothing to say about it.
func open(title, otherwise string, items []audit.OpenItem) slack.Block {
	if len(items) == 0 {
		if otherwise == "" {
			return nil
		}
		return section(otherwise)
	}
	var lines []string
	for _, item := range items {
		words := fmt.Sprintf("%s on %s (%s), since %s", mrkdwn(item.Login, 60), mrkdwn(item.Target, 80), mrkdwn(item.Holder, 60), at(item.Since))
		if item.Why != "" {
			words += ": " + mrkdwn(item.Why, 120)
		}
		lines = append(lines, words)
	}
	return section("*" + title + "*\n" + bullets(lines, 6))
}
