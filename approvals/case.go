package approvals

import (
	"cmp"
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
	// StartsAt is when the access may begin; zero is at once. StartedAt is when that instant was noticed, or the access taken;
	// zero before, and where there was nothing to wait for.
	StartsAt  time.Time
	StartedAt time.Time

	// Decision is what the policy said at filing; its requirements are frozen, who may fill them is not.
	Decision policy.Decision

	FiledAt time.Time
	// LapsesAt is when the request lapses unless something happens: while pending, for an answer, whenever it is to start; while
	// approved, for its requester to take the credential, which is counted from the start where that is later.
	LapsesAt   time.Time
	ApprovedAt time.Time
	// Less is what approvers agreed to instead of all that was asked for; nil when it is all.
	Less *Less
	// BreakGlass says that nobody approved this and that a review follows.
	BreakGlass bool
	// Reminders is the number of the last reminder sent while it waited; those that an outage passed over are not made up
	// for. Escalated is how many of Decision.Escalations have happened, EscalatedAt when the last of them did.
	Reminders   int
	Escalated   int
	EscalatedAt time.Time
	// EndedAt is when it was denied, cancelled or lapsed.
	EndedAt time.Time
	// EndedBy is who denied or cancelled it; zero for the policy and for time.
	EndedBy Person
	// Answer is the denial's reason.
	Answer string
}

// Less is a yes to less than was asked for: shorter, or a profile that can do less, or both.
type Less struct {
	// Duration is the time given; 0 leaves the time asked for.
	Duration time.Duration
	// Profile is the access given; empty leaves the one asked for.
	Profile string
}

// Length is for how long access is, or would be, given.
func (r Request) Length() time.Duration {
	if r.Less != nil && r.Less.Duration > 0 {
		return r.Less.Duration
	}
	return cmp.Or(r.Duration, r.Decision.Duration)
}

// Access is the profile that is, or would be, given.
func (r Request) Access() string {
	if r.Less != nil && r.Less.Profile != "" {
		return r.Less.Profile
	}
	return r.Profile
}

// ReviewVerdict is what a reviewer found.
type ReviewVerdict string

// The verdicts of reviews. The values are stored.
const (
	Justified    ReviewVerdict = "justified"
	NotJustified ReviewVerdict = "not-justified"
	// Unused closes the review of access that nobody took; nobody has to look.
	Unused ReviewVerdict = "unused"
)

// Review is what somebody else has to say about broken glass afterwards. Who may, and when, is Decision.Review.
type Review struct {
	OpenedAt time.Time
	DueAt    time.Time
	// Reminders is the number of the last one sent; those that an outage passed over are not made up for. EscalatedAt is
	// when others were told, zero if they were not.
	Reminders   int
	EscalatedAt time.Time
	// ClosedAt is zero while the review is open. ClosedBy is zero when it closed by itself.
	ClosedAt time.Time
	ClosedBy Person
	Verdict  ReviewVerdict
	Note     string
}

// Open says whether somebody still has to look.
func (r *Review) Open() bool { return r != nil && r.ClosedAt.IsZero() }

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
	// Less is what this yes is to, nil when to all that was asked for.
	Less *Less
	// WithdrawnAt is when its giver took it back before the quorum; it then counts for nothing. Zero while it stands.
	WithdrawnAt time.Time
}

// Case is everything about one request: what a card is drawn from.
type Case struct {
	Request   Request
	Approvals []Approval
	// Review is nil unless glass was broken.
	Review *Review
	// Grant is the latest grant of the request, nil before activation.
	Grant *grants.Grant
	// Grants is how many grants were ever tried for it; more than one means that issuing failed before.
	Grants int
	// Unsecured is how many of those may still have a login that works: they are live, or not known to be locked out yet.
	// A try that failed before another was made is among them until it is.
	Unsecured int
	// Eligible are the selectors of those who may close the open review by the policy in force. The service says it of what
	// it reads; nil where nobody looked, as in the store.
	Eligible []string
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
	// StartsAt is when the access is to begin; zero is at once.
	StartsAt time.Time

	// now is the one instant at which this wish is checked, decided and filed: a start must not pass in between. Zero reads the clock.
	now time.Time
	// Key identifies the delivery, see Request.Key. Where it names something else that must not be asked for twice, Delivery is as in Press.
	Key      string
	Delivery string
	Source   string
}

// Press is somebody's act on a request: who Slack says it was, on what, from where.
type Press struct {
	By      string // Slack user ID
	Request string
	Source  string
	// Delivery names the command, press or window that Slack told of, the same however often and wherever it comes: what it asks for
	// is done once. Empty says nothing.
	Delivery string
	// Until is the end of the access as the presser saw it; zero where they were shown none. Only Extend asks.
	Until time.Time
}
