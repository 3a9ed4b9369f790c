package approvals

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/policy"
)

// mostEvents is the most that a timeline shows; a request has a few dozen.
const mostEvents = 1000

// CloseReview says what a reviewer found and closes the review. Refused while the access lives or can be taken, to the
// requester, and to whoever the policy does not name. The note must not be empty.
func (s *Service) CloseReview(ctx context.Context, press Press, verdict ReviewVerdict, note string) (Case, error) {
	person, c, err := s.presser(ctx, press, audit.ReviewClosed)
	if err != nil {
		return Case{}, err
	}
	note = cut(strings.TrimSpace(note), LongestReason)
	a := CloseReview{By: person, Verdict: verdict, Note: note}
	if c.Review != nil && !person.Same(c.Request.Requester) {
		fills, why := s.entitlement(ctx, person, []policy.Requirement{c.reviewers()})
		if len(fills) == 0 && why != "" {
			return c, s.refusal(ctx, c, person, press, audit.ReviewClosed,
				refuse(NotReviewer, "Whether you may close this could not be found out: %s. Try again in a moment.", why))
		}
		a.Reviewer = len(fills) > 0
	}
	c, err = s.cfg.Store.ChangeCase(ctx, press.Request, func(c Case) (Change, error) {
		event := s.event(audit.ReviewClosed, c.Request, actor(person), press.Source)
		next, err := Next(c, a, s.cfg.Now())
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			return Change{Events: []audit.Event{refused(event, refusal)}}, refusal
		}
		if err != nil {
			return Change{}, err
		}
		event.Reason, event.Detail = note, map[string]string{"verdict": string(verdict)}
		return s.change(c, next, event), nil
	})
	if _, ok := errors.AsType[*Refusal](err); !ok && err != nil {
		return c, fmt.Errorf("closing the review of request %s: %w", press.Request, err)
	}
	return c, err
}

// Reviewable lists, the most urgent first, the open reviews that this person may close (now, or once the access is over).
// It is a look and not an attempt: nothing is recorded.
func (s *Service) Reviewable(ctx context.Context, slackID string) ([]Case, error) {
	person, err := s.cfg.Directory.Person(ctx, slackID, false)
	if err != nil {
		return nil, err
	}
	open, err := s.cfg.Store.Cases(ctx, Query{OpenReviews: true})
	if err != nil {
		return nil, fmt.Errorf("reading open reviews: %w", err)
	}
	open = slices.DeleteFunc(open, func(c Case) bool { return person.Same(c.Request.Requester) })
	if len(open) == 0 {
		return nil, nil
	}
	needed := make([]policy.Requirement, len(open))
	for i, c := range open {
		needed[i] = c.reviewers()
	}
	var out []Case
	fills, _ := s.entitlement(ctx, person, needed)
	for _, i := range fills {
		out = append(out, open[i])
	}
	slices.SortStableFunc(out, func(a, b Case) int { return a.Review.DueAt.Compare(b.Review.DueAt) })
	return out, nil
}

// Timeline is everything that was recorded about a request, oldest first.
func (s *Service) Timeline(ctx context.Context, request string) ([]audit.Event, error) {
	events, err := s.cfg.Store.Events(ctx, audit.Filter{Request: request, Limit: mostEvents})
	if err != nil {
		return nil, fmt.Errorf("reading the timeline of request %s: %w", request, err)
	}
	return events, nil
}
