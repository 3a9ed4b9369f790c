package approvals

import (
	"context"
	"fmt"
	"strings"

	"github.com/prodaccess/prodaccess/policy"
)

// Everybody who may answer sees every request, so that one person, or a script in their name, could bury what others wait for. How
// many of somebody's requests wait at a time is bounded; what has an answer makes room.

// mostNamed is how many of the requests that stand in the way are named.
const mostNamed = 5

// crowded says that somebody has as many pending requests as they may, which they are, and how to have room again.
func (s *Service) crowded(ctx context.Context, person Person) *Refusal {
	words := fmt.Sprintf("Nothing was asked: you have %d requests that wait for an answer, and nobody may have more at a time.", s.cfg.MostPending)
	// Without them the words are shorter and no less true.
	if pending, err := s.cfg.Store.Cases(ctx, pendingOf(person, mostNamed)); err == nil && len(pending) > 0 {
		names := make([]string, len(pending))
		for i, c := range pending {
			names[i] = fmt.Sprintf("%s on %s (%s)", c.Request.Profile, c.Request.Target, c.Request.ID)
		}
		words += " The last ones: " + strings.Join(names, ", ") + "."
	}
	return refuse(TooMany, "%s Press Cancel on what you do not need, in your direct message with prodaccess or on its Home tab, or wait for an answer.", words)
}

func pendingOf(person Person, limit int) Query {
	return Query{Requester: person.ID, States: []State{Pending}, Limit: limit}
}

// full is crowded for a wish that would have to wait, before it is filed; nil where there is room or nobody has to answer.
func (s *Service) full(ctx context.Context, person Person, d policy.Decision) error {
	if d.Outcome != policy.NeedsApproval {
		return nil
	}
	pending, err := s.cfg.Store.Cases(ctx, pendingOf(person, s.cfg.MostPending))
	if err != nil || len(pending) < s.cfg.MostPending {
		return err
	}
	return s.crowded(ctx, person)
}
