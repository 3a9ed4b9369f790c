package store_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

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

const (
	serviceLogin    = "prodaccess_service"
	servicePassword = "a-password-for-tests"
)

var (
	policySource = []byte("version: 1\n")
	policyHash   = func() string { sum := sha256.Sum256(policySource); return hex.EncodeToString(sum[:]) }()
	noon         = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	ana          = approvals.Person{ID: "U0ANA", Name: "Ana", Email: "ana@example.com", Zone: "Europe/Paris"}
	bo           = approvals.Person{ID: "U00BO", Name: "Bo", Email: "bo@example.com"}
	cy           = approvals.Person{ID: "U00CY", Name: "Cy", Email: "cy@example.com"}
)

// bundle is a store on a database of its own, connected as the service's login.
type bundle struct {
	*store.Store
	t testing.TB
	// owner and service are URLs of the database.
	owner, service string
}

func setup(t testing.TB) *bundle {
	t.Helper()
	srv := localpg.Shared(t)
	template := localpg.Template(t, srv, "store_template", func(url string) error {
		if err := execute(context.Background(), url, `CREATE ROLE `+serviceLogin+` LOGIN PASSWORD '`+localpg.Verifier(servicePassword)+`'`); err != nil {
			return err
		}
		return migrations.Up(context.Background(), secret.New(url), serviceLogin, func(string) {})
	})
	db := localpg.NewDatabase(t, srv, template)
	b := &bundle{t: t, owner: srv.URL(db), service: srv.UserURL(serviceLogin, servicePassword, db)}
	b.Store = b.open(20)
	if err := b.KeepPolicy(t.Context(), policyHash, policySource, noon); err != nil {
		t.Fatal(err)
	}
	return b
}

// open gives another replica on the same database.
func (b *bundle) open(conns int) *store.Store {
	b.t.Helper()
	st, err := store.Open(b.t.Context(), store.Config{URL: secret.New(b.service), Log: zerolog.Nop(), MaxConns: conns})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(st.Close)
	return st
}

func execute(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql)
	return err
}

// asOwner runs statements as the superuser who owns the tables.
func (b *bundle) asOwner(sql string) {
	b.t.Helper()
	if err := execute(b.t.Context(), b.owner, sql); err != nil {
		b.t.Fatalf("%s: %v", sql, err)
	}
}

// lock holds what a statement locks until it is let go.
func (b *bundle) lock(sql string, args ...any) (letGo func()) {
	b.t.Helper()
	conn, err := pgx.Connect(b.t.Context(), b.owner)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	tx, err := conn.Begin(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := tx.Exec(b.t.Context(), sql, args...); err != nil {
		b.t.Fatalf("%s: %v", sql, err)
	}
	return func() {
		b.t.Helper()
		if err := tx.Rollback(b.t.Context()); err != nil {
			b.t.Error(err)
		}
	}
}

// count is the only number of a query.
func (b *bundle) count(sql string, args ...any) int {
	b.t.Helper()
	var n int
	conn, err := pgx.Connect(b.t.Context(), b.owner)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(b.t.Context(), sql, args...).Scan(&n); err != nil {
		b.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func newID() string { return strings.ToLower(rand.Text()[:12]) }

// pending is a request by Ana that Bo or Cy has to approve.
func pending() approvals.Request {
	id := newID()
	return approvals.Request{
		ID: id, Key: "delivery-" + id, State: approvals.Pending, Requester: ana, Target: "orders-prod", Engine: "postgres",
		Profile: "read-only", Duration: 30 * time.Minute, Ticket: "INC-1", Reason: "checkout is failing",
		Params: map[string]string{"customer_id": "7"}, Source: "slack:socket",
		Decision: policy.Decision{
			Outcome: policy.NeedsApproval, Rule: "two people", Why: "Rule two people asks for two.",
			Steps:     []policy.Step{{Rule: "two people", Matched: true, Why: "ana@example.com is in group backend"}},
			Approvals: []policy.Requirement{{From: []string{"group:dba"}, Count: 2}},
			Duration:  30 * time.Minute, MaxDuration: time.Hour, Policy: policyHash,
		},
		FiledAt: noon, LapsesAt: noon.Add(time.Hour),
	}
}

// approvedRequest is one that the policy approved at once.
func approvedRequest() approvals.Request {
	r := pending()
	r.State, r.ApprovedAt = approvals.Approved, noon
	r.Decision.Outcome, r.Decision.Approvals = policy.Approved, nil
	return r
}

func event(kind audit.Kind, request string) audit.Event {
	return audit.Event{
		At: noon, Kind: kind, Actor: audit.Actor{Kind: "person", ID: ana.ID, Name: ana.Name, Email: ana.Email},
		Source: "slack:socket", Request: request, Target: "orders-prod", Profile: "read-only", Reason: "checkout is failing",
		Policy: policyHash, Rule: "two people", Detail: map[string]string{"duration": "30m"},
	}
}

func draw(request string) jobs.Job { return jobs.Job{Kind: jobs.Draw, Subject: request} }

func (b *bundle) file(r approvals.Request) approvals.Case {
	b.t.Helper()
	c, created, err := b.CreateRequest(b.t.Context(), approvals.Change{
		Request: r, Events: []audit.Event{event(audit.RequestFiled, r.ID)},
		Jobs: []jobs.Job{draw(r.ID), {Kind: jobs.Lapse, Subject: r.ID, At: r.LapsesAt}},
	})
	if err != nil || !created {
		b.t.Fatalf("filing: created %v, %v", created, err)
	}
	return c
}

// intent is a new grant of a request.
func intent(r approvals.Request, deadline time.Time) *grants.Grant {
	id := newID()
	return &grants.Grant{
		ID: id, Request: r.ID, Holder: grants.Holder{ID: r.Requester.ID, Name: r.Requester.Name, Email: r.Requester.Email},
		State: grants.Provisioning, Target: r.Target, Engine: r.Engine, Database: "orders", Fingerprint: "7300000000000000001",
		Profile: r.Profile, ProfileVersion: "v1", AccessRole: grants.AccessRole(r.Profile),
		Login: grants.LoginName(r.Requester.Name, id), ConnectionLimit: 3, Intended: noon, Deadline: deadline,
	}
}

// provisioned files, approves and activates a request of Ana's.
func (b *bundle) provisioned(deadline time.Time) grants.Grant {
	b.t.Helper()
	r := approvedRequest()
	b.file(r)
	c, err := b.ChangeCase(b.t.Context(), r.ID, func(c approvals.Case) (approvals.Change, error) {
		c.Request.State = approvals.Activated
		g := intent(c.Request, deadline)
		return approvals.Change{
			Request: c.Request, Grant: g, Events: []audit.Event{event(audit.GrantIntended, r.ID)},
			Jobs: []jobs.Job{draw(r.ID), {Kind: jobs.Recover, Subject: g.ID, At: noon.Add(time.Minute)}},
		}, nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return *c.Grant
}

// active is a grant whose login exists.
func (b *bundle) active(deadline time.Time) grants.Grant {
	b.t.Helper()
	g := b.provisioned(deadline)
	g, err := b.ChangeGrant(b.t.Context(), g.ID, func(g grants.Grant) (grants.Change, error) {
		g.State, g.OID, g.IssuedAt = grants.Active, 16422, noon.Add(time.Second)
		return grants.Change{Grant: g, Events: []audit.Event{event(audit.GrantIssued, g.Request)}, Jobs: []jobs.Job{draw(g.Request)}}, nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return g
}

// end moves a live grant to revoking.
func end(g grants.Grant, at time.Time, cause grants.Cause) grants.Change {
	g.State, g.EndingAt, g.Cause, g.EndedBy = grants.Revoking, at, cause, audit.System("reaper")
	e := event(audit.GrantEnding, g.Request)
	e.Grant, e.At = g.ID, at
	return grants.Change{Grant: g, Events: []audit.Event{e}, Jobs: []jobs.Job{draw(g.Request), {Kind: jobs.Revoke, Subject: g.ID}}}
}

func sha256hex(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
