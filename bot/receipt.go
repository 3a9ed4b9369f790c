package bot

import (
	"fmt"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/slack-go/slack"
)

// receiptLine is a receipt in one sentence.
func receiptLine(r grants.Receipt) string {
	if r.NeverExisted {
		return "Verified " + atSecond(r.VerifiedAt) + ": the login never came to be."
	}
	out := fmt.Sprintf("Verified %s: the login is gone, %s closed", atSecond(r.VerifiedAt), plural(r.Killed, "session was", "sessions were"))
	if n := len(r.Leftovers); n > 0 {
		out += ", " + plural(n, "object lives on", "objects live on")
	}
	return out + "."
}

// receiptMessage is the whole receipt, for the thread of its card.
func receiptMessage(g grants.Grant) message {
	r := *g.Receipt
	m := message{text: "Receipt: " + mrkdwn(g.Login, 80) + " on " + mrkdwn(g.Target, 80) + ". " + receiptLine(r)}
	m.blocks = append(m.blocks, section("*Receipt* for "+code(g.Login)+" on "+mrkdwn(g.Target, 200)+"\n"+receiptLine(r)))
	var lines []string
	for _, step := range []struct {
		words string
		when  time.Time
	}{{"due", r.Deadline}, {"locked", r.LockedAt}, {"no session left", r.SecuredAt}, {"dropped", r.DroppedAt}, {"verified", r.VerifiedAt}} {
		if !step.when.IsZero() {
			lines = append(lines, step.words+" "+atSecond(step.when))
		}
	}
	if len(r.Nodes) > 0 {
		lines = append(lines, "sessions looked for on "+mrkdwn(strings.Join(r.Nodes, ", "), 500))
	}
	m.blocks = append(m.blocks, section(bullets(lines, 20)))
	var checks []string
	for _, c := range r.Checks {
		mark := "✓ "
		if !c.OK {
			mark = "✗ "
		}
		checks = append(checks, mark+mrkdwn(c.What, 200))
	}
	if len(checks) > 0 {
		m.blocks = append(m.blocks, section("*Looked at in the catalogs*\n"+bullets(checks, 10)))
	}
	var left []string
	for _, l := range r.Leftovers {
		left = append(left, mrkdwn(l.What+" in "+l.Database+", now owned by "+l.Owner, 200))
	}
	if len(left) > 0 {
		m.blocks = append(m.blocks, section("*Left behind*\n"+bullets(left, 10)))
	}
	m.blocks = append(m.blocks, footer("Grant "+mrkdwn(g.ID, 60)+" · cluster "+mrkdwn(g.Fingerprint, 80)))
	return m
}

// bullets lists up to most lines.
func bullets(lines []string, most int) string {
	shown := lines[:min(most, len(lines))]
	out := "• " + strings.Join(shown, "\n• ")
	if n := len(lines) - len(shown); n > 0 {
		out += fmt.Sprintf("\n• and %d more", n)
	}
	return out
}

// alarm is the message in the security channel about a grant that did not end in time.
func alarm(g grants.Grant, now time.Time) message {
	what := mrkdwn(g.Holder.Name, 80) + "'s login " + code(g.Login) + " on " + mrkdwn(g.Target, 200)
	if !isOverdue(g, now) {
		when := ended(g)
		text := "Over: " + what + " was locked and its sessions were found gone " + atSecond(when) + ", " +
			lasting(max(0, when.Sub(g.End()))) + " late."
		return message{text: text, blocks: []slack.Block{header("✅ No longer overdue"), section(text), footer("Request " + mrkdwn(g.Request, 60))}}
	}
	text := "OVERDUE: " + what + " was to end " + atSecond(g.End()) + " and may still work" + trouble(g) + "."
	return message{text: text, blocks: []slack.Block{
		header("🚨 Overdue: access has not been taken back"), section(text),
		section("prodaccess keeps trying. If the database answers to you, lock the login by hand: it is safe to do so."),
		footer("Request " + mrkdwn(g.Request, 60)),
	}}
}

// findingMessage is what a sweep met and does not understand.
func findingMessage(words string) message {
	text := mrkdwn(words, longestSection-200)
	return message{
		text:   "Finding: " + mrkdwn(words, longestText-200),
		blocks: []slack.Block{header("🔎 Finding"), section(text)},
	}
}
