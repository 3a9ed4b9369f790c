package approvals

import (
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
)

// aDay is the longest pause between two reminders of a review that is overdue.
const aDay = 24 * time.Hour

// reviewers are those who may close the review by the decision: whom it names, and once others were told, these too.
func (c Case) reviewers() policy.Requirement {
	terms := c.Request.Decision.Review
	if terms == nil {
		return policy.Requirement{Count: 1}
	}
	from := terms.Reviewers
	if c.Review != nil && !c.Review.EscalatedAt.IsZero() && terms.Escalate != nil {
		from = added(from, terms.Escalate.To)
	}
	return policy.Requirement{From: from, Count: 1}
}

// ReviewedBy are the selectors of those who are called to close the review: by the policy in force where that was looked at,
// and otherwise those whom the decision names.
func (c Case) ReviewedBy() []string {
	if c.Eligible != nil {
		return c.Eligible
	}
	return c.reviewers().From
}

// Reviewers says in words who may close the review: "@security or @managers".
func (c Case) Reviewers() string { return Selectors(c.ReviewedBy()) }

// Overdue says whether a review should have been closed by now.
func (r *Review) Overdue(now time.Time) bool { return r.Open() && !now.Before(r.DueAt) }

func closeReview(c Case, a CloseReview, now time.Time) (Case, error) {
	switch {
	case c.Review == nil:
		return c, refuse(AlreadyOver, "No glass was broken with this request, so there is nothing to review.")
	case !c.Review.Open() && c.Review.Verdict == a.Verdict && c.Review.ClosedBy.ID != "" && c.Review.ClosedBy.Same(a.By):
		return c, ErrNoChange // the same press delivered again
	case a.By.Same(c.Request.Requester):
		return c, refuse(NotReviewer, "Nobody reviews their own access. It takes somebody of %s.", c.Reviewers())
	case !a.Reviewer:
		return c, refuse(NotReviewer, "You are not among those who can close this review. It takes somebody of %s.", c.Reviewers())
	case !c.Review.Open() && c.Review.ClosedBy.ID == "":
		return c, refuse(AlreadyOver, "This review closed by itself: nobody took the access.")
	case !c.Review.Open():
		return c, refuse(AlreadyOver, "%s has closed this review: %s.", c.Review.ClosedBy.Name, c.Review.Verdict)
	case a.Verdict != Justified && a.Verdict != NotJustified:
		return c, input("Verdict", "Say whether it was justified or not.")
	case strings.TrimSpace(a.Note) == "":
		return c, input("Note", "Say what you looked at and what you found. Whoever reads it in nine months goes by this.")
	}
	if err := c.accessOver(now); err != nil {
		return c, err
	}
	review := *c.Review
	review.ClosedAt, review.ClosedBy, review.Verdict, review.Note = now, a.By, a.Verdict, a.Note
	c.Review = &review
	return c, nil
}

// accessOver refuses as long as somebody has, or can still take, the access, by this try to make a login or an earlier one.
func (c Case) accessOver(now time.Time) error {
	g := c.Grant
	switch {
	case c.Request.State == Approved && now.Before(c.Request.LapsesAt):
		return refuse(TooEarly, "The access can still be taken until %s UTC. Nobody having taken it by then, this review closes by itself.",
			c.Request.LapsesAt.UTC().Format("15:04"))
	case c.Request.State == Approved, g == nil && c.Request.State == Activated, g != nil && g.Cause == grants.Failed && g.ShownAt.IsZero():
		return refuse(TooEarly, "Nobody has taken the access. This review closes by itself in a few minutes unless somebody does.")
	case g != nil && g.Live():
		return refuse(TooEarly, "The access is live until %s UTC. Revoke it, or review what was done when it is over.", g.Deadline.UTC().Format("15:04"))
	case g != nil && g.State == grants.Revoking && g.SecuredAt.IsZero():
		return refuse(TooEarly, "The access is being taken back. Close the review when that is done.")
	case c.Unsecured > 0:
		return refuse(TooEarly, "An earlier try to make the login failed and is not yet known to be gone from %s. Close the review when it is.", c.Request.Target)
	}
	return nil
}

// unused closes the review of access that nobody took and nobody can take any more.
func (c Case) unused(now time.Time) Case {
	if c.Review.Open() && (c.Grant == nil || c.Grant.ShownAt.IsZero()) {
		review := *c.Review
		review.ClosedAt, review.Verdict = now, Unused
		c.Review = &review
	}
	return c
}

// looks are the instants at which an open review is looked at: at its reminders, when it is escalated, when it is due, and
// after that for ever, once a day or more often.
type looks struct {
	opened, due time.Time
	pause       time.Duration
	// escalated is zero when nobody else is ever told.
	escalated time.Time
}

func (c Case) looks() looks {
	l := looks{opened: c.Review.OpenedAt, due: c.Review.DueAt}
	if terms := c.Request.Decision.Review; terms != nil {
		l.pause = max(terms.Remind, 0)
		if terms.Escalate != nil {
			l.escalated = c.Review.OpenedAt.Add(terms.Escalate.After)
		}
	}
	return l
}

// after is the first look after an instant. There always is one.
func (l looks) after(t time.Time) time.Time {
	var next time.Time
	switch late := l.late(); {
	case !t.Before(l.due):
		next = l.due.Add((t.Sub(l.due)/late + 1) * late)
	case l.pause == 0 || t.Before(l.opened):
		next = l.opened.Add(l.pause)
		if l.pause == 0 {
			next = l.due
		}
	default:
		next = l.opened.Add((t.Sub(l.opened)/l.pause + 1) * l.pause)
	}
	if t.Before(l.due) && next.After(l.due) {
		next = l.due
	}
	if l.escalated.After(t) && l.escalated.Before(next) {
		next = l.escalated
	}
	return next
}

// late is the pause between reminders once the review is overdue.
func (l looks) late() time.Duration {
	if l.pause > 0 && l.pause < aDay {
		return l.pause
	}
	return aDay
}

// by is how many looks there were by an instant.
func (l looks) by(t time.Time) int {
	n := 0
	if l.pause > 0 && t.After(l.opened) {
		last := t
		if !last.Before(l.due) {
			last = l.due.Add(-1) // the one at the very end is counted with the due ones
		}
		n += int(last.Sub(l.opened) / l.pause)
	}
	if !t.Before(l.due) {
		n += 1 + int(t.Sub(l.due)/l.late())
	}
	if !l.escalated.IsZero() && !l.escalated.After(t) && !l.isRegular(l.escalated) {
		n++
	}
	return n
}

// isRegular says whether there would be a look at an instant without the escalation.
func (l looks) isRegular(at time.Time) bool {
	if at.Before(l.due) {
		return l.pause > 0 && at.After(l.opened) && at.Sub(l.opened)%l.pause == 0
	}
	return at.Sub(l.due)%l.late() == 0
}

func lookAtReview(c Case, now time.Time) (Case, error) {
	if !c.Review.Open() {
		return c, ErrNoChange
	}
	if c.Request.State == Cancelled || c.Request.State == Lapsed {
		// A replica of an earlier version ends a request and knows no review.
		if c = c.unused(now); !c.Review.Open() {
			return c, nil
		}
	}
	l := c.looks()
	n := l.by(now)
	if n <= c.Review.Reminders {
		return c, ErrNoChange
	}
	review := *c.Review
	review.Reminders = n
	if review.EscalatedAt.IsZero() && !l.escalated.IsZero() && !now.Before(l.escalated) {
		review.EscalatedAt = now
	}
	c.Review = &review
	return c, nil
}

// escalatesReview says whether the step between two states told others.
func escalatesReview(before, after Case) bool {
	return before.Review != nil && after.Review != nil && before.Review.EscalatedAt.IsZero() && !after.Review.EscalatedAt.IsZero()
}
