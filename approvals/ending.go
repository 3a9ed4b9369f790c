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

// endingJobs tell a holder that their access is about to end.
func endingJobs(g grants.Grant) []jobs.Job {
	if g.Deadline.Sub(g.Intended) < tooShort {
		return nil
	}
	told := nudge("ending", 1, g.Request)
	told.At = g.Deadline.Add(-endingBefore)
	return []jobs.Job{told}
}

// extendedJobs tell a holder of the end that an extension is about to give. It is another job than those before, which may
// have run: what is posted is told apart by the end it speaks of, so nobody hears of the same end twice.
func extendedJobs(g grants.Grant, deadline, notAfter, now time.Time) []jobs.Job {
	if !notAfter.IsZero() && deadline.After(notAfter) {
		deadline = notAfter
	}
	told := nudge("ending", g.Extensions+2, g.Request)
	told.At, told.Version = deadline.Add(-endingBefore), deadline.Unix()
	if deadline.Sub(g.Intended) < tooShort || !told.At.After(now) {
		return nil
	}
	return []jobs.Job{told}
}
