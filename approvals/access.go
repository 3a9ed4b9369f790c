package approvals

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

// Activate commits the intent to issue a login to the requester, who pressed Get credentials; the clock starts here. The
// case returned holds the grant in provisioning; Issue makes its login. Refusals: InProgress for a double click,
// AlreadyIssued when the credential can only be shown again, Unavailable when the target does not answer.
func (s *Service) Activate(ctx context.Context, press Press) (Case, error) {
	at := s.cfg.Now() // the duration counts from the press, not from the answers of Slack and the target
	person, c, err := s.presser(ctx, press, audit.GrantIntended)
	if err != nil {
		return Case{}, err
	}
	// Ask before the target is troubled; the answer that counts comes under the lock.
	if _, err := Next(c, Activate{By: person}, at); err != nil {
		return c, underWay(s.refusal(ctx, c, person, press, audit.GrantIntended, err))
	}
	shift, err := s.stillAllowed(ctx, c, person)
	if err != nil {
		return c, underWay(s.refusal(ctx, c, person, press, audit.GrantIntended, err))
	}
	intent, err := s.intend(ctx, c, at, shift)
	if err != nil {
		return c, underWay(s.refusal(ctx, c, person, press, audit.GrantIntended, err))
	}
	after, err := s.cfg.Store.ChangeCase(ctx, press.Request, func(c Case) (Change, error) {
		event := s.event(audit.GrantIntended, c.Request, actor(person), press.Source)
		next, err := Next(c, Activate{By: person}, s.cfg.Now())
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			return Change{Events: []audit.Event{refused(event, refusal)}}, refusal
		}
		if err != nil {
			return Change{}, err
		}
		event.Grant, event.Profile = intent.ID, intent.Profile
		event.Detail = map[string]string{
			"login": intent.Login, "deadline": intent.Deadline.UTC().Format(time.RFC3339), "profile_version": intent.ProfileVersion,
		}
		return Change{
			Request: next.Request, Grant: &intent, Events: []audit.Event{audit.Once(event, press.Delivery)}, Jobs: append(grants.IntentJobs(intent), endingJobs(intent)...),
		}, nil
	})
	err = underWay(err)
	if _, ok := errors.AsType[*Refusal](err); !ok && err != nil {
		return after, fmt.Errorf("activating request %s: %w", press.Request, err)
	}
	return after, err
}

// Issue makes the login of an activated request. Its credential exists nowhere but in what is returned.
func (s *Service) Issue(ctx context.Context, grantID string) (grants.Credential, error) {
	credential, err := s.cfg.Grants.Issue(ctx, grantID)
	if err != nil {
		return credential, s.unavailable(Case{}, err)
	}
	return credential, nil
}

// ShowAgain makes a new password for a live grant; only its holder may.
func (s *Service) ShowAgain(ctx context.Context, press Press) (grants.Credential, error) {
	person, c, err := s.holder(ctx, press, audit.GrantRotated)
	if err != nil {
		return grants.Credential{}, underWay(err)
	}
	credential, err := s.cfg.Grants.Rotate(ctx, c.Grant.ID, actor(person), press.Source, press.Delivery)
	if err != nil {
		return credential, s.unavailable(c, underWay(err))
	}
	return credential, nil
}

// Shown records that a window holding the credential was accepted by Slack.
func (s *Service) Shown(ctx context.Context, grantID string) error {
	return s.cfg.Grants.Shown(ctx, grantID, audit.System("bot"), "")
}

// Abandon takes back a grant whose credential could not be shown to anybody; the request reopens.
func (s *Service) Abandon(ctx context.Context, grantID, why string) error {
	_, err := s.cfg.Grants.End(ctx, grantID, grants.Ending{Cause: grants.Failed, By: audit.System("bot"), Note: why})
	if errors.Is(err, grants.ErrState) {
		return nil
	}
	return err
}

// Release gives access back before its deadline; only its holder may.
func (s *Service) Release(ctx context.Context, press Press) (Case, error) {
	person, c, err := s.holder(ctx, press, audit.GrantEnding)
	if err != nil {
		return s.once(ctx, press.Delivery, c, err)
	}
	return s.end(ctx, c, press, grants.Ending{Cause: grants.Released, By: actor(person), Source: press.Source})
}

// Revoke ends somebody's access; those who could have approved it or have to review it, and the policy's operators may. A holder gives access
// back with Release.
func (s *Service) Revoke(ctx context.Context, press Press, reason string) (Case, error) {
	person, c, err := s.revoker(ctx, press)
	if err != nil {
		return s.once(ctx, press.Delivery, c, err)
	}
	if strings.TrimSpace(reason) == "" {
		return c, input("Reason", "Say why, so that its holder knows.")
	}
	return s.end(ctx, c, press, grants.Ending{
		Cause: grants.Withdrawn, By: actor(person), Note: cut(reason, LongestReason), Source: press.Source,
	})
}

// MayRevoke says whether the presser could revoke this access now: nil, or the *Refusal they would get, recorded.
func (s *Service) MayRevoke(ctx context.Context, press Press) error {
	_, _, err := s.revoker(ctx, press)
	return err
}

// revoker looks up who pressed and refuses whoever may not end this access.
func (s *Service) revoker(ctx context.Context, press Press) (Person, Case, error) {
	person, c, err := s.presser(ctx, press, audit.GrantEnding)
	if err != nil {
		return person, c, err
	}
	switch {
	case c.Grant == nil || !c.Grant.Live():
		err = refuse(AlreadyOver, "There is no live access to revoke.")
	case !person.Same(c.Request.Requester):
		if ok, why := s.entitled(ctx, person, c); !ok && why != "" {
			err = refuse(NotApprover, "Whether you may revoke this could not be found out: %s. Try again in a moment.", why)
		} else if !ok {
			err = refuse(NotApprover, "Only those who could have approved this access or have to review it, and operators, may revoke it.")
		}
	}
	if err != nil {
		return person, c, s.refusal(ctx, c, person, press, audit.GrantEnding, err)
	}
	return person, c, nil
}

func (s *Service) end(ctx context.Context, c Case, press Press, e grants.Ending) (Case, error) {
	e.Delivery = press.Delivery
	if _, err := s.cfg.Grants.End(ctx, c.Grant.ID, e); err != nil && !errors.Is(err, grants.ErrState) {
		return s.once(ctx, press.Delivery, c, err) // somebody else having ended it in the meantime is success
	}
	return s.Case(ctx, press.Request)
}

// holder looks up who pressed and refuses everybody but the holder of live access.
func (s *Service) holder(ctx context.Context, press Press, kind audit.Kind) (Person, Case, error) {
	person, c, err := s.presser(ctx, press, kind)
	if err != nil {
		return person, c, err
	}
	switch {
	case !person.Same(c.Request.Requester):
		err = refuse(NotHolder, "Only %s, who holds this access, may do this.", c.Request.Requester.Name)
	case c.Grant == nil || c.Grant.State == grants.Provisioning:
		err = refuse(TooEarly, "There is no access yet.")
	case c.Grant.State != grants.Active || c.Grant.Due(s.cfg.Now()):
		err = refuse(AlreadyOver, "This access has ended.")
	}
	if err != nil {
		return person, c, s.refusal(ctx, c, person, press, kind, err)
	}
	return person, c, nil
}

// unavailable puts a failure of the target into a person's words. What it does not know stays an error.
func (s *Service) unavailable(c Case, err error) error {
	name := c.Request.Target
	if name == "" {
		name = "the database"
	}
	failure, ok := errors.AsType[*grants.Failure](err)
	switch {
	case errors.Is(err, grants.ErrState):
		return refuse(AlreadyOver, "This access has ended or is being taken back.")
	case !ok:
		return err
	}
	switch failure.Reason {
	case grants.FailUnreachable, grants.FailBusy, grants.FailLate:
		return refuse(Unavailable, "%s does not answer. Nothing was given out; press Get credentials again in a moment.", name)
	case grants.FailUnprepared:
		return refuse(Unavailable, "%s is not prepared for this access. An operator must run: prodaccess targets apply", name)
	case grants.FailPrivilege:
		return refuse(Unavailable, "prodaccess lacks a privilege on %s. An operator should run: prodaccess targets check", name)
	case grants.FailSkewed:
		return refuse(Unavailable, "The clocks of %s and of prodaccess differ too much to bound access by time. An operator must mend that.", name)
	case grants.FailSwapped:
		return refuse(Unavailable, "Another database cluster answers under the name %s. Nothing was given out; an operator must look at it.", name)
	case grants.FailForeign:
		return refuse(Unavailable, "%s has a role of this name that is not ours. Press Get credentials again for another name.", name)
	default:
		return err
	}
}
