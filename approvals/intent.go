package approvals

import (
	"context"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
)

// stillAllowed refuses access that the policy denies now, though an earlier policy led to its approval. Where the policy is
// the one that decided, its answer stands.
func (s *Service) stillAllowed(ctx context.Context, c Case, person Person) error {
	r, p := c.Request, s.cfg.Policy()
	if err := s.stillLess(p, r); err != nil {
		return err
	}
	f := Filing{
		Target: r.Target, Profile: r.Profile, Duration: r.Length(), Ticket: r.Ticket, Reason: r.Reason, Params: r.Params,
	}
	if p.Hash() != r.Decision.Policy {
		var now policy.Decision
		if r.BreakGlass {
			now = s.decideGlass(ctx, p, person, f, true)
		} else {
			now = s.decide(ctx, p, person, f)
		}
		if now.Outcome == policy.Denied {
			return refuse(AlreadyOver, "The policy has changed since this was approved. %s", now.Why)
		}
	}
	if f.Profile = r.Access(); f.Profile == r.Profile {
		return nil
	}
	// The narrower access that approvers chose was never decided about. No rule need give it, but none may deny it.
	if now := s.decide(ctx, p, person, f); now.Outcome == policy.Denied && now.Rule != "" {
		return refuse(AlreadyOver, "%s was agreed to instead of %s, and the policy denies it. %s", f.Profile, r.Profile, now.Why)
	}
	return nil
}

// stillLess refuses a narrower profile that approvers chose and that has been widened since.
func (s *Service) stillLess(p *policy.Policy, r Request) error {
	if r.Access() == r.Profile {
		return nil
	}
	for _, narrower := range p.Narrower(r.Profile, r.Engine) {
		if narrower.Name == r.Access() {
			return nil
		}
	}
	return refuse(AlreadyOver, "The policy has changed since this was approved: %s does not give less than %s any more. File a new request.",
		r.Access(), r.Profile)
}

// intend prepares the grant: what it is for, and what it must not outlive.
func (s *Service) intend(ctx context.Context, c Case, at time.Time) (grants.Grant, error) {
	r := c.Request
	profile, ok := s.cfg.Policy().Profile(r.Access())
	if !ok {
		return grants.Grant{}, refuse(AlreadyOver, "The access %q is not in the policy any more. File a new request.", r.Access())
	}
	params, err := values(profile, r.Params)
	if err != nil {
		return grants.Grant{}, err
	}
	in := grants.Intent{
		Request: r.ID,
		Holder:  grants.Holder{ID: r.Requester.ID, Name: r.Requester.Name, Email: r.Requester.Email},
		Target:  r.Target, Profile: profile.Name, ProfileVersion: profile.Version(), Params: params,
		ConnectionLimit: profile.ConnectionLimit, StatementTimeout: profile.StatementTimeout, Duration: r.Length(), At: at,
	}
	if shift := r.Decision.Shift; shift != nil {
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
