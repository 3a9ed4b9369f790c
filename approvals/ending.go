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

// endingJobs tell a holder that their access is about to end. One is enough: where the access was extended meanwhile, it comes
// again for the new end.
func endingJobs(g grants.Grant) []jobs.Job {
	if g.Deadline.Sub(g.Intended) < tooShort {
		return nil
	}
	told := nudge("ending", 1, g.Request)
	told.At = g.Deadline.Add(-endingBefore)
	return []jobs.Job{told}
}
