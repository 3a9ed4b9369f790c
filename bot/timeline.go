package bot

import (
	"fmt"
	"slices"
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
	audit.RequestReady:     "its start has come",
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
	audit.GrantRetried:     "tried the revocation once more",
	audit.LeftoversSettled: "dealt with what was left behind",
	audit.GrantMissing:     "the database had lost the login",
	audit.GrantWrittenOff:  "written off: nothing was verified",
	audit.IncidentOpened:   "incident opened in PagerDuty",
	audit.IncidentResolved: "incident resolved",
	audit.IncidentNone:     "no incident was open",
	audit.IncidentFailed:   "PagerDuty could not be told",
}

// landmarks are the kinds of event that a timeline too long to show keeps before any other.
var landmarks = map[audit.Kind]bool{
	audit.RequestFiled: true, audit.RequestApproved: true, audit.RequestDenied: true, audit.GlassBroken: true, audit.ReviewClosed: true,
	audit.GrantIssued: true, audit.GrantSecured: true, audit.GrantRevoked: true, audit.GrantOverdue: true, audit.GrantMissing: true,
	audit.GrantWrittenOff: true, audit.IncidentOpened: true, audit.IncidentFailed: true,
}

// tale is one line of a timeline: like events in a row are told once, with their number.
type tale struct {
	first, last audit.Event
	count       int
	// refused tales tell of all refused attempts together.
	refused bool
}

// grouped joins events in a row that tell a reader the same, and all refused attempts wherever they were: anybody can press what they
// may not, as often as they like, and must not push out of sight what did happen.
func grouped(events []audit.Event) []tale {
	var out []tale
	attempts := 0
	for _, e := range events {
		if e.Refused {
			attempts++
		}
	}
	var together *tale
	for _, e := range events {
		if e.Refused && attempts > 1 {
			if together == nil {
				together = &tale{first: e, refused: true}
			}
			together.last = e
			if together.count++; together.count == attempts {
				out = append(out, *together)
			}
			continue
		}
		if n := len(out); n > 0 {
			if last := &out[n-1]; !last.refused && last.first.Kind == e.Kind && last.first.Refused == e.Refused && last.first.Actor == e.Actor {
				last.last = e
				last.count++
				continue
			}
		}
		out = append(out, tale{first: e, last: e, count: 1})
	}
	return out
}

// longestTimeline leaves room in a section for a title.
const longestTimeline = 2800

// recorded shows at most most lines of a request's timeline, and no more than fit a section. When it is longer, landmarks are kept
// first and then what is new, in the order in which it happened.
func recorded(events []audit.Event, most int) string {
	const room = 60 // for the line that says how much is missing
	tales := grouped(events)
	lines := make([]string, len(tales))
	used := 0
	for i, t := range tales {
		lines[i] = "• " + taleWords(t)
		used += width(lines[i]) + 1
	}
	if len(tales) <= most && used <= longestTimeline {
		return strings.Join(lines, "\n")
	}
	kept := make([]bool, len(tales))
	used, most = room, most-1
	for _, wanted := range []bool{true, false} {
		for i := len(tales) - 1; i >= 0; i-- {
			size := width(lines[i]) + 1
			landmark := landmarks[tales[i].first.Kind] && !tales[i].first.Refused
			if kept[i] || landmark != wanted || most == 0 || used+size > longestTimeline {
				continue
			}
			kept[i] = true
			used += size
			most--
		}
	}
	var out []string
	left, gap := 0, 0
	for i, line := range lines {
		if kept[i] {
			out = append(out, line)
			continue
		}
		if left++; left == 1 {
			gap = len(out)
		}
	}
	return strings.Join(slices.Insert(out, gap, fmt.Sprintf("• and %d more, which the audit log has", left)), "\n")
}

func taleWords(t tale) string {
	e := t.first
	if t.refused {
		words := fmt.Sprintf("%s %d attempts were refused since %s", atSecond(t.last.At), t.count, atSecond(e.At))
		if who := actorWords(t.last.Actor); who != "" {
			words += ", the last by " + who
		}
		return words
	}
	deed := deeds[e.Kind]
	if deed == "" {
		deed = mrkdwn(string(e.Kind), 40)
	}
	who := actorWords(e.Actor)
	if who != "" {
		who += ": "
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

// actorWords name who did something; empty for prodaccess itself.
func actorWords(a audit.Actor) string {
	if a.Kind == "system" {
		return ""
	}
	return mrkdwn(firstOf(a.Name, a.Email, a.ID), 60)
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
