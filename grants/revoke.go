package grants

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// stepTimeout bounds one step of a revocation; a step cut off is tried again.
const stepTimeout = 30 * time.Second

// safetyNet is how long the Revoke job waits for the replica that committed the end to do the work itself.
const safetyNet = time.Second

// recordTimeout is how long the store may take to write down what was done; a change that it cut off is made again.
const recordTimeout = 5 * time.Second

// settle is added to IssueWithin before a login that was never read back and is not found counts as never made: the
// longest a driver's own server-side limits let a transaction run over.
const settle = 8 * time.Second

// End moves a live grant to revoking, and starts the revocation in this replica at once. It returns when the end is
// committed; the rest follows whatever happens to this process.
func (s *Service) End(ctx context.Context, id string, e Ending) (Grant, error) {
	g, err := s.cfg.Store.ChangeGrant(ctx, id, func(g Grant) (Change, error) { return s.end(g, e) })
	if err != nil {
		return g, fmt.Errorf("ending grant %s: %w", id, err)
	}
	s.pursue(g)
	return g, nil
}

// end is the change that ends a grant.
func (s *Service) end(g Grant, e Ending) (Change, error) {
	now := s.cfg.Now()
	next, err := ending(g, e, now)
	if err != nil {
		return Change{}, err
	}
	kind := audit.GrantEnding
	follow := []jobs.Job{draw(next), {Kind: jobs.Revoke, Subject: next.ID, At: now.Add(safetyNet)}}
	if e.Cause == Failed {
		kind = audit.GrantFailed
		follow = append(follow, jobs.Job{Kind: jobs.Reopen, Subject: next.Request})
	}
	event := s.event(kind, next, e.By, e.Source)
	event.Reason = e.Note
	event.Detail["cause"] = string(e.Cause)
	return Change{Grant: next, Events: []audit.Event{audit.Once(event, e.Delivery)}, Jobs: follow}, nil
}

// Recover takes back a grant that is still provisioning long after its intent. It is the Recover job.
func (s *Service) Recover(ctx context.Context, id string) error {
	g, err := s.cfg.Store.Grant(ctx, id)
	if err != nil {
		return fmt.Errorf("recovering grant %s: %w", id, err)
	}
	if g.State != Provisioning {
		return nil
	}
	_, err = s.End(ctx, id, Ending{
		Cause: Failed, By: audit.System("recover"),
		Note: "the login was not confirmed in time; whatever was made is being taken back",
	})
	if errors.Is(err, ErrState) {
		return nil
	}
	return err
}

// Revoke carries a grant's revocation as far as it goes, and returns when the try is over. nil means that there is nothing
// left to do.
func (s *Service) Revoke(ctx context.Context, id string) error {
	if s.pursued(id) {
		return ErrPursued
	}
	g, err := s.cfg.Store.Grant(ctx, id)
	if err != nil {
		return fmt.Errorf("revoking grant %s: %w", id, err)
	}
	return s.revoke(ctx, g)
}

// revoke takes every step that is left.
func (s *Service) revoke(ctx context.Context, g Grant) error {
	for g.State == Revoking || g.State == Cleanup {
		next, err := s.step(ctx, g)()
		if err != nil {
			return err
		}
		g = next
	}
	return nil
}

// written writes down what came of a step, and returns the grant after it. It waits for the store, and not for the target,
// so that whoever calls it holds no place in the target's lane: a store that hangs keeps no login from being locked out.
type written func() (Grant, error)

// step takes the step that the grant's state calls for.
func (s *Service) step(ctx context.Context, g Grant) written {
	switch g.State {
	case Revoking:
		return s.secure(ctx, g)
	case Cleanup:
		return s.clean(ctx, g)
	default:
		return func() (Grant, error) { return g, nil }
	}
}

// failing is a step that failed.
func (s *Service) failing(ctx context.Context, g Grant, step string, cause error) written {
	return func() (Grant, error) { return g, s.failed(ctx, g, step, cause) }
}

// change is a change of a grant that the store has recordTimeout for. The next try makes it again.
func (s *Service) change(ctx context.Context, id string, change func(Grant) (Change, error)) (Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	return s.cfg.Store.ChangeGrant(ctx, id, change)
}

// secure carries out the security step.
func (s *Service) secure(ctx context.Context, g Grant) written {
	driver, err := s.driver(g.Target)
	if err != nil {
		return s.failing(ctx, g, "locking the login out", err)
	}
	stepCtx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	done, err := s.secureLogin(stepCtx, driver, g)
	if err != nil {
		s.keep(g.ID, foundIn(done.Secured))
		return s.failing(ctx, g, "locking the login out", err)
	}
	return func() (Grant, error) { return s.isSecured(ctx, g, done) }
}

// isSecured records the security step.
func (s *Service) isSecured(ctx context.Context, g Grant, done finished) (Grant, error) {
	if wait := s.tooEarly(g, done.Secured); wait > 0 {
		return g, &Failure{Reason: FailBusy, Err: fmt.Errorf("the login may still appear for another %s", wait.Round(time.Second))}
	}
	return s.record(ctx, g.ID, foundIn(done.Secured), func(g Grant, before found) (Change, error) {
		if g.State == Cleanup || g.State == Revoked {
			return Change{Grant: g}, ErrNoChange
		}
		next, err := secured(before.onto(g), done.Secured, s.cfg.Now())
		if err != nil {
			return Change{}, err
		}
		event := s.event(audit.GrantSecured, next, audit.System("grants"), "")
		event.Detail["sessions_killed"] = fmt.Sprint(next.Receipt.Killed)
		follow := []jobs.Job{draw(next)}
		if !next.AlarmedAt.IsZero() {
			follow = append(follow, jobs.Job{Kind: jobs.Alarm, Subject: next.ID, Version: 2})
		}
		change := Change{Grant: next, Events: []audit.Event{event}, Jobs: follow}
		if done.cleaned == nil {
			return change, nil
		}
		over, err := s.over(next, *done.cleaned)
		if err != nil {
			return change, nil // a check does not hold: clean-up looks again by itself
		}
		over.Events = append(change.Events, over.Events...)
		over.Jobs = append(change.Jobs, over.Jobs...)
		return over, nil
	})
}

// over is the change that ends a grant's life with its receipt.
func (s *Service) over(g Grant, done Cleaned) (Change, error) {
	next, err := cleaned(g, done, s.cfg.Now())
	if err != nil {
		return Change{}, err
	}
	event := s.event(audit.GrantRevoked, next, audit.System("grants"), "")
	event.Detail["sessions_killed"] = fmt.Sprint(next.Receipt.Killed)
	event.Detail["checks"] = fmt.Sprint(len(next.Receipt.Checks))
	event.Detail["leftovers"] = fmt.Sprint(len(next.Receipt.Leftovers))
	follow := []jobs.Job{draw(next)}
	if !next.IssuedAt.IsZero() {
		follow = append(follow, jobs.Job{Kind: jobs.Receipt, Subject: next.ID})
	}
	return Change{Grant: next, Events: []audit.Event{event}, Jobs: follow}, nil
}

// tooEarly says how long to wait before "not found" may be believed of a login that was never read back.
func (s *Service) tooEarly(g Grant, done Secured) time.Duration {
	if done.Existed || g.OID != 0 {
		return 0
	}
	return g.Intended.Add(IssueWithin + settle).Sub(s.cfg.Now())
}

// clean carries out the hygiene step. What is written is the receipt.
func (s *Service) clean(ctx context.Context, g Grant) written {
	driver, err := s.driver(g.Target)
	if err != nil {
		return s.failing(ctx, g, "cleaning up", err)
	}
	stepCtx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if g.Attempts > 0 {
		// The clean-up was put off. A session that was just being opened when the login was locked must not live on
		// behind that, so the security step is made sure of again.
		again, err := driver.Secure(stepCtx, s.login(g))
		if s.keep(g.ID, foundIn(again)); err != nil {
			return s.failing(ctx, g, "locking the login out again", err)
		}
	}
	done, err := s.cleanLogin(stepCtx, driver, g)
	if err != nil {
		return func() (Grant, error) {
			return g, errors.Join(s.keepLeftovers(ctx, g, done.Leftovers), s.failed(ctx, g, "cleaning up", err))
		}
	}
	for _, check := range done.Checks {
		if !check.OK {
			return s.failing(ctx, g, "cleaning up", &Failure{Reason: FailBusy, Err: fmt.Errorf("the check %q does not hold", check.What)})
		}
	}
	return func() (Grant, error) {
		return s.record(ctx, g.ID, found{}, func(g Grant, before found) (Change, error) {
			if g.State == Revoked {
				return Change{Grant: g}, ErrNoChange
			}
			return s.over(before.onto(g), done)
		})
	}
}

// keepLeftovers remembers what a failed clean-up moved: the next try does not find it any more.
func (s *Service) keepLeftovers(ctx context.Context, g Grant, found []Leftover) error {
	if len(found) == 0 {
		return nil
	}
	_, err := s.change(context.WithoutCancel(ctx), g.ID, func(now Grant) (Change, error) {
		if now.State != Cleanup {
			return Change{Grant: now}, ErrNoChange
		}
		receipt := *now.Receipt
		receipt.Leftovers = merge(receipt.Leftovers, found)
		now.Receipt = &receipt
		return Change{Grant: now}, nil
	})
	return err
}

// failed records that a step failed, so that cards and alarms can say why, and returns the cause. The count drives the
// pause before the next try.
func (s *Service) failed(ctx context.Context, g Grant, step string, cause error) error {
	_, err := s.record(context.WithoutCancel(ctx), g.ID, found{}, func(now Grant, before found) (Change, error) {
		if now.State != g.State {
			return Change{Grant: now}, ErrNoChange
		}
		now = before.onto(now)
		text := plain(fmt.Errorf("%s: %w", step, cause))
		changed := now.LastError != text
		now.Attempts++
		now.LastError = text
		change := Change{Grant: now}
		if changed {
			change.Jobs = append(change.Jobs, draw(now))
		}
		return change, nil
	})
	return errors.Join(fmt.Errorf("%s of grant %s on %s: %w", step, g.ID, g.Target, cause), err)
}
