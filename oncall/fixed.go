package oncall

import (
	"context"
	"time"
)

// Shift is one person's fixed turn.
type Shift struct {
	// Schedule is the ID of the schedule.
	Schedule string
	Email    string
	// Level 0 means 1.
	Level      int
	Start, End time.Time
}

// Fixed is a roster that is known beforehand: for tests, and for trying the product without PagerDuty. Its rules are
// those of every roster.
type Fixed struct {
	Shifts []Shift
	// Unknown, when not empty, is why nothing is known.
	Unknown string
	// Now is the clock; never nil.
	Now func() time.Time
}

// OnCall implements [Roster].
func (f Fixed) OnCall(_ context.Context, schedule Schedule, email string) Status {
	now := f.Now()
	return f.answer(schedule, now).status(schedule, "fixed "+schedule.ID, email, "", now)
}

// Rota implements [Roster].
func (f Fixed) Rota(_ context.Context, schedule Schedule) Rota {
	now := f.Now()
	return f.answer(schedule, now).rota(schedule, nil, now)
}

func (f Fixed) answer(schedule Schedule, now time.Time) answer {
	found := answer{asOf: now, unknown: f.Unknown}
	if f.Unknown != "" {
		found.asOf = time.Time{}
	}
	for _, shift := range f.Shifts {
		if shift.Schedule == schedule.ID && !shift.Start.IsZero() && !shift.End.IsZero() {
			address := lower(shift.Email)
			found.entries = append(found.entries, entry{user: address, email: address, level: max(1, shift.Level), start: shift.Start, end: shift.End})
		}
	}
	return found
}
