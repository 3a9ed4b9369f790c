package bot

import (
	"fmt"
	"strings"

	"github.com/prodaccess/prodaccess/audit"
)

// deeds say what an event means to a reader of a request's timeline. A kind that is not here is shown by its name.
var deeds = map[audit.Kind]string{
	audit.RequestFiled:     "asked",
	audit.RequestApproved:  "approved",
	audit.RequestDenied:    "denied",
	audit.RequestCanceled:  "cancelled",
	audit.RequestLapsed:    "lapsed",
	audit.RequestWithdrawn: "took an approval back",
	audit.RequestReminded:  "reminded",
	audit.RequestEscalated: "escalated",
	audit.RequestReopened:  "could be taken again",
	audit.GlassBroken:      "broke the glass",
	audit.ReviewReminded:   "reminded of the review",
	audit.ReviewEscalated:  "escalated the review",
	audit.ReviewClosed:     "closed the review",
	audit.GrantIntended:    "took the access",
	audit.GrantIssued:      "login made",
	audit.GrantFailed:      "making the login failed",
	audit.GrantShown:       "credential shown",
	audit.GrantRotated:     "new password made",
	audit.GrantExtended:    "extended",
	audit.GrantEnding:      "access ending",
	audit.GrantSecured:     "locked, no session left",
	audit.GrantRevoked:     "login gone",
	audit.GrantOverdue:     "OVERDUE: past its end and not locked",
	audit.GrantMissing:     "the database had lost the login",
	audit.GrantWrittenOff:  "written off: nothing was verified",
	audit.IncidentOpened:   "incident opened in PagerDuty",
	audit.IncidentResolved: "incident resolved",
	audit.IncidentFailed:   "the incident could not be opened",
}

// tale is one line of a timeline: like events in a row are told once, with their number.
type tale struct {
	first, last audit.Event
	count       int
}

// grouped joins events in a row that tell a reader the same.
func grouped(events []audit.Event) []tale {
	var out []tale
	for _, e := range events {
		if n := len(out); n > 0 {
			if last := &out[n-1]; last.first.Kind == e.Kind && last.first.Refused == e.Refused && last.first.Actor == e.Actor {
				last.last = e
				last.count++
				continue
			}
		}
		out = append(out, tale{e, e, 1})
	}
	return out
}

// recorded shows at most most lines of a request's timeline. When it is longer, its middle is left out: how it began and what
// happened last is what a reader needs.
func recorded(events []audit.Event, most int) string {
	tales := grouped(events)
	var lines []string
	for i, t := range tales {
		begun, left := most/3, len(tales)-most
		if left > 0 && i >= begun && i <= begun+left {
			if i == begun {
				lines = append(lines, fmt.Sprintf("• and %d more, which the audit log has", left+1))
			}
			continue
		}
		lines = append(lines, "• "+taleWords(t))
	}
	return strings.Join(lines, "\n")
}

func taleWords(t tale) string {
	e := t.first
	deed := deeds[e.Kind]
	if deed == "" {
		deed = mrkdwn(string(e.Kind), 40)
	}
	who := ""
	if e.Actor.Kind != "system" {
		who = mrkdwn(firstOf(e.Actor.Name, e.Actor.Email, e.Actor.ID), 60) + ": "
	}
	out := atSecond(e.At) + " " + who + deed
	if e.Refused {
		out = atSecond(e.At) + " " + who + "tried and was refused: " + deed
	}
	switch {
	case e.Kind == audit.GrantEnding && e.Detail["cause"] != "":
		out += " (" + mrkdwn(e.Detail["cause"], 30) + ")"
	case e.Kind == audit.ReviewClosed && e.Detail["verdict"] != "":
		out += " (" + mrkdwn(e.Detail["verdict"], 30) + ")"
	}
	if t.count > 1 {
		out += fmt.Sprintf(", %d times until %s", t.count, atSecond(t.last.At))
	}
	return out
}

// tally counts what happened of a kind and was not refused.
func tally(events []audit.Event, kind audit.Kind) int {
	n := 0
	for _, e := range events {
		if e.Kind == kind && !e.Refused {
			n++
		}
	}
	return n
}
