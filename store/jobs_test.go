package store_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/riverqueue/river"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/store"
)

func TestJobsOfAChangeAreNeverSwallowed(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"available", "running", "retryable", "scheduled", "completed"} {
		t.Run("while another is "+state, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			g := b.active(noon.Add(time.Hour))
			if err := b.Record(t.Context(), nil, []jobs.Job{{Kind: jobs.Revoke, Subject: g.ID}, {Kind: jobs.Reopen, Subject: g.Request}}); err != nil {
				t.Fatal(err)
			}
			b.asOwner(`UPDATE river_job SET state = '` + state + `', attempt = 1, attempted_at = now(),
				finalized_at = CASE WHEN '` + state + `' = 'completed' THEN now() END`)
			before := b.count(`SELECT count(*) FROM river_job`)
			c, err := b.ChangeGrant(t.Context(), g.ID, func(g grants.Grant) (grants.Change, error) {
				change := end(g, noon, grants.Failed)
				change.Jobs = append(change.Jobs, jobs.Job{Kind: jobs.Reopen, Subject: g.Request}, draw(g.Request))
				return change, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if n := b.count(`SELECT count(*) FROM river_job`) - before; n != 3 {
				t.Errorf("%d new jobs, want one each to draw, to revoke and to reopen", n)
			}
			if n := b.count(`SELECT count(*) FROM river_job WHERE args->>'work' = 'draw' AND args->>'version' = $1::text`,
				fmt.Sprint(2+c.Version-1)); n != 1 {
				t.Error("the card is not drawn at the request's new version")
			}
		})
	}
}

func TestTheSameWorkIsAskedForOnceWhileItIsUnfinished(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ask := func(list ...jobs.Job) {
		t.Helper()
		if err := b.Record(t.Context(), nil, list); err != nil {
			t.Fatal(err)
		}
	}
	all := func() int { t.Helper(); return b.count(`SELECT count(*) FROM river_job`) }
	revoke := jobs.Job{Kind: jobs.Revoke, Subject: "g1"}
	ask(revoke, revoke)
	ask(revoke)
	if n := all(); n != 1 {
		t.Errorf("%d jobs for the same work", n)
	}
	b.asOwner(`UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now()`)
	ask(revoke)
	if n := all(); n != 1 {
		t.Errorf("%d jobs for work that is being done", n)
	}
	b.asOwner(`UPDATE river_job SET state = 'completed', finalized_at = now()`)
	ask(revoke)
	if n := all(); n != 2 {
		t.Error("finished work cannot be asked for again")
	}
	ask(jobs.Job{Kind: jobs.Revoke, Subject: "g2"}, jobs.Job{Kind: jobs.Recover, Subject: "g1"})
	if n := all(); n != 4 {
		t.Error("other work was taken for the same")
	}
	later := revoke
	for i := range 3 { // as a sweep asks, every minute, while a target is down
		later.At = time.Now().Add(time.Duration(i) * time.Minute)
		ask(later)
	}
	if n := all(); n != 4 {
		t.Error("the same work was taken for other work because it may run later")
	}
}

// River's scheduler compares every unique job that comes due with every other, see JobArgs.InsertOpts.
func TestJobsThatWaitForTheirTimeAreNotCompared(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.active(noon.Add(time.Hour))
	if n := b.count(`SELECT count(*) FROM river_job WHERE args->>'work' IN ('lapse', 'recover') AND unique_key IS NULL`); n != 2 {
		t.Errorf("%d jobs of the two that wait for an instant are not unique", n)
	}
	if n := b.count(`SELECT count(*) FROM river_job WHERE args->>'work' = 'draw' AND unique_key IS NULL`); n != 0 {
		t.Errorf("%d jobs that wait for nothing may come twice", n)
	}
}

func TestInstantThatMovesNearerIsNotSwallowed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.file(pending()) // lapses in an hour
	_, err := b.ChangeCase(t.Context(), c.Request.ID, func(c approvals.Case) (approvals.Change, error) {
		c.Request.LapsesAt = noon.Add(time.Minute)
		return approvals.Change{Request: c.Request, Jobs: []jobs.Job{{Kind: jobs.Lapse, Subject: c.Request.ID, At: c.Request.LapsesAt}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := b.count(`SELECT count(*) FROM river_job WHERE args->>'work' = 'lapse' AND scheduled_at = $1`, noon.Add(time.Minute)); n != 1 {
		t.Error("nobody looks at the nearer instant")
	}
}

// Periodic work comes again and again with the same arguments.
func TestPeriodicWorkComesAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client, err := b.WorkClient(river.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		result, err := client.Insert(t.Context(), store.JobArgs{Work: jobs.Sweep, Subject: "all"}, nil)
		if err != nil || result.UniqueSkippedAsDuplicate {
			t.Fatalf("round %d: skipped %v, %v", round, result.UniqueSkippedAsDuplicate, err)
		}
		if result.Job.Queue != store.QueueSecurity || result.Job.MaxAttempts < 1000 {
			t.Errorf("queue %s, %d attempts", result.Job.Queue, result.Job.MaxAttempts)
		}
		b.asOwner(`UPDATE river_job SET state = 'completed', finalized_at = now()`)
	}
}

// What waits for Slack or PagerDuty stands in nobody else's way.
func TestEachKindOfWorkHasItsQueue(t *testing.T) {
	t.Parallel()
	for queue, kinds := range map[string][]jobs.Kind{
		store.QueueSecurity: {jobs.Revoke, jobs.Recover, jobs.Lapse, jobs.Reopen, jobs.Remind, jobs.Escalate, jobs.Review, jobs.Sweep, jobs.DigestDue},
		store.QueueSlack:    {jobs.Alarm, jobs.Draw, jobs.Receipt, jobs.Finding, jobs.Digest, jobs.Nudge},
		store.QueueHomes:    {jobs.Homes},
		store.QueuePager:    {jobs.Incident},
	} {
		for _, kind := range kinds {
			if got := (store.JobArgs{Work: kind}).InsertOpts().Queue; got != queue {
				t.Errorf("%s waits in %s, want %s", kind, got, queue)
			}
		}
	}
	urgency := func(kind jobs.Kind) int { return store.JobArgs{Work: kind}.InsertOpts().Priority }
	if urgency(jobs.Revoke) >= urgency(jobs.Remind) || urgency(jobs.Remind) > urgency(jobs.Sweep) {
		t.Error("what ends access does not come first")
	}
}

func TestJobsAreAllOrNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g := b.active(noon.Add(time.Hour))
	jobsBefore, eventsBefore := b.count(`SELECT count(*) FROM river_job`), b.count(`SELECT count(*) FROM audit_events`)
	_, err := b.ChangeGrant(t.Context(), g.ID, func(g grants.Grant) (grants.Change, error) {
		change := end(g, noon, grants.Expired)
		change.Jobs = append(change.Jobs, jobs.Job{Kind: jobs.Receipt}) // about nothing
		return change, nil
	})
	if err == nil {
		t.Fatal("a job about nothing was accepted")
	}
	after, err := b.Grant(t.Context(), g.ID)
	if err != nil || after.State != grants.Active {
		t.Errorf("the grant is %s, %v", after.State, err)
	}
	if b.count(`SELECT count(*) FROM river_job`) != jobsBefore || b.count(`SELECT count(*) FROM audit_events`) != eventsBefore {
		t.Error("a failed change left something")
	}
}

func TestFindingIsAboutItsEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	orphaned := event(audit.LoginOrphaned, "")
	if err := b.Record(t.Context(), []audit.Event{event(audit.PolicyLoaded, ""), orphaned}, []jobs.Job{{Kind: jobs.Finding}}); err != nil {
		t.Fatal(err)
	}
	first := b.count(`SELECT min(id) FROM audit_events`)
	if n := b.count(`SELECT (args->>'subject')::bigint FROM river_job`); n != first {
		t.Errorf("the finding is about event %d, the first is %d", n, first)
	}
	got, err := b.Event(t.Context(), int64(first))
	if err != nil || got.Kind != audit.PolicyLoaded {
		t.Errorf("event %+v, %v", got, err)
	}
}

// worker collects the jobs it gets.
type worker struct {
	river.WorkerDefaults[store.JobArgs]
	got chan jobs.Job
}

func (w *worker) Work(_ context.Context, job *river.Job[store.JobArgs]) error {
	w.got <- job.Args.Job()
	return nil
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// The job engine must run with the service's rights alone.
func TestJobsAreWorkedByTheServicesLogin(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := &worker{got: make(chan jobs.Job, 10)}
	workers := river.NewWorkers()
	river.AddWorker(workers, w)
	var log lockedBuffer
	client, err := b.WorkClient(river.Config{
		Workers: workers, Queues: map[string]river.QueueConfig{store.QueueSecurity: {MaxWorkers: 2}, store.QueueSlack: {MaxWorkers: 2}},
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := b.file(pending())
	if err := b.Record(t.Context(), nil, []jobs.Job{{Kind: jobs.Revoke, Subject: "g1", At: time.Now().Add(-time.Second)}}); err != nil {
		t.Fatal(err)
	}
	got := []jobs.Job{<-w.got, <-w.got, <-w.got}
	slices.SortFunc(got, func(a, b jobs.Job) int { return strings.Compare(string(a.Kind), string(b.Kind)) })
	want := []jobs.Job{
		{Kind: jobs.Draw, Subject: c.Request.ID, Version: 1},
		{Kind: jobs.Lapse, Subject: c.Request.ID, Version: 1},
		{Kind: jobs.Revoke, Subject: "g1"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("worked %+v, want %+v", got, want)
	}
	if err := client.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if log.String() != "" {
		t.Errorf("the job engine complains:\n%s", log.String())
	}
}
