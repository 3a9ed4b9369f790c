package app

import (
	"context"

	"github.com/prodaccess/prodaccess/oncall"
	"github.com/prodaccess/prodaccess/policy"
)

// roster translates between the words of package oncall and those of package policy, neither of which knows the other.
type roster struct{ oncall.Roster }

// Rota implements approvals.Roster.
func (r roster) Rota(ctx context.Context, schedule policy.Schedule) (emails []string, unknown string) {
	found := r.Roster.Rota(ctx, oncall.Schedule{Name: schedule.Name, ID: schedule.PagerDuty, Levels: schedule.Levels})
	if unknown = found.Unknown; unknown == "" && found.Nameless {
		unknown = "PagerDuty does not say the e-mail address of somebody on call"
	}
	return found.Emails, unknown
}

// Standing implements approvals.Roster.
func (r roster) Standing(ctx context.Context, schedule policy.Schedule, email string) policy.Standing {
	status := r.OnCall(ctx, oncall.Schedule{Name: schedule.Name, ID: schedule.PagerDuty, Levels: schedule.Levels}, email)
	return policy.Standing{
		On: status.On, Unknown: status.Unknown, Schedule: status.Schedule, Source: status.Source,
		Level: status.Level, Start: status.Start, End: status.End, AsOf: status.AsOf,
	}
}
