package grants

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestCleanUpGivesWay holds a security step: clean-up waits until it is over, or until its patience ends.
func TestCleanUpGivesWay(t *testing.T) {
	for name, held := range map[string]time.Duration{"until it is calm": time.Second, "but not for ever": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, stop := newLane(4), make(chan struct{})
				defer close(stop)
				if !l.enter(true, stop) {
					t.Fatal("the security step did not enter")
				}
				began := time.Now()
				var holder sync.WaitGroup
				defer holder.Wait()
				holder.Go(func() {
					time.Sleep(held)
					l.leave(true)
				})
				if !l.enter(false, stop) {
					t.Fatal("the clean-up did not enter")
				}
				l.leave(false)
				if waited, want := time.Since(began), min(held, hygienePatience); waited != want {
					t.Errorf("the clean-up waited %s instead of %s", waited, want)
				}
			})
		})
	}
}

// TestLaneStops ends waiting when nothing further may begin, and leaves no urgency behind.
func TestLaneStops(t *testing.T) {
	l, stop := newLane(1), make(chan struct{})
	if !l.enter(true, stop) {
		t.Fatal("the first step did not enter")
	}
	close(stop)
	if l.enter(true, stop) || l.enter(false, stop) {
		t.Error("a step entered after the stop")
	}
	l.leave(true)
	if !l.giveWay(stop) {
		t.Error("urgency stayed behind")
	}
}
