package app

import (
	"context"

	"github.com/prodaccess/prodaccess/oncall"
	"github.com/prodaccess/prodaccess/policy"
)

// roster translates between the words of package oncall and those of package policy, neither of which knows the other.
type roster struct{ oncall.Roster }

// Standing implements approvals.Roster.
func (r roster) Standing(ctx context.Context, schedule policy.Schedule, email string) policy.Standing {
	status := r.OnCall(ctx, oncall.Schedule{Name: schedule.Name, ID: schedule.PagerDuty, Levels: schedule.Levels}, email)
	return policy.Standing{
		On: status.On, Unknown: status.Unknown, Schedule: status.Schedule, Source: status.Source,
		Level: status.Level, Start: status.Start, End: status.End, AsOf: status.AsOf,
	}
}
