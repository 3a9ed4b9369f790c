package approvals

import (
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

const (
	// settleDown is how long after an act a press that would undo it counts as the one before, delivered again, rather than
	// as a new wish.
	settleDown = 10 * time.Second
	// retryWithin is the least time a requester has to press again after issuing failed.
	retryWithin = 5 * time.Minute
)

// Next is the state machine: what a case becomes when an act happens to it at an instant. It is pure. An act that may
// not happen gives a *Refusal and the case unchanged; one that has nothing to do gives ErrNoChange.
func Next(c Case, a Act, now time.Time) (Case, error) {
	var next Case
	var err error
	switch a := a.(type) {
	case Approve:
		next, err = approve(c, a, now)
	case Deny:
		next, err = deny(c, a, now)
	case Withdraw:
		next, err = withdraw(c, a, now)
	case Cancel:
		next, err = cancel(c, a, now)
	case Activate:
		next, err = activate(c, a, now)
	case CloseReview:
		next, err = closeReview(c, a, now)
	case Remind:
		next, err = remind(c, now)
	case Escalate:
		next, err = escalate(c, now)
	case Lapse:
		next, err = lapse(c, now)
	case Begin:
		next, err = begin(c, now)
	case Reopen:
		next, err = reopen(c, now)
	case LookAtReview:
		next, err = lookAtReview(c, now)
	}
	if err != nil {
		return c, err
	}
	return next, nil
}

func cancel(c Case, a Cancel, now time.Time) (Case, error) {
	switch {
	case !a.By.Same(c.Request.Requester):
		return c, refuse(NotHolder, "Only %s can cancel this request.", c.Request.Requester.Name)
	case c.Request.State == Activated:
		return c, refuse(AlreadyOver, "Access was taken already. Use Release to give it back.")
	case c.Request.State != Pending && c.Request.State != Approved:
		return c, refuse(AlreadyOver, "This request %s.", over(c, now))
	}
	c.Request.State = Cancelled
	c.Request.EndedAt, c.Request.EndedBy = now, a.By
	return c.unused(now), nil
}

func activate(c Case, a Activate, now time.Time) (Case, error) {
	if !a.By.Same(c.Request.Requester) {
		return c, refuse(NotHolder, "Only %s can take these credentials.", c.Request.Requester.Name)
	}
	switch c.Request.State {
	case Approved:
		if !now.Before(c.Request.LapsesAt) {
			return c, refuse(AlreadyOver, "This request %s.", over(c, now))
		}
		if now.Before(c.Request.StartsAt) {
			return c, c.Request.notStarted()
		}
		if !c.Request.Ready() {
			c.Request.StartedAt = now
		}
		c.Request.State = Activated
		return c, nil
	case Pending:
		return c, refuse(TooEarly, "This request is not approved yet. It needs %s.", c.Needs())
	case Activated:
		return c, again(c, now)
	default:
		return c, refuse(AlreadyOver, "This request %s.", over(c, now))
	}
}

// again answers a press on Get credentials when there is, or was, a grant.
func again(c Case, now time.Time) *Refusal {
	g := c.Grant
	switch {
	case g == nil:
		return refuse(InProgress, "Your login is being made.")
	case g.State == grants.Provisioning:
		return refuse(InProgress, "Your login is being made.")
	case g.State == grants.Active && now.Sub(g.IssuedAt) < settleDown:
		return refuse(InProgress, "Your login was made this moment. Look at the window that opened.")
	case g.State == grants.Active:
		return refuse(AlreadyIssued, "You have this access already. Showing the credentials again makes a new password.")
	case g.Cause == grants.Failed && g.ShownAt.IsZero():
		return refuse(InProgress, "Making the login failed, and it is being taken back. Press again in a moment.")
	default:
		return refuse(AlreadyOver, "This access has ended. File a new request if you still need it.")
	}
}

func lapse(c Case, now time.Time) (Case, error) {
	if c.Request.State != Pending && c.Request.State != Approved || now.Before(c.Request.LapsesAt) {
		return c, ErrNoChange
	}
	c.Request.State = Lapsed
	c.Request.EndedAt = now
	return c.unused(now), nil
}

func reopen(c Case, now time.Time) (Case, error) {
	g := c.Grant
	if c.Request.State != Activated || g == nil || g.Live() || g.Cause != grants.Failed || !g.ShownAt.IsZero() {
		return c, ErrNoChange
	}
	c.Request.State = Approved
	if least := now.Add(retryWithin); c.Request.LapsesAt.Before(least) {
		c.Request.LapsesAt = c.takeUntil(least)
	}
	return c, nil
}

// takeUntil bounds when approved access may be taken by the shift it rests on.
func (c Case) takeUntil(t time.Time) time.Time {
	if shift := c.Request.Decision.Shift; shift != nil && !shift.End.IsZero() && t.After(shift.End) {
		return shift.End
	}
	return t
}

// over completes "This request …" for a request that cannot be acted on any more.
func over(c Case, now time.Time) string {
	r := c.Request
	switch {
	case r.State == Denied && r.EndedBy.ID == "":
		return "was refused by the policy"
	case r.State == Denied:
		return "was denied by " + r.EndedBy.Name
	case r.State == Cancelled:
		return "was cancelled by its requester"
	case r.State == Lapsed, r.State != Activated && !now.Before(r.LapsesAt):
		return "has lapsed"
	case r.State == Approved, r.State == Activated:
		return "is approved already"
	default:
		return "is still waiting for an answer"
	}
}
