package oncall

import (
	"context"
	"testing"
	"time"
)

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

func TestFixed(t *testing.T) {
	t.Parallel()
	f := Fixed{Now: func() time.Time { return noon }, Shifts: []Shift{
		{Schedule: "PABC", Email: "Ana@example.com", Start: noon.Add(-time.Hour), End: noon.Add(time.Hour)},
		{Schedule: "PABC", Email: "bo@example.com", Start: noon.Add(-2 * time.Hour), End: noon},
		{Schedule: "PABC", Email: "cy@example.com", Level: 2, Start: noon, End: noon.Add(time.Hour)},
		{Schedule: "PABC", Email: "eve@example.com", Start: noon},
	}}
	for email, want := range map[string]bool{"ana@example.com": true, "bo@example.com": false, "cy@example.com": false, "eve@example.com": false} {
		if got := f.OnCall(t.Context(), payments, email); got.On != want || got.Unknown != "" {
			t.Errorf("%s: %+v", email, got)
		}
	}
	if got := f.OnCall(t.Context(), Schedule{Name: "other", ID: "PXYZ"}, "ana@example.com"); got.On {
		t.Errorf("another schedule: %+v", got)
	}
	f.Unknown = "the list is being edited"
	if got := f.OnCall(t.Context(), payments, "ana@example.com"); got.On || got.Unknown == "" || !got.AsOf.IsZero() {
		t.Errorf("unknown: %+v", got)
	}
}

var (
	_ Roster = Fixed{}
	_ Roster = (*PagerDuty)(nil)
)
