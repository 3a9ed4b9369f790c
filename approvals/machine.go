package approvals

import (
	"slices"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// Act is something that happens to a request.
type Act interface{ act() }

// The acts of people and of time.
type (
	// Approve is one person's yes. Fills lists the requirements the person is entitled to fill now; TakeWithin is how long
	// approved access waits for its requester.
	Approve struct {
		By         Person
		Fills      []int
		TakeWithin time.Duration
	}
	// Deny is one person's no, which is final. Fills as in Approve: whoever may not approve may not deny.
	Deny struct {
		By     Person
		Fills  []int
		Reason string
	}
	// Cancel is the requester's change of mind before activation.
	Cancel struct{ By Person }
	// Activate is the requester pressing Get credentials.
	Activate struct{ By Person }
	// Lapse is time running out.
	Lapse struct{}
	// Reopen follows a grant that failed before anybody saw a password.
	Reopen struct{}
)

func (Approve) act()  {}
func (Deny) act()     {}
func (Cancel) act()   {}
func (Activate) act() {}
func (Lapse) act()    {}
func (Reopen) act()   {}

const (
	// settleDown is how long after issuing a second press counts as a double click rather than as a new wish.
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
	case Cancel:
		next, err = cancel(c, a, now)
	case Activate:
		next, err = activate(c, a, now)
	case Lapse:
		next, err = lapse(c, now)
	case Reopen:
		next, err = reopen(c, now)
	}
	if err != nil {
		return c, err
	}
	return next, nil
}

// vote is what Approve and Deny have in common: who may answer at all.
func vote(c Case, by Person, fills []int, now time.Time) error {
	switch {
	case by.Same(c.Request.Requester):
		return refuse(OwnRequest, "Nobody decides about their own request. Somebody else has to answer it.")
	case c.Request.State != Pending || !now.Before(c.Request.LapsesAt):
		return refuse(AlreadyOver, "This request %s.", over(c, now))
	case len(fills) == 0:
		return refuse(NotApprover, "You are not among those who can answer this request. It needs %s.", Words(c.Waiting()))
	}
	for _, given := range c.Approvals {
		if given.By.Same(by) {
			return refuse(AlreadyVoted, "You have already answered this request. It still needs %s.", Words(c.Waiting()))
		}
	}
	return nil
}

func approve(c Case, a Approve, now time.Time) (Case, error) {
	if c.Request.State != Pending && c.Request.State != Denied && slices.ContainsFunc(c.Approvals, func(given Approval) bool {
		return given.Verdict == Yes && given.By.Same(a.By)
	}) {
		return c, ErrNoChange // the same press delivered again, after it was carried out
	}
	if err := vote(c, a.By, a.Fills, now); err != nil {
		return c, err
	}
	given := append(slices.Clone(c.Approvals), Approval{By: a.By, Verdict: Yes, At: now, Fills: a.Fills})
	if !helps(c, given) {
		return c, refuse(NotApprover, "What you could approve is approved already. It still needs %s.", Words(c.Waiting()))
	}
	c.Approvals = given
	if len(missing(c.Request.Decision.Approvals, given)) == 0 {
		c.Request.State = Approved
		c.Request.ApprovedAt = now
		c.Request.LapsesAt = c.takeUntil(now.Add(a.TakeWithin))
	}
	return c, nil
}

// helps says whether an approval brings the request nearer to its quorum.
func helps(c Case, given []Approval) bool {
	return total(assign(c.Request.Decision.Approvals, given)) > total(assign(c.Request.Decision.Approvals, c.Approvals))
}

func total(counts []int) int {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return sum
}

// takeUntil bounds when approved access may be taken by the shift it rests on.
func (c Case) takeUntil(t time.Time) time.Time {
	if shift := c.Request.Decision.Shift; shift != nil && !shift.End.IsZero() && t.After(shift.End) {
		return shift.End
	}
	return t
}

func deny(c Case, a Deny, now time.Time) (Case, error) {
	if err := vote(c, a.By, a.Fills, now); err != nil {
		return c, err
	}
	c.Approvals = append(slices.Clone(c.Approvals), Approval{By: a.By, Verdict: No, Reason: a.Reason, At: now, Fills: a.Fills})
	c.Request.State = Denied
	c.Request.EndedAt, c.Request.EndedBy, c.Request.Answer = now, a.By, a.Reason
	return c, nil
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
	return c, nil
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
		c.Request.State = Activated
		return c, nil
	case Pending:
		return c, refuse(TooEarly, "This request is not approved yet. It needs %s.", Words(c.Waiting()))
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
	return c, nil
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
	case r.State == Lapsed, !now.Before(r.LapsesAt):
		return "has lapsed"
	case r.State == Approved, r.State == Activated:
		return "is approved already"
	default:
		return "is still waiting for an answer"
	}
}
