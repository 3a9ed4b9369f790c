package bot

import (
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
)

// What time does next is said as an instant in each reader's own zone. Slack documents {ago} for what is past only, and the card of what
// is not live is not redrawn while nothing happens, so a count of minutes would be wrong as soon as it is read.

// clockWords say what time will do to a pending request: "Reminds today 14:10, escalates to @dba today 14:20, lapses today 15:00
// without an answer."
func clockWords(c approvals.Case, now time.Time) string {
	var parts []string
	for _, next := range c.Upcoming(now) {
		switch next.What {
		case approvals.Reminds:
			parts = append(parts, "reminds "+at(next.At))
		case approvals.Escalates:
			parts = append(parts, "escalates to "+mrkdwn(either(selectors(next.Who)), 300)+" "+at(next.At))
		case approvals.Lapses:
			parts = append(parts, "lapses "+at(next.At))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return capital(strings.Join(parts, ", ")) + " without an answer."
}

// reviewClock says what time will do to an open review.
func reviewClock(c approvals.Case, now time.Time) string {
	var parts []string
	for _, next := range c.Upcoming(now) {
		switch next.What {
		case approvals.RemindsReview:
			parts = append(parts, "reminds "+at(next.At))
		case approvals.EscalatesReview:
			parts = append(parts, "tells "+mrkdwn(either(selectors(next.Who)), 300)+" "+at(next.At))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " " + capital(strings.Join(parts, ", ")) + "."
}

// escalatedTo are those who may answer as well by now.
func escalatedTo(r approvals.Request) []string {
	var out []string
	for i, e := range r.Decision.Escalations {
		if i < r.Escalated {
			out = append(out, e.To...)
		}
	}
	return out
}

func selectors(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = selector(s)
	}
	return out
}
