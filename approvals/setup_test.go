package approvals_test

import (
	"cmp"
	"context"
	"maps"
	"slices"
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
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/internal/localpg"
	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/migrations"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(localpg.Around(m, localpg.Options{Fast: true})) }

const basePolicy = `version: 1
groups:
  backend: { emails: [ana@example.com, bo@example.com] }
  dba: { emails: [dora@example.com, bo@example.com] }
  security: { emails: [sam@example.com, dora@example.com] }
  support: { slack_usergroup: S0SUPPORT }
schedules:
  payments: { pagerduty_schedule: PABC123 }
profiles:
  - { name: read-only, risk: low, statement_timeout: 5m, grants: [{ schema: public, tables: "*", privileges: [select] }] }
  - { name: data-fix, risk: high, grants: [{ schema: public, tables: "*", privileges: [update] }] }
rules:
  - { name: on call, who: [oncall:payments], profiles: [read-only], approve: automatically, max_duration: 2h, budget: { grants: 2, per: day } }
  - { name: reads, who: [group:backend, group:support], profiles: [read-only], approvals: [{ from: [group:dba], count: 1 }], max_duration: 2h }
  - { name: fixes, who: [group:backend], profiles: [data-fix], approvals: [{ from: [group:dba], count: 1 }, { from: [group:security], count: 1 }], max_duration: 1h }
operators: [user:sam@example.com]
`

// office is a service on a real store, with people who can be hired and fired, and a target that is not there.
type office struct {
	*approvals.Service
	t      *testing.T
	store  *flaky
	owner  string
	people *people
	grants *issuer
	policy atomic.Pointer[policy.Policy]
	keys   atomic.Int64
	now    func() time.Time
	ahead  *atomic.Int64 // of the real time, see sleeps
	url    string        // of the database, as the service
	most   int           // pending requests of one person in services made from now on; 0 for thousands
}

// people is the directory and the roster of the office.
type people struct {
	mu        sync.Mutex
	gone      map[string]approvals.Code
	fresh     map[string]bool // whether the last look at somebody was fresh
	member    map[string]bool
	unknown   string
	shift     map[string]time.Time
	pagerDown bool
	now       func() time.Time
}

func (p *people) Person(_ context.Context, id string, fresh bool) (approvals.Person, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fresh[id] = fresh
	if code, gone := p.gone[id]; gone {
		return approvals.Person{}, &approvals.Refusal{Code: code, Words: "You may not use this."}
	}
	name, _, _ := strings.Cut(id, "-") // "bo-2" is a second account of bo's
	return approvals.Person{ID: id, Name: name, Email: name + "@example.com"}, nil
}

func (p *people) Membership(_ context.Context, group, id string, _ bool) policy.Membership {
	p.mu.Lock()
	defer p.mu.Unlock()
	return policy.Membership{Member: p.member[group+"/"+id], Unknown: p.unknown}
}

func (p *people) Standing(_ context.Context, s policy.Schedule, email string) policy.Standing {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pagerDown {
		return policy.Standing{Unknown: "PagerDuty did not answer", Schedule: s.Name}
	}
	end, on := p.shift[email]
	return policy.Standing{On: on, Schedule: s.Name, Source: "pagerduty " + s.PagerDuty, Level: 1, Start: p.now().Add(-time.Hour), End: end, AsOf: p.now()}
}

func (p *people) Rota(context.Context, policy.Schedule) (emails []string, unknown string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pagerDown {
		return nil, "PagerDuty did not answer"
	}
	return slices.Sorted(maps.Keys(p.shift)), ""
}

// issuer stands for the grant service: package grants has its own tests. It writes what the real one would write.
type issuer struct {
	mu    sync.Mutex
	now   func() time.Time
	store *store.Store
	down  bool
	// extendFails is what the target says to an extension that the store has.
	extendFails error
	intents     []grants.Intent
	ended       []grants.Ending
}

func (i *issuer) Intend(_ context.Context, in grants.Intent) (grants.Grant, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.down {
		return grants.Grant{}, &grants.Failure{Reason: grants.FailUnreachable, Err: context.DeadlineExceeded}
	}
	i.intents = append(i.intents, in)
	id := grants.NewID()
	deadline := in.At.Add(in.Duration)
	if !in.NotAfter.IsZero() && in.NotAfter.Before(deadline) {
		deadline = in.NotAfter
	}
	return grants.Grant{
		ID: id, Request: in.Request, Holder: in.Holder, State: grants.Provisioning, Target: in.Target, Engine: "postgres", Database: "orders",
		Fingerprint: "1", Profile: in.Profile, ProfileVersion: in.ProfileVersion, AccessRole: grants.AccessRole(in.Profile),
		Login: grants.LoginName(in.Holder.Name, id), ConnectionLimit: 5, Params: in.Params, Intended: in.At, Deadline: deadline, NotAfter: in.NotAfter,
	}, nil
}

func (i *issuer) change(ctx context.Context, id string, f func(*grants.Grant)) (grants.Grant, error) {
	return i.store.ChangeGrant(ctx, id, func(g grants.Grant) (grants.Change, error) {
		f(&g)
		return grants.Change{Grant: g}, nil
	})
}

// event is the record of what a delivery asked for.
func (i *issuer) event(kind audit.Kind, g grants.Grant, by audit.Actor, delivery string) []audit.Event {
	return []audit.Event{audit.Once(audit.Event{At: i.now(), Kind: kind, Actor: by, Request: g.Request, Grant: g.ID}, delivery)}
}

func (i *issuer) Issue(ctx context.Context, id string) (grants.Credential, error) {
	_, err := i.change(ctx, id, func(g *grants.Grant) { g.State, g.OID, g.IssuedAt = grants.Active, 4711, g.Intended })
	return grants.Credential{Grant: id}, err
}

func (i *issuer) Rotate(ctx context.Context, id string, by audit.Actor, _, delivery string) (grants.Credential, error) {
	_, err := i.store.ChangeGrant(ctx, id, func(g grants.Grant) (grants.Change, error) {
		return grants.Change{Grant: g, Events: i.event(audit.GrantRotated, g, by, delivery)}, nil
	})
	return grants.Credential{}, err
}

func (i *issuer) Shown(ctx context.Context, id string, _ audit.Actor, _ string) error {
	_, err := i.change(ctx, id, func(g *grants.Grant) { g.ShownAt = i.now() })
	return err
}

func (i *issuer) Extend(ctx context.Context, id string, before int, deadline, notAfter time.Time, by audit.Actor, _, delivery string) (grants.Grant, error) {
	g, err := i.store.ChangeGrant(ctx, id, func(g grants.Grant) (grants.Change, error) {
		if g.Extensions != before {
			return grants.Change{}, grants.ErrState
		}
		if !notAfter.IsZero() && deadline.After(notAfter) {
			deadline = notAfter
		}
		g.Deadline, g.NotAfter = deadline, notAfter
		g.Extensions++
		return grants.Change{Grant: g, Events: i.event(audit.GrantExtended, g, by, delivery)}, nil
	})
	if err == nil {
		err = i.extendFails
	}
	return g, err
}

func (i *issuer) End(ctx context.Context, id string, e grants.Ending) (grants.Grant, error) {
	i.mu.Lock()
	i.ended = append(i.ended, e)
	i.mu.Unlock()
	return i.store.ChangeGrant(ctx, id, func(g grants.Grant) (grants.Change, error) {
		if !g.Live() {
			return grants.Change{}, grants.ErrState
		}
		g.State, g.Cause, g.EndedBy, g.Note, g.EndingAt = grants.Revoking, e.Cause, e.By, e.Note, i.now()
		return grants.Change{Grant: g, Events: i.event(audit.GrantEnding, g, e.By, e.Delivery)}, nil
	})
}

// Revoke locks and drops at once, or fails while the target is down.
func (i *issuer) Revoke(ctx context.Context, id string) error {
	i.mu.Lock()
	down := i.down
	i.mu.Unlock()
	_, err := i.change(ctx, id, func(g *grants.Grant) {
		if down {
			g.Attempts, g.LastError = g.Attempts+1, "orders-prod does not answer"
			return
		}
		g.State, g.SecuredAt, g.Attempts = grants.Cleanup, i.now(), 0
	})
	if down {
		return context.DeadlineExceeded
	}
	return err
}

// flaky is the real store, whose audit log can be made to fail.
type flaky struct {
	*store.Store
	noRecord atomic.Bool
}

func (f *flaky) Record(ctx context.Context, events []audit.Event, follow []jobs.Job) error {
	if f.noRecord.Load() {
		return context.DeadlineExceeded
	}
	return f.Store.Record(ctx, events, follow)
}

func setup(t *testing.T) *office {
	t.Helper()
	srv := localpg.Shared(t)
	const login = "approvals_service"
	template := localpg.Template(t, srv, "approvals_store", func(url string) error {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, `CREATE ROLE `+login+` LOGIN PASSWORD '`+localpg.Verifier("a-password-for-tests")+`'`); err != nil {
			return err
		}
		return migrations.Up(ctx, secret.New(url), login, func(string) {})
	})
	db := localpg.NewDatabase(t, srv, template)
	o := &office{t: t, owner: srv.URL(db), url: srv.UserURL(login, "a-password-for-tests", db), ahead: new(atomic.Int64)}
	o.now = func() time.Time { return time.Now().Add(time.Duration(o.ahead.Load())) }
	o.store = &flaky{Store: o.open()}
	o.grants = &issuer{store: o.store.Store, now: o.now}
	o.people = &people{gone: map[string]approvals.Code{}, fresh: map[string]bool{}, member: map[string]bool{}, shift: map[string]time.Time{}, now: o.now}
	o.rules(basePolicy)
	o.Service = o.service(o.store, o.policy.Load, o.now)
	return o
}

// open gives a replica's own connections to the store.
func (o *office) open() *store.Store {
	o.t.Helper()
	st, err := store.Open(o.t.Context(), store.Config{URL: secret.New(o.url), Log: zerolog.Nop()})
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(st.Close)
	return st
}

// service gives another replica.
func (o *office) service(st approvals.Store, inForce func() *policy.Policy, now func() time.Time) *approvals.Service {
	o.t.Helper()
	s, err := approvals.New(approvals.Config{
		Store: st, Grants: o.grants, Directory: o.people, Roster: o.people, Policy: inForce,
		Targets: []grants.Target{{Name: "orders-prod", Engine: "postgres", Environment: "production", Databases: []string{"orders"}}},
		Now:     now, LapseAfter: time.Hour, TakeWithin: 30 * time.Minute, MostPending: cmp.Or(o.most, 10_000), FactsWithin: time.Second,
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return s
}

// sleeps lets time pass for everybody.
func (o *office) sleeps(d time.Duration) { o.ahead.Add(int64(d)) }

// waiting lists when the unfinished jobs of a kind about something may run, the soonest first.
func (o *office) waiting(kind jobs.Kind, subject string) []time.Time {
	o.t.Helper()
	return query[time.Time](o, `SELECT scheduled_at FROM river_job WHERE args->>'work' = $1 AND args->>'subject' = $2 ORDER BY 1`, string(kind), subject)
}

// query reads one column as the owner of the tables.
func query[T any](o *office, sql string, args ...any) []T {
	o.t.Helper()
	conn, err := pgx.Connect(o.t.Context(), o.owner)
	if err != nil {
		o.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(o.t.Context()))
	rows, err := conn.Query(o.t.Context(), sql, args...)
	if err != nil {
		o.t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		o.t.Fatal(err)
	}
	return out
}

// rules puts another policy in force.
func (o *office) rules(source string) {
	o.t.Helper()
	p, _, err := policy.Load([]byte(source), "policy.yaml")
	if err != nil {
		o.t.Fatal(err)
	}
	if err := o.store.KeepPolicy(o.t.Context(), p.Hash(), p.Source(), o.now()); err != nil {
		o.t.Fatal(err)
	}
	o.policy.Store(p)
}

// wish is what somebody asks for, with everything in order.
func (o *office) wish(who, profile string) approvals.Filing {
	return approvals.Filing{
		By: who, Target: "orders-prod", Profile: profile, Duration: 30 * time.Minute, Reason: "checkout is failing",
		Key: "delivery-" + time.Duration(o.keys.Add(1)).String(), Source: "slack:socket",
	}
}

// asks files a wish that must be accepted.
func (o *office) asks(who, profile string) approvals.Case {
	o.t.Helper()
	c, err := o.File(o.t.Context(), o.wish(who, profile))
	if err != nil {
		o.t.Fatalf("%s asks for %s: %v", who, profile, err)
	}
	return c
}

func press(who string, c approvals.Case) approvals.Press {
	return approvals.Press{By: who, Request: c.Request.ID, Source: "slack:socket"}
}

// records counts audit events about a request, refused or not.
func (o *office) records(kind audit.Kind, request string, refused bool) int {
	o.t.Helper()
	return query[int](o, `SELECT count(*) FROM audit_events WHERE kind = $1 AND request_id = $2 AND refused = $3`,
		string(kind), request, refused)[0]
}
