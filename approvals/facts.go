package approvals

import (
	"context"
	"sync"
	"time"

	"github.com/prodaccess/prodaccess/policy"
)

// facts learns what a decision about one person may need, everything at once. What does not answer within FactsWithin is
// unknown: a decision must not wait for Slack or PagerDuty longer than Slack waits for us.
func (s *Service) facts(ctx context.Context, person Person, needed policy.Lookups, fresh bool) policy.Facts {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.FactsWithin)
	defer cancel()
	facts := policy.Facts{Usergroups: map[string]policy.Membership{}, Schedules: map[string]policy.Standing{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, group := range needed.Usergroups {
		wg.Go(func() {
			membership := s.cfg.Directory.Membership(ctx, group, person.ID, fresh)
			mu.Lock()
			defer mu.Unlock()
			facts.Usergroups[group] = membership
		})
	}
	for _, schedule := range needed.Schedules {
		wg.Go(func() {
			standing := s.cfg.Roster.Standing(ctx, schedule, person.Email)
			mu.Lock()
			defer mu.Unlock()
			facts.Schedules[schedule.Name] = standing
		})
	}
	if needed.History {
		wg.Go(func() {
			history := s.history(ctx, person)
			mu.Lock()
			defer mu.Unlock()
			facts.History = &history
		})
	}
	wg.Wait()
	return facts
}

// remembered is how far back automatic approvals are counted: access starts at most 30 days after it was asked for, and a
// budget looks a day further back.
const remembered = 31 * 24 * time.Hour

// history lists what was approved automatically for a person lately, so that a budget can be counted.
func (s *Service) history(ctx context.Context, person Person) policy.History {
	since := s.cfg.Now().Add(-remembered)
	cases, err := s.cfg.Store.Cases(ctx, Query{Requester: person.ID, Since: since, Limit: mostCases})
	if err != nil {
		return policy.History{Unknown: "the store did not say what was approved before"}
	}
	if len(cases) == mostCases {
		// Older ones may be missing. Those of them that are still to start the store counts, when it is to keep the answer.
		since = cases[len(cases)-1].Request.FiledAt
	}
	out := policy.History{Since: since}
	for _, c := range cases {
		if c.Request.Decision.Outcome == policy.Approved {
			out.Uses = append(out.Uses, policy.Use{Rule: c.Request.Decision.Rule, At: c.Request.usedAt()})
		}
	}
	return out
}

// entitlement says which of the requirements a person may fill by the policy in force now, and, when none, why not.
func (s *Service) entitlement(ctx context.Context, person Person, needed []policy.Requirement) (fills []int, why string) {
	p := s.cfg.Policy()
	facts := s.facts(ctx, person, p.ApproverLookups(needed), true)
	for i, requirement := range needed {
		verdict := p.MayApprove(requirement, policy.Person{ID: person.ID, Email: person.Email}, facts)
		if verdict.OK {
			fills = append(fills, i)
		} else if verdict.Unknown {
			why = verdict.Why
		}
	}
	return fills, why
}
