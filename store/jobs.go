package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/prodaccess/prodaccess/internal/jobs"
)

// The queues. They are apart so that a Slack or a PagerDuty that hangs never keeps a revocation waiting, nor one the other, and that Home
// tabs, which are many and on which nobody waits, never keep a card or a direct message waiting.
const (
	// QueueSecurity holds what touches targets and ends access.
	QueueSecurity = "security"
	// QueueSlack holds what is shown in Slack.
	QueueSlack = "slack"
	// QueueHomes holds what looks whether Home tabs are out of date.
	QueueHomes = "homes"
	// QueuePager holds what PagerDuty is told.
	QueuePager = "pager"
)

// maxAttempts is as good as for ever: the column is a smallint, and the worker snoozes instead of failing.
const maxAttempts = 30_000

// JobArgs is a job as River keeps it.
type JobArgs struct {
	Work    jobs.Kind `json:"work"`
	Subject string    `json:"subject"`
	Version int64     `json:"version,omitempty"`
	// timed says that the job waits for an instant and follows from a change, whose version no other job has. It is not kept.
	timed bool
}

// Kind implements river.JobArgs.
func (JobArgs) Kind() string { return "prodaccess" }

// InsertOpts implements river.JobArgsWithInsertOpts, so that whoever enqueues a job, periodic ones included, gets its
// queue, its urgency and what makes two jobs one. River's own default would count finished jobs as equal for a day.
func (a JobArgs) InsertOpts() river.InsertOpts {
	name, priority := queue(a.Work)
	opts := river.InsertOpts{MaxAttempts: maxAttempts, Priority: priority, Queue: name}
	// What a change files for later has its version, so that nothing is left to compare. It must not be: River's scheduler
	// compares the unique jobs that come due together, every one with every one, and five hundred grants that were asked for
	// within five seconds cost the store a second a minute later.
	if !a.timed {
		opts.UniqueOpts = river.UniqueOpts{ByArgs: true, ByState: unfinished}
	}
	return opts
}

// Job is the job as the rest of the program knows it, without the instant it waited for.
func (a JobArgs) Job() jobs.Job {
	return jobs.Job{Kind: a.Work, Subject: a.Subject, Version: a.Version}
}

// unfinished are the states in which an equal job makes a second one needless.
var unfinished = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning,
	rivertype.JobStateScheduled,
}

// queue says where a kind of work waits, and how urgent it is there (1 is first).
func queue(kind jobs.Kind) (name string, priority int) {
	switch kind {
	case jobs.Revoke:
		return QueueSecurity, 1
	case jobs.Recover:
		return QueueSecurity, 2
	case jobs.Lapse, jobs.Start, jobs.Reopen, jobs.Remind, jobs.Escalate, jobs.Review:
		return QueueSecurity, 3
	case jobs.Sweep, jobs.DigestDue, jobs.Survey:
		return QueueSecurity, 4
	case jobs.Alarm:
		return QueueSlack, 1
	case jobs.Draw:
		return QueueSlack, 2
	case jobs.Incident:
		return QueuePager, 1
	case jobs.Homes:
		return QueueHomes, 1
	default: // Receipt, Finding, Digest, Nudge
		return QueueSlack, 3
	}
}

// insertJobs enqueues jobs, each distinct one once, and sends what is queued along, if anything is.
func (s *Store) insertJobs(ctx context.Context, tx pgx.Tx, queued *pgx.Batch, list []jobs.Job) error {
	var params []river.InsertManyParams
	seen := make(map[jobs.Job]bool, len(list))
	for _, j := range list {
		if j.Kind == "" || j.Subject == "" {
			return fmt.Errorf("enqueuing jobs: a job of kind %q about %q is incomplete", j.Kind, j.Subject)
		}
		if seen[j] {
			continue
		}
		seen[j] = true
		params = append(params, river.InsertManyParams{
			Args:       JobArgs{Work: j.Kind, Subject: j.Subject, Version: j.Version, timed: !j.At.IsZero() && j.Version != 0},
			InsertOpts: &river.InsertOpts{ScheduledAt: j.At},
		})
	}
	if len(params) == 0 {
		return send(ctx, tx, queued)
	}
	together := &carrier{Tx: tx, queued: queued}
	_, err := s.jobs.InsertManyTx(ctx, together, params)
	if together.failed != nil {
		return together.failed
	}
	if err != nil {
		return fmt.Errorf("enqueuing jobs: %w", err)
	}
	return together.carried()
}

// versioned gives the jobs of a change the version that no other change has.
func versioned(list []jobs.Job, version int64) []jobs.Job {
	out := slices.Clone(list)
	for i := range out {
		if out[i].Version == 0 || out[i].Kind == jobs.Draw {
			out[i].Version = version
		}
	}
	return out
}

// WorkClient makes the client that works the store's jobs, from a configuration with its Workers and Queues. Where the
// configuration does not say otherwise, it switches off what River can do only as the owner of its tables, which the
// service's login is not: rebuilding indexes.
func (s *Store) WorkClient(config river.Config) (*river.Client[pgx.Tx], error) {
	if config.ReindexerSchedule == nil {
		config.ReindexerSchedule = river.NeverSchedule()
	}
	client, err := river.NewClient(riverpgxv5.New(s.pool), &config)
	if err != nil {
		return nil, fmt.Errorf("preparing the job engine: %w", err)
	}
	return client, nil
}
