package approvals

import (
	"context"
	"slices"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
)

// stillAllowed refuses access that the policy denies now, though it led to its approval before, and gives the shift that the access
// rests on. Where the policy is the one that decided, its answer stands; not so for a later start, because by then somebody may have
// left the group that it was given to: what nobody agreed to must be what nobody has to agree to now.
func (s *Service) stillAllowed(ctx context.Context, c Case, person Person) (*policy.Standing, error) {
	r, p := c.Request, s.cfg.Policy()
	shift := r.Decision.Shift
	if err := s.stillLess(p, c); err != nil {
		return nil, err
	}
	f := Filing{
		Target: r.Target, Profile: r.Profile, Duration: r.Length(), Ticket: r.Ticket, Reason: r.Reason, Params: r.Params,
	}
	if later := !r.StartsAt.IsZero(); later || p.Hash() != r.Decision.Policy {
		var now policy.Decision
		if r.BreakGlass {
			now = s.decideGlass(ctx, p, person, f, true)
		} else {
			question := s.question(ctx, p, person, f)
			question.Facts.History = without(question.Facts.History, r)
			now = p.Decide(question.Request, question.Facts)
		}
		alone := later && r.Decision.Outcome == policy.Approved
		short := later && !alone && now.Outcome == policy.NeedsApproval && !s.enough(ctx, p, c, now)
		switch {
		case later && (alone && now.Outcome != policy.Approved || short || now.Outcome == policy.Denied) && len(now.Unknowns) > 0:
			return nil, refuse(NotKnown, "Whether you may still have this could not be found out. %s Try again in a moment.", now.Unknowns[0])
		case now.Outcome == policy.Denied && p.Hash() == r.Decision.Policy:
			return nil, refuse(AlreadyOver, "The policy does not give this now, though it did when it was asked for. %s", now.Why)
		case now.Outcome == policy.Denied:
			return nil, refuse(AlreadyOver, "The policy has changed since this was approved. %s", now.Why)
		case alone && now.Outcome != policy.Approved:
			return nil, refuse(AlreadyOver, "Nobody had to agree when this was asked for, and by now somebody has to. %s File a new request.", now.Why)
		case short:
			return nil, refuse(AlreadyOver, "By now this needs more than was agreed to when it was asked for. %s File a new request.", now.Why)
		case alone:
			shift = now.Shift
		}
	}
	return shift, s.notForbidden(ctx, p, person, r)
}

// enough says whether what people agreed to is what the policy asks for now: whoever they are, or because each of those who did
// agree may fill what is asked for.
func (s *Service) enough(ctx context.Context, p *policy.Policy, c Case, now policy.Decision) bool {
	if p.Agreed(c.Request.Decision, now) {
		return true
	}
	var given []Approval
	for _, a := range c.Approvals {
		if a.Verdict == Yes && a.stands() {
			a.Fills, _ = s.entitlement(ctx, a.By, now.Approvals)
			given = append(given, a)
		}
	}
	return met(now.Approvals, given)
}

// without leaves a request out of what counts against a budget: it does not use up its own. Nor does what starts after it: each
// of those was asked for with this one counted, or this one with them.
func without(h *policy.History, r Request) *policy.History {
	if h == nil || r.Decision.Outcome != policy.Approved {
		return h
	}
	out := *h
	out.Uses = slices.DeleteFunc(slices.Clone(out.Uses), func(u policy.Use) bool { return u.At.After(r.usedAt()) })
	own := slices.IndexFunc(out.Uses, func(u policy.Use) bool { return u.Rule == r.Decision.Rule && u.At.Equal(r.usedAt()) })
	if own >= 0 {
		out.Uses = slices.Delete(out.Uses, own, own+1)
	}
	return &out
}

// notForbidden refuses narrower access that a rule denies. It was never decided about: no rule need give it, but none may
// deny it.
func (s *Service) notForbidden(ctx context.Context, p *policy.Policy, person Person, r Request) error {
	if r.Access() == r.Profile {
		return nil
	}
	request := s.asked(person, Filing{
		Target: r.Target, Profile: r.Access(), Duration: r.Length(), Ticket: r.Ticket, Reason: r.Reason, Params: r.Params,
	})
	if why := p.Forbids(request, s.facts(ctx, person, p.Lookups(request), true)); why != "" {
		return refuse(AlreadyOver, "%s was agreed to instead of %s, and the policy denies it. %s", r.Access(), r.Profile, why)
	}
	return nil
}

// stillLess refuses a narrower profile that approvers chose and that gives no less any more than what was asked for and what
// each of them agreed to.
func (s *Service) stillLess(p *policy.Policy, c Case) error {
	r := c.Request
	agreed := []string{r.Profile}
	for _, a := range c.Approvals {
		if a.stands() && a.Verdict == Yes && a.Less != nil && a.Less.Profile != "" {
			agreed = append(agreed, a.Less.Profile)
		}
	}
	for _, wider := range agreed {
		if wider != r.Access() && !slices.ContainsFunc(p.Narrower(wider, r.Engine), func(n policy.Profile) bool { return n.Name == r.Access() }) {
			return refuse(AlreadyOver, "The policy has changed since this was approved: %s does not give less than %s any more. File a new request.",
				r.Access(), wider)
		}
	}
	return nil
}

// intend prepares the grant: what it is for, and the shift that it must not outlive, if there is one.
func (s *Service) intend(ctx context.Context, c Case, at time.Time, shift *policy.Standing) (grants.Grant, error) {
	r := c.Request
	profile, ok := s.cfg.Policy().Profile(r.Access())
	if !ok {
		return grants.Grant{}, refuse(AlreadyOver, "The access %q is not in the policy any more. File a new request.", r.Access())
	}
	params, err := values(profile, r.Params)
	if err != nil {
		return grants.Grant{}, err
	}
	length := r.Length()
	if r.Access() != r.Profile && profile.MaxDuration > 0 {
		length = min(length, profile.MaxDuration) // nobody decided about this profile, so its own bound holds as it is now
	}
	in := grants.Intent{
		Request: r.ID,
		Holder:  grants.Holder{ID: r.Requester.ID, Name: r.Requester.Name, Email: r.Requester.Email},
		Target:  r.Target, Profile: profile.Name, ProfileVersion: profile.Version(), Params: params,
		ConnectionLimit: profile.ConnectionLimit, StatementTimeout: profile.StatementTimeout, Duration: length, At: at,
	}
	if shift != nil {
		in.NotAfter = shift.End
	}
	g, err := s.cfg.Grants.Intend(ctx, in)
	if err != nil {
		return g, s.unavailable(c, err)
	}
	return g, nil
}

// values are the request's parameters as the profile declares them now; those it does not know, because it gives less than
// was asked for, are left out.
func values(profile policy.Profile, given map[string]string) ([]grants.Param, error) {
	var out []grants.Param
	known := map[string]string{}
	for _, parameter := range profile.Parameters {
		if value, ok := given[parameter.Name]; ok {
			known[parameter.Name] = value
			out = append(out, grants.Param{Name: parameter.Name, Type: parameter.Type, Value: value})
		}
	}
	if err := profile.CheckParams(known); err != nil {
		return nil, refuse(AlreadyOver, "The policy has changed since this was approved: %s. File a new request.", err)
	}
	return out, nil
}
