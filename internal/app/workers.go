package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/robfig/cron/v3"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/bot"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/oncall"
	"github.com/prodaccess/prodaccess/store"
)

// jobTimeout bounds one run of a job, rescueAfter is when a job is taken from a worker that died. The second must be
// longer than the first, and short, though the engine looks for such jobs only twice a minute. Cards are not left to it: see redraw.go.
const (
	jobTimeout  = 40 * time.Second
	rescueAfter = 50 * time.Second

	// endingsAtOnce is how many jobs that end access one replica works on. None of them waits for a target.
	endingsAtOnce = 16

	// drawingsAtOnce is how many drawings one replica works on. They wait for Slack more than they work, but each also asks the
	// store, whose connections they share with what people are waiting for.
	drawingsAtOnce = 8
	// fetchDrawingsEvery is how often the job engine may fetch drawings. By its own default of 100 ms, and with as many at a
	// time as there are workers, a hundred requests a second would be filed faster than anybody heard of them.
	fetchDrawingsEvery = 50 * time.Millisecond
)

// worker runs every kind of job. A job that fails is snoozed, never given up: its pause comes from whoever failed.
type worker struct {
	river.WorkerDefaults[store.JobArgs]
	app *App
}

// Work implements river.Worker.
func (w *worker) Work(ctx context.Context, job *river.Job[store.JobArgs]) error {
	work := job.Args.Job()
	err := w.app.work(ctx, work)
	if err == nil {
		w.app.troubles.over(job.ID)
		return nil
	}
	pause, again := w.app.pause(ctx, work, err)
	if !again {
		w.app.troubles.over(job.ID)
	}
	if !again && (work.Kind == jobs.Sweep || work.Kind == jobs.DigestDue || work.Kind == jobs.Survey) {
		w.app.log.Warn().Err(err).Str("job", string(work.Kind)).Msg("periodic job failed; the next one comes by the clock")
		return nil
	}
	if !again {
		w.app.log.Error().Err(err).Str("job", string(work.Kind)).Str("subject", work.Subject).Msg("job given up; trying again would not help")
		return nil
	}
	waits := errors.Is(err, grants.ErrPursued) || errors.Is(err, approvals.ErrEarly) || errors.Is(err, bot.ErrInLine)
	if ctx.Err() == nil && !waits && w.app.troubles.first(job.ID) {
		w.app.log.Warn().Err(err).Str("job", string(work.Kind)).Str("subject", work.Subject).Int64("pause_ms", pause.Milliseconds()).Msg("job failed; it is tried again")
	}
	return river.JobSnooze(pause)
}

// work is what each kind of job does.
func (a *App) work(ctx context.Context, job jobs.Job) error {
	switch job.Kind {
	case jobs.Draw:
		return a.bot.Draw(ctx, job.Subject)
	case jobs.Alarm:
		return a.bot.DrawAlarm(ctx, job.Subject)
	case jobs.Receipt:
		return a.bot.PostReceipt(ctx, job.Subject)
	case jobs.Finding:
		return a.bot.PostFinding(ctx, job.Subject)
	case jobs.Nudge:
		return a.bot.PostNudge(ctx, job.Subject)
	case jobs.Homes:
		return a.bot.FreshenHomes(ctx)
	case jobs.Digest:
		due, err := time.Parse(time.RFC3339, job.Subject)
		if err != nil {
			return fmt.Errorf("reading when a digest is due: %w", err)
		}
		return a.bot.PostDigest(ctx, due)
	case jobs.Revoke:
		return a.grants.TakeUp(ctx, job.Subject)
	case jobs.Recover:
		return a.grants.Recover(ctx, job.Subject)
	case jobs.Lapse:
		return a.approvals.Lapse(ctx, job.Subject)
	case jobs.Start:
		return a.approvals.Begin(ctx, job.Subject)
	case jobs.Reopen:
		return a.approvals.Reopen(ctx, job.Subject)
	case jobs.Remind:
		return a.approvals.Remind(ctx, job.Subject)
	case jobs.Escalate:
		return a.approvals.Escalate(ctx, job.Subject)
	case jobs.Review:
		return a.approvals.Review(ctx, job.Subject)
	case jobs.Incident:
		return a.incident(ctx, job.Subject)
	case jobs.Sweep:
		a.sweep(ctx)
		return nil
	case jobs.DigestDue:
		return a.digestDue(ctx)
	case jobs.Survey:
		a.survey()
		return nil
	default:
		return fmt.Errorf("no replica of this version knows the job %q", job.Kind)
	}
}

// pause says how long to wait before a failed job is tried again, and whether it is.
func (a *App) pause(ctx context.Context, job jobs.Job, err error) (time.Duration, bool) {
	if undelivered, ok := errors.AsType[*bot.Undelivered](err); ok {
		return max(undelivered.After, time.Second), !undelivered.Permanent
	}
	if early, ok := errors.AsType[*approvals.Early](err); ok {
		return max(early.After, time.Second), true
	}
	if untold, ok := errors.AsType[*oncall.Failure](err); ok {
		return max(untold.After, tellAgain), true
	}
	switch job.Kind {
	case jobs.Revoke:
		return a.grants.Pause(ctx, job.Subject), true
	case jobs.Sweep, jobs.DigestDue, jobs.Survey:
		return 0, false // the next one comes by the clock
	default:
		return 5 * time.Second, true
	}
}

// sweep begins to compare every target with the store. It waits for none: what one comes to is said when it is known.
func (a *App) sweep(ctx context.Context) {
	if _, err := a.store.PruneDrafts(ctx, a.now().Add(-bot.DraftsLast)); err != nil {
		a.log.Warn().Err(err).Msg("what was typed into forms long ago is still kept")
	}
	for _, target := range Targets(a.cfg) {
		a.aside.begin("sweep "+target.Name, func(ctx context.Context) { a.swept(ctx, a.grants.SweepTarget(ctx, target)) })
	}
}

// swept says what the sweep of a target found. One that was cut off found nothing out about its target. Whoever sweeps next
// knows better, which may be another replica: by the end of the sweep after that, should it hang, this one's knowledge is out of date.
func (a *App) swept(ctx context.Context, s grants.Swept) {
	if ctx.Err() == nil {
		a.health.setUntil("target "+s.Target, s.Err, a.sweeps.Next(a.sweeps.Next(a.now())).Add(grants.SweepWithin))
	}
	if len(s.Orphans)+len(s.Rehearsals)+len(s.Copied)+len(s.Missing)+len(s.Unknown)+len(s.Extended) > 0 {
		a.log.Warn().Str("target", s.Target).Strs("orphans", s.Orphans).Strs("rehearsals", s.Rehearsals).Strs("copied", s.Copied).Strs("missing", s.Missing).Strs("unknown", s.Unknown).Strs("extended", s.Extended).Msg("sweep: the target and the store differed")
	}
}

// newEngine makes the job engine of this replica, not started.
func (a *App) newEngine(digests river.PeriodicSchedule) (*river.Client[pgxTx], error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{app: a})
	periodic := func(kind jobs.Kind, schedule river.PeriodicSchedule) *river.PeriodicJob {
		return river.NewPeriodicJob(schedule, func() (river.JobArgs, *river.InsertOpts) {
			// The store knows the queue, and that only an unfinished one stands in the way of the next.
			return store.JobArgs{Work: kind, Subject: "all"}, nil
		}, &river.PeriodicJobOpts{ID: string(kind), RunOnStart: true})
	}
	return a.store.WorkClient(river.Config{
		Workers: workers,
		Queues: map[string]river.QueueConfig{
			store.QueueSecurity: {MaxWorkers: endingsAtOnce}, store.QueueSlack: {MaxWorkers: drawingsAtOnce, FetchCooldown: fetchDrawingsEvery}, store.QueuePager: {MaxWorkers: 2},
			store.QueueHomes: {MaxWorkers: 1},
		},
		PeriodicJobs:         []*river.PeriodicJob{periodic(jobs.Sweep, a.sweeps), periodic(jobs.DigestDue, digests), periodic(jobs.Survey, cron.Every(surveyEvery))},
		JobTimeout:           jobTimeout,
		RescueStuckJobsAfter: rescueAfter,
		Logger:               slog.New(quiet{a.log}),
	})
}

// stopEngine lets jobs finish until ctx ends, then cancels them; a job that is cut off runs again.
func stopEngine(ctx context.Context, engine *river.Client[pgxTx]) error {
	if err := engine.Stop(ctx); err == nil {
		return nil
	}
	hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return engine.StopAndCancel(hard)
}
