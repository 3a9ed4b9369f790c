package acceptance

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/internal/crowd"
	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/sandbox"
)

// Forty people act for ten seconds, on a workspace that keeps Slack's rate limits: nothing they did is lost or there twice, every
// message catches up and is true, and the process holds on to nothing. How fast it is, and with more of it, is a benchmark's matter.
func TestCrowd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{RateLimits: true, AckWithin: 3 * time.Second})
	people, err := crowd.Gather(w.Stage, 8)
	if err != nil {
		t.Fatal(err)
	}
	defer people.Close()
	bot := w.serve()
	before := w.metric(bot, "go_goroutines")
	// Few of the commands file a request, so that the cards catch up within this test at Slack's pace.
	people.Storm(w.ctx, crowd.Load{PerSecond: 20, For: 10 * time.Second, Requests: 0.25})

	// A state may show for as long as a machine that does much else takes to draw the next.
	const behind = 15 * time.Second
	settle := func() crowd.Account {
		a, err := people.Settle(w.ctx, w.Store.URL("prodaccess"), behind)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	w.within(4*time.Minute, "every message is there and true", func() (bool, error) {
		a := settle()
		return a.True == a.Messages, fmt.Errorf("of %d messages %d are there and %d true", a.Messages, a.Drawn, a.True)
	})
	a := settle()
	for what, wrong := range map[string][]string{"lost": a.Lost, "there twice": a.Doubled, "shown after it had passed": a.Stale} {
		if len(wrong) > 0 {
			t.Errorf("%d things are %s:\n%s", len(wrong), what, strings.Join(wrong, "\n"))
		}
	}
	t.Logf("%d acts, %d requests, %d messages, %d told to try again", len(a.Acts), a.Requests, a.Messages, a.Turned)
	done, late := map[string]int{}, 0
	for _, act := range a.Acts {
		done[act.What]++
		switch act.Failed {
		case "":
		case sandbox.FailureTimeout: // on a machine that does much else
			late++
		default:
			t.Errorf("a %s was not acknowledged: %s", act.What, act.Failed)
		}
	}
	if late > len(a.Acts)/10 {
		t.Errorf("%d of %d were not acknowledged within three seconds", late, len(a.Acts))
	}
	// So that this holds something: there was something to lose.
	if done["command"] < 100 || done["press"] < 10 || a.Requests < 20 || a.Turned > a.Requests/4 {
		t.Errorf("people did too little: %v, %d requests", done, a.Requests)
	}
	w.eventually("the process is as it was before", func() (bool, error) {
		now := w.metric(bot, "go_goroutines")
		return now < before+40, fmt.Errorf("%v goroutines, and %v before", now, before)
	})
	if heap := w.metric(bot, "go_memstats_heap_inuse_bytes") / (1 << 20); heap > 100 {
		t.Errorf("%.0f MB of heap are in use", heap)
	}
	w.whole()
}

// metric is a value of the bot's /metrics.
func (w *world) metric(bot *stage.Bot, name string) float64 {
	w.t.Helper()
	response, err := bot.Get(w.ctx, "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if text, found := strings.CutPrefix(lines.Text(), name+" "); found {
			var value float64
			if _, err := fmt.Sscan(text, &value); err != nil {
				w.t.Fatal(err)
			}
			return value
		}
	}
	w.t.Fatalf("%s is not among the metrics", name)
	return 0
}
