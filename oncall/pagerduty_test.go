package oncall

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/internal/secret"
)

const token = "u+NotARealToken123"

var noon = time.Date(2026, time.March, 4, 12, 0, 0, 0, time.UTC)

// server is PagerDuty's /oncalls, strict about what a client must send.
type server struct {
	*httptest.Server
	t       *testing.T
	calls   atomic.Int64
	mu      sync.Mutex
	entries []map[string]any
	// answer, when not nil, answers instead.
	answer http.HandlerFunc
}

func newServer(t *testing.T) *server {
	s := &server{t: t}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	s.mu.Lock()
	entries, answer := s.entries, s.answer
	s.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	q := r.URL.Query()
	for _, wrong := range []struct {
		is   bool
		what string
	}{
		{r.Method != http.MethodGet || r.URL.Path != "/oncalls", "another path"},
		{r.Header.Get("Authorization") != "Token token="+token, "no token"},
		{!strings.Contains(r.Header.Get("Accept"), "version=2"), "no version"},
		{len(q["schedule_ids[]"]) != 1, "no schedule"},
		{len(q["include[]"]) != 1 || q.Get("include[]") != "users", "users not included"},
		{q.Get("limit") != "100", "another page size"},
		{q.Has("earliest"), "earliest, which drops entries"},
	} {
		if wrong.is {
			s.t.Errorf("the client sent %s: %s %v", wrong.what, r.URL, r.Header)
			http.Error(w, wrong.what, http.StatusBadRequest)
			return
		}
	}
	since, err1 := time.Parse(time.RFC3339, q.Get("since"))
	until, err2 := time.Parse(time.RFC3339, q.Get("until"))
	if err1 != nil || err2 != nil || until.Before(since) {
		s.t.Errorf("since and until are %q and %q", q.Get("since"), q.Get("until"))
	}
	entries = slices.DeleteFunc(slices.Clone(entries), func(e map[string]any) bool {
		start, _ := e["start"].(string)
		end, _ := e["end"].(string)
		return start > until.UTC().Format(time.RFC3339) || end != "" && end < since.UTC().Format(time.RFC3339)
	})
	offset, _ := strconv.Atoi(q.Get("offset"))
	if offset%100 != 0 {
		s.t.Errorf("offset %d is not at a page", offset)
	}
	end := min(offset+100, len(entries))
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"oncalls": append([]map[string]any{}, entries[min(offset, end):end]...),
		"limit":   100, "offset": offset, "more": end < len(entries), "total": nil,
	})
}

func (s *server) set(entries ...map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries, s.answer = entries, nil
}

func (s *server) fail(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// on is an entry of schedule PABC from start to end, in hours from noon.
func on(id, email string, level int, start, end float64, change ...func(map[string]any)) map[string]any {
	at := func(hours float64) string {
		return noon.Add(time.Duration(hours * float64(time.Hour))).Format(time.RFC3339)
	}
	out := map[string]any{
		"user":     map[string]any{"id": id, "type": "user", "email": email},
		"schedule": map[string]any{"id": "PABC", "type": "schedule_reference"}, "escalation_level": level,
		"escalation_policy": map[string]any{"id": "PPOL"}, "start": at(start), "end": at(end),
	}
	for _, c := range change {
		c(out)
	}
	return out
}

func set(key string, value any) func(map[string]any) {
	return func(m map[string]any) { m[key] = value }
}

// clock is a clock that tests move.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return noon.Add(time.Duration(c.offset.Load())) }
func (c *clock) forward(d time.Duration) { c.offset.Add(int64(d)) }

func roster(t *testing.T, s *server, change ...func(*Config)) (*PagerDuty, *clock) {
	t.Helper()
	c := &clock{}
	cfg := Config{Token: secret.New(token), BaseURL: s.URL, Now: c.now}
	for _, f := range change {
		f(&cfg)
	}
	p, err := NewPagerDuty(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, c
}

var payments = Schedule{Name: "payments", ID: "PABC"}

func TestWhoCounts(t *testing.T) {
	t.Parallel()
	crowd := func(n int, last ...map[string]any) (out []map[string]any) {
		for i := range n {
			out = append(out, on(fmt.Sprint("PX", i), fmt.Sprintf("x%d@example.com", i), 1, -1, 1))
		}
		return append(out, last...)
	}
	for _, test := range []struct {
		name     string
		entries  []map[string]any
		levels   []int
		email    string
		override map[string]string
		on       bool
		unknown  string
	}{
		{name: "nobody", email: "ana@example.com"},
		{name: "on call", entries: crowd(0, on("PANA", "ana@example.com", 1, -1, 6)), email: "ana@example.com", on: true},
		{name: "case of the address", entries: crowd(0, on("PANA", "Ana@Example.COM", 1, -1, 6)), email: "aNA@example.com", on: true},
		{name: "somebody else", entries: crowd(3), email: "ana@example.com"},
		{name: "several on one level", entries: crowd(3, on("PANA", "ana@example.com", 1, -1, 6)), email: "ana@example.com", on: true},
		{name: "another level", entries: crowd(0, on("PANA", "ana@example.com", 2, -1, 6)), email: "ana@example.com"},
		{name: "a level that counts", entries: crowd(0, on("PANA", "ana@example.com", 2, -1, 6)), levels: []int{1, 2}, email: "ana@example.com", on: true},
		{name: "another schedule", entries: crowd(0, on("PANA", "ana@example.com", 1, -1, 6, set("schedule", map[string]any{"id": "PXYZ"}))), email: "ana@example.com"},
		{name: "no schedule", entries: crowd(0, on("PANA", "ana@example.com", 1, -1, 6, set("schedule", nil))), email: "ana@example.com"},
		{name: "permanently on call", entries: crowd(0, on("PANA", "ana@example.com", 1, -1, 6, set("start", nil), set("end", nil))), email: "ana@example.com"},
		{name: "no end", entries: crowd(0, on("PANA", "ana@example.com", 1, -1, 6, set("end", nil))), email: "ana@example.com"},
		{name: "ended", entries: crowd(0, on("PANA", "ana@example.com", 1, -6, 0)), email: "ana@example.com"},
		{name: "not begun", entries: crowd(0, on("PANA", "ana@example.com", 1, 0.01, 6)), email: "ana@example.com"},
		{name: "begins now", entries: crowd(0, on("PANA", "ana@example.com", 1, 0, 6)), email: "ana@example.com", on: true},
		{name: "on the last of many pages", entries: crowd(730, on("PANA", "ana@example.com", 1, -1, 6)), email: "ana@example.com", on: true},
		{name: "two accounts", entries: crowd(0, on("P1", "ana@example.com", 1, -1, 6), on("P2", "ANA@example.com", 1, -1, 6)), email: "ana@example.com", unknown: "several PagerDuty accounts"},
		{name: "two shifts of one account", entries: crowd(0, on("P1", "ana@example.com", 1, -1, 2), on("P1", "ana@example.com", 1, -1, 6)), email: "ana@example.com", on: true},
		{name: "override", entries: crowd(0, on("PANA", "other@example.com", 1, -1, 6)), email: "ANA@example.com", override: map[string]string{"Ana@example.com": "PANA"}, on: true},
		{name: "override to another account", entries: crowd(0, on("P1", "ana@example.com", 1, -1, 6)), email: "ana@example.com", override: map[string]string{"ana@example.com": "P2"}},
		{name: "address withheld", entries: crowd(0, on("P1", "", 1, -1, 6)), email: "ana@example.com", unknown: "did not say"},
		{name: "no address", entries: crowd(0, on("P1", "", 1, -1, 6)), email: "", unknown: "not known"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.set(test.entries...)
			p, _ := roster(t, s, func(c *Config) { c.Overrides = test.override })
			got := p.OnCall(t.Context(), Schedule{Name: "payments", ID: "PABC", Levels: test.levels}, test.email)
			if got.On != test.on || (got.Unknown != "") != (test.unknown != "") || !strings.Contains(got.Unknown, test.unknown) {
				t.Fatalf("got %+v", got)
			}
			if got.Schedule != "payments" || got.Source != "pagerduty PABC" || !got.AsOf.Equal(noon) {
				t.Errorf("the proof is %+v", got)
			}
			if test.on && (!got.End.Equal(noon.Add(6*time.Hour)) || got.Level == 0 || got.Start.IsZero()) {
				t.Errorf("the shift is %+v", got)
			}
		})
	}
}

func TestBurstMakesOneCall(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.set(on("PANA", "ana@example.com", 1, -1, 6))
	p, c := roster(t, s)
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if !p.OnCall(t.Context(), payments, "ana@example.com").On {
				t.Error("not on call")
			}
		})
	}
	wait.Wait()
	c.forward(59 * time.Second)
	if got := p.OnCall(t.Context(), payments, "ana@example.com"); !got.AsOf.Equal(noon) {
		t.Errorf("an answer from memory claims to be of %s", got.AsOf)
	}
	if n := s.calls.Load(); n != 1 {
		t.Fatalf("%d calls, wanted 1", n)
	}
	c.forward(time.Second)
	if got := p.OnCall(t.Context(), payments, "ana@example.com"); !got.AsOf.Equal(noon.Add(time.Minute)) || s.calls.Load() != 2 {
		t.Errorf("after a minute: %+v, %d calls", got, s.calls.Load())
	}
	c.forward(-time.Hour)
	p.OnCall(t.Context(), payments, "ana@example.com")
	if s.calls.Load() != 3 {
		t.Error("a clock that was put back kept an old answer alive")
	}
}

// TestHandOver looks at shifts that end and begin while the answer is in memory.
func TestHandOver(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	soon := 20.0 / 3600
	s.set(on("PANA", "ana@example.com", 1, -1, soon), on("PBO", "bo@example.com", 1, soon, 6))
	p, c := roster(t, s)
	check := func(ana, bo bool) {
		t.Helper()
		if p.OnCall(t.Context(), payments, "ana@example.com").On != ana || p.OnCall(t.Context(), payments, "bo@example.com").On != bo {
			t.Errorf("at %s ana and bo should be %t and %t", c.now(), ana, bo)
		}
	}
	check(true, false)
	c.forward(19 * time.Second)
	check(true, false)
	c.forward(time.Second)
	check(false, true)
	if n := s.calls.Load(); n != 1 {
		t.Errorf("%d calls, wanted 1", n)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
			_, _ = fmt.Fprint(w, body)
		}
	}
	echo := `{"error":{"code":2006,"message":"Token token=` + token + `"}}`
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		why    string
	}{
		"slow":         {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "did not answer within 300 ms"},
		"rate limit":   {status(429, echo), "slow down"},
		"fault":        {status(503, "<html>"), "fault of its own (503)"},
		"wrong token":  {status(401, echo), "does not accept our token"},
		"not allowed":  {status(403, echo), "does not accept our token"},
		"no schedule":  {status(404, echo), "does not know the schedule"},
		"bad request":  {status(400, echo), "refused the question (400)"},
		"redirect":     {status(302, ""), "refused the question (302)"},
		"not JSON":     {status(200, "<html>"+token), "could not be understood"},
		"empty":        {status(200, ""), "could not be understood"},
		"no list":      {status(200, "{}"), "could not be understood"},
		"null list":    {status(200, `{"oncalls":null}`), "could not be understood"},
		"other types":  {status(200, `{"oncalls":[{"escalation_level":"one"}]}`), "could not be understood"},
		"bad time":     {status(200, `{"oncalls":[{"user":{"id":"P1"},"schedule":{"id":"PABC"},"escalation_level":1,"start":"soon","end":"late"}]}`), "could not be understood"},
		"no end":       {status(200, `{"more":true,"oncalls":[{"schedule":{"id":"PABC"}}]}`), "no end"},
		"more of none": {status(200, `{"more":true,"oncalls":[]}`), "could not be understood"},
		"cut off":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "could not be reached"},
		"cut in a page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "999")
			_, _ = fmt.Fprint(w, `{"oncalls":[`)
		}, "could not be understood"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.fail(test.answer)
			p, c := roster(t, s, func(c *Config) { c.Timeout = 300 * time.Millisecond })
			if name != "slow" {
				p.client.timeout = 20 * time.Second
			}
			got := p.OnCall(t.Context(), payments, "ana@example.com")
			if got.On || !strings.Contains(got.Unknown, test.why) {
				t.Fatalf("got %+v, wanted %q", got, test.why)
			}
			if everything := fmt.Sprintf("%+v", got); strings.Contains(everything, token) || strings.Contains(everything, "http") {
				t.Errorf("the answer says too much: %s", everything)
			}
			calls := s.calls.Load()
			s.set(on("PANA", "ana@example.com", 1, -1, 6))
			c.forward(2 * time.Second)
			if got := p.OnCall(t.Context(), payments, "ana@example.com"); got.Unknown == "" || s.calls.Load() != calls {
				t.Errorf("a failure was not remembered for a moment: %+v", got)
			}
			c.forward(time.Second)
			if got := p.OnCall(t.Context(), payments, "ana@example.com"); !got.On {
				t.Errorf("a failure was remembered for long: %+v", got)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p, _ := roster(t, s)
	s.Close()
	if got := p.OnCall(t.Context(), payments, "ana@example.com"); got.Unknown != "PagerDuty could not be reached" || got.On {
		t.Errorf("got %+v", got)
	}
}

// TestImpatient leaves while the answer is on its way; who stays still gets it, from the same call.
func TestImpatient(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	arrived, answer := make(chan struct{}), make(chan struct{})
	s.fail(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-answer
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"oncalls": []any{on("PANA", "ana@example.com", 1, -1, 6)}})
	})
	p, _ := roster(t, s, func(c *Config) { c.Timeout = 20 * time.Second })
	ctx, leave := contextWithCancel(t)
	first := make(chan Status)
	go func() { first <- p.OnCall(ctx, payments, "ana@example.com") }()
	<-arrived
	second := make(chan Status)
	go func() { second <- p.OnCall(t.Context(), payments, "ana@example.com") }()
	leave()
	if got := <-first; got.Unknown == "" || got.On {
		t.Errorf("who left got %+v", got)
	}
	close(answer)
	if got := <-second; !got.On {
		t.Errorf("who stayed got %+v", got)
	}
}

func TestHalfSafe(t *testing.T) {
	t.Parallel()
	good := Config{Token: secret.New(token), Now: time.Now}
	if _, err := NewPagerDuty(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"no token":         func(c *Config) { c.Token = secret.String{} },
		"no clock":         func(c *Config) { c.Now = nil },
		"long memory":      func(c *Config) { c.CacheFor = time.Hour },
		"negative memory":  func(c *Config) { c.CacheFor = -1 },
		"negative timeout": func(c *Config) { c.Timeout = -1 },
		"plain text":       func(c *Config) { c.BaseURL = "http://pagerduty.example.com" },
		"no host":          func(c *Config) { c.BaseURL = "pagerduty" },
		"password":         func(c *Config) { c.BaseURL = "https://me:" + token + "@example.com" },
	} {
		cfg := good
		change(&cfg)
		if _, err := NewPagerDuty(cfg); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain := good
	plain.BaseURL, plain.AllowPlainText = "http://pagerduty.example.com/", true
	p, err := NewPagerDuty(plain)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v", p, p, p); strings.Contains(text, token) {
		t.Errorf("the roster prints its token: %s", text)
	}
}
