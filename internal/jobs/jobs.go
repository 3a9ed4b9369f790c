// Package jobs names the work that follows from a committed change.
//
// A job is written down in the transaction of the change that implies it and runs afterwards, at least once, on
// whichever replica takes it. Every job is therefore idempotent and reads the state it works on afresh: it carries
// only the identity of what it is about, never a copy of it, and never a secret.
package jobs

import "time"

// Kind says which work a job is. The values are stored; never rename one.
type Kind string

const (
	// Draw redraws every Slack copy of a request's card from the stored state. Subject: request.
	Draw Kind = "draw"
	// Lapse ends a request that nobody answered, or approved access that nobody took. Subject: request.
	Lapse Kind = "lapse"
	// Start says that the start of approved access has come. Subject: request.
	Start Kind = "start"
	// Reopen gives a request back to its requester after issuing failed before anybody saw a password. Subject: request.
	Reopen Kind = "reopen"
	// Recover takes back a grant that is still provisioning when the replica that issued it should long be done.
	// Subject: grant.
	Recover Kind = "recover"
	// Revoke carries a revocation as far as it goes: security, hygiene, receipt. Subject: grant.
	Revoke Kind = "revoke"
	// Alarm draws the overdue alarm of a grant in the security channel, and draws it again when it is over.
	// Subject: grant.
	Alarm Kind = "alarm"
	// Receipt posts the receipt of a finished grant into the thread of its request. Subject: grant.
	Receipt Kind = "receipt"
	// Digest posts one daily digest. Subject: the instant it is due, RFC 3339 in UTC.
	Digest Kind = "digest"
	// Sweep compares every target with the store. No subject.
	Sweep Kind = "sweep"
	// DigestDue looks whether a digest has become due since the last one, and files its Digest job. No subject.
	DigestDue Kind = "digest-due"
	// Remind reminds those who may answer a pending request, and files the next reminder. Subject: request.
	Remind Kind = "remind"
	// Escalate lets others answer a pending request as well. Subject: request.
	Escalate Kind = "escalate"
	// Review reminds of an open break-glass review, escalates it, and files the next look at it. Subject: request.
	Review Kind = "review"
	// Nudge posts one reminder or escalation into the thread of its request, or counts down in its messages. Subject: what is said
	// ("remind", "escalate", "review", "overdue", "ending", "left"), the number and the request, as in "remind/2/abc".
	Nudge Kind = "nudge"
	// Incident opens an incident in PagerDuty for broken glass. Subject: request.
	Incident Kind = "incident"
	// Homes looks which Home tabs that somebody has open are out of date, and draws those. Subject: all.
	Homes Kind = "homes"
	// Survey lists the standing logins of every target. No subject.
	Survey Kind = "survey"
	// Finding reports something a sweep met and does not understand. Subject: the finding's id.
	Finding Kind = "finding"
)

// Job is one piece of work. Two jobs with the same kind, subject and version are one job.
type Job struct {
	Kind    Kind
	Subject string
	// Version tells apart jobs that must each run: the version of the state a Draw was caused by.
	Version int64
	// At is when the job may run; zero means at once.
	At time.Time
}
