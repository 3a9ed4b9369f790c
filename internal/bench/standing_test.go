package bench

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/postgres"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// BenchmarkLive measures what many live grants cost while nothing happens to them: memory here, processor time of every
// part with the reaper running, and a sweep, which compares all of them with the target.
func BenchmarkLive(b *testing.B) {
	const many, rest = 10_000, 5 * time.Second
	l := openLibrary(b)
	reaper := grants.NewReaper(l.grants)
	reaper.Start()
	b.Cleanup(reaper.Stop)
	for b.Loop() {
		before := heap()
		requests := l.file(b, many)
		inParallel(b, 16, many, func(i int) error {
			_, err := l.issue(b.Context(), requests[i])
			return err
		})
		time.Sleep(3 * time.Second) // the jobs that follow
		what := fmt.Sprintf("%d live grants: ", many)
		report.add(what+"memory", fmt.Sprintf("%.1f MB", float64(int64(heap())-int64(before))/1e6), "", "", true)
		start := l.spent(b)
		time.Sleep(rest)
		spent := l.spent(b).since(start, int(rest/time.Second))
		report.add(what+"processor in a second of rest", spent.String(), "", "", true)
		began := time.Now()
		swept, err := l.grants.Sweep(b.Context())
		fatal(b, err)
		if swept[0].Logins < many || len(swept[0].Orphans)+len(swept[0].Missing)+len(swept[0].Unknown) != 0 {
			b.Fatalf("the sweep found %+v", swept)
		}
		report.add(what+"one sweep, once a minute", ms(time.Since(began)), "", "", true)
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkTargets measures what a thousand configured targets cost that nobody uses, all of them down.
func BenchmarkTargets(b *testing.B) {
	const many, rest = 1000, 3 * time.Second
	for b.Loop() {
		before, goroutines := heap(), runtime.NumGoroutine()
		for i := range many {
			driver, err := postgres.Open(postgres.Config{
				Target:   grants.Target{Name: fmt.Sprintf("target-%d", i), Engine: "postgres", Databases: []string{"app"}},
				AdminURL: secret.New("postgres://prodaccess_admin:nobody@127.0.0.1:1/app"), Installation: "bench",
			})
			fatal(b, err)
			defer driver.Close()
		}
		start := own()
		time.Sleep(rest)
		spent := (own() - start) / time.Duration(rest/time.Second)
		report.add("1,000 targets at rest", fmt.Sprintf("%.1f MB, %d goroutines, processor %s in a second",
			float64(int64(heap())-int64(before))/1e6, runtime.NumGoroutine()-goroutines, ms(spent)), "", "no connection", true)
	}
	b.ReportMetric(0, "ns/op")
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
