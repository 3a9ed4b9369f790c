package bot

import (
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/sandbox"
	"github.com/slack-go/slack"
)

// startsAt changes when a request is to start.
func (w *world) startsAt(id string, when time.Time) {
	_, err := w.service.change("", id, func(c *approvals.Case) error {
		c.Request.StartsAt = when
		return nil
	})
	no(w.T, err)
}

// What is asked for again keeps a start that is still ahead, and the words say so; where the start has passed they say that too.
func TestAskingAgainKeepsTheStart(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true, Scopes: appScopes})
	w.service.decides(later)
	starts := time.Now().UTC().Add(26 * time.Hour).Truncate(time.Minute)
	w.does(w.ana.Command("/prodaccess orders-prod read-only 30m start=" + starts.Format("2006-01-02T15:04") + "Z release"))
	w.lapse("r1")
	w.sees(w.ana, "*Ask again* keeps the start, "+starts.Format("2 Jan 15:04 UTC"))
	w.drawing.Wait()
	w.does(w.ana.Clicks("Ask again"))
	w.drawing.Wait()
	if all := w.wishes(); len(all) != 2 || !all[1].StartsAt.Equal(starts) {
		t.Fatalf("after asking again there are %+v", all)
	}
	w.startsAt("r2", time.Now().Add(-time.Hour))
	w.lapse("r2")
	w.sees(w.ana, "*Ask again* starts at once.")
	w.drawing.Wait()
	w.does(w.ana.Clicks("Ask again"))
	w.sees(w.ana, "The start that was asked for before has passed: this starts at once.")
	w.drawing.Wait()
	if all := w.wishes(); len(all) != 3 || !all[2].StartsAt.IsZero() {
		t.Errorf("after asking again late there are %+v", all)
	}
}

func TestWhatIsHadInsteadKeepsTheStart(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true, Scopes: appScopes})
	starts := time.Now().UTC().Add(26 * time.Hour).Truncate(time.Minute)
	w.service.decides(func(f approvals.Filing) policy.Decision {
		if f.Duration > time.Hour {
			return policy.Decision{Outcome: policy.Denied, Why: "At most 1h."}
		}
		return later(f)
	})
	w.service.instead = []approvals.Alternative{{
		Target: "orders-prod", Profile: "read-only", Duration: time.Hour, StartsAt: starts, Decision: policy.Decision{Outcome: policy.Approved},
	}}
	w.does(w.ana.Command("/prodaccess orders-prod read-only 8h start=" + starts.Format("2006-01-02T15:04") + "Z release"))
	w.sees(w.ana, "for 1h, starts "+starts.Format("2 Jan 15:04 UTC")+": approved at once")
	w.does(w.ana.Clicks("Ask for 1h instead"))
	w.drawing.Wait()
	if all := w.wishes(); len(all) != 2 || !all[1].StartsAt.Equal(starts) {
		t.Errorf("after asking for less there are %+v", all)
	}
	r := w.wishes()[0]
	if words := startAgain(r, time.Time{}); words != ", starts at once" {
		t.Errorf("of a start that has passed is said %q", words)
	}
}

func TestHomeSaysWhatBecomesOfTheStart(t *testing.T) {
	t.Parallel()
	r := approvals.Request{Target: "orders-prod", Profile: "read-only", Duration: time.Hour, State: approvals.Denied, StartsAt: noon.Add(time.Hour)}
	for now, want := range map[time.Time]string{noon: ", starts " + at(r.StartsAt), noon.Add(2 * time.Hour): ", starts at once"} {
		blocks := againAtHome(home{again: []approvals.Case{{Request: r}}}, "/prodaccess", now)
		if said := blocks[len(blocks)-1].(*slack.SectionBlock).Text.Text; !strings.Contains(said, want) {
			t.Errorf("at %s: %s", now, said)
		}
	}
}
