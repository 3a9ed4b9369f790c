package approvals

import (
	"cmp"
	"slices"
	"time"

	"github.com/prodaccess/prodaccess/policy"
)

// vote is what Approve and Deny have in common: who may answer at all.
func vote(c Case, by Person, fills []int, now time.Time) error {
	switch {
	case by.Same(c.Request.Requester):
		return refuse(OwnRequest, "Nobody decides about their own request. Somebody else has to answer it.")
	case c.Request.State != Pending || !now.Before(c.Request.LapsesAt):
		return refuse(AlreadyOver, "This request %s.", over(c, now))
	case len(fills) == 0:
		return refuse(NotApprover, "You are not among those who can answer this request. It needs %s.", c.Needs())
	case c.standing(by) >= 0:
		return refuse(AlreadyVoted, "You have already answered this request. It still needs %s.", c.Needs())
	}
	return nil
}

// standing is the place of a human's answer that counts, -1 for none.
func (c Case) standing(by Person) int {
	return slices.IndexFunc(c.Approvals, func(given Approval) bool { return given.stands() && given.By.Same(by) })
}

// stands says whether an answer was not taken back.
func (a Approval) stands() bool { return a.WithdrawnAt.IsZero() }

func approve(c Case, a Approve, now time.Time) (Case, error) {
	if c.Request.State != Pending && c.Request.State != Denied {
		if i := c.standing(a.By); i >= 0 && c.Approvals[i].Verdict == Yes {
			return c, ErrNoChange // the same press delivered again, after it was carried out
		}
	}
	if err := vote(c, a.By, a.Fills, now); err != nil {
		return c, err
	}
	fills, err := c.mayFill(a.Fills)
	if err != nil {
		return c, err
	}
	less, err := c.lessen(a)
	if err != nil {
		return c, err
	}
	c.Approvals = append(slices.Clone(c.Approvals), Approval{By: a.By, Verdict: Yes, At: now, Fills: fills, Less: less})
	c.Request.Less = least(c.Approvals)
	if met(c.Request.Decision.Approvals, c.Approvals) {
		waits := c.Request.Decision.Waits
		c.Request.State = Approved
		c.Request.ApprovedAt = now
		c.Request.LapsesAt = c.takeUntil(c.Request.takeFrom(now).Add(patience(waits.Take, a.TakeWithin, waits.OrSooner)))
	}
	return c, nil
}

// mayFill is which requirements a yes given now counts for. Where they are asked for in order, nobody answers ahead of
// their turn: a yes never counts for a stage that comes after one still open when it was given.
func (c Case) mayFill(entitled []int) ([]int, error) {
	needed := c.Request.Decision.Approvals
	if slices.ContainsFunc(entitled, func(i int) bool { return i < 0 || i >= len(needed) }) {
		return nil, refuse(NotApprover, "You are not among those who can answer this request. It needs %s.", c.Needs())
	}
	fills := slices.Clone(entitled)
	var later []int
	open := slices.IndexFunc(assign(needed, c.Approvals), func(short int) bool { return short > 0 })
	if c.Request.Decision.InOrder {
		fills = slices.DeleteFunc(fills, func(i int) bool { return i > open })
		later = slices.DeleteFunc(slices.Clone(entitled), func(i int) bool { return i <= open })
	}
	if helps(needed, c.Approvals, fills) {
		return fills, nil
	}
	if len(later) > 0 {
		return nil, refuse(TooEarly, "It is not your turn yet: first %s has to agree.", c.needsFirst())
	}
	return nil, refuse(NotApprover, "What you could approve is approved already. It still needs %s.", c.Needs())
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

func withdraw(c Case, a Withdraw, now time.Time) (Case, error) {
	i := c.standing(a.By)
	switch {
	case i < 0 && slices.ContainsFunc(c.Approvals, func(given Approval) bool { return given.By.Same(a.By) }):
		return c, ErrNoChange // the same press delivered again
	case i < 0 || c.Approvals[i].Verdict != Yes:
		return c, refuse(NotApprover, "You have not agreed to this request, so there is nothing to take back.")
	case c.Request.State == Approved && now.Before(c.Request.LapsesAt), c.Request.State == Activated:
		return c, refuse(AlreadyOver, "This request is approved already, so your yes stays. Use Revoke once the access is taken.")
	case c.Request.State != Pending || !now.Before(c.Request.LapsesAt):
		return c, refuse(AlreadyOver, "This request %s.", over(c, now))
	}
	c.Approvals = slices.Clone(c.Approvals)
	c.Approvals[i].WithdrawnAt = now
	c.Request.Less = least(c.Approvals)
	return c, nil
}

// lessen is what a yes is to, or why it cannot be to that. What is given only ever gets less, so that the last profile
// named is the narrowest.
func (c Case) lessen(a Approve) (*Less, error) {
	if a.Less == nil {
		return nil, nil
	}
	asked, less := cmp.Or(c.Request.Duration, c.Request.Decision.Duration), *a.Less
	if less.Duration < 0 || less.Duration > 0 && less.Duration < time.Second {
		return nil, input("Duration", "The shortest duration is 1s. Write one like 30m, 1h30m or 45s.")
	}
	if less.Duration > asked {
		return nil, input("Duration", "%s was asked for; you can only give less.", policy.FormatDuration(asked))
	}
	if less.Duration == asked {
		less.Duration = 0
	}
	if less.Profile == c.Request.Profile {
		less.Profile = ""
	}
	switch given := c.Request.Access(); {
	case less == Less{}:
		return nil, input("Duration", "This is all that was asked for. Make it shorter, choose narrower access, or press Approve.")
	case less.Profile == "" || less.Profile == given && given != c.Request.Profile:
	case !slices.Contains(a.Above, c.Request.Profile):
		return nil, input("Access", "%s does not give less than %s, which was asked for.", less.Profile, c.Request.Profile)
	case !slices.Contains(a.Above, given):
		return nil, input("Access", "Somebody has agreed to %s only, and %s does not give less than that. Choose %s, or press Approve: the least counts.",
			given, less.Profile, given)
	}
	return &less, nil
}

// least is what standing approvals agree to together, nil when to all that was asked for.
func least(given []Approval) *Less {
	var out Less
	for _, a := range given {
		if a.Less == nil || !a.stands() || a.Verdict != Yes {
			continue
		}
		if a.Less.Duration > 0 && (out.Duration == 0 || a.Less.Duration < out.Duration) {
			out.Duration = a.Less.Duration
		}
		out.Profile = cmp.Or(a.Less.Profile, out.Profile)
	}
	if out == (Less{}) {
		return nil
	}
	return &out
}
