package grants

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/prodaccess/prodaccess/audit"
)

var began = time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)

// TestStatesFollowEachOtherInOneOrder throws random transitions at a grant and checks that it only ever moves forward,
// and that every state has what it promises.
func TestStatesFollowEachOtherInOneOrder(t *testing.T) {
	order := []State{Provisioning, Active, Revoking, Cleanup, Revoked}
	rapid.Check(t, func(t *rapid.T) {
		g := Grant{ID: "g1", State: Provisioning, Intended: began, Deadline: began.Add(time.Hour)}
		now := began
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "seconds")) * time.Second)
			before := g
			var err error
			step := rapid.SampledFrom([]string{"issued", "ending", "secured", "cleaned", "unproven", "extended"}).Draw(t, "step")
			switch step {
			case "issued":
				g, err = issued(g, 4711, now)
			case "ending":
				g, err = ending(g, Ending{Cause: Expired, By: audit.System("reaper")}, now)
			case "secured":
				g, err = secured(g, Secured{Existed: true, OID: 4711, Checks: []Check{{What: "locked", OK: true}}}, now)
			case "cleaned":
				g, err = cleaned(g, Cleaned{DroppedAt: now, Checks: []Check{{What: "gone", OK: true}}}, now)
			case "unproven":
				g, err = cleaned(g, Cleaned{Checks: []Check{{What: "gone", OK: false}}}, now)
				if err == nil {
					t.Fatal("a receipt with a check that does not hold")
				}
			case "extended":
				g, err = extended(g, before.Deadline.Add(time.Minute), time.Time{})
			}
			if err != nil {
				if !errors.Is(err, ErrState) || g.State != before.State {
					t.Fatalf("%s: %v, state %s", step, err, g.State)
				}
				continue
			}
			from, to := slices.Index(order, before.State), slices.Index(order, g.State)
			if to < from || to == from && step != "extended" {
				t.Fatalf("%s: %s became %s", step, before.State, g.State)
			}
			if g.Deadline.Before(before.Deadline) {
				t.Fatal("the deadline moved earlier")
			}
			if slices.Contains([]State{Cleanup, Revoked}, g.State) && g.Receipt == nil {
				t.Fatalf("%s without a receipt", g.State)
			}
			if g.State == Active && g.OID == 0 {
				t.Fatal("active without having been read back")
			}
			if step == "extended" && before.State != Active {
				t.Fatal("extended what was not active")
			}
		}
	})
}

func TestAnExtensionNeverOutlivesTheShift(t *testing.T) {
	g := Grant{State: Active, Deadline: began.Add(time.Hour)}
	end := began.Add(90 * time.Minute)
	next, err := extended(g, began.Add(3*time.Hour), end)
	if err != nil || !next.Deadline.Equal(end) {
		t.Errorf("deadline %s, error %v", next.Deadline, err)
	}
	if _, err := extended(g, began.Add(3*time.Hour), began.Add(30*time.Minute)); !errors.Is(err, ErrState) {
		t.Errorf("an extension that shortens: %v", err)
	}
}

func TestReceiptOfALoginThatNeverCameToBe(t *testing.T) {
	g := Grant{State: Revoking, Login: "pa_ana_x"}
	g, err := secured(g, Secured{Existed: false, Checks: []Check{{What: "no role", OK: true}}}, began)
	if err != nil || !g.Receipt.NeverExisted {
		t.Fatalf("%+v, %v", g.Receipt, err)
	}
}

func TestLoginNamesFitEveryEngine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		holder := rapid.String().Draw(t, "holder")
		name := LoginName(holder, NewID())
		if len(name) > 32 || !strings.HasPrefix(name, Prefix) || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.Fatalf("login %q", name)
		}
	})
}

func TestStampsAreReadBack(t *testing.T) {
	stamp := Stamp{Installation: "inst", Grant: "abc"}
	if got, ok := ParseStamp(stamp.String()); !ok || got != stamp {
		t.Errorf("read %+v, %v", got, ok)
	}
	for _, text := range []string{"", "prodaccess", "prodaccess installation=x", "prodaccess installation= grant=y", stamp.String() + " and more"} {
		if got, ok := ParseStamp(text); ok {
			t.Errorf("%q was taken for the stamp %+v", text, got)
		}
	}
}

func FuzzParseStamp(f *testing.F) {
	f.Add("prodaccess installation=a grant=b")
	f.Fuzz(func(t *testing.T, text string) {
		if stamp, ok := ParseStamp(text); ok && stamp.String() != text {
			t.Errorf("%q was read as %q", text, stamp)
		}
	})
}
