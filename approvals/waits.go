package approvals

import (
	"math"
	"time"

	"github.com/prodaccess/prodaccess/policy"
)

// patience is how long something waits: what the policy says, else the configuration; of both the shorter where the policy
// says no more than that a rule was passed over.
func patience(policy, configured time.Duration, orSooner bool) time.Duration {
	if policy <= 0 || orSooner && configured < policy {
		return configured
	}
	return policy
}

// reminderAt is when the n-th reminder of a pending request is due, counted from 1: after the first pause, then after a
// pause twice as long each time. False when there is none.
func reminderAt(filed time.Time, pause time.Duration, n int) (time.Time, bool) {
	const most = 40 // more doublings of a second than a duration holds
	if pause <= 0 || n < 1 || n > most {
		return time.Time{}, false
	}
	times := int64(1)<<n - 1
	if int64(pause) > math.MaxInt64/times {
		return time.Time{}, false
	}
	return filed.Add(pause * time.Duration(times)), true
}

// remindersBy is how many reminders were due by an instant.
func remindersBy(filed time.Time, pause time.Duration, now time.Time) int {
	n := 0
	for {
		at, ok := reminderAt(filed, pause, n+1)
		if !ok || at.After(now) {
			return n
		}
		n++
	}
}

// nextReminder is when a pending request is reminded of next; false when it lapses before.
func (r Request) nextReminder(now time.Time) (time.Time, bool) {
	sent := max(r.Reminders, remindersBy(r.FiledAt, r.Decision.Waits.Remind, now))
	at, ok := reminderAt(r.FiledAt, r.Decision.Waits.Remind, sent+1)
	return at, ok && at.Before(r.LapsesAt)
}

// silentSince is when somebody was last heard of: when the request was filed, answered, or an answer was taken back.
func (c Case) silentSince() time.Time {
	since := c.Request.FiledAt
	for _, a := range c.Approvals {
		for _, at := range []time.Time{a.At, a.WithdrawnAt} {
			if at.After(since) {
				since = at
			}
		}
	}
	return since
}

// nextEscalation is the step that comes next and when, as long as nobody is heard of; false when the request lapses before.
func (c Case) nextEscalation() (step policy.Escalation, at time.Time, ok bool) {
	r := c.Request
	if r.Escalated >= len(r.Decision.Escalations) {
		return step, at, false
	}
	step = r.Decision.Escalations[r.Escalated]
	at = c.silentSince().Add(step.After)
	return step, at, at.Before(r.LapsesAt)
}

func remind(c Case, now time.Time) (Case, error) {
	due := remindersBy(c.Request.FiledAt, c.Request.Decision.Waits.Remind, now)
	if c.Request.State != Pending || !now.Before(c.Request.LapsesAt) || due <= c.Request.Reminders {
		return c, ErrNoChange
	}
	c.Request.Reminders = due
	return c, nil
}

func escalate(c Case, now time.Time) (Case, error) {
	_, at, ok := c.nextEscalation()
	if c.Request.State != Pending || !now.Before(c.Request.LapsesAt) || !ok || now.Before(at) {
		return c, ErrNoChange
	}
	c.Request.Escalated++
	c.Request.EscalatedAt = now
	return c, nil
}
