package grants_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/postgres"
	"github.com/prodaccess/prodaccess/internal/localpg"
	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/migrations"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(localpg.Around(m, localpg.Options{Fast: true})) }

// bundle is a service on a real store and a real target, both databases of one server.
type bundle struct {
	*grants.Service
	t      *testing.T
	store  *store.Store
	absent *absent
	driver *faulty
	srv    *localpg.Server
	// owner is the store's superuser URL, target the target's.
	owner, target string
	installation  string
	clock         *clock
}

// clock is the service's; tests move it.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// absent is the real store, which can be made not to answer.
type absent struct {
	grants.Store
	away atomic.Bool
}

var errAway = errors.New("the test took the store away")

func (a *absent) NextDeadline(ctx context.Context) (time.Time, error) {
	if a.away.Load() {
		return time.Time{}, errAway
	}
	return a.Store.NextDeadline(ctx)
}

func (a *absent) ChangeGrant(ctx context.Context, id string, change func(grants.Grant) (grants.Change, error)) (grants.Grant, error) {
	if a.away.Load() {
		return grants.Grant{}, errAway
	}
	return a.Store.ChangeGrant(ctx, id, change)
}

// faulty is the real driver with faults put before or after its methods.
type faulty struct {
	grants.Driver
	mu     sync.Mutex
	before map[string]func() error
	after  map[string]func() error
	calls  map[string]int
	// moved is what a failing clean-up says it had moved.
	moved []grants.Leftover
	// behind are the nodes that lag.
	behind []string
}

// Behind implements grants.Replicated.
func (f *faulty) Behind(context.Context) []string { return f.behind }

func (f *faulty) call(method string, real func() error) error {
	f.mu.Lock()
	f.calls[method]++
	before, after := f.before[method], f.after[method]
	f.mu.Unlock()
	if before != nil {
		if err := before(); err != nil {
			return err
		}
	}
	if err := real(); err != nil {
		return err
	}
	if after != nil {
		return after()
	}
	return nil
}

func (f *faulty) fail(method string, late bool, fault func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if late {
		f.after[method] = fault
	} else {
		f.before[method] = fault
	}
}

func (f *faulty) called(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

func (f *faulty) heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.before)
	clear(f.after)
}

func (f *faulty) Issue(ctx context.Context, order grants.Order) (out grants.Issued, err error) {
	err = f.call("issue", func() (err error) { out, err = f.Driver.Issue(ctx, order); return err })
	return out, err
}

func (f *faulty) Secure(ctx context.Context, login grants.Login) (out grants.Secured, err error) {
	err = f.call("secure", func() (err error) { out, err = f.Driver.Secure(ctx, login); return err })
	return out, err
}

func (f *faulty) Clean(ctx context.Context, login grants.Login) (out grants.Cleaned, err error) {
	err = f.call("clean", func() (err error) { out, err = f.Driver.Clean(ctx, login); return err })
	if err != nil {
		out.Leftovers = append(out.Leftovers, f.moved...)
	}
	return out, err
}

func (f *faulty) Extend(ctx context.Context, login grants.Login, until time.Time) error {
	return f.call("extend", func() error { return f.Driver.Extend(ctx, login, until) })
}

func unreachable() error {
	return &grants.Failure{Reason: grants.FailUnreachable, Err: fmt.Errorf("the test took the target away")}
}

const (
	serviceLogin = "grants_service"
	adminLogin   = "grants_admin"
	somePassword = "a-password-for-tests"
)

// once makes the cluster-wide roles of this package's tests.
var once sync.Once

func setup(t *testing.T) *bundle {
	t.Helper()
	srv := localpg.Shared(t)
	once.Do(func() {
		mustExec(t, srv.URL("postgres"), `CREATE ROLE `+serviceLogin+` LOGIN PASSWORD '`+localpg.Verifier(somePassword)+`';
			CREATE ROLE `+adminLogin+` LOGIN CREATEROLE PASSWORD '`+localpg.Verifier(somePassword)+`'; GRANT pg_signal_backend TO `+adminLogin+`;
			CREATE ROLE pa_read_only NOLOGIN; CREATE ROLE pa_quarantine NOLOGIN; GRANT pa_quarantine TO `+adminLogin)
	})
	template := localpg.Template(t, srv, "grants_store", func(url string) error {
		return migrations.Up(context.Background(), secret.New(url), serviceLogin, func(string) {})
	})
	b := &bundle{t: t, srv: srv, clock: &clock{}, installation: strings.ToLower(rand.Text()[:12])}
	storeDB, targetDB := localpg.NewDatabase(t, srv, template), localpg.NewDatabase(t, srv, "")
	b.owner, b.target = srv.URL(storeDB), srv.URL(targetDB)
	mustExec(t, b.owner, `UPDATE installation SET id = '`+b.installation+`'`)
	mustExec(t, b.target, `CREATE TABLE orders (id int); INSERT INTO orders VALUES (1), (2);
		GRANT USAGE ON SCHEMA public TO pa_read_only; GRANT SELECT ON orders TO pa_read_only`)

	ctx := t.Context()
	st, err := store.Open(ctx, store.Config{URL: secret.New(srv.UserURL(serviceLogin, somePassword, storeDB)), Now: b.clock.now, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	b.store, b.absent = st, &absent{Store: st}
	source := []byte("version: 1\n")
	if err := st.KeepPolicy(ctx, hash(source), source, b.clock.now()); err != nil {
		t.Fatal(err)
	}

	target := grants.Target{
		Name: "orders-prod", Engine: "postgres", Environment: "test", Databases: []string{targetDB},
		Connect: grants.Endpoint{Host: "127.0.0.1", Port: srv.Port(), SSLMode: "disable"},
	}
	driver, err := postgres.Open(postgres.Config{
		Target: target, AdminURL: secret.New(srv.UserURL(adminLogin, somePassword, targetDB)),
		Installation: b.installation, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(driver.Close)
	b.driver = &faulty{Driver: driver, before: map[string]func() error{}, after: map[string]func() error{}, calls: map[string]int{}}
	b.Service, err = grants.New(grants.Config{
		Store: b.absent, Targets: []grants.Target{target}, Drivers: map[string]grants.Driver{"orders-prod": b.driver},
		Installation: b.installation, Now: b.clock.now, Log: zerolog.Nop(), ConnectionLimit: 5,
		Grace: 30 * time.Second, OverdueAfter: 45 * time.Second, Parallel: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Errorf("closing the service: %v", err)
		}
		b.dropLeftovers(ctx)
	})
	return b
}

// dropLeftovers removes the roles a failed test left: roles are cluster-wide.
func (b *bundle) dropLeftovers(ctx context.Context) {
	logins, err := b.driver.Logins(ctx)
	if err != nil {
		return
	}
	for _, l := range logins {
		l.Fingerprint, _ = b.driver.Fingerprint(ctx)
		if _, err := b.driver.Driver.Secure(ctx, l); err == nil {
			_, _ = b.driver.Driver.Clean(ctx, l)
		}
	}
}

func hash(source []byte) string { sum := sha256.Sum256(source); return hex.EncodeToString(sum[:]) }

func mustExec(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// intend commits an approved request and the intent of a grant for it, as package approvals does.
func (b *bundle) intend(duration time.Duration) grants.Grant {
	b.t.Helper()
	g, err := b.tryIntend(b.Service, duration)
	if err != nil {
		b.t.Fatal(err)
	}
	return g
}

func (b *bundle) tryIntend(s *grants.Service, duration time.Duration) (grants.Grant, error) {
	return b.tryIntendOn(s, "orders-prod", duration)
}

func (b *bundle) tryIntendOn(s *grants.Service, target string, duration time.Duration) (grants.Grant, error) {
	ctx, now := b.t.Context(), b.clock.now()
	ana := approvals.Person{ID: "U0ANA", Name: "Ana", Email: "ana@example.com"}
	r := approvals.Request{
		ID: grants.NewID(), State: approvals.Approved, Key: grants.NewID(), Requester: ana, Target: target, Engine: "postgres",
		Profile: "read-only", Duration: duration, Reason: "a test", Source: "slack:socket", FiledAt: now, ApprovedAt: now,
		LapsesAt: now.Add(time.Hour), Decision: policy.Decision{
			Outcome: policy.Approved, Rule: "on call", Why: "on call", Duration: duration, Policy: hash([]byte("version: 1\n")),
		},
	}
	filed := audit.Event{At: now, Kind: audit.RequestFiled, Actor: audit.System("test"), Request: r.ID, Policy: r.Decision.Policy}
	if _, _, err := b.store.CreateRequest(ctx, approvals.Change{Request: r, Events: []audit.Event{filed}}); err != nil {
		return grants.Grant{}, err
	}
	in := b.intention(duration)
	in.Request, in.Target, in.At = r.ID, target, now
	g, err := s.Intend(ctx, in)
	if err != nil {
		return g, err
	}
	_, err = b.store.ChangeCase(ctx, r.ID, func(c approvals.Case) (approvals.Change, error) {
		c.Request.State = approvals.Activated
		return approvals.Change{Request: c.Request, Grant: &g, Jobs: grants.IntentJobs(g), Events: []audit.Event{
			{At: now, Kind: audit.GrantIntended, Actor: audit.System("test"), Request: r.ID, Grant: g.ID},
		}}, nil
	})
	return g, err
}

// intention is what ana intends.
func (b *bundle) intention(duration time.Duration) grants.Intent {
	return grants.Intent{
		Holder: grants.Holder{ID: "U0ANA", Name: "Ana", Email: "ana@example.com"}, Target: "orders-prod", Profile: "read-only",
		ProfileVersion: "v1", StatementTimeout: 5 * time.Minute, Duration: duration, At: b.clock.now(),
	}
}

// issue is intend, issued.
func (b *bundle) issue(duration time.Duration) (grants.Grant, grants.Credential) {
	b.t.Helper()
	g := b.intend(duration)
	c, err := b.Issue(b.t.Context(), g.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.read(g.ID), c
}

func (b *bundle) read(id string) grants.Grant {
	b.t.Helper()
	g, err := b.store.Grant(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return g
}

// connect opens a session as a credential's holder.
func (b *bundle) connect(c grants.Credential) (*pgx.Conn, error) {
	conn, err := pgx.Connect(b.t.Context(), c.URL().Reveal())
	if err == nil {
		b.t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(b.t.Context())) })
	}
	return conn, err
}

// awaits polls the store until a grant is in a state.
func (b *bundle) awaits(id string, state grants.State) grants.Grant {
	b.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		g := b.read(id)
		if g.State == state {
			return g
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("grant %s is %s (%s), and does not become %s", id, g.State, g.LastError, state)
		}
		tick := time.NewTimer(10 * time.Millisecond)
		<-tick.C
	}
}

// exists says whether the target has a role of that name.
func (b *bundle) exists(login string) bool {
	b.t.Helper()
	return b.one(b.target, `SELECT count(*) FROM pg_roles WHERE rolname = $1`, login) == 1
}

func (b *bundle) one(url, sql string, args ...any) int {
	b.t.Helper()
	conn, err := pgx.Connect(b.t.Context(), url)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(b.t.Context()))
	var n int
	if err := conn.QueryRow(b.t.Context(), sql, args...).Scan(&n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

// events counts the audit events of a kind about a grant.
func (b *bundle) events(kind audit.Kind, grant string) int {
	b.t.Helper()
	return b.one(b.owner, `SELECT count(*) FROM audit_events WHERE kind = $1 AND grant_id = $2`, string(kind), grant)
}

// jobs counts the unfinished jobs of a kind about a subject.
func (b *bundle) jobs(kind, subject string) int {
	b.t.Helper()
	return b.one(b.owner, `SELECT count(*) FROM river_job WHERE args->>'work' = $1 AND args->>'subject' = $2 AND finalized_at IS NULL`, kind, subject)
}

// execLate is for cleanups, when the test's context is over.
func execLate(url, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}
