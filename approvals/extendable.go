package approvals

import (
	"context"
	"errors"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
)

// Extendable says how much longer live access could be made to last now without anybody being asked again: nothing, with why
// in words for its holder, or up to a time. It is a look: nothing is recorded, nothing is promised, and Extend decides by itself.
func (s *Service) Extendable(ctx context.Context, c Case) (most time.Duration, why string, err error) {
	if c.Grant == nil || c.Grant.State != grants.Active || c.Grant.Due(s.cfg.Now()) {
		return 0, "This access has ended.", nil
	}
	person, err := s.cfg.Directory.Person(ctx, c.Request.Requester.ID, false)
	if err != nil {
		return 0, "", err
	}
	_, notAfter, err := s.extension(ctx, c, person, time.Second)
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return 0, refusal.Words, nil
	}
	if err != nil {
		return 0, "", err
	}
	r, p := c.Request, s.cfg.Policy()
	request := s.asked(person, Filing{Target: r.Target, Profile: r.Profile, Ticket: r.Ticket, Reason: r.Reason, Params: r.Params})
	d := p.DecideExtension(policy.Extending{Request: request, Decision: r.Decision, Before: c.Grant.Extensions},
		s.facts(ctx, person, p.Lookups(request), false))
	most = d.MaxDuration - c.Grant.Deadline.Sub(c.Grant.Intended)
	if given, ok := p.Profile(r.Access()); ok && r.Access() != r.Profile && given.MaxDuration > 0 {
		most = min(most, given.MaxDuration-c.Grant.Deadline.Sub(c.Grant.Intended))
	}
	if !notAfter.IsZero() {
		most = min(most, notAfter.Sub(c.Grant.Deadline))
	}
	return max(most.Truncate(time.Second), time.Second), "", nil
}
