package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/postgres"
	"github.com/prodaccess/prodaccess/internal/localpg"
	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/store"
)

// hanging is a driver of a target that takes the question and does not answer, whatever the caller's patience, until it is
// let go. It is the real one before and after.
type hanging struct {
	grants.Driver
	hangs atomic.Bool
	held  atomic.Int32
	letGo chan struct{}
}

func (h *hanging) Secure(ctx context.Context, login grants.Login) (grants.Secured, error) {
	h.wait()
	return h.Driver.Secure(context.WithoutCancel(ctx), login)
}

func (h *hanging) wait() {
	if h.hangs.Load() {
		h.held.Add(1)
		<-h.letGo
	}
}

// hangingMany takes many logins back in one message.
type hangingMany struct {
	*hanging
	grants.Many
}

func (h hangingMany) SecureMany(ctx context.Context, logins []grants.Login, done func(int, grants.Secured, error)) {
	h.wait()
	h.Many.SecureMany(context.WithoutCancel(ctx), logins, done)
}

func (h hangingMany) FinishMany(ctx context.Context, logins []grants.Login, done func(int, grants.Secured, *grants.Cleaned, error)) {
	h.wait()
	h.Many.FinishMany(context.WithoutCancel(ctx), logins, done)
}

// A replica died after it had committed the end of twice as many grants of one target as another replica has workers, and
// of one grant of a second target. The first target hangs. The other replica has nothing but the jobs. It takes the login of
// the second target away while all the others hang, and those when their target answers again.
func TestTheJobsOfATargetThatHangsHoldNoWorkers(t *testing.T) {
	for name, many := range map[string]bool{"one by one": false, "in few messages": true} {
		t.Run(name, func(t *testing.T) { hangs(t, many) })
	}
}

func hangs(t *testing.T, many bool) {
	b := setup(t)
	b.now = time.Now
	srv := localpg.Shared(t)
	database, installation := localpg.NewDatabase(t, srv, ""), strings.ToLower(rand.Text()[:12])
	source := []byte("version: 1\n")
	sum := sha256.Sum256(source)
	policyHash := hex.EncodeToString(sum[:])
	if err := b.store.KeepPolicy(t.Context(), policyHash, source, time.Now()); err != nil {
		t.Fatal(err)
	}
	execute(t, srv.URL(database), `DROP ROLE IF EXISTS pa_quarantine, pa_read_only; CREATE ROLE pa_quarantine NOLOGIN; CREATE ROLE pa_read_only NOLOGIN`)

	slow := &hanging{letGo: make(chan struct{})}
	letGo := func() {
		if slow.hangs.CompareAndSwap(true, false) {
			close(slow.letGo)
		}
	}
	var targets []grants.Target
	drivers := map[string]grants.Driver{}
	for _, name := range []string{"stuck-prod", "orders-prod"} {
		target := grants.Target{
			Name: name, Engine: "postgres", Databases: []string{database},
			Connect: grants.Endpoint{Host: "127.0.0.1", Port: srv.Port(), SSLMode: "disable"},
		}
		driver, err := postgres.Open(postgres.Config{Target: target, AdminURL: secret.New(srv.URL(database)), Installation: installation})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(driver.Close)
		targets, drivers[name] = append(targets, target), driver
	}
	slow.Driver = drivers["stuck-prod"]
	drivers["stuck-prod"] = slow
	if many {
		drivers["stuck-prod"] = hangingMany{slow, slow.Driver.(grants.Many)}
	}
	service := func() *grants.Service {
		s, err := grants.New(grants.Config{
			Store: b.store, Targets: targets, Drivers: drivers, Installation: installation, Now: time.Now, Log: zerolog.Nop(),
			ConnectionLimit: 5, Grace: 30 * time.Second, OverdueAfter: 45 * time.Second, Parallel: revocationsAtOnce,
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	died := service()
	issue := func(target string) (grants.Grant, grants.Credential) {
		g := b.intend(died, target, policyHash)
		c, err := died.Issue(t.Context(), g.ID)
		if err != nil {
			t.Fatal(err)
		}
		return g, c
	}
	var stuck []grants.Grant
	for range 2 * endingsAtOnce {
		g, _ := issue("stuck-prod")
		stuck = append(stuck, g)
	}
	other, credential := issue("orders-prod")
	session, err := pgx.Connect(t.Context(), credential.URL().Reveal())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close(context.Background()) })
	if err := died.Close(t.Context()); err != nil { // from here on it commits ends, and does nothing about them
		t.Fatal(err)
	}

	b.grants = service()
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{app: b.App})
	engine, err := b.store.WorkClient(river.Config{
		Workers: workers, Queues: map[string]river.QueueConfig{store.QueueSecurity: {MaxWorkers: endingsAtOnce}},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	slow.hangs.Store(true)
	t.Cleanup(func() {
		letGo()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := engine.StopAndCancel(ctx); err != nil {
			t.Errorf("stopping the job engine: %v", err)
		}
		if err := b.grants.Close(ctx); err != nil {
			t.Errorf("closing the service: %v", err)
		}
	})
	end := func(g grants.Grant) {
		if _, err := died.End(t.Context(), g.ID, grants.Ending{Cause: grants.Expired, By: audit.System("reaper")}); err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range stuck {
		end(g)
	}
	b.until("the target holds a question", func() bool { return slow.held.Load() > 0 })
	end(other)
	b.until("the grant of the other target is over", func() bool { return b.state(other.ID) == grants.Revoked })
	if _, err := session.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("the session outlived its grant")
	}
	for _, g := range stuck {
		if got := b.state(g.ID); got != grants.Revoking {
			t.Fatalf("grant %s of the target that hangs is %s: nothing is shown here", g.ID, got)
		}
	}
	letGo()
	for _, g := range stuck {
		b.until("grant "+g.ID+" is over", func() bool { return b.state(g.ID) == grants.Revoked })
	}
}

// intend commits an approved request and the intent of a grant for it, as package approvals does.
func (b *bundle) intend(s *grants.Service, target, policyHash string) grants.Grant {
	b.t.Helper()
	ctx, now := b.t.Context(), time.Now()
	r := approvals.Request{
		ID: grants.NewID(), State: approvals.Approved, Key: grants.NewID(), Requester: approvals.Person{ID: "U0ANA", Name: "Ana", Email: "ana@example.com"},
		Target: target, Engine: "postgres", Profile: "read-only", Duration: time.Hour, Reason: "a test", Source: "slack:socket",
		FiledAt: now, ApprovedAt: now, LapsesAt: now.Add(time.Hour),
		Decision: policy.Decision{Outcome: policy.Approved, Rule: "on call", Why: "on call", Duration: time.Hour, Policy: policyHash},
	}
	filed := audit.Event{At: now, Kind: audit.RequestFiled, Actor: audit.System("test"), Request: r.ID, Policy: policyHash}
	if _, _, err := b.store.CreateRequest(ctx, approvals.Change{Request: r, Events: []audit.Event{filed}}); err != nil {
		b.t.Fatal(err)
	}
	g, err := s.Intend(ctx, grants.Intent{
		Holder: grants.Holder{ID: "U0ANA", Name: "Ana", Email: "ana@example.com"}, Target: target, Profile: "read-only", ProfileVersion: "v1",
		StatementTimeout: time.Minute, Duration: time.Hour, Request: r.ID, At: now,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	_, err = b.store.ChangeCase(ctx, r.ID, func(c approvals.Case) (approvals.Change, error) {
		c.Request.State = approvals.Activated
		return approvals.Change{Request: c.Request, Grant: &g, Jobs: grants.IntentJobs(g), Events: []audit.Event{
			{At: now, Kind: audit.GrantIntended, Actor: audit.System("test"), Request: r.ID, Grant: g.ID},
		}}, nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return g
}

func (b *bundle) state(id string) grants.State {
	b.t.Helper()
	g, err := b.store.Grant(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return g.State
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// until waits for something that must come.
func (b *bundle) until(what string, done func() bool) {
	b.t.Helper()
	for limit := time.Now().Add(time.Minute); !done(); {
		if time.Now().After(limit) {
			b.t.Fatalf("in a minute, not this: %s", what)
		}
		tick := time.NewTimer(10 * time.Millisecond)
		<-tick.C
	}
}
