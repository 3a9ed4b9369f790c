package bench

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/sandbox"
)

// BenchmarkServe measures the real binary as people meet it: how soon it is there, what it takes while nobody asks, and
// how long people wait, over Socket Mode on a workspace without rate limits.
func BenchmarkServe(b *testing.B) {
	s, err := stage.Open(b.Context(), stage.Options{Binary: binary, Durable: true, Environ: []string{"PRODACCESS_REQUESTS_MOST_PENDING=10000"}})
	fatal(b, err)
	b.Cleanup(s.Close)
	// The parts follow from one another, so they are one benchmark.
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			bot := startToReady(b, s)
			idle(b, bot, "at rest after the start")
			click(b, s)
			hundredCommands(b, s)
			settle(b, bot)
			idle(b, bot, "after 30 grants and 500 commands, cards still going out")
		}
		b.ReportMetric(0, "ns/op")
	})
}

// startToReady starts the binary several times, and leaves the last one running.
func startToReady(b *testing.B, s *stage.Stage) *stage.Bot {
	b.Helper()
	const times = 5
	var took []time.Duration
	for i := range times {
		start := time.Now()
		bot, err := s.Serve(b.Context())
		fatal(b, err)
		took = append(took, time.Since(start))
		if i == times-1 {
			report.add("start to taking commands", "median "+ms(quantile(0.5, took))+", longest "+ms(quantile(1, took)), "", "< 1s", quantile(0.5, took) < time.Second)
			b.ReportMetric(millis(quantile(0.5, took)), "start-ms")
			return bot
		}
		fatal(b, bot.Stop(b.Context()))
	}
	return nil
}

// idle is what the process takes while nothing happens.
func idle(b *testing.B, bot *stage.Bot, when string) {
	b.Helper()
	const watch = 10 * time.Second
	before, began := cpuSeconds(b, bot), time.Now()
	pause(b.Context(), watch)
	used := (cpuSeconds(b, bot) - before) / time.Since(began).Seconds()
	memory, err := bot.Memory()
	fatal(b, err)
	megabytes := float64(memory) / (1 << 20)
	b.ReportMetric(megabytes, metricName(when)+"-MB")
	report.add("memory "+when, fmt.Sprintf("%.1f MB", megabytes), "", "< 60 MB", megabytes < 60)
	report.add("processor "+when, fmt.Sprintf("%.2f %% of one core", 100*used), "", "", true)
}

// click is the wait of somebody who presses Get credentials until the window holds the connection URL. prodaccess paces
// what it posts, so requests appear about once a second and the machine is idle in between.
func click(b *testing.B, s *stage.Stage) {
	b.Helper()
	const many = 30
	ana := s.Person("ana")
	var acknowledged, pressed, shown []time.Duration
	for i := range many {
		reply := ana.Command(fmt.Sprintf("/prodaccess orders-prod read-only 30m measuring number %03d", i))
		fatal(b, reply.Err())
		acknowledged = append(acknowledged, reply.Latency)
		words := sandbox.With(fmt.Sprintf("number %03d", i))
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		fatal(b, ana.WaitsForButton(ctx, "Get credentials", words))
		start := time.Now()
		reply = ana.Clicks("Get credentials", words)
		fatal(b, reply.Err())
		pressed = append(pressed, reply.Latency)
		_, err := ana.WaitsForView(ctx, "postgresql://")
		fatal(b, err)
		shown = append(shown, time.Since(start))
		cancel()
		fatal(b, ana.Closes().Err())
	}
	p50 := quantile(0.5, shown)
	b.ReportMetric(millis(p50), "click-p50-ms")
	b.ReportMetric(millis(quantile(0.99, shown)), "click-p99-ms")
	report.add("press of Get credentials to the URL on the screen", both(shown), "", "median < 150ms", p50 < 150*time.Millisecond)
	report.add("press to acknowledgement, idle", both(pressed), "", "", true)
	report.add("command to acknowledgement, idle", both(acknowledged), "", "", true)
}

// hundredCommands types a hundred commands a second for five seconds, each on its own time whether or not the one before
// was answered.
func hundredCommands(b *testing.B, s *stage.Stage) {
	b.Helper()
	const perSecond, seconds = 100, 5
	var mu sync.Mutex
	var took []time.Duration
	var failed error
	var all sync.WaitGroup
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	for i := range perSecond * seconds {
		<-tick.C
		all.Go(func() {
			who := s.Person([]string{"ana", "bo", "dora"}[i%3])
			reply := who.Command("/prodaccess orders-prod read-only 30m many at once")
			mu.Lock()
			defer mu.Unlock()
			took = append(took, reply.Latency)
			if err := reply.Err(); err != nil {
				failed = err
			}
		})
	}
	all.Wait()
	fatal(b, failed)
	p99 := quantile(0.99, took)
	b.ReportMetric(millis(p99), "ack-p99-ms")
	report.add("100 commands a second: to acknowledgement", both(took), "", "99th percentile < 250ms", p99 < 250*time.Millisecond)
}

// settle waits until the process has stopped working on what it was asked: its use of the processor is low again.
func settle(b *testing.B, bot *stage.Bot) {
	b.Helper()
	for range 30 {
		before := cpuSeconds(b, bot)
		pause(b.Context(), time.Second)
		if cpuSeconds(b, bot)-before < 0.1 {
			return
		}
	}
}

func both(values []time.Duration) string {
	return "median " + ms(quantile(0.5, values)) + ", 99th percentile " + ms(quantile(0.99, values))
}

// cpuSeconds is what the process itself says it used.
func cpuSeconds(b *testing.B, bot *stage.Bot) float64 {
	b.Helper()
	response, err := bot.Get(b.Context(), "/metrics")
	fatal(b, err)
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if text, found := strings.CutPrefix(lines.Text(), "process_cpu_seconds_total "); found {
			var seconds float64
			_, err := fmt.Sscan(text, &seconds)
			fatal(b, err)
			return seconds
		}
	}
	b.Fatal("no process_cpu_seconds_total among the metrics")
	return 0
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// metricName makes a benchmark's unit of words.
func metricName(words string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' {
			return '-'
		}
		if r == ':' || r == ',' {
			return -1
		}
		return r
	}, words)
}
