package approvals

import (
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
)

// State is where a request is in its life. The values are stored; never rename one.
type State string

// The states. Denied, Cancelled and Lapsed are final; Activated is left only by Reopen.
const (
	Pending   State = "pending"
	Approved  State = "approved"
	Activated State = "activated"
	Denied    State = "denied"
	Cancelled State = "cancelled"
	Lapsed    State = "lapsed"
)

// Person is a human of the workspace who may act: not a bot, guest or stranger, not deleted, with a confirmed address.
type Person struct {
	ID    string `json:"id"` // Slack user ID
	Name  string `json:"name"`
	Email string `json:"email"`
	// Zone is the IANA time zone Slack reports, for texts that cannot use Slack's own date formatting.
	Zone string `json:"zone,omitempty"`
}

// Same says whether two records mean one human: one Slack ID or one e-mail address.
func (p Person) Same(other Person) bool {
	return p.ID == other.ID || (p.Email != "" && equalFold(p.Email, other.Email))
}

// Request is one person's wish, what the policy said to it, and how far it came.
type Request struct {
	ID    string
	State State
	// Version counts every change of the request and of its grants; cards are drawn from it.
	Version int64
	// Key is the delivery that filed it, unique, so that a redelivery does not file twice.
	Key string

	Requester Person
	Target    string
	Engine    string
	Profile   string
	Duration  time.Duration
	Ticket    string
	Reason    string
	Params    map[string]string
	Source    string // "slack:socket", "slack:http"

	// Decision is what the policy said at filing; its requirements are frozen, who may fill them is not.
	Decision policy.Decision

	FiledAt time.Time
	// LapsesAt is when the request lapses unless something happens: while pending, for an answer; while approved, for
	// its requester to take the credential.
	LapsesAt   time.Time
	ApprovedAt time.Time
	// EndedAt is when it was denied, cancelled or lapsed.
	EndedAt time.Time
	// EndedBy is who denied or cancelled it; zero for the policy and for time.
	EndedBy Person
	// Answer is the denial's reason.
	Answer string
}

// Verdict is one person's yes or no.
type Verdict string

// The verdicts. The values are stored.
const (
	Yes Verdict = "yes"
	No  Verdict = "no"
)

// Approval is one person's yes or no to a request.
type Approval struct {
	By      Person
	Verdict Verdict
	Reason  string
	At      time.Time
	// Fills lists the requirements (indexes into Decision.Approvals) the person was entitled to at the press.
	Fills []int
}

// Case is everything about one request: what a card is drawn from.
type Case struct {
	Request   Request
	Approvals []Approval
	// Grant is the latest grant of the request, nil before activation.
	Grant *grants.Grant
	// Grants is how many grants were ever tried for it; more than one means that issuing failed before.
	Grants int
}

// Waiting returns the requirements that are not met yet, each with how many approvals it still needs.
func (c Case) Waiting() []policy.Requirement {
	if c.Request.State != Pending {
		return nil
	}
	return missing(c.Request.Decision.Approvals, c.Approvals)
}

// Filing is a wish as it came in.
type Filing struct {
	// By is the Slack user ID of whoever asks.
	By      string
	Target  string
	Profile string
	// Duration 0 asks for the policy's default.
	Duration time.Duration
	Ticket   string
	Reason   string
	Params   map[string]string
	// Key identifies the delivery, see Request.Key.
	Key    string
	Source string
}

// Press is somebody's act on a request: who Slack says it was, on what, from where.
type Press struct {
	By      string // Slack user ID
	Request string
	Source  string
}
