package approvals

import (
	"context"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/policy"
)

// BreakGlass gives access now, approved by nobody: the request is Approved when it returns, its review is open, and the
// loud message is a job committed with it. Duration 0 takes the longest the policy allows. Denied requests are kept as by
// File. Somebody whose earlier review is still open gets a *Refusal with ReviewOpen.
func (s *Service) BreakGlass(ctx context.Context, f Filing) (Case, error) { return Case{}, errNotBuilt }

// PreviewBreakGlass says what BreakGlass would do, and changes and records nothing. The refusals are BreakGlass's.
func (s *Service) PreviewBreakGlass(ctx context.Context, f Filing) (policy.Decision, error) {
	return policy.Decision{}, errNotBuilt
}

// CloseReview says what a reviewer found and closes the review. Refused while the access lives, to the requester, and to
// whoever the policy does not name. The note must not be empty.
func (s *Service) CloseReview(ctx context.Context, press Press, verdict ReviewVerdict, note string) (Case, error) {
	return Case{}, errNotBuilt
}

// Reviewable lists, the most urgent first, the open reviews that this person may close (now, or once the access is over).
// It is a look and not an attempt: nothing is recorded.
func (s *Service) Reviewable(ctx context.Context, slackID string) ([]Case, error) {
	return nil, errNotBuilt
}

// Timeline is everything that was recorded about a request, oldest first.
func (s *Service) Timeline(ctx context.Context, request string) ([]audit.Event, error) {
	return nil, errNotBuilt
}

// Remind is the Remind job, Escalate the Escalate job, Review the Review job.
func (s *Service) Remind(ctx context.Context, id string) error { return errNotBuilt }

// Escalate lets those the policy names answer a pending request as well. It is the Escalate job.
func (s *Service) Escalate(ctx context.Context, id string) error { return errNotBuilt }

// Review reminds of an open review, escalates it when it is late, and files the next look. It is the Review job.
func (s *Service) Review(ctx context.Context, id string) error { return errNotBuilt }
