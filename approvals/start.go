package approvals

import (
	"context"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// StartSlack is how long ago a start may be that still means now: Slack's fields know minutes, and a form takes a while to fill in.
const StartSlack = 2 * time.Minute

// begins is the start of a wish: zero when it is now, give or take.
func begins(at, now time.Time) time.Time {
	if !at.After(now) && now.Sub(at) < StartSlack {
		return time.Time{}
	}
	return at
}

// startJob notices that the start of approved access has come; nothing where there is nothing to wait for.
func startJob(r Request, now time.Time) []jobs.Job {
	if r.State != Approved || !r.StartsAt.After(now) {
		return nil
	}
	return []jobs.Job{{Kind: jobs.Start, Subject: r.ID, At: r.StartsAt}}
}

// Ready says whether access that is approved can be taken, as far as it was noticed. A little before that is written down a
// press may be carried out all the same.
func (r Request) Ready() bool {
	return !r.ApprovedAt.IsZero() && (r.StartsAt.IsZero() || !r.StartedAt.IsZero() || !r.ApprovedAt.Before(r.StartsAt))
}

// takeFrom is the instant from which approved access may be taken.
func (r Request) takeFrom(now time.Time) time.Time {
	if r.StartsAt.After(now) {
		return r.StartsAt
	}
	return now
}

// StillAhead is the start that was asked for, while it is ahead; zero when there was none or it has passed. Whoever asks for the same
// again keeps it.
func (r Request) StillAhead(now time.Time) time.Time {
	if r.StartsAt.After(now) {
		return r.StartsAt
	}
	return time.Time{}
}

// notStarted refuses what comes before the start.
func (r Request) notStarted() *Refusal {
	refusal := refuse(TooEarly, "This access starts %s. You get a message when it can be taken.", Instant(r.StartsAt))
	refusal.When = r.StartsAt
	return refusal
}

func begin(c Case, now time.Time) (Case, error) {
	r := c.Request
	if r.State != Approved || r.Ready() || now.Before(r.StartsAt) || !now.Before(r.LapsesAt) {
		return c, ErrNoChange
	}
	c.Request.StartedAt = now
	return c, nil
}

// Begin notices that the start of approved access has come, so that its requester is told. It is the Start job.
func (s *Service) Begin(ctx context.Context, id string) error {
	return s.byTime(ctx, id, audit.RequestReady, Begin{}, nil)
}

// usedAt is the instant at which an automatic approval counts against a budget: its start, or when it was filed.
func (r Request) usedAt() time.Time {
	if r.StartsAt.After(r.FiledAt) {
		return r.StartsAt
	}
	return r.FiledAt
}
