package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/robfig/cron/v3"
	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/oncall"
	"github.com/prodaccess/prodaccess/policy"
)

// asked is what a GET of a handler answers.
func asked(h http.Handler) (status int, body string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Code, w.Body.String()
}

// A replica takes work when everything is up, no sooner, and until it begins to stop.
func TestReadyIsFromTheEndOfStartToTheBeginningOfStop(t *testing.T) {
	h := newHealth(zerolog.Nop(), time.Now)
	ready := func(want int) {
		t.Helper()
		if status, body := asked(http.HandlerFunc(h.serveReady)); status != want {
			t.Errorf("%d %s, want %d", status, body, want)
		}
	}
	ready(503)
	h.set("store", nil)
	ready(503)
	h.serve(true)
	ready(200)
	h.set("slack", errors.New("down"))
	ready(200)
	h.set("store", errors.New("down"))
	ready(503)
	h.set("store", nil)
	h.serve(false)
	ready(503)
}

// silent is a PagerDuty that takes questions and answers none.
type silent struct{ oncall.Roster }

func (silent) OnCall(ctx context.Context, _ oncall.Schedule, _ string) oncall.Status {
	<-ctx.Done()
	return oncall.Status{Unknown: "PagerDuty did not answer"}
}

// rota is a policy with schedules of these names.
func rota(t *testing.T, names ...string) *policy.Policy {
	t.Helper()
	text := "version: 1\nschedules:\n"
	for i, name := range names {
		text += fmt.Sprintf("  %s: { pagerduty_schedule: P%d }\n", name, i)
	}
	p, _, err := policy.Load([]byte(text), "policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// One look that finds every connection in use takes no replica out; two do, soon.
func TestAStoreIsMissingAfterTwoLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		look := func(silent int) (time.Duration, error) {
			looks = 0
			began := time.Now()
			err := twice(t.Context(), storeAnswersWithin, storeAgain, func(ctx context.Context) error {
				if looks++; looks <= silent {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			})
			return time.Since(began), err
		}
		if took, err := look(0); took != 0 || err != nil || looks != 1 {
			t.Errorf("one that answers: %d looks, %s, %v", looks, took, err)
		}
		if took, err := look(1); took != storeAnswersWithin+storeAgain || err != nil {
			t.Errorf("one that was busy: %s, %v", took, err)
		}
		if took, err := look(2); took != 2*storeAnswersWithin+storeAgain || err == nil {
			t.Errorf("one that hangs: %s, %v", took, err)
		}
	})
}

// However many schedules hang, each is said to; and one that left the policy is not spoken of any more.
func TestSchedulesThatHangAreSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &App{health: newHealth(zerolog.Nop(), time.Now), policy: &policyFile{}}
		names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
		a.policy.current.Store(rota(t, names...))
		a.seeSchedules(t.Context(), roster{silent{}})
		if faults := a.health.faults(); len(faults) != len(names) || faults["pagerduty schedule h"] == "" {
			t.Errorf("faults %v", faults)
		}
		a.policy.current.Store(rota(t, "b"))
		a.seeSchedules(t.Context(), roster{silent{}})
		if faults := slices.Collect(maps.Keys(a.health.faults())); !slices.Equal(faults, []string{"pagerduty schedule b"}) {
			t.Errorf("faults %v", faults)
		}
		// When the app stops in the middle of a question nothing is learnt from it.
		a.policy.current.Store(rota(t, "c"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		a.seeSchedules(ctx, roster{silent{}})
		if faults := a.health.faults(); len(faults) != 0 {
			t.Errorf("faults %v", faults)
		}
	})
}

// A target that failed here and was swept elsewhere since is not this replica's to speak of.
func TestFaultsOfTargetsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &App{health: newHealth(zerolog.Nop(), time.Now), now: time.Now, sweeps: cron.Every(time.Minute)}
		a.swept(t.Context(), grants.Swept{Target: "orders-prod", Err: errors.New("unreachable")})
		time.Sleep(90 * time.Second)
		if a.health.faults()["target orders-prod"] == "" {
			t.Error("forgotten before anybody else can have found out")
		}
		time.Sleep(30*time.Second + grants.SweepWithin)
		if faults := a.health.faults(); len(faults) != 0 {
			t.Errorf("faults %v", faults)
		}
	})
}

// A target that hangs, swept more often than a sweep may take: the fault stands until the next sweep has come to its end.
func TestAFaultLastsAsLongAsASweepMayTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &App{health: newHealth(zerolog.Nop(), time.Now), now: time.Now, sweeps: cron.Every(10 * time.Second)}
		a.swept(t.Context(), grants.Swept{Target: "orders-prod", Err: errors.New("unreachable")})
		time.Sleep(10*time.Second + grants.SweepWithin) // the one that began next
		if a.health.faults()["target orders-prod"] == "" {
			t.Error("forgotten while it was looked again")
		}
	})
}

// A store that does not answer takes its own metrics away and no others: they say that it does not.
func TestMetricsWithoutTheStore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.health = newHealth(zerolog.Nop(), b.now)
	b.registry = b.metrics()
	b.registry.MustRegister(stateCollector{b.store, b.health, b.now})
	b.health.set("target orders-prod", errors.New("unreachable"))
	scrape := func() string {
		t.Helper()
		status, body := asked(promhttp.HandlerFor(b.registry, promhttp.HandlerOpts{}))
		if status != http.StatusOK || !strings.Contains(body, `prodaccess_fault{part="target orders-prod"} 1`) || !strings.Contains(body, "go_goroutines") {
			t.Errorf("%d:\n%s", status, body)
		}
		return body
	}
	if body := scrape(); !strings.Contains(body, "prodaccess_grants_overdue 0") {
		t.Errorf("with the store:\n%s", body)
	}
	b.store.Close()
	if body := scrape(); strings.Contains(body, "prodaccess_grants") {
		t.Errorf("without it:\n%s", body)
	}
	if body := scrape(); !strings.Contains(body, `prodaccess_fault{part="metrics of the store"} 1`) {
		t.Errorf("without it, again:\n%s", body)
	}
}

// Shut, the door lets nobody in, and waits for those who are inside.
func TestDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d door
		is := func(want int) {
			t.Helper()
			if status, _ := asked(&d); status != want {
				t.Errorf("%d, want %d", status, want)
			}
		}
		is(503)
		served := time.Time{}
		d.open(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			served = time.Now()
		}))
		is(200)
		go is(200)
		synctest.Wait()
		hasty, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := d.shut(hasty); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("did not wait: %v", err)
		}
		is(503)
		if err := d.shut(t.Context()); err != nil || !time.Now().Equal(served) {
			t.Errorf("shut at %s, the last was served at %s: %v", time.Now(), served, err)
		}
	})
}
