package approvals

import (
	"fmt"
	"time"
)

// Code says why an act was refused, from a closed list. It is stored with the audit event.
type Code string

// The codes.
const (
	NotFound      Code = "not-found"
	NotEligible   Code = "not-eligible"   // bot, guest, stranger, deleted, no confirmed address
	NotKnown      Code = "not-known"      // Slack did not say who the person is; trying again may help
	OwnRequest    Code = "own-request"    // nobody decides about their own request
	NotApprover   Code = "not-approver"   // the policy does not entitle the person
	NotHolder     Code = "not-holder"     // only the requester may do this
	AlreadyVoted  Code = "already-voted"  // one human, one answer
	AlreadyOver   Code = "already-over"   // decided, cancelled, lapsed or ended before
	TooEarly      Code = "too-early"      // not approved yet, not started yet, no grant yet
	InProgress    Code = "in-progress"    // the same press is being carried out
	AlreadyIssued Code = "already-issued" // the credential was shown; showing again makes a new password
	ReviewOpen    Code = "review-open"    // no more glass is broken until the last review is closed
	NotReviewer   Code = "not-reviewer"   // the policy does not name the person, or it is their own
	BadInput      Code = "bad-input"      // unknown target or profile, impossible duration
	TooMany       Code = "too-many"       // as many requests of theirs wait for an answer as may
	Unavailable   Code = "unavailable"    // the target does not answer; nothing was changed
)

// Refusal is an act that was not carried out, in words its actor can use. Nothing changed, except that the attempt was
// recorded.
type Refusal struct {
	Code  Code
	Words string
	// Field is the input at fault, by its label on the form ("Database", "Access", "Duration", "Start", "Reason", "Ticket"), if one is.
	Field string
	// When is an instant that Words names in the way of [Instant], so that it can be shown in a reader's own zone; zero for none.
	When time.Time
}

// Error implements error.
func (r *Refusal) Error() string { return string(r.Code) + ": " + r.Words }

// Instant writes an instant as refusals do.
func Instant(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }

func refuse(code Code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Words: fmt.Sprintf(format, args...)}
}
