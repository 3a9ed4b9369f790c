package oncall

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/prodaccess/prodaccess/internal/secret"
)

const routingKey = "0123456789abcdefCANARYcanary9876"

// events is PagerDuty's /v2/enqueue, which keeps what it is sent.
type events struct {
	*httptest.Server
	mu     sync.Mutex
	got    []map[string]any
	answer http.HandlerFunc
}

func newEvents(t *testing.T) *events {
	t.Helper()
	e := &events{answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"status":"success","message":"Event processed","dedup_key":"x"}`)
	}}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var event map[string]any
		if r.Method != http.MethodPost || r.URL.Path != "/v2/enqueue" || r.Header.Get("Authorization") != "" || json.NewDecoder(r.Body).Decode(&event) != nil {
			t.Errorf("got %s %s %v", r.Method, r.URL, r.Header)
		}
		e.mu.Lock()
		e.got = append(e.got, event)
		answer := e.answer
		e.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *events) incidents(t *testing.T, change ...func(*IncidentsConfig)) *Incidents {
	t.Helper()
	cfg := IncidentsConfig{RoutingKey: secret.New(routingKey), EventsURL: e.URL + "/"}
	for _, f := range change {
		f(&cfg)
	}
	i, err := NewIncidents(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

var broken = Incident{
	Request: "abc123", Who: "Ana", Email: "ana@example.com", Target: "orders-prod", Access: "data-fix", At: noon,
	For: time.Hour, Until: noon.Add(time.Hour), Reason: "checkout is failing", Ticket: "INC-1", ReviewBy: noon.Add(24 * time.Hour),
}

func TestIncidentIsOpenedAndResolved(t *testing.T) {
	t.Parallel()
	e := newEvents(t)
	i := e.incidents(t)
	if err := i.Open(t.Context(), broken); err != nil {
		t.Fatal(err)
	}
	if err := i.Resolve(t.Context(), "abc123"); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{{
		"routing_key": routingKey, "event_action": "trigger", "dedup_key": "prodaccess-break-glass-abc123", "client": "prodaccess",
		"payload": map[string]any{
			"summary": "Ana broke glass: data-fix on orders-prod. checkout is failing", "severity": "critical", "source": "orders-prod",
			"component": "prodaccess", "class": "break-glass", "timestamp": "2026-03-04T12:00:00Z",
			"custom_details": map[string]any{
				"request": "abc123", "who": "Ana", "email": "ana@example.com", "target": "orders-prod", "access": "data-fix",
				"broken_at": "2026-03-04T12:00:00Z", "lasts": "1h0m0s", "until": "2026-03-04T13:00:00Z", "reason": "checkout is failing",
				"ticket": "INC-1", "review_due": "2026-03-05T12:00:00Z",
			},
		},
	}, {"routing_key": routingKey, "event_action": "resolve", "dedup_key": "prodaccess-break-glass-abc123"}}
	if diff := cmp.Diff(want, e.got); diff != "" {
		t.Error(diff)
	}
}

func TestIncidentFitsPagerDuty(t *testing.T) {
	t.Parallel()
	e := newEvents(t)
	in := broken
	in.Reason, in.Until, in.Ticket = strings.Repeat("é", 3000)+"\xff", time.Time{}, ""
	if err := e.incidents(t).Open(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	payload := e.got[0]["payload"].(map[string]any)
	if summary := payload["summary"].(string); utf8.RuneCountInString(summary) != 1024 || !strings.HasSuffix(summary, "é…") {
		t.Errorf("a summary of %d characters", utf8.RuneCountInString(summary))
	}
	details := payload["custom_details"].(map[string]any)
	if _, ticket := details["ticket"]; ticket || details["until"] != "not taken yet" {
		t.Errorf("details %v", details)
	}
}

// Every way in which it goes wrong is one of the list, says whether to try again, and tells nothing of what was sent.
func TestFailuresOfIncidents(t *testing.T) {
	t.Parallel()
	said := func(status int, body string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body+"{{ and "+routingKey+" back }}")
		}
	}
	invalid := func(words string) string {
		return fmt.Sprintf(`{"status":"invalid event","message":"Event object is invalid","errors":[%q]}`, words)
	}
	for name, tc := range map[string]struct {
		answer  http.HandlerFunc
		want    Failure
		passing bool
	}{
		"slow down":        {said(429, "", "Retry-After", "7"), Failure{Busy, 429, 7 * time.Second}, true},
		"slow down much":   {said(429, "", "Retry-After", "999999999"), Failure{Busy, 429, 10 * time.Minute}, true},
		"slow down badly":  {said(429, "", "Retry-After", "-5"), Failure{Busy, 429, 0}, true},
		"slow down oddly":  {said(429, "", "Retry-After", "soon"), Failure{Busy, 429, 0}, true},
		"slow down till":   {said(429, "", "Retry-After", "Fri, 31 Dec 2100 23:59:59 GMT"), Failure{Busy, 429, 10 * time.Minute}, true},
		"a fault":          {said(500, "<html>"), Failure{Faulty, 500, 0}, true},
		"away":             {said(503, "", "Retry-After", "30"), Failure{Faulty, 503, 30 * time.Second}, true},
		"their time-out":   {said(408, ""), Failure{Late, 408, 0}, true},
		"key too short":    {said(400, invalid("Length of 'routing_key' is incorrect (should be 32 characters)")), Failure{BadKey, 400, 0}, false},
		"key unknown":      {said(400, invalid("Invalid routing key")), Failure{BadKey, 400, 0}, false},
		"not authorised":   {said(401, ""), Failure{BadKey, 401, 0}, false},
		"forbidden":        {said(403, ""), Failure{BadKey, 403, 0}, false},
		"bad event":        {said(400, invalid("'payload.severity' is invalid")), Failure{Refused, 400, 0}, false},
		"not found":        {said(404, ""), Failure{Refused, 404, 0}, false},
		"too large":        {said(413, ""), Failure{Refused, 413, 0}, false},
		"sent elsewhere":   {said(302, "", "Location", "/v2/enqueue"), Failure{Refused, 302, 0}, false},
		"somebody else":    {said(200, "<html>"), Failure{Garbled, 200, 0}, true},
		"accepts nonsense": {said(202, "<html>"), Failure{Garbled, 202, 0}, true},
		"accepts nothing":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202); _, _ = io.WriteString(w, `{}`) }, Failure{Garbled, 202, 0}, true},
		"hangs up": {func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}, Failure{Unreachable, 0, 0}, true},
		"silent": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, Failure{Late, 0, 0}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEvents(t)
			e.answer = tc.answer
			i := e.incidents(t, func(cfg *IncidentsConfig) {
				if name == "silent" {
					cfg.Timeout = 50 * time.Millisecond
				}
			})
			for _, err := range []error{i.Open(t.Context(), broken), i.Resolve(t.Context(), "abc123")} {
				got, ok := errors.AsType[*Failure](err)
				if !ok || *got != tc.want || got.Passing() != tc.passing {
					t.Errorf("got %+v", err)
				}
				if words := fmt.Sprintf("%v %+v %#v", err, err, got); strings.Contains(words, "CANARY") || strings.Contains(words, "127.0.0.1") {
					t.Errorf("tells too much: %s", words)
				}
			}
			if words := fmt.Sprintf("%v %+v %#v", i, *i, *i); strings.Contains(words, "CANARY") {
				t.Errorf("prints the key: %s", words)
			}
		})
	}
}

func TestIncidentsToNobody(t *testing.T) {
	t.Parallel()
	e := newEvents(t)
	i := e.incidents(t)
	e.Close()
	if got, ok := errors.AsType[*Failure](i.Open(t.Context(), broken)); !ok || got.Why != Unreachable || !got.Passing() {
		t.Errorf("nobody there: %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, ok := errors.AsType[*Failure](i.Open(ctx, broken)); !ok || !got.Passing() {
		t.Errorf("cut off: %v", got)
	}
}

func TestIncidentsAreConfiguredWhole(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]IncidentsConfig{
		"no key":         {},
		"plain text":     {RoutingKey: secret.New(routingKey), EventsURL: "http://events.example.com"},
		"user in it":     {RoutingKey: secret.New(routingKey), EventsURL: "https://u:CANARY@events.example.com"},
		"no host":        {RoutingKey: secret.New(routingKey), EventsURL: "events"},
		"patience":       {RoutingKey: secret.New(routingKey), Timeout: time.Minute},
		"negative":       {RoutingKey: secret.New(routingKey), Timeout: -1},
		"query of a key": {RoutingKey: secret.New(routingKey), EventsURL: "https://events.example.com?key=CANARY"},
	} {
		if _, err := NewIncidents(cfg); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", name, err)
		}
	}
	i, err := NewIncidents(IncidentsConfig{RoutingKey: secret.New(routingKey)})
	if err != nil || i.url != "https://events.pagerduty.com" || i.timeout != 10*time.Second {
		t.Errorf("by default: %+v, %v", i, err)
	}
	if _, err := NewIncidents(IncidentsConfig{RoutingKey: secret.New(routingKey), EventsURL: "http://events.example.com", AllowPlainText: true}); err != nil {
		t.Errorf("plain text that is meant: %v", err)
	}
}
