package bot

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
)

// counting is a world with access that lasts, and a clock that the test moves.
func counting(t *testing.T, state string, left time.Duration) (w *world, passes func(time.Duration)) {
	var ahead atomic.Int64
	w = nudged(t, state, func(w *world, c *approvals.Case) {
		w.bot.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		c.Grant.Deadline = time.Now().Add(left)
		c.Grant.AlarmedAt = time.Time{}
	})
	return w, func(d time.Duration) { ahead.Add(int64(d)) }
}

// counts runs the job and says when it asks to come again; 0 for never.
func (w *world) counts(number string) time.Duration {
	w.Helper()
	err := w.bot.PostNudge(w.Context(), "left/"+number+"/r7k2m9")
	if err == nil {
		return 0
	}
	u := undelivered(w.T, err)
	if u.Permanent || !errors.Is(u, approvals.ErrEarly) {
		w.Fatal(err)
	}
	return u.After
}

// copies are the request's messages as everybody sees them now.
func (w *world) copies() []string {
	var out []string
	for _, m := range w.ws.Messages() {
		if !strings.Contains(m.Raw[0], `"thread_ts"`) {
			out = append(out, m.Text)
		}
	}
	return out
}

func (w *world) say(words string) {
	w.Helper()
	for _, text := range w.copies() {
		if !strings.Contains(text, words) {
			w.Errorf("%q is not in\n%s", words, text)
		}
	}
}

func TestCopiesCountDown(t *testing.T) {
	t.Parallel()
	for state, copies := range map[string]int{"active": 2, "glass-active": 3} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			w, passes := counting(t, state, time.Hour)
			posted := len(w.ws.Messages())
			if n := len(w.copies()); n != copies {
				t.Fatalf("%d copies", n)
			}
			w.say("At most 1h left")
			for _, step := range []struct {
				passes      time.Duration
				says        string
				again, near time.Duration
			}{
				{30*time.Minute + time.Second, "At most 30m left", 15 * time.Minute, time.Minute},
				{15 * time.Minute, "At most 15m left", 10 * time.Minute, time.Minute},
				{8 * time.Minute, "At most 7m left", 2 * time.Minute, time.Minute}, // came late, or is another replica's
				{3 * time.Minute, "At most 4m left", 0, 0},
			} {
				passes(step.passes)
				if again := w.counts("1"); (again - step.again).Abs() > step.near {
					t.Errorf("asks to come again after %s, not %s", again, step.again)
				}
				w.say(step.says)
			}
			if n := len(w.ws.Messages()); n != posted {
				t.Errorf("counting down posted %d messages", n-posted)
			}
		})
	}
}

// What time made untrue, what ended and what another job counts is left as it is.
func TestCountdownOfWhatIsOverDrawsNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		number string
		passes time.Duration
		change func(*approvals.Case)
	}{
		"past its end":             {"1", 31 * time.Minute, nil},
		"released":                 {"1", 20 * time.Minute, func(c *approvals.Case) { c.Grant.State = grants.Revoking }},
		"over":                     {"1", 20 * time.Minute, func(c *approvals.Case) { c.Grant.State = grants.Revoked }},
		"extended":                 {"1", 20 * time.Minute, func(c *approvals.Case) { c.Grant.Extensions++ }},
		"an extension that failed": {"2", 20 * time.Minute, nil},
		"given back":               {"1", 20 * time.Minute, func(c *approvals.Case) { c.Request.State = approvals.Approved }},
		"of no grant":              {"1", 20 * time.Minute, func(c *approvals.Case) { c.Grant = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, passes := counting(t, "active", 30*time.Minute)
			before := strings.Join(w.copies(), "\n")
			passes(tc.passes)
			if tc.change != nil {
				w.service.mu.Lock()
				tc.change(w.service.cases["r7k2m9"])
				w.service.mu.Unlock()
			}
			if again := w.counts(tc.number); again != 0 {
				t.Errorf("asks to come again after %s", again)
			}
			if after := strings.Join(w.copies(), "\n"); after != before {
				t.Errorf("was\n%s\nis\n%s", before, after)
			}
		})
	}
}

// A change that is not drawn yet is drawn by its own job, which says what became different to its requester too.
func TestCountdownLeavesAChangeToItsJob(t *testing.T) {
	t.Parallel()
	w, passes := counting(t, "active", 30*time.Minute)
	before := strings.Join(w.copies(), "\n")
	w.service.mu.Lock()
	w.service.cases["r7k2m9"].Request.Version++
	w.service.mu.Unlock()
	passes(16 * time.Minute)
	w.counts("1")
	if after := strings.Join(w.copies(), "\n"); after != before {
		t.Errorf("was\n%s\nis\n%s", before, after)
	}
	w.draws("r7k2m9")
	w.say("At most 14m left")
}

// While updates are few, those that somebody waits for go first; what finds no turn before its next time gives its place up.
func TestCountdownIsBehindWhatIsWaitedFor(t *testing.T) {
	t.Parallel()
	w, passes := counting(t, "active", 30*time.Minute)
	now := time.Now()
	w.bot.pace.now = func() time.Time { return now }
	for w.bot.pace.turn(w.Context(), updateLane, updates, "somebody's card", waitedFor) == nil {
	}
	before := strings.Join(w.copies(), "\n")
	passes(16 * time.Minute)
	err := w.bot.PostNudge(context.Background(), "left/1/r7k2m9")
	if !errors.Is(err, ErrInLine) {
		t.Fatalf("while others wait: %v", err)
	}
	queue := &w.bot.pace.lanes[updateLane].queue
	if p := queue.place("left:r7k2m9"); p == nil || p.urgency != countdown || queue.ahead(p, now) != 1 {
		t.Fatalf("its place is %+v", p)
	}
	// So many wait that its turn would come after its next time.
	for range 600 {
		_ = w.bot.pace.turn(w.Context(), updateLane, updates, "card:"+time.Duration(len(queue.waiting)).String(), record)
	}
	if again := w.counts("1"); again < 8*time.Minute || again > 9*time.Minute+time.Second {
		t.Errorf("asks to come again after %s", again)
	}
	if p := queue.place("left:r7k2m9"); p != nil {
		t.Errorf("it gave up and keeps its place %+v", p)
	}
	if after := strings.Join(w.copies(), "\n"); after != before {
		t.Errorf("was\n%s\nis\n%s", before, after)
	}
}
