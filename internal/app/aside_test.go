package app

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/robfig/cron/v3"
	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/postgres"
	"github.com/prodaccess/prodaccess/internal/config"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/internal/localpg"
	"github.com/prodaccess/prodaccess/internal/secret"
)

func (h *hanging) Fingerprint(ctx context.Context) (string, error) {
	h.wait()
	return h.Driver.Fingerprint(context.WithoutCancel(ctx))
}

// hangingSurveyor lists standing logins, when it answers.
type hangingSurveyor struct{ *hanging }

func (h hangingSurveyor) Standing(ctx context.Context) ([]grants.Standing, error) {
	h.wait()
	return h.Driver.(grants.Surveyor).Standing(context.WithoutCancel(ctx))
}

// The jobs that look at every target are done at once, whatever a target does: the others are looked at, now and the next time,
// and one that hangs is asked once.
func TestTheSweepAndTheSurveyHoldNoWorkers(t *testing.T) {
	b := setup(t)
	b.now, b.health, b.surveying = time.Now, newHealth(zerolog.Nop(), time.Now), make(chan struct{}, surveysAtOnce)
	b.sweeps = cron.Every(time.Minute)
	srv := localpg.Shared(t)
	database, installation := localpg.NewDatabase(t, srv, ""), strings.ToLower(rand.Text()[:12])
	execute(t, srv.URL(database), `DROP ROLE IF EXISTS pa_quarantine; CREATE ROLE pa_quarantine NOLOGIN`)
	slow := &hanging{letGo: make(chan struct{})}
	b.drivers = map[string]grants.Driver{}
	for _, name := range []string{"stuck-prod", "orders-prod"} {
		b.cfg.Targets = append(b.cfg.Targets, config.Target{Name: name, Engine: "postgres", Databases: []string{database}})
		driver, err := postgres.Open(postgres.Config{Target: Targets(b.cfg)[len(b.drivers)], AdminURL: secret.New(srv.URL(database)), Installation: installation})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(driver.Close)
		b.drivers[name] = driver
	}
	slow.Driver = b.drivers["stuck-prod"]
	b.drivers["stuck-prod"] = hangingSurveyor{slow}
	var err error
	b.grants, err = grants.New(grants.Config{
		Store: b.store, Targets: Targets(b.cfg), Drivers: b.drivers, Installation: installation, Now: time.Now, Log: zerolog.Nop(),
		ConnectionLimit: 5, Grace: 30 * time.Second, OverdueAfter: 45 * time.Second, Parallel: revocationsAtOnce,
	})
	if err != nil {
		t.Fatal(err)
	}
	slow.hangs.Store(true)
	stop := func(patience time.Duration) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return b.aside.close(ctx)
	}
	t.Cleanup(func() {
		if slow.hangs.CompareAndSwap(true, false) {
			close(slow.letGo)
		}
		if err := stop(time.Minute); err != nil {
			t.Errorf("stopping sweeps and surveys: %v", err)
		}
		_ = b.grants.Close(context.Background())
	})
	works := func(kind jobs.Kind) {
		t.Helper()
		done := make(chan error, 1)
		go func() { done <- b.work(t.Context(), jobs.Job{Kind: kind, Subject: "all"}) }()
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("the %s waits for a target that hangs", kind)
		}
	}
	for range 2 {
		orphan := "pa_orphan_" + grants.NewID()
		execute(t, srv.URL(database), `CREATE ROLE `+orphan+` LOGIN; COMMENT ON ROLE `+orphan+` IS '`+grants.Stamp{Installation: installation, Grant: "lost"}.String()+`'`)
		works(jobs.Sweep)
		b.until("the other target is swept", func() bool { return !b.exists(srv.URL(database), orphan) })
		// Its sweep is over a moment after that, and only then it can be asked for again.
		b.until("the sweep of the other target is over", func() bool { return !b.aside.at("sweep orders-prod") })
	}
	if n := slow.held.Load(); n != 1 {
		t.Errorf("the target that hangs was asked %d times by sweeps", n)
	}
	for range 2 {
		works(jobs.Survey)
		b.until("the other target is surveyed", func() bool {
			known, err := b.store.StandingOf(t.Context(), "orders-prod")
			return err == nil && len(known) > 0
		})
	}
	b.until("the target that hangs is asked", func() bool { return slow.held.Load() == 2 })
	if err := stop(time.Millisecond); err == nil {
		t.Error("what is under way was not waited for")
	}
	b.aside.begin("afterwards", func(context.Context) { t.Error("something was begun while stopping") })
}

// at says whether work of that name is under way.
func (a *aside) at(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.busy[name]
}

func (b *bundle) exists(url, role string) bool {
	b.t.Helper()
	conn, err := pgx.Connect(b.t.Context(), url)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var there bool
	if err := conn.QueryRow(b.t.Context(), "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role).Scan(&there); err != nil {
		b.t.Fatal(err)
	}
	return there
}
