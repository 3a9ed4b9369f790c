package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/prodaccess/prodaccess/bot"
	"github.com/prodaccess/prodaccess/internal/config"
	"github.com/prodaccess/prodaccess/oncall"
)

const (
	// lookEvery is how often each part is looked at.
	lookEvery = 15 * time.Second
	// A part that has not answered within these does not work. A person at Slack waits three seconds for everything together.
	storeAnswersWithin = 2 * time.Second
	// storeAgain is how soon a store that did not answer is asked once more, before it counts as missing. The question waits for one of
	// the connections that everybody shares: a busy moment is none in which every replica has to go.
	storeAgain         = time.Second
	slackAnswersWithin = 5 * time.Second
	pagerAnswersWithin = 2 * rosterWithin
	// scrapesAtOnce bounds how many scrapes are answered at the same time; more are told 503.
	scrapesAtOnce = 4
)

// listen serves probes, metrics and, once the door is open, Slack.
func (a *App) listen() error {
	listener, err := net.Listen("tcp", a.cfg.HTTP.Listen)
	if err != nil {
		return fmt.Errorf("listening on http.listen: %w", err)
	}
	a.listener = listener
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", a.health.serveReady)
	// What cannot be gathered leaves the rest as it is. Each scrape may hold a connection to the store.
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: scrapesAtOnce}))
	if a.cfg.Slack.Mode == config.ModeHTTP {
		mux.Handle("/slack/", &a.door)
	}
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.health.set("http", err)
		}
	}()
	a.lifecycle.onStop("http", func(ctx context.Context) error {
		err := server.Shutdown(ctx)
		if err != nil {
			_ = server.Close()
		}
		<-done
		return err
	})
	return nil
}

// takeEvents begins to take what Slack sends, the last thing that starts and the first that stops.
func (a *App) takeEvents() error {
	if a.cfg.Slack.Mode == config.ModeHTTP {
		handler, err := a.bot.Handler()
		if err != nil {
			return err
		}
		a.door.open(handler)
		a.lifecycle.onStop("slack over http", a.door.shut)
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			// A refused token is for a person to mend; revocations must go on meanwhile, so the process stays.
			if err := a.bot.RunSocket(ctx); err != nil {
				a.health.set("slack socket", err) // until one is up again
				wait(ctx, 30*time.Second)
			}
		}
	}()
	a.lifecycle.onStop("slack socket", func(context.Context) error { cancel(); <-done; return nil })
	return nil
}

// watch looks at what prodaccess depends on, at start and then now and again, and says what does not answer. What hangs
// delays the look at nothing else.
func (a *App) watch(slack *bot.Slack, people roster) {
	ctx, cancel := context.WithCancel(context.Background())
	var looking sync.WaitGroup
	for _, look := range []func(){
		func() {
			a.see(ctx, "store", 2*storeAnswersWithin+storeAgain, func(ctx context.Context) error { return twice(ctx, storeAnswersWithin, storeAgain, a.store.Ping) })
		},
		func() { a.see(ctx, "slack", slackAnswersWithin, slack.Check) },
		func() { a.seeSchedules(ctx, people) },
	} {
		looking.Go(func() {
			for ctx.Err() == nil {
				look()
				wait(ctx, lookEvery)
			}
		})
	}
	a.lifecycle.onStop("watch", func(context.Context) error { cancel(); looking.Wait(); return nil })
}

// see asks a part whether it works, and records at once what it says. That it says nothing in time is an answer too, unless
// nobody asks any more.
func (a *App) see(ctx context.Context, part string, within time.Duration, ask func(context.Context) error) {
	asked, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := ask(asked); ctx.Err() == nil {
		a.health.set(part, err)
	}
}

// twice asks once more, after a pause, what did not answer well in time. What is told is the last answer.
func twice(ctx context.Context, within, pause time.Duration, ask func(context.Context) error) error {
	once := func() error {
		asked, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		return ask(asked)
	}
	if once() == nil {
		return nil
	}
	wait(ctx, pause)
	return once()
}

// seeSchedules asks PagerDuty about every schedule that is in the policy now.
func (a *App) seeSchedules(ctx context.Context, people roster) {
	const prefix = "pagerduty schedule "
	var parts []string
	if _, fixed := people.Roster.(oncall.Fixed); !fixed {
		for _, schedule := range a.policy.get().Schedules() {
			parts = append(parts, prefix+schedule.Name)
			a.see(ctx, prefix+schedule.Name, pagerAnswersWithin, func(ctx context.Context) error {
				if standing := people.Standing(ctx, schedule, "nobody@prodaccess.invalid"); standing.Unknown != "" {
					return errors.New(standing.Unknown)
				}
				return nil
			})
		}
	}
	a.health.only(prefix, parts)
}

// wait returns after a pause or when ctx ends.
func wait(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
