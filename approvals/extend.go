package approvals

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
)

// Extend moves the deadline of live access as far as the policy lets it without anybody being asked again; only its holder
// may. Whoever saw another end than there is now is refused: another press of theirs, in another window for instance, has
// moved it. Who is on call is asked afresh, and the shift that the answer rests on bounds the new deadline.
func (s *Service) Extend(ctx context.Context, press Press, by time.Duration) (Case, error) {
	c, err := s.extend(ctx, press, by)
	return s.once(ctx, press.Delivery, c, err)
}

func (s *Service) extend(ctx context.Context, press Press, by time.Duration) (Case, error) {
	person, c, err := s.holder(ctx, press, audit.GrantExtended)
	if err != nil {
		return c, err
	}
	if by < time.Second {
		return c, s.refusal(ctx, c, person, press, audit.GrantExtended, input("Duration", "Say by how long, for example 30m."))
	}
	if until := c.Grant.Deadline; !press.Until.IsZero() && !press.Until.Equal(until) {
		return c, s.refusal(ctx, c, person, press, audit.GrantExtended,
			refuse(InProgress, "This access was extended already: it ends at %s UTC. Press Extend again if you need more.", until.UTC().Format("15:04")))
	}
	deadline, notAfter, err := s.extension(ctx, c, person, by)
	if err != nil {
		return c, s.refusal(ctx, c, person, press, audit.GrantExtended, err)
	}
	// The warning of the new end comes first: without the extension it finds nothing to say, and an extension without it is
	// the end nobody is told about.
	if warning := extendedJobs(*c.Grant, deadline, notAfter, s.cfg.Now()); len(warning) > 0 {
		if err := s.cfg.Store.Record(ctx, nil, warning); err != nil {
			return c, fmt.Errorf("filing the warning of the new end of request %s: %w", press.Request, err)
		}
	}
	extended, err := s.cfg.Grants.Extend(ctx, c.Grant.ID, c.Grant.Extensions, deadline, notAfter, actor(person), press.Source, press.Delivery)
	if errors.Is(err, grants.ErrState) {
		err = refuse(InProgress, "This access was extended, or ended, at the same moment. Look at the card and press again if you need to.")
	} else if err != nil && extended.Extensions > c.Grant.Extensions {
		return s.halfExtended(ctx, c, extended, err)
	} else if err != nil {
		err = s.unavailable(c, err)
	}
	if err != nil {
		return c, s.refusal(ctx, c, person, press, audit.GrantExtended, err)
	}
	return s.Case(ctx, press.Request)
}

// halfExtended says what an extension is worth that the store has, with its record, and the target does not. The grant's
// sweep tells the target again.
func (s *Service) halfExtended(ctx context.Context, c Case, g grants.Grant, err error) (Case, error) {
	if _, ok := errors.AsType[*grants.Failure](err); !ok {
		return c, err
	}
	before := c.Grant.Deadline
	if after, err := s.Case(ctx, c.Request.ID); err == nil {
		c = after
	}
	return c, refuse(Unavailable, "Your access is extended until %s UTC, but %s did not take the new end. Open sessions go on; from %s UTC on it "+
		"refuses new ones until it has. That is tried again every minute or so, and you need not press anything.",
		g.Deadline.UTC().Format("15:04"), c.Request.Target, before.UTC().Format("15:04"))
}

// extension is how far live access may be extended, or why not.
func (s *Service) extension(ctx context.Context, c Case, person Person, by time.Duration) (deadline, notAfter time.Time, err error) {
	r, p := c.Request, s.cfg.Policy()
	deadline = c.Grant.Deadline.Add(by)
	whole := deadline.Sub(c.Grant.Intended).Round(time.Second)
	switch {
	case r.BreakGlass:
		return deadline, notAfter, refuse(NotApprover, "Access that nobody approved is never extended. File a request for more time.")
	case r.Less != nil && r.Less.Duration > 0:
		return deadline, notAfter, refuse(NotApprover, "%s was agreed to, which is less than you asked for. File a new request for more time.", policy.FormatDuration(r.Less.Duration))
	}
	if err := s.stillLess(p, c); err != nil {
		return deadline, notAfter, err
	}
	if err := s.notForbidden(ctx, p, person, r); err != nil {
		return deadline, notAfter, err
	}
	// The rules speak of what was asked for; where approvers gave narrower access, its own bound counts too.
	if given, ok := p.Profile(r.Access()); !ok || r.Access() != r.Profile && given.MaxDuration > 0 && whole > given.MaxDuration {
		return deadline, notAfter, refuse(NotApprover, "%s cannot be had for that long. File a new request for more time.", r.Access())
	}
	request := s.asked(person, Filing{
		Target: r.Target, Profile: r.Profile, Duration: whole, Ticket: r.Ticket, Reason: r.Reason, Params: r.Params,
	})
	decision := p.DecideExtension(policy.Extending{Request: request, Decision: r.Decision, Before: c.Grant.Extensions},
		s.facts(ctx, person, p.Lookups(request), true))
	if decision.Outcome != policy.Approved {
		why := strings.Join(append([]string{decision.Why}, decision.Unknowns...), " ")
		return deadline, notAfter, refuse(NotApprover, "This cannot be extended without asking. %s", why)
	}
	if decision.Shift != nil {
		notAfter = decision.Shift.End
		if notAfter.Sub(c.Grant.Deadline) < time.Second {
			return deadline, notAfter, refuse(NotApprover, "Your shift on call for %s ends at %s UTC, and access that rests on it ends with it.",
				decision.Shift.Schedule, notAfter.UTC().Format("15:04"))
		}
	}
	return deadline, notAfter, nil
}
