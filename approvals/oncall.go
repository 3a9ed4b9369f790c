package approvals

import (
	"context"
	"fmt"
)

// OnCall names, by their addresses, those whom the policy's schedule has on call now, for calling them. It gives nobody any
// right. unknown completes "because …" where they cannot all be named; what is known then stands beside it.
func (s *Service) OnCall(ctx context.Context, schedule string) (emails []string, unknown string) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.FactsWithin)
	defer cancel()
	for _, known := range s.cfg.Policy().Schedules() {
		if known.Name == schedule {
			return s.cfg.Roster.Rota(ctx, known)
		}
	}
	return nil, fmt.Sprintf("the policy has no schedule %q any more", schedule)
}
