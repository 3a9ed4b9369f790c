package bench

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/postgres"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/store"
)

// library is everything of prodaccess but Slack, in this process, on a durable stage: approvals, grants, the driver, the
// store, the sealer, the job engine and, once it is asked for, the reaper.
type library struct {
	*stage.Stage
	place     place
	store     *watched
	grants    *grants.Service
	approvals *approvals.Service
	people    *people
}

// place is a library's one target.
type place struct {
	target    grants.Target
	driver    grants.Driver
	processor func(*testing.B) time.Duration // that the server has used
}

// opening opens it for an installation.
type opening func(b *testing.B, s *stage.Stage, installation string) place

// openLibrary makes a library as internal/app wires it, with the stage's own target.
func openLibrary(b *testing.B) *library { return openLibraryOn(b, stagesTarget) }

func stagesTarget(b *testing.B, s *stage.Stage, installation string) place {
	b.Helper()
	target := grants.Target{
		Name: "orders-prod", Engine: "postgres", Environment: "production", Databases: []string{"orders"},
		Connect: grants.Endpoint{Host: "127.0.0.1", Port: s.Target.Port(), SSLMode: "disable"},
	}
	driver, err := postgres.Open(postgres.Config{
		Target: target, AdminURL: secret.New(s.Conf.AdminURL), Installation: installation, MaxConns: 16,
	})
	fatal(b, err)
	b.Cleanup(driver.Close)
	return place{target, driver, func(b *testing.B) time.Duration { return processor(b, s.Target) }}
}

func openLibraryOn(b *testing.B, open opening) *library {
	b.Helper()
	ctx := b.Context()
	s, err := stage.Open(ctx, stage.Options{Binary: binary, Durable: true, Settings: map[string]string{"max_connections": "600"}})
	fatal(b, err)
	b.Cleanup(s.Close)
	st, err := store.Open(ctx, store.Config{URL: secret.New(s.Conf.ServiceURL), Log: zerolog.Nop()})
	fatal(b, err)
	b.Cleanup(st.Close)
	l := &library{Stage: s, store: &watched{Store: st, waiting: map[string]chan grants.Grant{}}, people: &people{}}
	l.people.shiftEnds(time.Now().Add(8 * time.Hour))
	source, err := os.ReadFile(filepath.Join(s.Dir(), "policy.yaml"))
	fatal(b, err)
	rules, _, err := policy.Load(source, "policy.yaml")
	fatal(b, err)
	installation, err := st.Installation(ctx)
	fatal(b, err)
	l.place = open(b, s, installation)
	l.grants, err = grants.New(grants.Config{
		Store: l.store, Targets: []grants.Target{l.place.target}, Drivers: map[string]grants.Driver{l.place.target.Name: l.place.driver},
		Installation: installation, Now: time.Now, Log: zerolog.Nop(), ConnectionLimit: 5, Grace: time.Minute,
		OverdueAfter: time.Minute, Parallel: 16,
	})
	fatal(b, err)
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = l.grants.Close(ctx)
	})
	l.approvals, err = approvals.New(approvals.Config{
		Store: l.store, Grants: l.grants, Directory: l.people, Roster: l.people, Policy: func() *policy.Policy { return rules },
		Targets: []grants.Target{l.place.target}, Now: time.Now, LapseAfter: time.Hour, TakeWithin: time.Hour, MostPending: 1_000_000, FactsWithin: time.Second,
	})
	fatal(b, err)
	sealer := store.NewSealer(st)
	sealer.Start(context.Background())
	b.Cleanup(sealer.Stop)
	l.startJobs(b)
	return l
}

// startJobs starts the job engine with the queues of internal/app. What Slack would be sent takes no time here.
func (l *library) startJobs(b *testing.B) {
	b.Helper()
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{grants: l.grants})
	engine, err := l.store.WorkClient(river.Config{
		Workers: workers,
		Queues: map[string]river.QueueConfig{
			store.QueueSecurity: {MaxWorkers: 16}, store.QueueSlack: {MaxWorkers: 8},
		},
	})
	fatal(b, err)
	fatal(b, engine.Start(context.Background()))
	b.Cleanup(func() { _ = engine.Stop(context.Background()) })
}

type worker struct {
	river.WorkerDefaults[store.JobArgs]
	grants *grants.Service
}

// Work implements river.Worker.
func (w *worker) Work(ctx context.Context, job *river.Job[store.JobArgs]) error {
	switch job.Args.Work {
	case jobs.Revoke:
		if w.grants.TakeUp(ctx, job.Args.Subject) != nil {
			return river.JobSnooze(time.Second)
		}
	case jobs.Recover:
		return w.grants.Recover(ctx, job.Args.Subject)
	}
	return nil
}

// file files requests that are approved at once and returns their ids.
func (l *library) file(b *testing.B, many int) []string {
	b.Helper()
	ids := make([]string, many)
	inParallel(b, 8, many, func(i int) error {
		c, err := l.approvals.File(b.Context(), approvals.Filing{
			By: anaID, Target: "orders-prod", Profile: "read-only", Duration: time.Hour, Reason: "measuring",
			Key: "bench-" + rand.Text(), Source: "bench",
		})
		ids[i] = c.Request.ID
		return err
	})
	return ids
}

// issue is what happens between the press of Get credentials and the credential, without Slack.
func (l *library) issue(ctx context.Context, request string) (grants.Credential, error) {
	c, err := l.approvals.Activate(ctx, approvals.Press{By: anaID, Request: request, Source: "bench"})
	if err != nil {
		return grants.Credential{}, err
	}
	return l.approvals.Issue(ctx, c.Grant.ID)
}

const anaID = "U0ANA"

// people is a directory with one person, and a roster by which she is on call.
type people struct{ end atomic.Int64 }

// shiftEnds bounds every grant that is made from now on.
func (p *people) shiftEnds(at time.Time) { p.end.Store(at.UnixNano()) }

// Person implements approvals.Directory.
func (p *people) Person(context.Context, string, bool) (approvals.Person, error) {
	return approvals.Person{ID: anaID, Name: "Ana", Email: "ana@example.com", Zone: "Europe/Paris"}, nil
}

// Membership implements approvals.Directory.
func (p *people) Membership(context.Context, string, string, bool) policy.Membership {
	return policy.Membership{}
}

// Standing implements approvals.Roster.
func (p *people) Rota(context.Context, policy.Schedule) (emails []string, unknown string) {
	return nil, ""
}

func (p *people) Standing(_ context.Context, s policy.Schedule, _ string) policy.Standing {
	now := time.Now()
	return policy.Standing{
		On: true, Schedule: s.Name, Source: "bench", Level: 1, Start: now.Add(-time.Hour), End: time.Unix(0, p.end.Load()), AsOf: now,
	}
}

// watched is the store, and tells when a grant is over.
type watched struct {
	*store.Store
	mu      sync.Mutex
	waiting map[string]chan grants.Grant
}

// ChangeGrant implements grants.Store.
func (w *watched) ChangeGrant(ctx context.Context, id string, change func(grants.Grant) (grants.Change, error)) (grants.Grant, error) {
	g, err := w.Store.ChangeGrant(ctx, id, change)
	if err == nil {
		w.tell(g)
	}
	return g, err
}

func (w *watched) tell(g grants.Grant) {
	if g.State != grants.Revoked {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if over := w.waiting[g.ID]; over != nil {
		delete(w.waiting, g.ID)
		over <- g
	}
}

// over gets the grant once it is revoked. It must be called before that.
func (w *watched) over(id string) <-chan grants.Grant {
	w.mu.Lock()
	defer w.mu.Unlock()
	over := make(chan grants.Grant, 1)
	w.waiting[id] = over
	return over
}

func fatal(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// inParallel does many things, so many at once, and returns how long all of them took.
func inParallel(b *testing.B, workers, many int, do func(i int) error) time.Duration {
	b.Helper()
	var next atomic.Int64
	errs := make(chan error, workers)
	start := time.Now()
	for range workers {
		go func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= many {
					errs <- nil
					return
				}
				if err := do(i); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	var failed error
	for range workers {
		if err := <-errs; err != nil {
			failed = err
		}
	}
	took := time.Since(start)
	fatal(b, failed)
	return took
}
