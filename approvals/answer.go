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

// Approve records one person's yes. The case returned says whether it was the last one needed.
func (s *Service) Approve(ctx context.Context, press Press) (Case, error) {
	return s.approve(ctx, press, Approve{})
}

// approve completes a yes with who pressed and what they may fill.
func (s *Service) approve(ctx context.Context, press Press, a Approve) (Case, error) {
	person, fills, err := s.voter(ctx, press, audit.RequestApproved)
	if err != nil {
		return s.once(ctx, press.Delivery, Case{}, err)
	}
	a.By, a.Fills, a.TakeWithin = person, fills, s.cfg.TakeWithin
	return s.act(ctx, press, person, audit.RequestApproved, "", a)
}

// Deny records one person's no, which ends the request. The reason must not be empty.
func (s *Service) Deny(ctx context.Context, press Press, reason string) (Case, error) {
	if strings.TrimSpace(reason) == "" {
		return Case{}, input("Reason", "Say why, so that the requester knows what to do instead.")
	}
	person, fills, err := s.voter(ctx, press, audit.RequestDenied)
	if err != nil {
		return s.once(ctx, press.Delivery, Case{}, err)
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

// Withdraw takes the presser's own yes back; only while the request is pending.
func (s *Service) Withdraw(ctx context.Context, press Press) (Case, error) {
	person, _, err := s.presser(ctx, press, audit.RequestWithdrawn)
	if err != nil {
		return Case{}, err
	}
	return s.act(ctx, press, person, audit.RequestWithdrawn, "", Withdraw{By: person})
}

// Cancel takes a request back before it was used. Only the requester may.
func (s *Service) Cancel(ctx context.Context, press Press) (Case, error) {
	person, _, err := s.presser(ctx, press, audit.RequestCanceled)
	if err != nil {
		return Case{}, err
	}
	return s.act(ctx, press, person, audit.RequestCanceled, "", Cancel{By: person})
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
	fills, why := s.entitlement(ctx, person, c.Request.needed())
	if len(fills) == 0 && why != "" {
		return person, nil, s.refusal(ctx, c, person, press, kind,
			refuse(NotApprover, "Whether you may answer this could not be found out: %s. Try again in a moment.", why))
	}
	return person, fills, nil
}

// act asks the state machine under the request's lock and writes its answer, or the refused attempt.
func (s *Service) act(ctx context.Context, press Press, person Person, kind audit.Kind, reason string, a Act) (Case, error) {
	if err := s.undone(ctx, press.Delivery); err != nil {
		return s.once(ctx, press.Delivery, Case{}, err)
	}
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
		if kind == audit.RequestApproved {
			event.Detail = answerDetail(next)
		}
		return s.change(c, next, audit.Once(event, press.Delivery)), nil
	})
	if _, ok := errors.AsType[*Refusal](err); !ok && err != nil {
		err = fmt.Errorf("%s of request %s: %w", kind, press.Request, err)
	}
	return s.once(ctx, press.Delivery, c, err)
}

// answerDetail says what a yes was to and whether it was the last one needed.
func answerDetail(c Case) map[string]string {
	out := map[string]string{"quorum": "open"}
	if c.Request.State == Approved {
		out["quorum"] = "met"
		out["duration"], out["profile"] = c.Request.Length().String(), c.Request.Access()
	}
	if less := c.Approvals[len(c.Approvals)-1].Less; less != nil {
		if less.Duration > 0 {
			out["less_duration"] = less.Duration.String()
		}
		if less.Profile != "" {
			out["less_profile"] = less.Profile
		}
	}
	return out
}

// refusal records why an act was refused outside the state machine. What was done for the same delivery before is not refused: it is
// audit.ErrDelivered.
func (s *Service) refusal(ctx context.Context, c Case, person Person, press Press, kind audit.Kind, err error) error {
	if why, ok := errors.AsType[*Refusal](err); ok {
		if err := s.undone(ctx, press.Delivery); err != nil {
			return err
		}
		return s.record(ctx, s.event(kind, c.Request, actor(person), press.Source), why)
	}
	return err
}

// entitled says whether a person may end somebody else's access: those who could have approved it or have to review it, and
// the operators.
// Where nobody could say, why tells what is not known.
func (s *Service) entitled(ctx context.Context, person Person, c Case) (ok bool, why string) {
	needed := slices.Clone(c.Request.needed())
	if c.Request.BreakGlass {
		needed = append(needed, s.mayReview(c))
	}
	if operators := s.cfg.Policy().Operators(); len(operators) > 0 {
		needed = append(needed, policy.Requirement{From: operators, Count: 1})
	}
	fills, why := s.entitlement(ctx, person, needed)
	return len(fills) > 0, why
}
