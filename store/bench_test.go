package store_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// BenchmarkChangeGrant is one change with its event and a job, each goroutine on a grant of its own.
func BenchmarkChangeGrant(b *testing.B) {
	for _, workers := range []int{1, 16} {
		b.Run(itoa(int64(workers))+" at a time", func(b *testing.B) {
			s := setup(b)
			ids := make([]grants.Grant, workers)
			for i := range ids {
				ids[i] = s.active(noon.Add(time.Hour))
			}
			var next atomic.Int64
			b.SetParallelism(max(1, workers/2)) // times GOMAXPROCS, which is 2 where this is measured
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				g := ids[int(next.Add(1)-1)%workers]
				for pb.Next() {
					_, err := s.ChangeGrant(b.Context(), g.ID, func(g grants.Grant) (grants.Change, error) {
						g.Attempts++
						e := event(audit.GrantFailed, g.Request)
						return grants.Change{Grant: g, Events: []audit.Event{e}, Jobs: []jobs.Job{draw(g.Request)}}, nil
					})
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
		})
	}
}

// BenchmarkSealing is how many waiting events a sealer gets through.
func BenchmarkSealing(b *testing.B) {
	s := setup(b)
	const many = 1000
	for b.Loop() {
		b.StopTimer()
		s.record(many)
		b.StartTimer()
		if n, err := s.SealPending(b.Context(), noon); err != nil || n != many {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.N)*many/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkTakeDue is how long a thousand deadlines at one instant take to be written down.
func BenchmarkTakeDue(b *testing.B) {
	s := setup(b)
	const many = 1000
	for b.Loop() {
		b.StopTimer()
		for range many {
			s.active(noon.Add(time.Minute))
		}
		b.StartTimer()
		for taken := 0; taken < many; {
			got, err := s.TakeDue(b.Context(), noon.Add(time.Minute), 250, func(g grants.Grant) grants.Change {
				return end(g, noon.Add(time.Minute), grants.Expired)
			})
			if err != nil || len(got) == 0 {
				b.Fatal(taken, err)
			}
			taken += len(got)
		}
	}
}
