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

// crowded says that somebody has as many pending requests as they may, which they are, and how to have room again. How many there are
// was counted a moment ago or is not known, which is 0: there were as many as may, and there are more where that was lowered.
func (s *Service) crowded(ctx context.Context, person Person, waiting int) *Refusal {
	words := "Nothing was asked: you have 1 request that waits for an answer"
	if n := max(waiting, s.cfg.MostPending); n > 1 {
		words = fmt.Sprintf("Nothing was asked: you have %d requests that wait for an answer", n)
	}
	words += fmt.Sprintf(", and nobody may have more than %d.", s.cfg.MostPending)
	// Without them the words are shorter and no less true.
	if pending, err := s.cfg.Store.Cases(ctx, Query{Requester: person.ID, States: []State{Pending}, Limit: mostNamed}); err == nil {
		var names []string
		for _, c := range pending {
			if s.cfg.Now().Before(c.Request.LapsesAt) {
				names = append(names, fmt.Sprintf("%s on %s (%s)", c.Request.Profile, c.Request.Target, c.Request.ID))
			}
		}
		if len(names) > 0 {
			words += " The last ones: " + strings.Join(names, ", ") + "."
		}
	}
	return refuse(TooMany, "%s Press Cancel on what you do not need, in your direct message with prodaccess (its command with the word list says what there is) or on its Home tab, or wait for an answer.", words)
}

// full is crowded for a wish that would have to wait, before it is filed; nil where there is room or nobody has to answer.
func (s *Service) full(ctx context.Context, person Person, d policy.Decision) error {
	if d.Outcome != policy.NeedsApproval {
		return nil
	}
	waiting, err := s.cfg.Store.PendingOf(ctx, person.ID, s.cfg.Now())
	if err != nil || waiting < s.cfg.MostPending {
		return err
	}
	return s.crowded(ctx, person, waiting)
}
