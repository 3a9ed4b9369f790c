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
	if r.WrittenOff != "" {
		return "⚠️ " + strings.ToUpper(r.WrittenOff[:1]) + mrkdwn(r.WrittenOff[1:], 500) + "."
	}
	if r.NeverExisted {
		return "Verified " + atSecond(r.VerifiedAt) + ": the login never came to be."
	}
	closed := "no session had to be closed"
	if r.Killed > 0 {
		closed = plural(r.Killed, "session was closed", "sessions were closed")
	}
	out := "Verified " + atSecond(r.VerifiedAt) + ": the login is gone, " + closed
	if n := len(r.Leftovers); n > 0 {
		out += ", " + plural(n, "object lives on", "objects live on")
	}
	return out + "."
}

// receiptMessage is the whole receipt, for the thread of its card.
func receiptMessage(g grants.Grant) message {
	r := *g.Receipt
	line := receiptLine(r)
	if late := lateness(g); late != "" {
		line = late + " " + line
	}
	text := "🧾 Receipt: " + mrkdwn(g.Holder.Name, 40) + "'s login on " + mrkdwn(g.Target, 60) + ". " + line
	m := message{text: glance(text), long: text}
	m.blocks = append(m.blocks, section("*Receipt* for "+code(g.Login)+" on "+mrkdwn(g.Target, 200)+"\n"+line))
	if checks := checked(r.Checks); len(checks) > 0 {
		m.blocks = append(m.blocks, section("*Looked at in the catalogs*\n"+listed(checks, "", 10)))
	}
	var left []string
	for _, l := range r.Leftovers {
		left = append(left, mrkdwn(l.What, 160)+" in "+mrkdwn(l.Database, 63)+", now owned by "+mrkdwn(firstOf(l.Owner, "nobody we know"), 63))
	}
	if len(left) > 0 {
		m.blocks = append(m.blocks, section("*Left behind*\n"+bullets(left, 8)))
	}
	m.blocks = append(m.blocks, footer("Grant "+mrkdwn(g.ID, 60)+" · due "+atSecond(g.End())+" · cluster "+mrkdwn(g.Fingerprint, 80)))
	return m
}

// lateness says how soon after its end a login was locked; empty when there was nothing to lock.
func lateness(g grants.Grant) string {
	if g.Receipt.LockedAt.IsZero() || g.Receipt.NeverExisted {
		return ""
	}
	end := "its deadline"
	if g.End().Before(g.Deadline) {
		switch g.Cause {
		case grants.Released:
			end = "Release"
		case grants.Withdrawn:
			end = "Revoke"
		default:
			end = "it was given up"
		}
	}
	late := g.Receipt.LockedAt.Sub(g.End())
	if late < time.Millisecond {
		return "Locked at the moment of " + end + "."
	}
	return "Locked " + briefly(late) + " after " + end + "."
}

// briefly shows a short time as people say it: "9 ms", "1.2 s", "2m3s".
func briefly(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return lasting(d)
}

// checked lists what was looked at, each thing once, what did not hold first.
func checked(list []grants.Check) []string {
	times := map[grants.Check]int{}
	var held, failed []grants.Check
	for _, c := range list {
		if times[c]++; times[c] > 1 {
			continue
		}
		if c.OK {
			held = append(held, c)
		} else {
			failed = append(failed, c)
		}
	}
	var out []string
	for _, c := range append(failed, held...) {
		mark := "⚠️ did not hold: "
		if c.OK {
			mark = "✓ "
		}
		words := mark + mrkdwn(c.What, 250)
		if n := times[c]; n > 1 {
			words += fmt.Sprintf(" (looked %d times)", n)
		}
		out = append(out, words)
	}
	return out
}

// bullets lists up to most lines.
func bullets(lines []string, most int) string { return listed(lines, "• ", most) }

// listed puts a mark before up to most lines.
func listed(lines []string, mark string, most int) string {
	shown := lines[:min(most, len(lines))]
	out := mark + strings.Join(shown, "\n"+mark)
	if n := len(lines) - len(shown); n > 0 {
		out += fmt.Sprintf("\n%sand %d more", mark, n)
	}
	return out
}

// alarm is the message in the security channel about a grant that did not end in time.
func alarm(g grants.Grant, now time.Time) message {
	what := mrkdwn(g.Holder.Name, 80) + "'s login " + code(g.Login) + " on " + mrkdwn(g.Target, 200)
	if !isOverdue(g, now) {
		when := ended(g)
		if r := g.Receipt; r != nil && r.WrittenOff != "" && g.SecuredAt.IsZero() {
			text := "Over, and nobody knows how: " + what + " was to end " + atSecond(g.End()) + ". " + receiptLine(*r)
			return message{text: glance("⚠️ " + text), long: text, blocks: []slack.Block{header("⚠️ Written off"), section(text), footer("Request " + mrkdwn(g.Request, 60))}}
		}
		text := "Over: " + what + " was locked and its sessions were found gone " + atSecond(when) + ", " +
			lasting(max(0, when.Sub(g.End()))) + " late."
		return message{text: glance("✅ " + text), long: text, blocks: []slack.Block{header("✅ No longer overdue"), section(text), footer("Request " + mrkdwn(g.Request, 60))}}
	}
	text := "OVERDUE: " + what + " was to end " + atSecond(g.End()) + " and may still work" + trouble(g) + "."
	return message{text: glance("🚨 " + text), long: text, blocks: []slack.Block{
		header("🚨 Overdue: access has not been taken back"), section(text),
		section("prodaccess keeps trying. If the database answers to you, lock the login by hand: it is safe to do so."),
		footer("Request " + mrkdwn(g.Request, 60)),
	}}
}

// findingMessage is what a sweep met and does not understand.
func findingMessage(words string) message {
	text := mrkdwn(words, longestSection-200)
	return message{
		text:   glance("🔎 Finding: " + text),
		long:   "Finding: " + mrkdwn(words, longestText-200),
		blocks: []slack.Block{header("🔎 Finding"), section(text)},
	}
}
