package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/app"
	"github.com/prodaccess/prodaccess/internal/config"
	"github.com/prodaccess/prodaccess/internal/localpg"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/store"
)

// operating is a place whose store is migrated and whose target is prepared.
func operating(t *testing.T) place {
	t.Helper()
	p := setup(t)
	prodaccess(t, "migrate", "up", "--config", p.config).wants(t, exitOK)
	prodaccess(t, "targets", "apply", "--yes", "--as-file", filepath.Join(p.dir, "dba-url"), "--config", p.config).wants(t, exitOK)
	return p
}

// with runs a command with a configuration that differs in one thing.
func (p place) with(t *testing.T, was, is string, args ...string) said {
	t.Helper()
	text := readFile(t, p.config)
	if !strings.Contains(text, was) {
		t.Fatalf("%q is not in the configuration", was)
	}
	other := filepath.Join(p.dir, "other.yaml")
	write(t, other, strings.ReplaceAll(text, was, is)+"\n")
	return prodaccess(t, append(args, "--config", other)...)
}

// serving runs f with the services of the configuration, as they would run beside the commands.
func (p place) serving(t *testing.T, f func(*grants.Service, *store.Store)) {
	t.Helper()
	cfg, err := config.Load(p.config, os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	service, done, err := app.OpenGrants(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	st, err := store.Open(t.Context(), store.Config{URL: cfg.Store.URL, Log: zerolog.Nop(), MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	f(service, st)
}

// issued is a login of ana's. The audit log is sealed, and the target remembers its end.
func (p place) issued(t *testing.T) (out grants.Grant) {
	t.Helper()
	p.serving(t, func(s *grants.Service, st *store.Store) { out = issue(t, s, st) })
	return out
}

func issue(t *testing.T, s *grants.Service, st *store.Store) grants.Grant {
	t.Helper()
	ctx, now, source := t.Context(), time.Now(), []byte(testPolicy)
	sum := sha256.Sum256(source)
	r := approvals.Request{
		ID: grants.NewID(), State: approvals.Approved, Key: grants.NewID(), Requester: approvals.Person{ID: "U0ANA", Name: "Ana", Email: "ana@example.com"},
		Target: "orders-prod", Engine: "postgres", Profile: "read-only", Duration: time.Hour, Reason: "a test", FiledAt: now, ApprovedAt: now, LapsesAt: now.Add(time.Hour),
		Decision: policy.Decision{Outcome: policy.Approved, Rule: "backend reads", Why: "ana is backend", Duration: time.Hour, Policy: hex.EncodeToString(sum[:])},
	}
	event := audit.Event{At: now, Kind: audit.RequestFiled, Actor: audit.System("test"), Request: r.ID, Policy: r.Decision.Policy}
	if err := st.KeepPolicy(ctx, r.Decision.Policy, source, now); err != nil {
		t.Fatal(err)
	}
	if _, _, err := st.CreateRequest(ctx, approvals.Change{Request: r, Events: []audit.Event{event}}); err != nil {
		t.Fatal(err)
	}
	g, err := s.Intend(ctx, grants.Intent{
		Request: r.ID, Holder: grants.Holder{ID: "U0ANA", Name: "Ana", Email: "ana@example.com"}, Target: r.Target, Profile: r.Profile,
		ProfileVersion: "v1", Duration: r.Duration, At: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.ChangeCase(ctx, r.ID, func(c approvals.Case) (approvals.Change, error) {
		c.Request.State, event.Kind, event.Grant = approvals.Activated, audit.GrantIntended, g.ID
		return approvals.Change{Request: c.Request, Grant: &g, Events: []audit.Event{event}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Issue(ctx, g.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := st.SealPending(ctx, now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if g, err = st.Grant(ctx, g.ID); err != nil {
		t.Fatal(err)
	}
	return g
}

// value is the only one of a query, as text; empty where there is no row.
func value(t *testing.T, url, sql string, args ...any) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var out string
	if err := conn.QueryRow(t.Context(), `SELECT coalesce((`+sql+`)::text, '')`, args...).Scan(&out); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// recorded is how often something is in the audit log of a store, done by whoever runs this test. No replica runs here, so
// whatever a command records must be sealed when it is over.
func recorded(t *testing.T, url string, kind audit.Kind) string {
	t.Helper()
	if n := value(t, url, `SELECT count(*) FROM audit_unsealed`); n != "0" {
		t.Errorf("%s events have no seal", n)
	}
	return value(t, url, `SELECT count(*) FROM audit_events WHERE kind = $1 AND actor_kind = 'operator' AND actor_id = $2 AND source = 'cli'`, string(kind), app.Operator().ID)
}

func TestTrustCommand(t *testing.T) {
	p := operating(t)
	trust := func(args ...string) said {
		return prodaccess(t, append([]string{"targets", "trust", "--config", p.config}, args...)...)
	}
	trusted := func() string {
		return value(t, p.owner, `SELECT fingerprint FROM target_identities WHERE target = 'orders-prod'`)
	}
	is := func(fingerprint, events string) {
		t.Helper()
		if got, n := trusted(), recorded(t, p.owner, audit.TargetTrusted); got != fingerprint || n != events {
			t.Fatalf("trusted is %q after %s decisions, want %q after %s", got, n, fingerprint, events)
		}
	}
	trust("order-prod", "--yes").wants(t, exitFailed, `no target is called "order-prod"`, `did you mean "orders-prod"`)
	trust().wants(t, exitFailed, "arg")

	trust("orders-prod").wants(t, exitOK, "no cluster is trusted yet", "Nothing was changed", "--yes")
	is("", "0")
	trust("orders-prod", "--yes").wants(t, exitOK, "is trusted now")
	here := trusted()
	is(value(t, p.target, `SELECT system_identifier FROM pg_control_system()`), "1")
	trust("orders-prod", "--yes").wants(t, exitOK, here, "There is nothing to do")
	is(here, "1")

	execSQL(t, p.owner, `UPDATE target_identities SET fingerprint = '4711'`)
	intend := func() (err error) {
		p.serving(t, func(s *grants.Service, _ *store.Store) {
			_, err = s.Intend(t.Context(), grants.Intent{Holder: grants.Holder{Name: "Ana"}, Target: "orders-prod", Profile: "read-only", Duration: time.Hour, At: time.Now()})
		})
		return err
	}
	if err := intend(); grants.ReasonOf(err) != grants.FailSwapped {
		t.Fatalf("logins are given out on another cluster: %v", err)
	}
	trust("orders-prod").wants(t, exitOK, "the cluster 4711 is trusted, but "+here+" answers", "Nothing was changed", "--yes")
	is("4711", "1")
	trust("orders-prod", "--yes").wants(t, exitOK, here+" is trusted now")
	is(here, "2")
	prodaccess(t, "audit", "list", "--kind", string(audit.TargetTrusted), "--json", "--config", p.config).wants(t, exitOK, `"before":"4711"`, `"fingerprint":"`+here)
	if err := intend(); err != nil {
		t.Errorf("after the decision: %v", err)
	}
}

func TestSweepCommand(t *testing.T) {
	p := operating(t)
	known := p.issued(t)
	prodaccess(t, "targets", "sweep", "--config", p.config).wants(t, exitOK, "orders-prod: the store knows every login.")

	// The store is restored from a backup made before the next login.
	at := p.storeAt(t)
	database := at[strings.LastIndex(at, "/")+1:]
	backup := localpg.NewDatabase(t, p.srv, database)
	lost := p.issued(t)
	sweep := func(args ...string) said {
		return p.with(t, "/"+database, "/"+backup, append([]string{"targets", "sweep"}, args...)...)
	}
	logins := func() string {
		return value(t, p.target, `SELECT string_agg(rolname, ' ' ORDER BY rolname = $1 DESC) FROM pg_roles WHERE rolname IN ($1, $2)`, known.Login, lost.Login)
	}
	end := value(t, p.target, `SELECT to_char(rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM pg_roles WHERE rolname = $1`, lost.Login)
	sweep("nowhere", "--yes").wants(t, exitFailed, `no target is called "nowhere"`, "orders-prod")
	sweep().wants(t, exitFindings, lost.Login, lost.ID, "until "+end+"Z", "Nothing was changed", "--yes")
	if got := sweep("orders-prod"); got.code != exitFindings || strings.Contains(got.out, known.Login) {
		t.Errorf("what the store knows is listed: %s", got)
	}
	if got := logins(); got != known.Login+" "+lost.Login || recorded(t, p.srv.URL(backup), audit.LoginOrphaned) != "0" {
		t.Fatalf("a dry run changed something: %q are left", got)
	}
	sweep("--yes").wants(t, exitOK, "orders-prod: 1 logins were locked out and dropped.")
	if got := logins(); got != known.Login {
		t.Errorf("%q are left, want %s", got, known.Login)
	}
	if n := recorded(t, p.srv.URL(backup), audit.LoginOrphaned); n != "1" {
		t.Errorf("recorded %s times", n)
	}
	sweep("--yes").wants(t, exitOK, "the store knows every login")
}

func TestWriteOffCommand(t *testing.T) {
	p := operating(t)
	g := p.issued(t)
	const why = "--reason=the data centre burnt down"
	writeOff := func(args ...string) said {
		return prodaccess(t, append([]string{"grants", "write-off", "--config", p.config}, args...)...)
	}
	// gone is the same where the target is not configured any more.
	gone := func(args ...string) said {
		return p.with(t, "name: orders-prod", "name: orders-new", append([]string{"grants", "write-off"}, args...)...)
	}
	is := func(state grants.State, events string) {
		t.Helper()
		got := value(t, p.owner, `SELECT state FROM grants WHERE id = $1`, g.ID)
		if n := recorded(t, p.owner, audit.GrantWrittenOff); got != string(state) || n != events {
			t.Fatalf("the grant is %s, %s times written off, want %s and %s", got, n, state, events)
		}
	}
	writeOff(g.ID, "--yes").wants(t, exitFailed, "say why with --reason")
	writeOff(g.ID, "--yes", "--reason= ").wants(t, exitFailed, "say why with --reason")
	writeOff("g0nothing0", "--yes", why).wants(t, exitFailed, `no grant is called "g0nothing0"`, "prodaccess grants list")
	for _, args := range [][]string{{g.ID, why}, {g.ID, why, "--yes"}} {
		gone(args...).wants(t, exitFailed, "is active until "+instant(g.Deadline), "only what should be over")
	}
	is(grants.Active, "0")

	// It is to end, on a target that cannot be reached any more.
	p.serving(t, func(_ *grants.Service, st *store.Store) {
		if _, err := st.ChangeGrant(t.Context(), g.ID, func(g grants.Grant) (grants.Change, error) {
			g.State, g.Cause, g.EndingAt, g.EndedBy = grants.Revoking, grants.Withdrawn, time.Now(), app.Operator()
			return grants.Change{Grant: g}, nil
		}); err != nil {
			t.Fatal(err)
		}
	})
	writeOff(g.ID, "--yes", why).wants(t, exitFailed, "is the very cluster that grant "+g.ID+" was issued on", "need not be written off")
	is(grants.Revoking, "0")
	gone(g.ID, why).wants(t, exitOK, g.Login, "revoking", "not configured any more", "Nothing was changed", "--yes")
	is(grants.Revoking, "0")
	gone(g.ID, why, "--yes").wants(t, exitOK, "written off by "+app.Operator().Name+" because the data centre burnt down; nothing was verified")
	is(grants.Revoked, "1")
	prodaccess(t, "audit", "list", "--grant", g.ID, "--kind", string(audit.GrantWrittenOff), "--config", p.config).
		wants(t, exitOK, "the data centre burnt down", app.Operator().ID)
	gone(g.ID, why, "--yes").wants(t, exitFailed, "is over since", "nothing to write off")
	is(grants.Revoked, "1")
}

// Without the store nothing is decided, and whoever asks is told what is missing and not what the password is.
func TestOperatingWithoutTheStore(t *testing.T) {
	p := setup(t)
	for _, args := range [][]string{
		{"targets", "trust", "orders-prod", "--yes"}, {"targets", "sweep", "--yes"}, {"grants", "write-off", "g0nothing0", "--reason=x", "--yes"},
	} {
		got := p.with(t, p.storeAt(t), "127.0.0.1:1/store", args...)
		got.wants(t, exitFailed, "the store", "127.0.0.1:1")
		if strings.Contains(got.out+got.err, "canary") {
			t.Errorf("a password is said: %s", got)
		}
	}
}

// storeAt is where the store is: host, port and database.
func (p place) storeAt(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(p.owner)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host + u.Path
}
