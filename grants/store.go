package grants

import (
	"context"
	"errors"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// ErrNotFound means that no grant has that id.
var ErrNotFound = errors.New("grants: not found")

// ErrNoChange is returned by a change function that finds nothing to do; the store then writes nothing and returns the
// grant as it is, without an error.
var ErrNoChange = errors.New("grants: no change")

// Change is what one transaction writes: the grant's new row, the events that record it, the jobs that follow from it.
// The store gives the row its next version, gives the request its next version too, and fills that into Draw jobs.
type Change struct {
	Grant  Grant
	Events []audit.Event
	Jobs   []jobs.Job
}

// Store keeps grants. Every change is one transaction; a change function runs under the row's lock and must be pure
// (it may run again after a serialization failure).
type Store interface {
	Grant(ctx context.Context, id string) (Grant, error)
	// ChangeGrant locks the grant, lets change decide, and writes the outcome. When change returns an error other
	// than ErrNoChange, its events are recorded nevertheless, nothing else is, and the error is returned.
	ChangeGrant(ctx context.Context, id string, change func(Grant) (Change, error)) (Grant, error)
	// TakeDue locks up to limit live grants whose deadline is at or before now, skipping those somebody else holds, and
	// writes the change of each, all in one transaction.
	TakeDue(ctx context.Context, now time.Time, limit int, change func(Grant) Change) ([]Grant, error)
	// NextDeadline is the earliest deadline of a live grant, zero when there is none.
	NextDeadline(ctx context.Context) (time.Time, error)
	// Upcoming lists live grants with a deadline before the given instant, the earliest first, at most limit of them.
	Upcoming(ctx context.Context, before time.Time, limit int) ([]Grant, error)
	// Unfinished lists a target's grants in any state but Revoked.
	Unfinished(ctx context.Context, target string) ([]Grant, error)
	// Overdue lists grants that are Provisioning, Active or Revoking (not secured), whose End is before the given instant,
	// and which have not been alarmed about.
	Overdue(ctx context.Context, before time.Time) ([]Grant, error)
	// TargetIdentity is the fingerprint under which a target is trusted; empty when it never was.
	TargetIdentity(ctx context.Context, target string) (string, error)
	// TrustTarget makes fingerprint the target's identity if it is before now ("" for none), with the event that records it,
	// and returns the identity that then holds.
	TrustTarget(ctx context.Context, target, before, fingerprint string, event audit.Event) (string, error)
	// Head is the end of the audit chain.
	Head(ctx context.Context) (audit.Head, error)
	// Holds says whether the audit chain has this very link.
	Holds(ctx context.Context, head audit.Head) (bool, error)
	// Record writes events and jobs that change no row. A Finding job without subject gets the id of the first event.
	Record(ctx context.Context, events []audit.Event, follow []jobs.Job) error
}
