package bench

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/internal/crowd"
	"github.com/prodaccess/prodaccess/internal/stage"
)

const (
	crowdTeams     = 16
	crowdPerSecond = 100
	// crowdBehind is how long a state may have passed when it is drawn: drawing takes time itself.
	crowdBehind = 3 * time.Second
)

// crowdFor is how long the crowd acts; somebody who works on it shortens it.
var crowdFor = flag.Duration("crowd", time.Minute, "how long the crowd of BenchmarkCrowd acts")

// BenchmarkCrowd is a hundred commands and presses a second for a minute, by eighty people, on a workspace that keeps Slack's
// rate limits.
func BenchmarkCrowd(b *testing.B) {
	for _, transport := range []struct {
		name string
		http bool
		// share of the time is enough where the other transport has shown the rest.
		share int
	}{{"socket", false, 1}, {"http", true, 6}} {
		b.Run(transport.name, func(b *testing.B) {
			for b.Loop() {
				lasts := max(*crowdFor/time.Duration(transport.share), 10*time.Second)
				runCrowd(b, transport.name, lasts, stage.Options{Binary: binary, Durable: true, RateLimits: true, HTTP: transport.http})
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func runCrowd(b *testing.B, name string, lasts time.Duration, options stage.Options) {
	s, err := stage.Open(b.Context(), options)
	fatal(b, err)
	defer s.Close()
	people, err := crowd.Gather(s, crowdTeams)
	fatal(b, err)
	defer people.Close()
	bot, err := s.Serve(b.Context())
	fatal(b, err)

	var mu sync.Mutex
	memory := map[int]float64{}
	measure := func(second int) {
		bytes, err := bot.Memory()
		if err != nil {
			b.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		memory[second] = float64(bytes) / (1 << 20)
	}
	last := int(lasts.Seconds())
	spent, storeSpent, selfSpent, began := cpuSeconds(b, bot), processor(b, s.Store), own(), time.Now()
	people.Storm(b.Context(), crowd.Load{PerSecond: crowdPerSecond, For: lasts, Requests: 0.7, Watch: func(since time.Duration) {
		if second := int(since.Seconds()); second == 10 || second == 30 {
			measure(second)
		}
	}})
	took := time.Since(began)
	measure(last)
	share := func(d time.Duration) float64 { return 100 * d.Seconds() / took.Seconds() }
	words := fmt.Sprintf("prodaccess %.0f %%, store %.0f %%, the crowd and the sandbox %.0f %% of one core",
		100*(cpuSeconds(b, bot)-spent)/took.Seconds(), share(processor(b, s.Store)-storeSpent), share(own()-selfSpent))
	after, err := people.Settle(b.Context(), s.Store.URL("prodaccess"), crowdBehind)
	fatal(b, err)
	what := name + ", 100 commands and presses a second for " + lasts.String() + ": "
	acknowledgements(b, what, after)
	bySecond(b, began, after)
	report.add(what+"processor", words, "", "", true)

	// Now nobody acts, and the cards catch up.
	start := time.Now()
	spent = cpuSeconds(b, bot)
	pause(b.Context(), lasts)
	watched := time.Since(start)
	measure(2 * last)
	idle := (cpuSeconds(b, bot) - spent) / watched.Seconds()
	later, err := people.Settle(b.Context(), s.Store.URL("prodaccess"), crowdBehind)
	fatal(b, err)
	books(b, what, later)
	catchUp(b, what, after, later, watched, idle)
	limited(what, s)
	mu.Lock()
	defer mu.Unlock()
	var sizes []string
	for _, second := range slices.Sorted(maps.Keys(memory)) {
		sizes = append(sizes, fmt.Sprintf("%.1f MB after %d s", memory[second], second))
	}
	flat := max(memory[last], memory[2*last]) <= memory[min(10, last)]*1.25
	report.add(what+"memory", strings.Join(sizes, ", "), "", "flat", flat)
}

func acknowledgements(b *testing.B, what string, a crowd.Account) {
	b.Helper()
	for _, kind := range []string{"command", "press"} {
		var took []time.Duration
		failed := map[string]int{}
		for _, act := range a.Acts {
			if act.What != kind {
				continue
			}
			took = append(took, act.Latency)
			if act.Failed != "" {
				failed[act.Failed]++
			}
		}
		p99 := quantile(0.99, took)
		b.ReportMetric(millis(p99), kind+"-p99-ms")
		words := fmt.Sprintf("%d, %s, longest %s", len(took), both(took), ms(quantile(1, took)))
		for _, why := range slices.Sorted(maps.Keys(failed)) {
			words += fmt.Sprintf(", %d × %s", failed[why], why)
		}
		report.add(what+kind+" to acknowledgement", words, "", "99th percentile < 250ms", p99 < 250*time.Millisecond && len(failed) == 0)
	}
}

// bySecond logs how the slowest hundredth fared, so that one bad moment can be told from a load that is too much.
func bySecond(b *testing.B, began time.Time, a crowd.Account) {
	b.Helper()
	seconds := map[int][]time.Duration{}
	for _, act := range a.Acts {
		second := int(act.At.Sub(began).Seconds())
		seconds[second] = append(seconds[second], act.Latency)
	}
	var words []string
	for _, second := range slices.Sorted(maps.Keys(seconds)) {
		words = append(words, fmt.Sprintf("%d:%d", second, quantile(0.99, seconds[second]).Milliseconds()))
	}
	b.Logf("99th percentile in ms by second: %s", strings.Join(words, " "))
	b.Logf("what happened: %v", a.Events)
}

func books(b *testing.B, what string, a crowd.Account) {
	b.Helper()
	report.add(what+"lost and doubled", fmt.Sprintf("%d and %d, of %d requests and %d presses", len(a.Lost), len(a.Doubled), a.Requests, a.Presses),
		"", "0 and 0", len(a.Lost)+len(a.Doubled) == 0)
	for _, lines := range [][]string{a.Lost, a.Doubled, a.Stale} {
		for _, line := range lines[:min(10, len(lines))] {
			b.Log(line)
		}
	}
}

// catchUp says how the messages fared while nobody acted any more.
func catchUp(b *testing.B, what string, end, later crowd.Account, watched time.Duration, idle float64) {
	b.Helper()
	perMinute := func(n int) float64 { return float64(n) / watched.Minutes() }
	report.add(what+"messages drawn at the end", fmt.Sprintf("%d of %d, %d of them true", end.Drawn, end.Messages, end.True), "", "", true)
	report.add(what+"messages drawn as long after it", fmt.Sprintf("%d of %d, %d of them true; %.0f posts and %.0f updates a minute", later.Drawn, later.Messages, later.True,
		perMinute(later.Posts-end.Posts), perMinute(later.Edits-end.Edits)), "", "", true)
	report.add(what+"calls of Slack for each message", fmt.Sprintf("%.2f, of them stale %d", float64(later.Posts+later.Edits)/float64(max(later.Drawn, 1)), len(later.Stale)), "", "none stale", len(later.Stale) == 0)
	report.add(what+"processor while the cards catch up", fmt.Sprintf("%.1f %% of one core", 100*idle), "", "", true)
}

// limited says how often Slack was called, and how often it refused because of that.
func limited(what string, s *stage.Stage) {
	all, refused := map[string]int{}, map[string]int{}
	for _, e := range s.Slack.Traffic() {
		if e.Kind == "answer" {
			all[e.Name]++
			if e.Status == http.StatusTooManyRequests {
				refused[e.Name]++
			}
		}
	}
	var words []string
	for _, method := range slices.Sorted(maps.Keys(all)) {
		words = append(words, fmt.Sprintf("%s %d of %d", method, refused[method], all[method]))
	}
	report.add(what+"calls that Slack refused for the rate", strings.Join(words, ", "), "", "", true)
}
