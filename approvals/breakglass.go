package approvals

import (
	"context"
	"errors"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/policy"
)

// BreakGlass gives access now, approved by nobody: the request is Approved when it returns, its review is open, and the
// loud message is a job committed with it. Duration 0 takes the longest the policy allows. Denied requests are kept as by
// File. Somebody whose earlier review is still open gets a *Refusal with ReviewOpen.
func (s *Service) BreakGlass(ctx context.Context, f Filing) (Case, error) {
	person, err := s.cfg.Directory.Person(ctx, f.By, true)
	if err != nil {
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			return Case{}, s.record(ctx, s.glassEvent(f, audit.Actor{Kind: "person", ID: f.By}), refusal)
		}
		return Case{}, err
	}
	f = s.asOfNow(f)
	if refusal := s.understand(f); refusal != nil {
		return Case{}, s.record(ctx, s.glassEvent(f, actor(person)), refusal)
	}
	if open, err := s.openReview(ctx, person); err != nil {
		return Case{}, err
	} else if open != nil && open.Request.Key == f.Key {
		return *open, nil // the same command delivered again
	} else if open != nil {
		return Case{}, s.record(ctx, s.glassEvent(f, actor(person)), stillOpen(*open))
	}
	p := s.cfg.Policy() // one throughout, as in File
	question := s.glassQuestion(ctx, p, person, f, true)
	change := s.broken(person, f, p.DecideBreakGlass(question.Request, question.Facts))
	change.Question = &question
	c, err := s.create(ctx, p, change)
	if errors.Is(err, ErrOpenReview) {
		return Case{}, s.record(ctx, s.glassEvent(f, actor(person)), s.otherReview(ctx, person))
	}
	return c, err
}

// PreviewBreakGlass says what BreakGlass would do, and changes and records nothing. The refusals are BreakGlass's.
func (s *Service) PreviewBreakGlass(ctx context.Context, f Filing) (policy.Decision, error) {
	person, err := s.cfg.Directory.Person(ctx, f.By, false)
	if err != nil {
		return policy.Decision{}, err
	}
	if refusal := s.place(f); refusal != nil {
		return policy.Decision{}, refusal
	}
	if open, err := s.openReview(ctx, person); err != nil {
		return policy.Decision{}, err
	} else if open != nil {
		return policy.Decision{}, stillOpen(*open)
	}
	f = s.asOfNow(f)
	return s.decideGlass(ctx, s.cfg.Policy(), person, f, false), nil
}

func (s *Service) glassEvent(f Filing, by audit.Actor) audit.Event {
	e := s.filingEvent(f, by)
	e.Kind = audit.GlassBroken
	return e
}

func (s *Service) decideGlass(ctx context.Context, p *policy.Policy, person Person, f Filing, fresh bool) policy.Decision {
	question := s.glassQuestion(ctx, p, person, f, fresh)
	return p.DecideBreakGlass(question.Request, question.Facts)
}

// glassQuestion is a wish to break glass as a policy sees it, with the facts that it may need.
func (s *Service) glassQuestion(ctx context.Context, p *policy.Policy, person Person, f Filing, fresh bool) policy.Question {
	request := s.asked(person, f)
	return policy.Question{Request: request, Facts: s.facts(ctx, person, p.BreakGlassLookups(request), fresh), BreakGlass: true}
}

// broken is the change that keeps broken glass, its review, and what follows at once.
func (s *Service) broken(person Person, f Filing, d policy.Decision) Change {
	r, event := s.wished(person, f, d)
	event.Detail["break_glass"] = "asked"
	if d.Outcome != policy.Approved || d.Review == nil || d.Review.Within <= 0 {
		// Without a review that must be closed there is no broken glass.
		return s.turnedDown(r, event)
	}
	r = s.atOnce(r)
	r.BreakGlass = true
	review := Review{OpenedAt: r.FiledAt, DueAt: r.FiledAt.Add(d.Review.Within)}
	c := Case{Request: r, Review: &review}
	loud := s.event(audit.GlassBroken, r, actor(person), f.Source)
	loud.Reason, loud.Policy = f.Reason, d.Policy
	loud.Detail = proof(d.Shift)
	if loud.Detail == nil {
		loud.Detail = map[string]string{}
	}
	loud.Detail["duration"], loud.Detail["review_due"] = d.Duration.String(), review.DueAt.UTC().Format(time.RFC3339)
	loud.Detail["reviewers"] = c.Reviewers()
	follow := []jobs.Job{draw(r.ID), lapseJob(r), reviewJob(c, r.FiledAt)}
	return Change{Request: r, Review: &review, Events: []audit.Event{event, loud}, Jobs: append(follow, incident(r)...)}
}

// openReview finds the review that keeps somebody from breaking glass, whichever of their accounts it was.
func (s *Service) openReview(ctx context.Context, person Person) (*Case, error) {
	open, err := s.cfg.Store.Cases(ctx, Query{OpenReviews: true})
	if err != nil {
		return nil, err
	}
	for _, c := range open {
		if c.Request.Requester.Same(person) {
			c = s.eligible(c)
			return &c, nil
		}
	}
	return nil, nil
}

// otherReview words what the schema refused: glass broken twice at the same instant.
func (s *Service) otherReview(ctx context.Context, person Person) *Refusal {
	if open, err := s.openReview(ctx, person); err == nil && open != nil {
		return stillOpen(*open)
	}
	return refuse(ReviewOpen, "You have broken glass before, and that is not reviewed yet. Until it is, file a request.")
}

func stillOpen(c Case) *Refusal {
	return refuse(ReviewOpen, "You broke glass for %s on %s before (request %s), and that is not reviewed yet. It takes somebody of %s. Until then, file a request.",
		c.Request.Access(), c.Request.Target, c.Request.ID, c.Reviewers())
}
