package bot

import (
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
)

// saying is where a case stands as those messages say it that are drawn anew while access lasts: with how much of it is left.
func (s standing) saying(c approvals.Case, now time.Time) string {
	g := c.Grant
	if c.Request.State != approvals.Activated || g == nil || g.State != grants.Active || g.Due(now) || isOverdue(*g, now) {
		return s.now
	}
	return s.now + " *" + capital(timeLeft(g.Deadline, now)) + "*."
}

// timeLeft says how long something still lasts in words that stay true however long they stand: time only makes it less, and what gives more
// is a change, which is drawn. A bare count would be wrong a minute later; Slack renders instants in each reader's own zone and counts only
// what is past ({ago}).
func timeLeft(until, now time.Time) string {
	left := until.Sub(now)
	step := time.Minute
	if left <= time.Minute {
		step = time.Second
	}
	if rest := left % step; rest > 0 {
		left += step - rest
	}
	return "at most " + lasting(left) + " left"
}
