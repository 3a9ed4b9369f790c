package audit

import "time"

// SealWithin is how long an event may stay without a seal before Verify reports it.
const SealWithin = 2 * time.Minute

// Kind says what happened. The values are stored and exported; never rename one.
type Kind string

// The kinds of events. A refused attempt carries the kind it attempted, with Refused set.
const (
	RequestFiled     Kind = "request.filed"
	RequestApproved  Kind = "request.approved" // one person's yes; Detail "quorum" says whether it was the last one needed
	RequestDenied    Kind = "request.denied"
	RequestCanceled  Kind = "request.cancelled"
	RequestLapsed    Kind = "request.lapsed"
	RequestWithdrawn Kind = "request.withdrawn" // an approver took their yes back
	RequestReminded  Kind = "request.reminded"
	RequestEscalated Kind = "request.escalated"
	GlassBroken      Kind = "glass.broken" // access now, approved by nobody; its review follows
	ReviewReminded   Kind = "review.reminded"
	ReviewEscalated  Kind = "review.escalated"
	ReviewClosed     Kind = "review.closed" // Detail "verdict"
	IncidentOpened   Kind = "incident.opened"
	IncidentResolved Kind = "incident.resolved"
	IncidentNone     Kind = "incident.none"   // the review is over, and no incident was open; Reason says why
	IncidentFailed   Kind = "incident.failed" // PagerDuty was not told, and trying again would not help; Reason says why

	RequestReady    Kind = "request.ready"    // approved for later, and its start has come
	RequestReopened Kind = "request.reopened" // issuing failed; the requester may press again

	GrantIntended   Kind = "grant.intended" // activation: the intent, before anything exists on the target
	GrantIssued     Kind = "grant.issued"   // the login exists and was read back
	GrantFailed     Kind = "grant.failed"   // issuing failed or is in doubt; revocation follows
	GrantShown      Kind = "grant.shown"    // a credential was handed to its holder's screen
	GrantRotated    Kind = "grant.rotated"  // a new password was made for a live login
	GrantExtended   Kind = "grant.extended"
	GrantEnding     Kind = "grant.ending"     // Detail "cause": expired, released, revoked, failed, orphaned
	GrantSecured    Kind = "grant.secured"    // locked, sessions killed, verified
	GrantRevoked    Kind = "grant.revoked"    // gone, with its receipt
	GrantOverdue    Kind = "grant.overdue"    // past its deadline and not secured
	GrantRetried    Kind = "grant.retried"    // an operator had the revocation tried once more
	GrantMissing    Kind = "grant.missing"    // live in the store, absent on the target
	LoginOrphaned   Kind = "login.orphaned"   // a stamped login no live grant explains
	LoginCopied     Kind = "login.copied"     // of a live grant, on a copy of its server too; Detail "origin"; left alone until the grant ends
	LoginTaken      Kind = "login.taken"      // what became of an orphan; Detail "sessions_killed", "leftovers", "left": what it owned
	LoginUnknown    Kind = "login.unknown"    // stamped with a grant that the store lost when it was restored; left alone until somebody decides
	GrantWrittenOff Kind = "grant.writtenoff" // ended by an operator without proof: its cluster is gone for good
	// LeftoversSettled: an operator says that what a visitor left behind was dealt with.
	LeftoversSettled Kind = "leftovers.settled"
	TargetTrusted    Kind = "target.trusted" // people are given logins on this cluster from now on; Detail "fingerprint", "before"
	TargetSwapped    Kind = "target.swapped" // another cluster answers under the target's name
	PolicyLoaded     Kind = "policy.loaded"
	PolicyRejected   Kind = "policy.rejected"
)

// Kinds are all of them, in the order in which they are declared.
func Kinds() []Kind {
	return []Kind{
		RequestFiled, RequestApproved, RequestDenied, RequestCanceled, RequestLapsed, RequestWithdrawn,
		RequestReminded, RequestEscalated, GlassBroken, ReviewReminded, ReviewEscalated, ReviewClosed,
		IncidentOpened, IncidentResolved, IncidentNone, IncidentFailed, RequestReady, RequestReopened,
		GrantIntended, GrantIssued, GrantFailed, GrantShown, GrantRotated, GrantExtended, GrantEnding,
		GrantSecured, GrantRevoked, GrantOverdue, GrantRetried, GrantMissing, LoginOrphaned, LoginCopied, LoginTaken,
		LoginUnknown,
		GrantWrittenOff, LeftoversSettled, TargetTrusted, TargetSwapped, PolicyLoaded, PolicyRejected,
	}
}

// Actor is who did it.
type Actor struct {
	// Kind is "person", "system" or "operator" (somebody at the command line).
	Kind string `json:"kind"`
	// ID is the Slack user ID of a person, the component's name of the system, the account name of an operator.
	ID    string `json:"id"`
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
}

// System is the actor of what prodaccess does by itself; component is for example "reaper" or "sweep".
func System(component string) Actor { return Actor{Kind: "system", ID: component} }

// Event is one line of the record: who, what, when, why, from where, and which policy and rule decided.
type Event struct {
	// ID is given by the store at insertion, ascending.
	ID int64 `json:"id"`
	// At is in UTC and cut to microseconds, which is what the store keeps.
	At      time.Time `json:"at"`
	Kind    Kind      `json:"kind"`
	Refused bool      `json:"refused,omitempty"`
	Actor   Actor     `json:"actor"`
	// Source is where the act came from: "slack:socket", "slack:http", "cli", or the system component.
	Source string `json:"source,omitempty"`

	Request string `json:"request,omitempty"`
	Grant   string `json:"grant,omitempty"`
	Target  string `json:"target,omitempty"`
	Profile string `json:"profile,omitempty"`
	// Reason is the person's own words (request, denial, revocation), or why an attempt was refused.
	Reason string `json:"reason,omitempty"`
	// Policy is the hash of the policy in force, Rule the rule that decided.
	Policy string `json:"policy,omitempty"`
	Rule   string `json:"rule,omitempty"`
	// Detail holds what is particular to the kind. Keys are lower-case words; never a secret.
	Detail map[string]string `json:"detail,omitempty"`
}
