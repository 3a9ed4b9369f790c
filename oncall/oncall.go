package oncall

import (
	"context"
	"time"
)

// Schedule is an on-call schedule and the levels that count.
type Schedule struct {
	// Name is what the policy calls it.
	Name string
	// ID is the schedule's own at the source.
	ID string
	// Levels are escalation levels; empty means level 1 only.
	Levels []int
}

// Status is whether somebody is on call, with the proof.
type Status struct {
	On bool
	// Unknown is empty when the answer is known; otherwise one clause that completes "because …".
	Unknown string
	// Schedule is the policy's name for it, Source its identity at the source ("pagerduty PABC123").
	Schedule, Source string
	// Level, Start and End are of the shift; zero unless On.
	Level      int
	Start, End time.Time
	// AsOf is when the source said so; zero when it did not.
	AsOf time.Time
}

// Roster knows who is on call. Implementations are safe for concurrent use, and answer within seconds whatever happens.
type Roster interface {
	OnCall(ctx context.Context, schedule Schedule, email string) Status
	// Rota is for telling people, not for trusting them: whoever is let do something is asked about with OnCall.
	Rota(ctx context.Context, schedule Schedule) Rota
}

// levels are those that count.
func (s Schedule) levels() []int {
	if len(s.Levels) == 0 {
		return []int{1}
	}
	return s.Levels
}

// lower folds ASCII only: folding all of Unicode would make different addresses equal.
func lower(email string) string {
	out := []byte(email)
	for i, c := range out {
		if c >= 'A' && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return string(out)
}

// Rota is who is on call for a schedule now, whoever that is.
type Rota struct {
	// Emails are the addresses of those on call, in the order of their levels; the addresses of the configuration where it
	// names the account.
	Emails []string
	// Nameless says that somebody else is on call whose address the source did not say.
	Nameless bool
	// Unknown is empty when the answer is known; otherwise one clause that completes "because …".
	Unknown string
	// AsOf is when the source said so; zero when it did not.
	AsOf time.Time
}
