package approvals

import (
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// counting are the times before its end at which the messages about live access are drawn anew: Slack counts down for nobody.
var counting = []time.Duration{4 * time.Hour, 2 * time.Hour, time.Hour, 30 * time.Minute, 15 * time.Minute, 5 * time.Minute}

// justDrawn is how fresh a message must be not to be drawn anew.
const justDrawn = 30 * time.Second

// NextCount is when the messages about access that ends at a deadline are next drawn anew. What was drawn now is true until then;
// false when that is until the end.
func NextCount(deadline, now time.Time) (next time.Time, ok bool) {
	for _, left := range counting {
		if next = deadline.Add(-left); next.Sub(now) > justDrawn {
			return next, true
		}
	}
	return time.Time{}, false
}

// countJobs draw the messages about live access anew as its end comes nearer. One job does it for the whole life of one deadline: it
// asks to come back. Its number is that of the extension that gave the deadline, so that an extension leaves one job that counts.
func countJobs(extension int, request string, deadline, now time.Time) []jobs.Job {
	next, ok := NextCount(deadline, now)
	if !ok {
		return nil
	}
	count := nudge("left", extension+1, request)
	count.At, count.Version = next, deadline.Unix()
	return []jobs.Job{count}
}

// Counts says whether a job of that number counts for a grant: no extension came after it, and the one that it was filed for did come.
func Counts(g grants.Grant, number int) bool {
	return g.State == grants.Active && g.Extensions+1 == number
}
