package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/prodaccess/prodaccess/bot"
	"github.com/prodaccess/prodaccess/internal/config"
	"github.com/prodaccess/prodaccess/oncall"
)

// listen serves probes and metrics, and whatever is added to the mux later.
func (a *App) listen(mux *http.ServeMux) error {
	listener, err := net.Listen("tcp", a.cfg.HTTP.Listen)
	if err != nil {
		return fmt.Errorf("listening on http.listen: %w", err)
	}
	a.listener = listener
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", a.health.serveReady)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics(), promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
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
func (a *App) takeEvents(mux *http.ServeMux) error {
	if a.cfg.Slack.Mode == config.ModeHTTP {
		handler, err := a.bot.Handler()
		if err != nil {
			return err
		}
		mux.Handle("/slack/", handler)
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			// A refused token is for a person to mend; revocations must go on meanwhile, so the process stays.
			if err := a.bot.RunSocket(ctx); err != nil {
				a.health.set("slack socket", err)
				wait(ctx, 30*time.Second)
			}
		}
	}()
	a.lifecycle.onStop("slack socket", func(context.Context) error { cancel(); <-done; return nil })
	return nil
}

// watch looks at what prodaccess depends on, at start and then now and again, and says what does not answer.
func (a *App) watch(slack *bot.Slack, people roster) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			a.look(ctx, slack, people)
			wait(ctx, 15*time.Second)
		}
	}()
	a.lifecycle.onStop("watch", func(context.Context) error { cancel(); <-done; return nil })
}

func (a *App) look(ctx context.Context, slack *bot.Slack, people roster) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	parts := map[string]error{"store": a.store.Ping(ctx), "slack": slack.Check(ctx)}
	if _, fixed := people.Roster.(oncall.Fixed); !fixed {
		for _, schedule := range a.policy.get().Schedules() {
			standing := people.Standing(ctx, schedule, "nobody@prodaccess.invalid")
			var err error
			if standing.Unknown != "" {
				err = errors.New(standing.Unknown)
			}
			parts["pagerduty schedule "+schedule.Name] = err
		}
	}
	if ctx.Err() != nil {
		return // stopping, or everything is slow: say nothing that may be wrong
	}
	for part, err := range parts {
		a.health.set(part, err)
	}
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
