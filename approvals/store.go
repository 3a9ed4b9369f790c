package approvals

import (
	"context"
	"errors"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/policy"
)

// ErrNotFound means that no request has that id.
var ErrNotFound = errors.New("approvals: not found")

// ErrNoChange is returned by a change function that finds nothing to do; the store then writes nothing and returns the
// case as it is, without an error.
var ErrNoChange = errors.New("approvals: no change")

// ErrBudget is returned by CreateRequest when, under a lock, the budget that the decision draws on (Decision.Budget) turns
// out to be used up. Nothing was written; decide again.
var ErrBudget = errors.New("approvals: the budget is used up")

// ErrCrowded is returned by CreateRequest when, under a lock, the requester turns out to have as many pending requests as they may
// (Change.MostPending). Nothing was written.
var ErrCrowded = errors.New("approvals: too many requests are pending")

// ErrOpenReview is returned by CreateRequest when the requester of broken glass has another review open. Nothing was written.
var ErrOpenReview = errors.New("approvals: another review is open")

// Change is what one transaction writes.
type Change struct {
	Request Request
	// Question is what the policy was asked about a new request; it is kept for replays, and no Case carries it.
	Question *policy.Question
	// MostPending is how many pending requests its requester may have with a new one that is pending; 0 for as many as they like.
	MostPending int
	// Approvals are new ones, appended.
	Approvals []Approval
	// Withdrawn are the Slack IDs of approvers whose standing yes is taken back, at WithdrawnAt.
	Withdrawn   []string
	WithdrawnAt time.Time
	// Review is the review as it is after the change: inserted by CreateRequest, updated by ChangeCase. Nil leaves it.
	Review *Review
	// Grant is the intent of a new grant, inserted in state provisioning; nil for none.
	Grant  *grants.Grant
	Events []audit.Event
	// Jobs follow from the change. The store fills the request's new version into Draw jobs.
	Jobs []jobs.Job
}

// Query selects cases. Zero fields select everything.
type Query struct {
	Requester string // Slack user ID
	// Target and Profile select what was asked for, which may be more than was given.
	Target, Profile string
	States          []State
	// LiveGrants selects only cases whose latest grant is provisioning, active, revoking or cleanup.
	LiveGrants bool
	// OpenReviews selects only cases whose break-glass review is open.
	OpenReviews bool
	Since       time.Time
	// Limit is at most 200, which is also the default. Newest first.
	Limit int
}

// mostCases is the most a query returns.
const mostCases = 200

// Store keeps requests. Every change is one transaction; a change function runs under the request's row lock and must
// be pure (it may run again after a serialization failure). An event of a delivery that has one already (audit.Once) is
// audit.ErrDelivered, and nothing is written.
type Store interface {
	// CreateRequest inserts a request with what follows from it. When a request with the same Key exists, nothing is
	// written and that request's case is returned with created false.
	CreateRequest(ctx context.Context, change Change) (c Case, created bool, err error)
	Case(ctx context.Context, id string) (Case, error)
	Cases(ctx context.Context, q Query) ([]Case, error)
	// PendingOf counts the pending requests of a person, by Slack user ID, that have not lapsed: those that Change.MostPending bounds.
	PendingOf(ctx context.Context, requester string, now time.Time) (int, error)
	// ChangeCase locks the request, lets change decide, and writes the outcome. When change returns an error other than
	// ErrNoChange, its events are recorded nevertheless, nothing else is, and the error is returned with the case as it is.
	ChangeCase(ctx context.Context, id string, change func(Case) (Change, error)) (Case, error)
	// Usual says how the last few hundred requests went that were filed since an instant and asked for exactly these approvals.
	Usual(ctx context.Context, asked []policy.Requirement, since time.Time) (Usual, error)
	Grant(ctx context.Context, id string) (grants.Grant, error)
	// Unended lists grants that should have ended before now and are not secured: those that were alarmed about, and those
	// that should have ended before the second instant, the longest ago first. Stuck are secured ones of before then whose
	// clean-up fails.
	Unended(ctx context.Context, now, before time.Time) (overdue, stuck []grants.Grant, err error)
	// LeftBehind lists grants whose receipts name objects that live on and that nobody settled, the newest first, and says how
	// many more there are.
	LeftBehind(ctx context.Context, limit int) (found []grants.Grant, more int, err error)
	// Delivered reads the event of what a delivery asked for, see audit.Once. ErrNotFound while nothing was done for it.
	Delivered(ctx context.Context, delivery string) (audit.Event, error)
	// Record writes events that change no row: refused attempts.
	Record(ctx context.Context, events []audit.Event, follow []jobs.Job) error
	// Events selects recorded events, oldest first.
	Events(ctx context.Context, f audit.Filter) ([]audit.Event, error)
	// KeepPolicy stores a policy's source under its hash; storing the same again does nothing.
	KeepPolicy(ctx context.Context, hash string, source []byte, at time.Time) error
}
