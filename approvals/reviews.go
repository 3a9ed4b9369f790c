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
// requester, and to whoever neither the decision nor the policy in force names. The note must not be empty.
func (s *Service) CloseReview(ctx context.Context, press Press, verdict ReviewVerdict, note string) (Case, error) {
	person, c, err := s.presser(ctx, press, audit.ReviewClosed)
	if err != nil {
		return Case{}, err
	}
	note = cut(strings.TrimSpace(note), LongestReason)
	a := CloseReview{By: person, Verdict: verdict, Note: note}
	if c.Review != nil && !person.Same(c.Request.Requester) {
		needed := s.mayReview(c)
		fills, why := s.entitlement(ctx, person, []policy.Requirement{needed})
		if len(fills) == 0 && why != "" {
			refusal := refuse(NotReviewer, "Whether you may close this could not be found out: %s. Try again in a moment.", why)
			if gone := s.undefined(c.reviewers().From); len(gone) > 0 && len(gone) == len(c.reviewers().From) {
				refusal = refuse(NotReviewer, "The policy no longer defines %s, who were to review this. It takes somebody of %s.",
					Selectors(gone), Selectors(slices.DeleteFunc(needed.From, func(who string) bool { return slices.Contains(gone, who) })))
			}
			return s.once(ctx, press.Delivery, c, s.refusal(ctx, c, person, press, audit.ReviewClosed, refusal))
		}
		a.Reviewer = len(fills) > 0
	}
	c, err = s.cfg.Store.ChangeCase(ctx, press.Request, func(c Case) (Change, error) {
		event := s.event(audit.ReviewClosed, c.Request, actor(person), press.Source)
		next, err := Next(s.eligible(c), a, s.cfg.Now())
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			return Change{Events: []audit.Event{refused(event, refusal)}}, refusal
		}
		if err != nil {
			return Change{}, err
		}
		event.Reason, event.Detail = note, map[string]string{"verdict": string(verdict)}
		return s.change(c, next, audit.Once(event, press.Delivery)), nil
	})
	if _, ok := errors.AsType[*Refusal](err); !ok && err != nil {
		err = fmt.Errorf("closing the review of request %s: %w", press.Request, err)
	}
	return s.once(ctx, press.Delivery, c, err)
}

// mayReview is who may close a review: whom the decision names, whom the policy in force names, and its operators. A group
// that was renamed since must not keep a review open for ever.
func (s *Service) mayReview(c Case) policy.Requirement {
	needed, p := c.reviewers(), s.cfg.Policy()
	if glass, ok := p.BreakGlass(); ok {
		needed.From = added(needed.From, glass.Reviewers)
	}
	needed.From = added(needed.From, p.Operators())
	return needed
}

// eligible says who is called to an open review: whom the decision names and the policy in force still defines, and whom that
// policy names. Its operators may close any review; they are called where nobody else is left.
func (s *Service) eligible(c Case) Case {
	if !c.Review.Open() {
		return c
	}
	from, p := c.reviewers().From, s.cfg.Policy()
	gone := s.undefined(from)
	c.Eligible = slices.DeleteFunc(slices.Clone(from), func(who string) bool { return slices.Contains(gone, who) })
	if glass, ok := p.BreakGlass(); ok {
		c.Eligible = added(c.Eligible, glass.Reviewers)
	}
	if len(c.Eligible) == 0 {
		c.Eligible = p.Operators()
	}
	return c
}

// undefined are those selectors that name a group or a schedule which the policy in force does not have.
func (s *Service) undefined(selectors []string) []string {
	p := s.cfg.Policy()
	defined := map[string]bool{}
	for _, g := range p.Groups() {
		defined["group:"+g.Name] = true
	}
	for _, schedule := range p.Schedules() {
		defined["oncall:"+schedule.Name] = true
	}
	return slices.DeleteFunc(slices.Clone(selectors), func(selector string) bool {
		kind, _, _ := strings.Cut(selector, ":")
		return defined[selector] || kind != "group" && kind != "oncall"
	})
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
		open[i], needed[i] = s.eligible(c), s.mayReview(c)
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
