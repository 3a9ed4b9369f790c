package sandbox

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// TestManyPeopleAndBreakingSockets lets people act while connections break under them. Whatever happens, every act
// comes to an end, and what was acknowledged was heard.
func TestManyPeopleAndBreakingSockets(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	var mu sync.Mutex
	heard := map[string]int{}
	app := newRawApp(t, ws, func(_ string, p object) any {
		mu.Lock()
		defer mu.Unlock()
		heard[fmt.Sprint(p["text"])]++
		return nil
	})
	for range 3 {
		app.connects()
	}
	until(t, func() bool { return ws.Connections() == 3 })
	var acting sync.WaitGroup
	for i := range 8 {
		acting.Go(func() {
			for j := range 25 {
				text := fmt.Sprintf("%d-%d", i, j)
				r := ws.Person([]string{"ana", "bo", "cy"}[j%3]).Command("/prodaccess " + text)
				mu.Lock()
				if r.Err() == nil && heard[text] == 0 {
					t.Errorf("%s was acknowledged and not heard", text)
				}
				mu.Unlock()
			}
		})
	}
	for range 5 {
		time.Sleep(2 * time.Millisecond) // somewhere in the middle of what happens
		ws.DropSockets()
		app.connects()
		app.connects()
	}
	acting.Wait()
}

func TestCloseEndsWhatWaits(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{EventRetries: []time.Duration{time.Hour}, AckWithin: time.Hour})
	reached := make(chan struct{}, 2)
	app := newRawApp(t, ws, func(string, object) any { reached <- struct{}{}; return silence })
	app.connects()
	no(t, ws.WaitsForApp(soon(t)))
	done := make(chan error, 2)
	go func() { done <- ws.Person("ana").Command("/prodaccess help").Err() }()
	go func() {
		_, err := ws.Person("bo").WaitsForMessage(soon(t), "never said")
		done <- err
	}()
	<-reached
	start := time.Now()
	ws.Close()
	for range 2 {
		if err := <-done; err == nil {
			t.Error("something went well in a closed workspace")
		}
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("closing took %v", took)
	}
}
