package approvals

import (
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

const (
	// endingBefore is how long before its end the holder of a login is told.
	endingBefore = 5 * time.Minute
	// tooShort is how long access must last for its end to be announced.
	tooShort = 2 * endingBefore
)

// endingJobs count down to the end of access, and tell its holder that it is about to come.
func endingJobs(g grants.Grant) []jobs.Job {
	out := countJobs(0, g.Request, g.Deadline, g.Intended)
	if g.Deadline.Sub(g.Intended) < tooShort {
		return out
	}
	told := nudge("ending", 1, g.Request)
	told.At = g.Deadline.Add(-endingBefore)
	return append(out, told)
}

// extendedJobs do so for the end that an extension is about to give. It is another job than those before, which may
// have run: what is posted is told apart by the end it speaks of, so nobody hears of the same end twice.
func extendedJobs(g grants.Grant, deadline, notAfter, now time.Time) []jobs.Job {
	if !notAfter.IsZero() && deadline.After(notAfter) {
		deadline = notAfter
	}
	out := countJobs(g.Extensions+1, g.Request, deadline, now)
	told := nudge("ending", g.Extensions+2, g.Request)
	told.At, told.Version = deadline.Add(-endingBefore), deadline.Unix()
	if deadline.Sub(g.Intended) < tooShort || !told.At.After(now) {
		return out
	}
	return append(out, told)
}
