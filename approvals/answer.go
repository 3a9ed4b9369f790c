package approvals

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/policy"
)

// Approve records one person's yes. The case returned says whether it was the last one needed.
func (s *Service) Approve(ctx context.Context, press Press) (Case, error) {
	person, fills, err := s.voter(ctx, press, audit.RequestApproved)
	if err != nil {
		return Case{}, err
	}
	return s.act(ctx, press, person, audit.RequestApproved, "",
		Approve{By: person, Fills: fills, TakeWithin: s.cfg.TakeWithin})
}

// Deny records one person's no, which ends the request. The reason must not be empty.
func (s *Service) Deny(ctx context.Context, press Press, reason string) (Case, error) {
	if strings.TrimSpace(reason) == "" {
		return Case{}, input("Reason", "Say why, so that the requester knows what to do instead.")
	}
	person, fills, err := s.voter(ctx, press, audit.RequestDenied)
	if err != nil {
		return Case{}, err
	}
	return s.act(ctx, press, person, audit.RequestDenied, cut(reason, LongestReason),
		Deny{By: person, Fills: fills, Reason: cut(reason, LongestReason)})
}

// MayDecide says whether the presser could answer the request now: nil, or the *Refusal they would get, recorded.
func (s *Service) MayDecide(ctx context.Context, press Press) error {
	person, fills, err := s.voter(ctx, press, audit.RequestDenied)
	if err != nil {
		return err
	}
	c, err := s.Case(ctx, press.Request)
	if err != nil {
		return err
	}
	if err := vote(c, person, fills, s.cfg.Now()); err != nil {
		return s.refusal(ctx, c, person, press, audit.RequestDenied, err)
	}
	return nil
}

// Answerable lists, newest first, the pending requests that this person's yes would bring forward now. It is a look and not
// an attempt: nothing is recorded, nothing is promised, and a press is judged by itself. Somebody who may not act at all is
// refused as they would be there.
func (s *Service) Answerable(ctx context.Context, slackID string) ([]Case, error) {
	person, err := s.cfg.Directory.Person(ctx, slackID, false)
	if err != nil {
		return nil, err
	}
	pending, err := s.cfg.Store.Cases(ctx, Query{States: []State{Pending}})
	if err != nil {
		return nil, fmt.Errorf("reading what is pending: %w", err)
	}
	var needed []policy.Requirement
	for _, c := range pending {
		if !person.Same(c.Request.Requester) {
			needed = append(needed, c.Request.Decision.Approvals...)
		}
	}
	if len(needed) == 0 {
		return nil, nil
	}
	// One look-up for all of them: the same few groups and schedules come up again and again.
	entitled, _ := s.entitlement(ctx, person, needed)
	mayFill := make([]bool, len(needed))
	for _, i := range entitled {
		mayFill[i] = true
	}
	var out []Case
	for _, c := range pending {
		if person.Same(c.Request.Requester) {
			continue
		}
		var fills []int
		for i := range c.Request.Decision.Approvals {
			if mayFill[i] {
				fills = append(fills, i)
			}
		}
		mayFill = mayFill[len(c.Request.Decision.Approvals):]
		if _, err := Next(c, Approve{By: person, Fills: fills, TakeWithin: s.cfg.TakeWithin}, s.cfg.Now()); err == nil {
			out = append(out, c)
		}
	}
	return out, nil
}

// Cancel takes a request back before it was used. Only the requester may.
func (s *Service) Cancel(ctx context.Context, press Press) (Case, error) {
	person, _, err := s.presser(ctx, press, audit.RequestCanceled)
	if err != nil {
		return Case{}, err
	}
	return s.act(ctx, press, person, audit.RequestCanceled, "", Cancel{By: person})
}

// Lapse ends a request whose time is over. It is the Lapse job.
func (s *Service) Lapse(ctx context.Context, id string) error {
	return s.byTime(ctx, id, audit.RequestLapsed, Lapse{})
}

// Reopen gives a request back after its grant failed before anybody saw a password. It is the Reopen job.
func (s *Service) Reopen(ctx context.Context, id string) error {
	return s.byTime(ctx, id, audit.RequestReopened, Reopen{})
}

func (s *Service) byTime(ctx context.Context, id string, kind audit.Kind, a Act) error {
	_, err := s.cfg.Store.ChangeCase(ctx, id, func(c Case) (Change, error) {
		next, err := Next(c, a, s.cfg.Now())
		if err != nil {
			return Change{}, err
		}
		event := s.event(kind, next.Request, audit.System("approvals"), "")
		follow := []jobs.Job{{Kind: jobs.Draw, Subject: id}}
		if next.Request.State == Approved {
			follow = append(follow, lapseJob(next.Request))
		}
		return Change{Request: next.Request, Events: []audit.Event{event}, Jobs: follow}, nil
	})
	if err != nil {
		return fmt.Errorf("%s of request %s: %w", kind, id, err)
	}
	return nil
}

// voter looks up who pressed and what they may decide. The requester is refused before anybody is asked about groups.
func (s *Service) voter(ctx context.Context, press Press, kind audit.Kind) (Person, []int, error) {
	person, c, err := s.presser(ctx, press, kind)
	if err != nil {
		return person, nil, err
	}
	if person.Same(c.Request.Requester) || c.Request.State != Pending {
		// The state machine has the words for both, under the lock.
		return person, nil, nil
	}
	fills, why := s.entitlement(ctx, person, c.Request.Decision.Approvals)
	if len(fills) == 0 && why != "" {
		return person, nil, s.refusal(ctx, c, person, press, kind,
			refuse(NotApprover, "Whether you may answer this could not be found out: %s. Try again in a moment.", why))
	}
	return person, fills, nil
}

// act asks the state machine under the request's lock and writes its answer, or the refused attempt.
func (s *Service) act(ctx context.Context, press Press, person Person, kind audit.Kind, reason string, a Act) (Case, error) {
	c, err := s.cfg.Store.ChangeCase(ctx, press.Request, func(c Case) (Change, error) {
		event := s.event(kind, c.Request, actor(person), press.Source)
		next, err := Next(c, a, s.cfg.Now())
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			return Change{Events: []audit.Event{refused(event, refusal)}}, refusal
		}
		if err != nil {
			return Change{}, err
		}
		event.Reason = reason
		follow := []jobs.Job{{Kind: jobs.Draw, Subject: next.Request.ID}}
		if kind == audit.RequestApproved {
			event.Detail = map[string]string{"quorum": "open"}
			if next.Request.State == Approved {
				event.Detail["quorum"] = "met"
				follow = append(follow, lapseJob(next.Request))
			}
		}
		return Change{
			Request: next.Request, Approvals: next.Approvals[len(c.Approvals):],
			Events: []audit.Event{event}, Jobs: follow,
		}, nil
	})
	if _, ok := errors.AsType[*Refusal](err); !ok && err != nil {
		return c, fmt.Errorf("%s of request %s: %w", kind, press.Request, err)
	}
	return c, err
}

// refusal records why an act was refused outside the state machine.
func (s *Service) refusal(ctx context.Context, c Case, person Person, press Press, kind audit.Kind, err error) error {
	if why, ok := errors.AsType[*Refusal](err); ok {
		return s.record(ctx, s.event(kind, c.Request, actor(person), press.Source), why)
	}
	return err
}

// entitled says whether a person may end somebody else's access: those who could have approved it, and the operators.
func (s *Service) entitled(ctx context.Context, person Person, c Case) bool {
	needed := append([]policy.Requirement(nil), c.Request.Decision.Approvals...)
	if operators := s.cfg.Policy().Operators(); len(operators) > 0 {
		needed = append(needed, policy.Requirement{From: operators, Count: 1})
	}
	fills, _ := s.entitlement(ctx, person, needed)
	return len(fills) > 0
}
