package app

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestTeardownRunsEveryStepInReverse(t *testing.T) {
	l := lifecycle{log: zerolog.Nop()}
	var order []string
	broken := errors.New("broken")
	for _, name := range []string{"store", "engine", "bot"} {
		l.onStop(name, func(context.Context) error {
			order = append(order, name)
			if name == "engine" {
				return broken
			}
			return nil
		})
	}
	if err := l.stop(t.Context()); !errors.Is(err, broken) {
		t.Errorf("the failure of a step is lost: %v", err)
	}
	if want := []string{"bot", "engine", "store"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if err := l.stop(t.Context()); err != nil || len(order) != 3 {
		t.Error("a second stop ran steps again")
	}
}

func TestEveryReplicaFindsTheSameDigest(t *testing.T) {
	at := func(text string) time.Time {
		instant, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return instant
	}
	for _, c := range []struct{ spec, zone, now, want string }{
		{"0 9 * * *", "UTC", "2026-03-02T09:00:00Z", "2026-03-02T09:00:00Z"},
		{"0 9 * * *", "UTC", "2026-03-02T08:59:59Z", "2026-03-01T09:00:00Z"},
		{"0 9 * * *", "Europe/Paris", "2026-03-02T08:30:00Z", "2026-03-02T08:00:00Z"},
		{"0 9 * * *", "Europe/Paris", "2026-03-29T07:30:00Z", "2026-03-29T07:00:00Z"}, // summer time began that night
		{"@every 30s", "UTC", "2026-03-02T08:30:44Z", "2026-03-02T08:30:30Z"},
		{"* * * * *", "UTC", "2026-03-02T08:30:44Z", "2026-03-02T08:30:00Z"},
		{"0 9 * * 1-5", "UTC", "2026-03-02T08:59:59Z", "2026-02-27T09:00:00Z"}, // a Monday before nine
		{"0 9 * * 1", "Europe/Paris", "2026-03-08T23:00:00Z", "2026-03-02T08:00:00Z"},
		{"0 9 1 1 *", "UTC", "2026-12-31T00:00:00Z", "2026-01-01T09:00:00Z"},
		{"0 9 29 2 *", "UTC", "2028-02-29T08:59:59Z", "2024-02-29T09:00:00Z"},
	} {
		schedule, location, err := digestSchedule(c.spec, c.zone)
		if err != nil {
			t.Fatal(err)
		}
		if got := lastDue(schedule, location, at(c.now)); !got.Equal(at(c.want)) {
			t.Errorf("%s in %s at %s: %s, want %s", c.spec, c.zone, c.now, got, c.want)
		}
	}
	schedule, location, _ := digestSchedule("0 9 30 2 *", "UTC")
	if got := lastDue(schedule, location, at("2026-06-01T00:00:00Z")); !got.IsZero() {
		t.Errorf("a digest of a day that does not exist is due: %s", got)
	}
}
