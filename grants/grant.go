package grants

import (
	"time"

	"github.com/prodaccess/prodaccess/audit"
)

// Prefix starts the name of every role prodaccess makes. It touches no role without it.
const Prefix = "pa_"

const (
	// IssueWithin is how long after the intent a login may still appear on the target; a driver's transaction refuses
	// itself on the server after it.
	IssueWithin = 30 * time.Second
	// RecoverAfter is when a grant still provisioning is taken back. It is longer than IssueWithin by more than the
	// clock skew a driver tolerates within one call.
	RecoverAfter = 60 * time.Second
	// MaxSecurityPause is the longest pause between two tries of the security step.
	MaxSecurityPause = 15 * time.Second
	// MaxHygienePause is the longest pause between two tries of the hygiene step.
	MaxHygienePause = 5 * time.Minute
)

// State is where a grant is in its life. The values are stored; never rename one.
type State string

// The states, in the only order they can follow each other.
const (
	Provisioning State = "provisioning"
	Active       State = "active"
	Revoking     State = "revoking"
	Cleanup      State = "cleanup"
	Revoked      State = "revoked"
)

// Cause says why a grant ended. The values are stored.
type Cause string

// The causes.
const (
	Expired   Cause = "expired"
	Released  Cause = "released" // by its holder
	Withdrawn Cause = "revoked"  // by an approver or operator
	Failed    Cause = "failed"   // issuing failed or is in doubt; nobody saw a password
	Missing   Cause = "missing"  // the target lost the login while it was live
)

// Holder is the person a grant was issued to.
type Holder struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

// Grant is an issued login with a deadline, or the intent to issue one.
type Grant struct {
	ID      string
	Request string
	Holder  Holder
	State   State
	// Version counts the changes of this row.
	Version int64

	Target   string
	Engine   string
	Database string
	// Fingerprint identifies the cluster the login was issued on (system_identifier, server_uuid).
	Fingerprint string
	Profile     string
	// ProfileVersion is the hash of the profile's definition at issue.
	ProfileVersion string
	AccessRole     string
	// Login is the role's name, derived from holder and id.
	Login string
	// OID is the role's identity, 0 until it was read back. Sessions are found by it, because a dropped role's name is gone.
	OID uint32
	// ConnectionLimit is how many sessions the login may have at once.
	ConnectionLimit int
	// StatementTimeout is a seat belt of the login, in whole milliseconds; zero leaves the server's own.
	StatementTimeout time.Duration
	// Params are the values of the profile's parameters, which the target enforces for this login only. Not secrets.
	Params []Param

	// Intended is when the attempt began; the duration counts from here.
	Intended time.Time
	// Deadline is when access ends. It moves only by extension.
	Deadline time.Time
	// Extensions counts how often the deadline was moved.
	Extensions int
	// NotAfter bounds every extension: the end of the shift the approval rests on. Zero when it rests on none.
	NotAfter time.Time

	IssuedAt  time.Time // active since
	ShownAt   time.Time // the last time a credential was handed to the holder's screen
	EndingAt  time.Time // revoking since
	SecuredAt time.Time // locked, killed, verified
	EndedAt   time.Time // revoked

	Cause   Cause
	EndedBy audit.Actor
	// Note is what whoever ended it said, or what went wrong while issuing.
	Note string

	// Attempts counts failed tries of the step the grant is in; LastError is the last one's words, free of secrets.
	Attempts  int
	LastError string
	// AlarmedAt is when the overdue alarm was raised; zero if it never was.
	AlarmedAt time.Time

	Receipt *Receipt
}

// Live says whether the login can be used, or may come to be.
func (g Grant) Live() bool { return g.State == Provisioning || g.State == Active }

// Due says whether the grant should have ended by now.
func (g Grant) Due(now time.Time) bool { return g.Live() && !now.Before(g.Deadline) }

// End is when access was to end: the deadline, or earlier if somebody ended it before.
func (g Grant) End() time.Time {
	if !g.EndingAt.IsZero() && g.EndingAt.Before(g.Deadline) {
		return g.EndingAt
	}
	return g.Deadline
}

// Receipt is the proof that a grant is over, read back from the target's own catalogs. It is stored as JSON and shown to
// people; every field is safe to show. It is begun by the first try that locks the login, and proves nothing before the
// grant is Revoked.
type Receipt struct {
	Login       string    `json:"login"`
	OID         uint32    `json:"oid,omitempty"`
	Target      string    `json:"target"`
	Fingerprint string    `json:"fingerprint"`
	Deadline    time.Time `json:"deadline"`
	LockedAt    time.Time `json:"locked_at,omitzero"`
	// Killed is how many sessions were terminated, over all nodes.
	Killed int `json:"killed"`
	// Nodes says where sessions were looked for.
	Nodes      []string  `json:"nodes"`
	SecuredAt  time.Time `json:"secured_at"`
	DroppedAt  time.Time `json:"dropped_at,omitzero"`
	VerifiedAt time.Time `json:"verified_at"`
	// NeverExisted is set when the login never came to be on this fingerprint.
	NeverExisted bool `json:"never_existed,omitempty"`
	// WrittenOff says by whom and why the grant was ended without proof, because its cluster is gone for good. Nothing else
	// of the receipt was verified then.
	WrittenOff string     `json:"written_off,omitempty"`
	Checks     []Check    `json:"checks"`
	Leftovers  []Leftover `json:"leftovers,omitempty"`
}

// Check is one thing that was looked at to prove the end.
type Check struct {
	// What is a plain statement that holds: "no role with this name", "no session with OID 16422 on orders-prod".
	What string `json:"what"`
	OK   bool   `json:"ok"`
}

// Leftover is something the login owned that lives on, and who owns it now.
type Leftover struct {
	Database string `json:"database"`
	// What describes the object: "table public.scratch".
	What  string `json:"what"`
	Owner string `json:"owner"`
}
