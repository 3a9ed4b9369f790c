package approvals

import (
	"context"
	"fmt"

	"github.com/prodaccess/prodaccess/policy"
)

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
			needed = append(needed, c.Request.needed()...)
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
