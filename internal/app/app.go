package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/robfig/cron/v3"
	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/bot"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/config"
	"github.com/prodaccess/prodaccess/oncall"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/store"
)

const (
	// factsWithin leaves time, within the three seconds Slack waits, to commit and to answer.
	factsWithin = 1800 * time.Millisecond
	// rosterWithin bounds one question to PagerDuty inside factsWithin.
	rosterWithin = 1500 * time.Millisecond
	// revocationsAtOnce is how many revocations one replica carries out at once on one target.
	revocationsAtOnce = 16
	// storeConnections is how many connections to the store one replica may have: enough for what people wait for while every
	// worker of the job engine holds one.
	storeConnections = 20
	// lookForDigests is how often it is looked whether a digest has become due.
	lookForDigests = 5 * time.Second
	// knockEvery is how often something that did not answer at start is tried again.
	knockEvery = 2 * time.Second
)

// App is a running prodaccess.
type App struct {
	cfg config.Config
	log zerolog.Logger
	now func() time.Time

	lifecycle lifecycle
	health    *health
	registry  *prometheus.Registry
	door      door
	policy    *policyFile
	digests   struct {
		schedule cron.Schedule
		location *time.Location
	}

	sweeps cron.Schedule

	// installedAt is when the store was set up.
	installedAt time.Time

	troubles troubles
	// aside does what waits for targets; surveying bounds how many of them are asked for their standing logins at once.
	aside     aside
	surveying chan struct{}

	drivers   map[string]grants.Driver
	store     *store.Store
	grants    *grants.Service
	incidents *oncall.Incidents // nil without a routing key
	approvals *approvals.Service
	bot       *bot.Bot
	listener  net.Listener
}

// Start makes every part and starts it. It returns when prodaccess takes requests; until the store answers it waits, and
// ends when ctx does. On an error everything that was up is taken down again.
func Start(ctx context.Context, cfg config.Config, log zerolog.Logger) (_ *App, err error) {
	began := time.Now()
	a := &App{cfg: cfg, log: log, now: time.Now, lifecycle: lifecycle{log: log}, health: newHealth(log, time.Now), surveying: make(chan struct{}, surveysAtOnce)}
	a.registry = a.metrics()
	defer func() {
		if err != nil {
			stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.ShutdownTimeout)
			defer cancel()
			err = errors.Join(err, a.Stop(stopCtx))
		}
	}()

	// What only a person can mend comes first.
	policyFile, warnings, err := openPolicy(cfg.Policy.File)
	if err != nil {
		return nil, err
	}
	a.policy = policyFile
	a.sayPolicy(a.policy.get(), warnings)
	if a.digests.schedule, a.digests.location, err = digestSchedule(cfg.Digest.Schedule, cfg.Digest.Timezone); err != nil {
		return nil, err
	}
	if a.sweeps, err = cron.ParseStandard(cfg.Sweep.Schedule); err != nil {
		return nil, fmt.Errorf("reading the schedule of the sweep: %w", err)
	}

	// Probes are answered while everything else is waited for.
	if err := a.listen(); err != nil {
		return nil, err
	}

	if err := a.openStore(ctx); err != nil {
		return nil, err
	}
	// Every other part may record events until it has stopped.
	sealer := store.NewSealer(a.store)
	sealer.Start(context.WithoutCancel(ctx))
	a.lifecycle.onStop("sealer", func(context.Context) error { sealer.Stop(); return nil })
	installation, err := a.store.Installation(ctx)
	if err != nil {
		return nil, err
	}
	if a.installedAt, err = a.store.InstalledAt(ctx); err != nil {
		return nil, err
	}
	if err := a.keepPolicy(ctx, a.policy.get()); err != nil {
		return nil, err
	}

	drivers, err := OpenDrivers(cfg, installation)
	if err != nil {
		return nil, err
	}
	a.lifecycle.onStop("targets", func(context.Context) error { closeDrivers(drivers); return nil })
	a.drivers = drivers
	targets := Targets(cfg)
	a.grants, err = grants.New(grants.Config{
		Store: a.store, Targets: targets, Drivers: drivers, Installation: installation, Now: a.now, Log: log,
		ConnectionLimit: cfg.Grants.ConnectionLimit, Grace: cfg.Grants.Grace, OverdueAfter: cfg.Alarm.After,
		Parallel: revocationsAtOnce,
	})
	if err != nil {
		return nil, err
	}
	a.lifecycle.onStop("grants", a.grants.Close)
	a.lifecycle.onStop("sweeps and surveys", a.aside.close)

	slack, err := bot.NewSlack(bot.Credentials{
		BotToken: cfg.Slack.BotToken, AppToken: cfg.Slack.AppToken, SigningSecret: cfg.Slack.SigningSecret, APIURL: cfg.Slack.APIURL,
	})
	if err != nil {
		return nil, err
	}
	a.lifecycle.onStop("slack connections", func(context.Context) error { slack.Close(); return nil })
	people, err := newRoster(a.cfg, a.now)
	if err != nil {
		return nil, err
	}
	if a.incidents, err = newIncidents(a.cfg); err != nil {
		return nil, err
	}
	if a.incidents != nil {
		a.lifecycle.onStop("pagerduty connections", func(context.Context) error { a.incidents.Close(); return nil })
	}
	a.approvals, err = approvals.New(approvals.Config{
		Store: a.store, Grants: a.grants, Directory: bot.NewDirectory(slack, a.now), Roster: people,
		Policy: a.policy.get, Targets: targets, Now: a.now,
		LapseAfter: cfg.Requests.LapseAfter, TakeWithin: cfg.Requests.ActivateWithin, MostPending: cfg.Requests.MostPending, FactsWithin: factsWithin,
	})
	if err != nil {
		return nil, err
	}
	a.bot, err = bot.New(bot.Config{
		Slack: slack, Service: a.approvals, Grants: a.grants, Outbox: a.store, Homes: a.store, Drafts: a.store, Digests: digests{a}, Findings: findings{a},
		Command: cfg.Slack.Command, ApprovalsChannel: cfg.Slack.ApprovalsChannel, AuditChannel: cfg.Slack.AuditChannel,
		SecurityChannel: cfg.Slack.SecurityChannel, Now: a.now, Log: log,
		ChannelWorks: func(name string, err error) { a.health.set("slack "+name+" channel", err) },
		SocketWorks:  func(err error) { a.health.set("slack socket", err) },
	})
	if err != nil {
		return nil, err
	}

	// From here on things move: first what ends access, then what gives it.
	engine, err := a.newEngine(cron.Every(lookForDigests))
	if err != nil {
		return nil, fmt.Errorf("making the job engine: %w", err)
	}
	// Before this replica begins to draw, so that what is being drawn is somebody else's.
	if n, err := a.store.Redraw(ctx, time.Time{}); err != nil || n > 0 {
		log.Info().Err(err).Int("drawings", n).Msg("cards that somebody was drawing are drawn again")
	}
	if err := engine.Start(context.WithoutCancel(ctx)); err != nil {
		return nil, fmt.Errorf("starting the job engine: %w", err)
	}
	a.lifecycle.onStop("job engine", func(ctx context.Context) error { return stopEngine(ctx, engine) })
	reaper := grants.NewReaper(a.grants)
	reaper.Start()
	a.lifecycle.onStop("reaper", func(context.Context) error { reaper.Stop(); return nil })
	a.lifecycle.onStop("work after acknowledgements", a.bot.Drain)
	a.watch(slack, people)
	a.watchPolicy()
	a.watchDrawings()
	if err := a.takeEvents(); err != nil {
		return nil, err
	}
	a.health.serve(true)
	a.lifecycle.onStop("readiness", func(context.Context) error { a.health.serve(false); return nil })
	log.Info().Int64("took_ms", time.Since(began).Milliseconds()).Int("targets", len(targets)).Str("listen", a.listener.Addr().String()).
		Str("mode", cfg.Slack.Mode).Msg("prodaccess is ready")
	return a, nil
}

// Stop takes everything down, in the reverse order of Start. What is not done when ctx ends is cut off and goes on at
// the next start.
func (a *App) Stop(ctx context.Context) error { return a.lifecycle.stop(ctx) }

// Addr is where the HTTP server listens.
func (a *App) Addr() string { return a.listener.Addr().String() }

// openStore waits for the store, then refuses one that is not set up as it must be.
func (a *App) openStore(ctx context.Context) error {
	for {
		st, err := store.Open(ctx, store.Config{URL: a.cfg.Store.URL, Now: a.now, Log: a.log, MaxConns: storeConnections})
		if store.Permanent(err) {
			return err
		}
		a.health.set("store", err)
		if err == nil {
			a.store = st
			a.lifecycle.onStop("store", func(context.Context) error { st.Close(); return nil })
			counts := stateCollector{st, a.health, a.now}
			a.registry.MustRegister(counts)
			a.lifecycle.onStop("metrics of the store", func(context.Context) error { a.registry.Unregister(counts); return nil })
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the store: %w", err)
		case <-time.After(knockEvery):
		}
	}
	schema := a.store.CheckSchema(ctx)
	if errors.Is(schema, store.ErrSchemaNew) {
		// Migrations are safe under the previous binary, which must be able to restart during an upgrade.
		a.log.Warn().Err(schema).Msg("an upgrade is under way")
		schema = nil
	}
	if errors.Is(schema, store.ErrSchemaEmpty) {
		return schema // every table is missing: naming each says nothing more
	}
	return errors.Join(schema, a.store.CheckPrivileges(ctx))
}

// keepPolicy stores the policy under its hash and records that it is in force.
func (a *App) keepPolicy(ctx context.Context, p *policy.Policy) error {
	if err := a.store.KeepPolicy(ctx, p.Hash(), p.Source(), a.now()); err != nil {
		return fmt.Errorf("keeping the policy: %w", err)
	}
	return a.store.Record(ctx, []audit.Event{{
		At: a.now(), Kind: audit.PolicyLoaded, Actor: audit.System("app"), Policy: p.Hash(),
	}}, nil)
}

// newRoster makes the source of who is on call. Without a PagerDuty token nobody is, and people are asked.
func newRoster(cfg config.Config, now func() time.Time) (roster, error) {
	if cfg.PagerDuty.Token.Empty() {
		return roster{oncall.Fixed{Unknown: "PagerDuty is not configured", Now: now}}, nil
	}
	overrides := map[string]string{}
	for _, o := range cfg.PagerDuty.Overrides {
		overrides[o.Email] = o.User
	}
	source, err := oncall.NewPagerDuty(oncall.Config{
		Token: cfg.PagerDuty.Token, BaseURL: cfg.PagerDuty.APIURL, AllowPlainText: cfg.PagerDuty.AllowPlaintext, Overrides: overrides,
		Now: now, CacheFor: time.Minute, Timeout: rosterWithin,
	})
	if err != nil {
		return roster{}, err
	}
	return roster{source}, nil
}

// Targets are the configured targets as people see them.
func Targets(cfg config.Config) []grants.Target {
	out := make([]grants.Target, 0, len(cfg.Targets))
	for _, t := range cfg.Targets {
		out = append(out, grants.Target{
			Name: t.Name, Engine: t.Engine, Environment: t.Environment, Databases: t.Databases,
			Connect: grants.Endpoint{Host: t.Connect.Host, Port: t.Connect.Port, SSLMode: t.Connect.SSLMode},
		})
	}
	return out
}
