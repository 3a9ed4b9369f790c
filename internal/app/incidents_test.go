package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/config"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/internal/localpg"
	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/migrations"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/sandbox"
	"github.com/prodaccess/prodaccess/store"
)

var noon = time.Date(2026, time.March, 4, 12, 0, 0, 0, time.UTC)

// bundle is an app with a store and a PagerDuty, and nothing running in it.
type bundle struct {
	*App
	t   *testing.T
	pd  *sandbox.PagerDuty
	log *strings.Builder
}

func setup(t *testing.T) *bundle {
	t.Helper()
	srv := localpg.Shared(t)
	template := localpg.Template(t, srv, "app_template", func(url string) error {
		return migrations.Up(context.Background(), secret.New(url), "", func(string) {})
	})
	st, err := store.Open(t.Context(), store.Config{URL: secret.New(srv.URL(localpg.NewDatabase(t, srv, template))), Log: zerolog.Nop(), MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	pd, err := sandbox.NewPagerDuty(sandbox.PagerDutyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pd.Close)
	b := &bundle{t: t, pd: pd, log: &strings.Builder{}}
	b.App = &App{store: st, log: zerolog.New(b.log), now: func() time.Time { return noon }}
	b.key(pd.RoutingKey())
	return b
}

// key gives the app a routing key, or takes it away.
func (b *bundle) key(key string) {
	b.t.Helper()
	incidents, err := newIncidents(config.Config{PagerDuty: config.PagerDuty{RoutingKey: secret.New(key), EventsURL: b.pd.URL()}})
	if err != nil {
		b.t.Fatal(err)
	}
	if incidents != nil {
		b.t.Cleanup(incidents.Close)
	}
	b.incidents = incidents
}

// broken is glass that Ana broke.
func (b *bundle) broken() approvals.Request {
	b.t.Helper()
	source := []byte("version: 1\n")
	sum := sha256.Sum256(source)
	hash := hex.EncodeToString(sum[:])
	if err := b.store.KeepPolicy(b.t.Context(), hash, source, noon); err != nil {
		b.t.Fatal(err)
	}
	r := approvals.Request{
		ID: "abc123", Key: "k1", State: approvals.Approved, BreakGlass: true,
		Requester: approvals.Person{ID: "U0ANA", Name: "Ana", Email: "ana@example.com"},
		Target:    "orders-prod", Engine: "postgres", Profile: "data-fix", Duration: time.Hour, Reason: "checkout is failing", Source: "slack:socket",
		Decision: policy.Decision{
			Outcome: policy.Approved, Rule: policy.BreakGlassRule, Why: "Glass.", Policy: hash, Duration: time.Hour,
			Review: &policy.Review{Reviewers: []string{"group:security"}, Within: 24 * time.Hour, Notify: []string{"security_channel", "pagerduty"}},
		},
		FiledAt: noon, ApprovedAt: noon, LapsesAt: noon.Add(10 * time.Minute),
	}
	_, _, err := b.store.CreateRequest(b.t.Context(), approvals.Change{
		Request: r, Review: &approvals.Review{OpenedAt: noon, DueAt: noon.Add(24 * time.Hour)},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *bundle) close(id string) {
	b.t.Helper()
	_, err := b.store.ChangeCase(b.t.Context(), id, func(c approvals.Case) (approvals.Change, error) {
		c.Review.ClosedAt, c.Review.Verdict, c.Review.Note = noon.Add(time.Hour), approvals.Justified, "fine"
		c.Review.ClosedBy = approvals.Person{ID: "U00BO", Name: "Bo"}
		return approvals.Change{Request: c.Request, Review: c.Review}, nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// recorded are the kinds of what was recorded, oldest first.
func (b *bundle) recorded() string {
	b.t.Helper()
	events, err := b.store.Events(b.t.Context(), audit.Filter{})
	if err != nil {
		b.t.Fatal(err)
	}
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, string(e.Kind))
	}
	return strings.Join(kinds, " ")
}

func (b *bundle) findings() (n int) {
	b.t.Helper()
	err := b.store.Pool().QueryRow(b.t.Context(), `SELECT count(*) FROM river_job WHERE args ->> 'work' = 'finding'`).Scan(&n)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

func (b *bundle) run(request string) error {
	return b.work(b.t.Context(), jobs.Job{Kind: jobs.Incident, Subject: request})
}

func TestIncidentLivesAsLongAsTheReview(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.broken()
	for range 2 { // a job runs at least once
		if err := b.run(r.ID); err != nil {
			t.Fatal(err)
		}
	}
	open := b.pd.Incidents()
	if len(open) != 1 || open[0].State != sandbox.Triggered || open[0].Key != "prodaccess-break-glass-abc123" || open[0].Severity != "critical" {
		t.Fatalf("opened %+v", open)
	}
	for key, want := range map[string]string{
		"who": "Ana", "target": "orders-prod", "access": "data-fix", "reason": "checkout is failing", "lasts": "1h0m0s", "review_due": "2026-03-05T12:00:00Z",
	} {
		if got := open[0].Details[key]; got != want {
			t.Errorf("%s is %v, want %s", key, got, want)
		}
	}
	b.close(r.ID)
	for range 2 {
		if err := b.run(r.ID); err != nil {
			t.Fatal(err)
		}
	}
	if ended := b.pd.Incidents(); len(ended) != 1 || ended[0].State != sandbox.Resolved {
		t.Errorf("after the review: %+v", ended)
	}
	if got := b.recorded(); got != "incident.opened incident.resolved" {
		t.Errorf("recorded %q", got)
	}
}

// A review that is closed while its incident is being opened leaves none open: the job of its closing may have come first.
func TestIncidentOfAReviewThatClosesMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.broken()
	target, err := url.Parse(b.pd.URL())
	if err != nil {
		t.Fatal(err)
	}
	pd, once := httputil.NewSingleHostReverseProxy(target), sync.Once{}
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		once.Do(func() { b.close(r.ID) })
		pd.ServeHTTP(w, req)
	}))
	t.Cleanup(slow.Close)
	if b.incidents, err = newIncidents(config.Config{PagerDuty: config.PagerDuty{
		RoutingKey: secret.New(b.pd.RoutingKey()), EventsURL: slow.URL,
	}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.incidents.Close)
	if err := b.run(r.ID); err != nil {
		t.Fatal(err)
	}
	if all := b.pd.Incidents(); len(all) != 1 || all[0].State != sandbox.Resolved || b.recorded() != "incident.opened incident.resolved" {
		t.Errorf("recorded %q, left %+v", b.recorded(), all)
	}
}

// An outage passes: the job is tried again, not sooner than PagerDuty asks, and nobody is told of it.
func TestIncidentWaitsForPagerDuty(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.broken()
	for want, fault := range map[time.Duration]sandbox.Fault{
		tellAgain:        {Status: 503},
		45 * time.Second: {Status: 429, RetryAfter: 45 * time.Second},
	} {
		b.pd.FailEvents(fault)
		err := b.run(r.ID)
		if err == nil {
			t.Fatalf("%+v: told", fault)
		}
		if pause, again := b.pause(t.Context(), jobs.Job{Kind: jobs.Incident, Subject: r.ID}, err); pause != want || !again {
			t.Errorf("%+v: again %v, after %s", fault, again, pause)
		}
		b.pd.Heal()
	}
	if got := b.recorded(); got != "" || b.findings() != 0 {
		t.Errorf("recorded %q, %d findings", got, b.findings())
	}
	if err := b.run(r.ID); err != nil || len(b.pd.Incidents()) != 1 {
		t.Errorf("when it is back: %v, %+v", err, b.pd.Incidents())
	}
}

// What PagerDuty will never take goes to the security channel, and is not tried again.
func TestIncidentThatCannotBeOpenedIsSaidElsewhere(t *testing.T) {
	t.Parallel()
	const stranger = "CANARYcanaryCANARYcanary01234567"
	for name, tc := range map[string]struct{ key, want string }{
		"another key": {stranger, "it does not accept the routing key (400)"},
		"no key":      {"", "pagerduty.routing_key is not configured"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			r := b.broken()
			b.key(tc.key)
			for range 2 { // a job runs at least once
				b.must(b.run(r.ID))
			}
			if got := b.recorded(); got != "incident.failed" || b.findings() != 1 {
				t.Fatalf("recorded %q, %d findings", got, b.findings())
			}
			events, err := b.store.Events(t.Context(), audit.Filter{Request: r.ID})
			if err != nil {
				t.Fatal(err)
			}
			words, err := findings{b.App}.Finding(t.Context(), fmt.Sprint(events[0].ID))
			if err != nil || !strings.Contains(words, tc.want) || !strings.Contains(words, "abc123") || !strings.Contains(words, "orders-prod") {
				t.Errorf("said %q, %v", words, err)
			}
			if all := words + b.log.String() + fmt.Sprint(events); strings.Contains(all, "CANARY") {
				t.Errorf("tells the key: %s", all)
			}
			if !strings.Contains(b.log.String(), r.ID) {
				t.Errorf("logged %q", b.log.String())
			}
		})
	}
}

func TestNoIncidentWithoutAReview(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.run("nobody"); err == nil {
		t.Error("of a request that is not there")
	}
	r := b.broken()
	b.close(r.ID)
	b.key("")
	if err := b.run(r.ID); err != nil || b.recorded() != "incident.none" || b.findings() != 0 {
		t.Errorf("closed, and no key: %v, %q", err, b.recorded())
	}
}

// What is recorded of the end is what happened: an incident that was never opened is not resolved.
func TestWhatWasNotOpenedIsNotResolved(t *testing.T) {
	t.Parallel()
	refused, outage := sandbox.Fault{Status: 400}, sandbox.Fault{Status: 503}
	for name, tc := range map[string]struct {
		open   func(b *bundle, r approvals.Request)
		closed *sandbox.Fault // what PagerDuty does when the review is over
		keyed  bool
		want   string
		calls  int // how often PagerDuty is asked to resolve
		finds  int
	}{
		"opening it was refused": {
			func(b *bundle, r approvals.Request) { b.pd.FailEvents(refused); b.must(b.run(r.ID)); b.pd.Heal() },
			nil, true, "incident.failed incident.none", 0, 1,
		},
		"closed during an outage": {
			func(b *bundle, r approvals.Request) {
				b.pd.FailEvents(outage)
				if b.run(r.ID) == nil {
					b.t.Error("opened during an outage")
				}
				b.pd.Heal()
			}, nil, true, "incident.none", 1, 0,
		},
		"nothing was ever tried, and it refuses": {func(*bundle, approvals.Request) {}, &refused, true, "incident.none", 1, 0},
		"opened, and not recorded": {
			func(b *bundle, r approvals.Request) {
				c, err := b.store.Case(b.t.Context(), r.ID)
				b.must(err)
				b.must(b.incidents.Open(b.t.Context(), incidentOf(c)))
			}, nil, true, "incident.none", 1, 0,
		},
		"opened, and it refuses to resolve": {
			func(b *bundle, r approvals.Request) { b.must(b.run(r.ID)) }, &refused, true, "incident.opened incident.failed", 1, 1,
		},
		"opened, and the key is gone": {
			func(b *bundle, r approvals.Request) { b.must(b.run(r.ID)) }, nil, false, "incident.opened incident.failed", 0, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			r := b.broken()
			tc.open(b, r)
			b.close(r.ID)
			if !tc.keyed {
				b.key("")
			}
			if tc.closed != nil {
				b.pd.FailEvents(*tc.closed)
			}
			before := b.pd.Events()
			b.must(b.run(r.ID))
			if got, calls := b.recorded(), b.pd.Events()-before; got != tc.want || calls != tc.calls || b.findings() != tc.finds {
				t.Errorf("recorded %q, asked %d times, %d findings", got, calls, b.findings())
			}
			for _, open := range b.pd.Incidents() {
				if open.State != sandbox.Resolved && tc.finds == 0 {
					t.Errorf("left open, and nobody is told: %+v", open)
				}
			}
			if tc.finds == 0 {
				return
			}
			events, err := b.store.Events(t.Context(), audit.Filter{Request: r.ID, Kind: audit.IncidentFailed})
			b.must(err)
			words, err := findings{b.App}.Finding(t.Context(), fmt.Sprint(events[0].ID))
			b.must(err)
			if resolve := strings.Contains(words, "Resolve the incident there yourselves"); resolve != strings.Contains(tc.want, "opened") {
				t.Errorf("said %q", words)
			}
		})
	}
}

func (b *bundle) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestDeafPagerIsSaid(t *testing.T) {
	t.Parallel()
	const text = `version: 1
groups: { dba: { emails: [bo@example.com] }, security: { emails: [cy@example.com] } }
profiles: [{ name: read-only, risk: low, engines: [postgres], max_duration: 4h, grants: [{ schema: public, tables: "*", privileges: [select] }] }]
rules: [{ name: all, who: [group:dba], profiles: [read-only], approve: automatically }]
`
	const glass = `break_glass: { who: [group:dba], profiles: [read-only], max_duration: 1h, review_within: 24h, reviewers: [group:security], notify: [security_channel%s] }
`
	key := secret.New(strings.Repeat("a", 32))
	for name, tc := range map[string]struct {
		text string
		key  secret.String
		deaf bool
	}{
		"no glass":      {text, secret.String{}, false},
		"channel only":  {text + fmt.Sprintf(glass, ""), secret.String{}, false},
		"deaf":          {text + fmt.Sprintf(glass, ", pagerduty"), secret.String{}, true},
		"all is well":   {text + fmt.Sprintf(glass, ", pagerduty"), key, false},
		"key for later": {text, key, false},
	} {
		p, _, err := policy.Load([]byte(tc.text), "policy.yaml")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := DeafPager(config.Config{PagerDuty: config.PagerDuty{RoutingKey: tc.key}}, p); (got != "") != tc.deaf {
			t.Errorf("%s: %q", name, got)
		}
	}
}
