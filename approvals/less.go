package approvals

import (
	"cmp"
	"context"

	"github.com/prodaccess/prodaccess/policy"
)

// ApproveLess records one person's yes to less than was asked for. What is given in the end is the least that any of the
// approvals said. Less that is not less (longer, another profile than Narrower offers) is a *Refusal with the field at fault.
func (s *Service) ApproveLess(ctx context.Context, press Press, less Less) (Case, error) {
	a := Approve{Less: &less}
	if less.Profile != "" {
		c, err := s.Case(ctx, press.Request)
		if err == nil {
			a.Above = s.above(less.Profile, c.Request.Engine)
			asked := cmp.Or(c.Request.Duration, c.Request.Decision.Duration)
			if p, ok := s.cfg.Policy().Profile(less.Profile); ok && p.MaxDuration > 0 && p.MaxDuration < asked {
				// The narrower access may be had for a shorter time only; what is agreed to says so, however short somebody
				// else's yes makes it at present: that one may be taken back.
				if less.Duration == 0 || less.Duration > p.MaxDuration && less.Duration <= asked {
					less.Duration = p.MaxDuration
				}
			}
		}
	}
	return s.approve(ctx, press, a)
}

// Narrower lists the profiles an approver may give instead of what a request asks for, or of what others have agreed to.
func (s *Service) Narrower(c Case) []policy.Profile {
	return s.cfg.Policy().Narrower(c.Request.Access(), c.Request.Engine)
}

// above lists the profiles that give more than this one on an engine.
func (s *Service) above(profile, engine string) []string {
	p := s.cfg.Policy()
	var out []string
	for _, wider := range p.Profiles() {
		for _, narrower := range p.Narrower(wider.Name, engine) {
			if narrower.Name == profile {
				out = append(out, wider.Name)
			}
		}
	}
	return out
}
