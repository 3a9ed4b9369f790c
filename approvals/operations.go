package approvals

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
)

// Operations is what waits for the people whom the policy names as its operators.
type Operations struct {
	// Operator says whether the person is one; everything else is empty otherwise.
	Operator bool
	// Unknown completes "because …" where that could not be found out.
	Unknown string
	// Overdue are logins that should have ended and are not known to be locked, the longest overdue first.
	Overdue []grants.Grant
	// Stuck are logins that are locked and whose clean-up fails, the oldest first.
	Stuck []grants.Grant
	// LeftBehind are finished grants whose receipts list objects in quarantine that nobody has dealt with, the newest first;
	// More is how many older ones there are.
	LeftBehind []grants.Grant
	More       int
}

const (
	// overdueAfter is how late a login counts as overdue before its alarm was raised.
	overdueAfter = time.Minute
	// mostLeftBehind is how many visitors' remains are listed.
	mostLeftBehind = 20
	// mostPresses is how many presses about one visitor's remains are looked through, refused ones among them.
	mostPresses = 1000
)

// Operations lists what waits for an operator; for anybody else nothing. It is a look and not an attempt: nothing is recorded.
func (s *Service) Operations(ctx context.Context, slackID string) (Operations, error) {
	person, err := s.cfg.Directory.Person(ctx, slackID, false)
	if err != nil {
		return Operations{}, err
	}
	var out Operations
	if out.Operator, out.Unknown = s.operates(ctx, person); !out.Operator {
		return out, nil
	}
	now := s.cfg.Now()
	if out.Overdue, out.Stuck, err = s.cfg.Store.Unended(ctx, now, now.Add(-overdueAfter)); err != nil {
		return Operations{}, fmt.Errorf("reading what is overdue: %w", err)
	}
	if out.LeftBehind, out.More, err = s.cfg.Store.LeftBehind(ctx, mostLeftBehind); err != nil {
		return Operations{}, fmt.Errorf("reading what visitors left behind: %w", err)
	}
	return out, nil
}

// operates says whether the policy in force names somebody as an operator, or why that is not known.
func (s *Service) operates(ctx context.Context, person Person) (ok bool, unknown string) {
	operators := s.cfg.Policy().Operators()
	if len(operators) == 0 {
		return false, ""
	}
	fills, unknown := s.entitlement(ctx, person, []policy.Requirement{{From: operators, Count: 1}})
	return len(fills) > 0, unknown
}

// RevokeAgain tries a revocation that has not come to its end once more, now; operators only. It returns when the try is over,
// with the grant as it is then; the tries of the job go on beside it in any case.
func (s *Service) RevokeAgain(ctx context.Context, press Press, grantID string) (grants.Grant, error) {
	person, g, err := s.operator(ctx, press, grantID, audit.GrantRetried)
	if err != nil {
		return g, err
	}
	event := s.about(g, audit.GrantRetried, person, press)
	if g.State != grants.Revoking && g.State != grants.Cleanup {
		why := refuse(AlreadyOver, "This login is gone already.")
		if g.Live() {
			why = refuse(TooEarly, "Nobody has ended this access yet. Press Revoke on its card.")
		}
		return g, s.record(ctx, event, why)
	}
	switch err := s.cfg.Store.Record(ctx, []audit.Event{audit.Once(event, press.Delivery)}, nil); {
	case errors.Is(err, audit.ErrDelivered):
		return g, refuse(InProgress, "It is being tried at this moment. Look again in a few seconds.")
	case err != nil:
		return g, fmt.Errorf("recording that grant %s is revoked again: %w", grantID, err)
	}
	tried := s.cfg.Grants.Revoke(ctx, grantID)
	after, err := s.cfg.Store.Grant(ctx, grantID)
	switch {
	case errors.Is(tried, grants.ErrPursued):
		return g, refuse(InProgress, "It is being tried at this moment. Look again in a few seconds.")
	case err != nil:
		return g, fmt.Errorf("reading grant %s: %w", grantID, err)
	}
	return after, nil // what the try failed with stands in the grant, in words
}

// Settle records that what a visitor left behind was dealt with, so that it is not listed any more; operators only. It is recorded
// once, under the first name. It touches no database.
func (s *Service) Settle(ctx context.Context, press Press, grantID string) (grants.Grant, error) {
	person, g, err := s.operator(ctx, press, grantID, audit.LeftoversSettled)
	if err != nil {
		return g, err
	}
	event := s.about(g, audit.LeftoversSettled, person, press)
	if g.Receipt == nil || len(g.Receipt.Leftovers) == 0 {
		return g, s.record(ctx, event, refuse(AlreadyOver, "Nothing was left behind there."))
	}
	// A Home that was drawn before somebody settled it still has the button.
	if done, err := s.settled(ctx, event); done {
		return g, err
	}
	// Of two operators at the same instant the second finds the first one's event on record.
	err = s.cfg.Store.Record(ctx, []audit.Event{audit.Once(event, "settled:"+grantID)}, nil)
	if errors.Is(err, audit.ErrDelivered) {
		_, err = s.settled(ctx, event)
		return g, err
	}
	if err != nil {
		return g, fmt.Errorf("recording that the remains of grant %s are dealt with: %w", grantID, err)
	}
	return g, nil
}

// settled says whether somebody recorded before that what a visitor left behind was dealt with, and refuses whoever says so now, if that
// is somebody else. It is done as well where that cannot be found out.
func (s *Service) settled(ctx context.Context, event audit.Event) (done bool, err error) {
	earlier, err := s.cfg.Store.Events(ctx, audit.Filter{Grant: event.Grant, Kind: audit.LeftoversSettled, Limit: mostPresses})
	if err != nil {
		return true, fmt.Errorf("reading whether the remains of grant %s are dealt with: %w", event.Grant, err)
	}
	for _, e := range earlier {
		switch {
		case e.Refused:
		case e.Actor.ID == event.Actor.ID:
			return true, nil // the same press again
		default:
			return true, s.record(ctx, event, refuse(AlreadyOver, "This was dealt with before, says %s.", cmp.Or(e.Actor.Name, e.Actor.ID)))
		}
	}
	return false, nil
}

// operator looks up who pressed, afresh, and refuses everybody but the operators; the attempt is recorded.
func (s *Service) operator(ctx context.Context, press Press, grantID string, kind audit.Kind) (Person, grants.Grant, error) {
	g, err := s.cfg.Store.Grant(ctx, grantID)
	if errors.Is(err, grants.ErrNotFound) {
		return Person{}, g, refuse(NotFound, "There is no such login.")
	}
	if err != nil {
		return Person{}, g, fmt.Errorf("reading grant %s: %w", grantID, err)
	}
	person, err := s.cfg.Directory.Person(ctx, press.By, true)
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return person, g, s.record(ctx, s.about(g, kind, Person{ID: press.By}, press), refusal)
	}
	if err != nil {
		return person, g, err
	}
	ok, unknown := s.operates(ctx, person)
	switch event := s.about(g, kind, person, press); {
	case !ok && unknown != "":
		return person, g, s.record(ctx, event, refuse(NotApprover, "Whether you are an operator could not be found out: %s. Try again in a moment.", unknown))
	case !ok:
		return person, g, s.record(ctx, event, refuse(NotApprover, "Only the operators that the policy names may do this."))
	}
	return person, g, nil
}

// about starts an audit event about a grant that somebody acts on.
func (s *Service) about(g grants.Grant, kind audit.Kind, by Person, press Press) audit.Event {
	return audit.Event{
		At: s.cfg.Now(), Kind: kind, Actor: actor(by), Source: press.Source, Request: g.Request, Grant: g.ID, Target: g.Target,
		Profile: g.Profile, Policy: s.cfg.Policy().Hash(), Detail: map[string]string{"login": g.Login},
	}
}
