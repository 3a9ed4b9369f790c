package bot

import (
	"fmt"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/slack-go/slack"
)

// liveAtHome is what somebody has, what they may take, and what they have asked for.
func liveAtHome(h home, now time.Time) []slack.Block {
	out := []slack.Block{header("My access now")}
	if len(h.live) == 0 {
		words := "You have no access now."
		if len(h.take) == 0 && !h.mayAskNothing {
			words += " When you need some, ask here: it ends by itself, and nothing has to be given back."
		}
		out = append(out, section(words))
	}
	out = append(out, entries(h.live, mostLive, func(c approvals.Case) []slack.Block {
		return withButtons("live", c, requesterButtons(c), section(liveWords(c, now)))
	})...)
	waits := func(c approvals.Case) string {
		s := stands(c, now)
		return s.icon + " " + whatFor(c) + "\n" + s.now
	}
	out = append(out, titled("Waiting for me to take", entries(h.take, mostToTake, func(c approvals.Case) []slack.Block {
		return withButtons("take", c, requesterButtons(c), section(waits(c)))
	}))...)
	return append(out, titled("Waiting for an answer", entries(h.asked, mostAsked, func(c approvals.Case) []slack.Block {
		return []slack.Block{beside(waits(c), cancelButton(c))}
	}))...)
}

// repeats are the last requests for each access that may be asked for now and is not under way, the last used first.
func repeats(lately []approvals.Case, offers []approvals.Offer) []approvals.Case {
	offered := map[[2]string]bool{}
	for _, o := range offers {
		offered[[2]string{o.Target, o.Profile}] = true
	}
	seen := map[[2]string]bool{}
	var out []approvals.Case
	for _, c := range lately {
		access := [2]string{c.Request.Target, c.Request.Profile}
		if seen[access] {
			continue
		}
		seen[access] = true
		if offered[access] && repeatable(c.Request) && !underWay(c) && len(out) < mostAgain {
			out = append(out, c)
		}
	}
	return out
}

// againAtHome is what somebody may ask for: what they had before with one press, and the rest in words.
func againAtHome(h home, command string, now time.Time) []slack.Block {
	var out []slack.Block
	said := map[[2]string]string{}
	for _, o := range h.offers {
		said[[2]string{o.Target, o.Profile}] = offerWords(o)
	}
	for _, c := range h.again {
		r := c.Request
		words := whatFor(approvals.Case{Request: asItWas(r)}) + startAgain(r, r.StillAhead(now)) + because(r.Reason) + "\nNow: " + said[[2]string{r.Target, r.Profile}]
		out = append(out, beside(words, askAgain(c)))
	}
	out = titled("Ask again", out)
	if h.mayAskNothing {
		return append(out, header("What I may ask for"), section("Nothing: no rule of the policy gives you access to a database. `"+mrkdwn(command, 40)+" explain TARGET PROFILE` says why."))
	}
	if len(h.offers) == 0 {
		return out
	}
	const most = 10
	var lines []string
	more := 0
	for i, o := range h.offers {
		if i > 0 && h.offers[i-1].Target == o.Target {
			continue
		}
		if len(lines) == most {
			more++
			continue
		}
		var parts []string
		for _, other := range h.offers {
			if other.Target == o.Target {
				parts = append(parts, said[[2]string{other.Target, other.Profile}])
			}
		}
		lines = append(lines, "• *"+mrkdwn(o.Target, 60)+"*: "+cutJoin(parts, 3))
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("• and %s; the form lists them", plural(more, "more database", "more databases")))
	}
	return append(out, header("What I may ask for"), section(strings.Join(lines, "\n")))
}

// asItWas is a request before anybody gave less than it asked for.
func asItWas(r approvals.Request) approvals.Request {
	r.Less, r.StartsAt = nil, time.Time{}
	return r
}

// whatFor says what a request is about in one line.
func whatFor(c approvals.Case) string {
	return what(c) + " for " + lasting(c.Request.Length()) + startWords(c.Request) + ticket(c)
}

func what(c approvals.Case) string {
	return "*" + mrkdwn(c.Request.Access(), 100) + "* on *" + mrkdwn(c.Request.Target, 100) + "*"
}

func ticket(c approvals.Case) string {
	if c.Request.Ticket == "" {
		return ""
	}
	return ", " + mrkdwn(c.Request.Ticket, approvals.LongestTicket)
}

// liveWords say how long access still lasts. The Home is not redrawn by time, so the instant is said too.
func liveWords(c approvals.Case, now time.Time) string {
	s := stands(c, now)
	left := c.Grant.Deadline.Sub(now)
	if len(requesterButtons(c)) == 0 || left <= 0 || isOverdue(*c.Grant, now) {
		return s.icon + " " + what(c) + ticket(c) + "\n*" + mrkdwn(s.head, 80) + "*. " + s.now
	}
	password := "*Get credentials* makes a new password."
	if c.Grant.ShownAt.IsZero() {
		password = "You have not seen the credential yet."
	}
	return fmt.Sprintf("%s %s: *%s*%s\n%s %s", s.icon, what(c), timeLeft(c.Grant.Deadline, now), ticket(c), s.now, password)
}

// history lists requests with where they stand, one line each.
func history(cases []approvals.Case, now time.Time) string {
	var lines []string
	for _, c := range cases[:min(mostHistory, len(cases))] {
		r, s := c.Request, stands(c, now)
		lines = append(lines, fmt.Sprintf("%s %s %s on %s: *%s* (`%s`)",
			s.icon, at(r.FiledAt), mrkdwn(r.Access(), 45), mrkdwn(r.Target, 45), mrkdwn(s.head, 60), mrkdwn(r.ID, 20)))
	}
	return strings.Join(lines, "\n")
}
