package bot

import (
	"context"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/outbox"
	"github.com/prodaccess/prodaccess/policy"
)

// Service decides and acts. Errors that are *approvals.Refusal carry words for the person; every other error does not
// reach anybody but the log.
type Service interface {
	// File files a request; Case.Request.State tells whether it is denied, approved or pending.
	File(ctx context.Context, filing approvals.Filing) (approvals.Case, error)
	// Preview says what the policy would answer, without filing anything.
	Preview(ctx context.Context, filing approvals.Filing) (policy.Decision, error)
	Approve(ctx context.Context, press approvals.Press) (approvals.Case, error)
	Deny(ctx context.Context, press approvals.Press, reason string) (approvals.Case, error)
	// Usual says how such approvals went lately. It is quick and never fails.
	Usual(ctx context.Context, asked []policy.Requirement) approvals.Usual
	// MayDecide says whether the presser may approve or deny now.
	MayDecide(ctx context.Context, press approvals.Press) error
	// ApproveLess is a yes to a shorter time, or to one of the profiles Narrower lists, or to both.
	ApproveLess(ctx context.Context, press approvals.Press, less approvals.Less) (approvals.Case, error)
	Narrower(c approvals.Case) []policy.Profile
	// Withdraw takes the presser's own yes back while the request is pending.
	Withdraw(ctx context.Context, press approvals.Press) (approvals.Case, error)
	// BreakGlass files a request that nobody approves; PreviewBreakGlass says what it would do.
	BreakGlass(ctx context.Context, filing approvals.Filing) (approvals.Case, error)
	PreviewBreakGlass(ctx context.Context, filing approvals.Filing) (policy.Decision, error)
	CloseReview(ctx context.Context, press approvals.Press, verdict approvals.ReviewVerdict, note string) (approvals.Case, error)
	// Reviewable are the open reviews this person may close. Looking is not an attempt.
	Reviewable(ctx context.Context, slackID string) ([]approvals.Case, error)
	// Timeline is what was recorded about a request, oldest first.
	Timeline(ctx context.Context, request string) ([]audit.Event, error)
	Cancel(ctx context.Context, press approvals.Press) (approvals.Case, error)
	// Activate commits the intent; Case.Grant is provisioning.
	Activate(ctx context.Context, press approvals.Press) (approvals.Case, error)
	// Issue makes the login of a grant this process has just activated.
	Issue(ctx context.Context, grantID string) (grants.Credential, error)
	// ShowAgain gives the login of an active grant a new password.
	ShowAgain(ctx context.Context, press approvals.Press) (grants.Credential, error)
	// Shown records that Slack accepted the view with the credential.
	Shown(ctx context.Context, grantID string) error
	// Abandon takes a grant back whose credential nobody saw; the request reopens.
	Abandon(ctx context.Context, grantID, why string) error
	Release(ctx context.Context, press approvals.Press) (approvals.Case, error)
	Revoke(ctx context.Context, press approvals.Press, reason string) (approvals.Case, error)
	// MayRevoke says whether the presser may revoke now.
	MayRevoke(ctx context.Context, press approvals.Press) error
	// Extendable says how much longer live access could be made to last without anybody being asked, or why it could not.
	Extendable(ctx context.Context, c approvals.Case) (most time.Duration, why string, err error)
	// Instead lists what the requester of a refused request would be let ask for, the nearest first.
	Instead(ctx context.Context, r approvals.Request) ([]approvals.Alternative, error)
	Extend(ctx context.Context, press approvals.Press, by time.Duration) (approvals.Case, error)
	Case(ctx context.Context, id string) (approvals.Case, error)
	Cases(ctx context.Context, query approvals.Query) ([]approvals.Case, error)
	// Answerable are the pending requests that wait for this person among others. Looking is not an attempt.
	Answerable(ctx context.Context, slackID string) ([]approvals.Case, error)
	// Operations is what waits for an operator; empty for anybody else. Looking is not an attempt.
	Operations(ctx context.Context, slackID string) (approvals.Operations, error)
	// RevokeAgain tries a revocation once more and returns when that is over; Settle says that what a visitor left behind was
	// dealt with. Both are for operators, and about a grant.
	RevokeAgain(ctx context.Context, press approvals.Press, grantID string) (grants.Grant, error)
	Settle(ctx context.Context, press approvals.Press, grantID string) (grants.Grant, error)
	// Known is nil for somebody who may ask and answer at all; otherwise it says why not. Looking is not an attempt.
	Known(ctx context.Context, slackID string) error
	// Me is how the policy sees somebody now, and what they may ask for. Looking is not an attempt.
	Me(ctx context.Context, slackID string) (approvals.Me, error)
	// OnCall names those on call for a schedule of the policy by their addresses, for calling them; unknown completes "because …"
	// where they cannot all be named.
	OnCall(ctx context.Context, schedule string) (emails []string, unknown string)
	// Groups are those of the policy in force, for mentioning whoever may act.
	Groups() []policy.Group
	Targets() []grants.Target
	// Profiles are those that apply to the target's engine.
	Profiles(target string) []policy.Profile
}

// Grants reads a grant by its id. The store implements it.
type Grants interface {
	Grant(ctx context.Context, id string) (grants.Grant, error)
}

// Outbox remembers what was posted, see package outbox. The store implements it.
type Outbox interface {
	// ClaimMessage takes the message's lease, or fails with outbox.ErrBusy. A message that is gone comes without a claim.
	ClaimMessage(ctx context.Context, key string, now time.Time, lease time.Duration) (m outbox.Message, claim string, err error)
	// Message reads what is known of a message and takes nothing, or fails with outbox.ErrNoMessage.
	Message(ctx context.Context, key string) (outbox.Message, error)
	// RecordPosted ends the claim: the message at channel and ts shows the state of that version.
	RecordPosted(ctx context.Context, key, claim, channel, ts string, version int64) error
	// ReviveMessage lets a message be drawn again that is gone for that reason.
	ReviveMessage(ctx context.Context, key, why string) error
	// RecordGone ends the claim and every later drawing.
	RecordGone(ctx context.Context, key, claim, why string) error
	// ReleaseMessage ends the claim; the message may or may not have been posted.
	ReleaseMessage(ctx context.Context, key, claim string) error
}

// Homes remembers who looks at their Home tab. The store implements it; "since" is always from when on opening it counts.
type Homes interface {
	// HomeOpened remembers somebody whose Home is out of date by an instant, and forgets everybody who has not looked since.
	HomeOpened(ctx context.Context, user string, at, by, since time.Time) error
	// HomeShown remembers what a Home shows; HomeChecked ends its staleness unless something changed after h was read.
	HomeShown(ctx context.Context, user, shows string, at time.Time) error
	HomeChecked(ctx context.Context, h outbox.Home, at time.Time) error
	// StaleHomes lists those that are out of date by an instant and were not checked after another, the longest ago first.
	StaleHomes(ctx context.Context, since, by, checked time.Time, limit int) ([]outbox.Home, error)
	// WantHomes makes all of them stale by an instant and files the job that calls [Bot.FreshenHomes], unless one waits to be run.
	WantHomes(ctx context.Context, since, by time.Time) error
	// HomesWanted says whether one waits. A job that runs does not.
	HomesWanted(ctx context.Context) (bool, error)
}

// Digests gives the digest that is due at an instant.
type Digests interface {
	Digest(ctx context.Context, due time.Time) (audit.Digest, error)
}

// Findings gives the words of something a sweep met and does not understand, by the id of its audit event.
type Findings interface {
	Finding(ctx context.Context, eventID string) (string, error)
}
