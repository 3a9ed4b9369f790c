package grants

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/internal/secret"
)

// Driver issues and takes back logins on one target. Implementations are safe for concurrent use, hold no state that
// matters, and never let a password, a verifier or a connection URL into an error or a log. Every error they return is
// a [*Failure]. All of them pass grantstest.Exercise.
type Driver interface {
	// Fingerprint identifies the cluster behind the target, the same value for as long as it is the same cluster.
	Fingerprint(ctx context.Context) (string, error)
	// Issue makes the login in one transaction and reads it back. It refuses (FailSwapped, FailSkewed) when the
	// fingerprint differs or the clocks are more than 30 s apart. When it fails the login may exist nevertheless,
	// but none can appear after order.NotAfter.
	Issue(ctx context.Context, order Order) (Issued, error)
	// Rotate gives a live login a new password and proves that it took.
	Rotate(ctx context.Context, login Login, password secret.String) error
	// Extend moves the time until which the server itself accepts the login, and reads it back.
	Extend(ctx context.Context, login Login, validUntil time.Time) error
	// Secure locks the login, terminates its sessions on every node until none is left, and verifies both. A login
	// that does not exist on the same fingerprint is secure once no session carries its OID. Idempotent. With an error it
	// still returns when it locked the login and how many sessions it ended: a second try will not find them again.
	Secure(ctx context.Context, login Login) (Secured, error)
	// Clean gives what the login owned to the quarantine role, drops the login and verifies that no trace is left. It
	// may be called only after Secure succeeded. Idempotent; taking back what is gone is success.
	Clean(ctx context.Context, login Login) (Cleaned, error)
	// Logins lists every login on the target that carries the prefix and this installation's stamp.
	Logins(ctx context.Context) ([]Login, error)
	// Close releases connections.
	Close()
}

// Many is implemented by drivers that take many logins back in a few messages. done is called once for each login, by its
// place, as soon as its outcome is known, from any goroutine and never after the method has returned. What goes wrong with
// one login is told of that one and keeps no other waiting for longer than it takes to find out which it is.
type Many interface {
	// SecureMany is Driver.Secure for each.
	SecureMany(ctx context.Context, logins []Login, done func(i int, secured Secured, err error))
	// FinishMany is SecureMany, and in the same message removes those that had no session and own nothing: cleaned is then
	// what Driver.Clean would have returned, and nil for all others, for which Clean must follow.
	FinishMany(ctx context.Context, logins []Login, done func(i int, secured Secured, cleaned *Cleaned, err error))
	// CleanMany is Driver.Clean for each.
	CleanMany(ctx context.Context, logins []Login, done func(i int, cleaned Cleaned, err error))
}

// Remembering is implemented by drivers that can keep a line of text on the target for an installation, beside its logins
// and where only prodaccess's own login writes. It outlives the store.
type Remembering interface {
	// Remembered is the text, empty when none was kept.
	Remembered(ctx context.Context) (string, error)
	// Remember keeps another text. It is of letters, digits, colons and spaces.
	Remember(ctx context.Context, text string) error
}

// Homing is implemented by drivers of engines without a search path. Home is the database that a live login's holder must
// connect to so that plain names of tables mean what the profile shows; empty for the target's own.
type Homing interface {
	Home(ctx context.Context, login Login) (string, error)
}

// Replicated is implemented by drivers of targets with nodes that follow behind. Behind waits, for some seconds at most,
// until every node has what was done on the target before the call, and names those that had not by then or did not answer.
type Replicated interface {
	Behind(ctx context.Context) []string
}

// Stamp marks a login as ours and says which grant it belongs to. It is kept on the server beside the login.
type Stamp struct {
	// Installation identifies the store, so that two installations on one target leave each other alone.
	Installation string
	Grant        string
}

// UnknownInstallation is what a driver is opened with to prepare and to look while the store does not say which installation
// is ours. It gives out nothing.
const UnknownInstallation = "preparation"

// String is the stamp's text on the server.
func (s Stamp) String() string {
	return "prodaccess installation=" + s.Installation + " grant=" + s.Grant
}

// ParseStamp reads what String wrote; anything else is not a stamp.
func ParseStamp(text string) (Stamp, bool) {
	rest, ok := strings.CutPrefix(text, "prodaccess installation=")
	if !ok {
		return Stamp{}, false
	}
	installation, grant, ok := strings.Cut(rest, " grant=")
	if !ok || installation == "" || grant == "" || strings.ContainsAny(installation+grant, " \n\t") {
		return Stamp{}, false
	}
	return Stamp{Installation: installation, Grant: grant}, true
}

// Order is what is to be issued.
type Order struct {
	Login       string
	AccessRole  string
	Stamp       Stamp
	Fingerprint string
	// ValidUntil is when the server itself stops accepting the password: deadline plus grace.
	ValidUntil time.Time
	// NotAfter is the instant after which the login must not come to be.
	NotAfter        time.Time
	ConnectionLimit int
	// StatementTimeout is the profile's seat belt; zero leaves the server's own.
	StatementTimeout time.Duration
	// Params are bound, never pasted; they hold for this login only and are gone with it.
	Params   []Param
	Password secret.String
}

// Issued is what was read back after issuing.
type Issued struct {
	OID uint32
	// Lagging names the nodes that had not replayed the login when waiting for them ended. They refuse it until they have.
	Lagging []string
}

// Login says which login is meant. Drivers act only when name, stamp and, where known, OID agree.
type Login struct {
	Name string
	// OID is 0 when it was never read back; the login is then found by name and stamp.
	OID   uint32
	Stamp Stamp
	// Fingerprint is the cluster the login was issued on; empty in what Logins returns.
	Fingerprint string
	// CanLogin is set by Logins only.
	CanLogin bool
	// ValidUntil is when the server itself stops accepting the login, set by Logins only, and zero where the engine has no
	// such thing or the login no such end.
	ValidUntil time.Time
}

// Secured is what the security step found and did.
type Secured struct {
	// Existed says whether the login was still in the catalogs.
	Existed  bool
	OID      uint32
	LockedAt time.Time
	Killed   int
	// Nodes names every node on which no session is left.
	Nodes  []string
	Checks []Check
}

// Cleaned is what the hygiene step found and did.
type Cleaned struct {
	DroppedAt time.Time
	Checks    []Check
	Leftovers []Leftover
}

// Reason says why a driver failed, from a closed list.
type Reason string

// The reasons.
const (
	// FailUnreachable: the target, or one of its nodes, did not answer. Trying again helps once it does.
	FailUnreachable Reason = "unreachable"
	// FailBusy: a lock or a session did not go away in time. Trying again helps.
	FailBusy Reason = "busy"
	// FailPrivilege: the administrator login lacks a privilege. Trying again helps once somebody grants it.
	FailPrivilege Reason = "privilege"
	// FailSwapped: another cluster answers under the target's address.
	FailSwapped Reason = "swapped"
	// FailSkewed: the clocks differ by more than is safe.
	FailSkewed Reason = "skewed"
	// FailForeign: a role of that name exists and is not ours.
	FailForeign Reason = "foreign"
	// FailUnprepared: the access role or the quarantine role is missing; `targets apply` mends it.
	FailUnprepared Reason = "unprepared"
	// FailLate: the order's NotAfter had passed.
	FailLate Reason = "late"
	// FailInternal: anything else, a defect of ours until shown otherwise.
	FailInternal Reason = "internal"
)

// Failure is the only error a driver returns.
type Failure struct {
	Reason Reason
	// Mend says what a person can do about it, empty when there is nothing but waiting.
	Mend string
	Err  error
}

// Error implements error.
func (f *Failure) Error() string {
	if f.Mend == "" {
		return fmt.Sprintf("%s: %v", f.Reason, f.Err)
	}
	return fmt.Sprintf("%s: %v (%s)", f.Reason, f.Err, f.Mend)
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// ReasonOf returns the reason of a driver's error, FailInternal for any other error, and "" for nil.
func ReasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		return f.Reason
	}
	return FailInternal
}
