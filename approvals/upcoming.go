package approvals

import (
	"slices"
	"time"
)

// Happening is something that time does to a case.
type Happening string

// What time does.
const (
	Reminds         Happening = "reminds"          // those who may answer
	Escalates       Happening = "escalates"        // others may answer as well
	Starts          Happening = "starts"           // approved access can be taken from then on
	Lapses          Happening = "lapses"           // unanswered, or not taken
	RemindsReview   Happening = "reminds-review"   // those who may close it
	EscalatesReview Happening = "escalates-review" // others may close it as well
	ReviewDue       Happening = "review-due"       // from then on it is overdue
)

// Upcoming is what time will do to a case unless somebody acts before.
type Upcoming struct {
	What Happening
	// At may have passed already by a little, as long as the job that does it has not run.
	At time.Time
	// Who lists the selectors of those concerned: who is reminded, or may act as well from then on. See Selectors.
	Who []string
}

// Upcoming lists what time will do to the case next, the soonest first; each happening at most once.
func (c Case) Upcoming(now time.Time) []Upcoming {
	var out []Upcoming
	switch c.Request.State {
	case Pending:
		if at, ok := c.Request.nextReminder(now); ok {
			var who []string
			for _, requirement := range c.Waiting() {
				who = added(who, requirement.From)
			}
			out = append(out, Upcoming{Reminds, at, who})
		}
		if step, at, ok := c.nextEscalation(); ok {
			out = append(out, Upcoming{Escalates, at, step.To})
		}
		out = append(out, Upcoming{Lapses, c.Request.LapsesAt, nil})
	case Approved:
		if !c.Request.Ready() {
			out = append(out, Upcoming{Starts, c.Request.StartsAt, nil})
		}
		out = append(out, Upcoming{Lapses, c.Request.LapsesAt, nil})
	}
	if c.Review.Open() {
		l, who := c.looks(), c.ReviewedBy()
		next := l.after(now)
		if next != l.due && next != l.escalated {
			out = append(out, Upcoming{RemindsReview, next, who})
		}
		if c.Review.EscalatedAt.IsZero() && !l.escalated.IsZero() {
			out = append(out, Upcoming{EscalatesReview, l.escalated, c.Request.Decision.Review.Escalate.To})
		}
		if now.Before(l.due) {
			out = append(out, Upcoming{ReviewDue, l.due, who})
		}
	}
	slices.SortStableFunc(out, func(a, b Upcoming) int { return a.At.Compare(b.At) })
	return out
}
