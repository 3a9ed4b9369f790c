package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// DefaultPagerDutyToken is the API key a [PagerDuty] takes unless its options say otherwise.
const DefaultPagerDutyToken = "sandbox-pagerduty-key"

// PagerDutyOptions say what the stand-in is like. The zero value is the real clock and the default token.
type PagerDutyOptions struct {
	Now        func() time.Time
	Token      string
	RoutingKey string // 32 letters and digits
	Listen     string // host:port; a free loopback port when empty
}

// Shift is one on-call entry. A user without a schedule is on call directly on the escalation policy; without start
// and end they are so permanently.
type Shift struct {
	User         string // the id given by AddUser
	Schedule     string // id; empty for none
	Policy       string // id of the escalation policy; "PPOLICY" when empty
	Level        int    // 1 when zero
	Start, End   time.Time
	ScheduleName string
}

// PagerDuty serves GET /oncalls and GET /users of PagerDuty's REST API v2, and POST /v2/enqueue of its Events API v2. It is stricter than PagerDuty in one thing:
// a request without the version 2 Accept header is refused. Make one with [NewPagerDuty]; end it with Close.
type PagerDuty struct {
	opts     PagerDutyOptions
	listener net.Listener
	server   *http.Server
	work     sync.WaitGroup
	ctx      context.Context
	stop     context.CancelFunc

	mu       sync.Mutex
	users    []pdUser
	shifts   []Shift
	faults   []*Fault
	down     bool
	requests int

	incidents   []Incident
	eventFaults []*Fault
	events      int
}

type pdUser struct{ id, name, email string }

// NewPagerDuty starts a stand-in with nobody on call.
func NewPagerDuty(opts PagerDutyOptions) (*PagerDuty, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Token == "" {
		opts.Token = DefaultPagerDutyToken
	}
	if opts.RoutingKey == "" {
		opts.RoutingKey = DefaultPagerDutyRoutingKey
	}
	if opts.Listen == "" {
		opts.Listen = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", opts.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening for the PagerDuty stand-in: %w", err)
	}
	if !listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
		_ = listener.Close()
		return nil, errors.New("the PagerDuty stand-in listens on loopback addresses only")
	}
	pd := &PagerDuty{opts: opts, listener: listener}
	pd.ctx, pd.stop = context.WithCancel(context.Background())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /oncalls", pd.serve(pd.oncalls))
	mux.HandleFunc("GET /users", pd.serve(pd.listUsers))
	mux.HandleFunc("GET /users/{id}", pd.serve(pd.oneUser))
	mux.HandleFunc("POST /v2/enqueue", pd.enqueue)
	pd.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	pd.work.Go(func() { _ = pd.server.Serve(listener) })
	return pd, nil
}

// Close stops the stand-in.
func (pd *PagerDuty) Close() {
	pd.stop()
	_ = pd.server.Close()
	pd.work.Wait()
}

// URL is what a client takes for https://api.pagerduty.com, and for https://events.pagerduty.com.
func (pd *PagerDuty) URL() string { return "http://" + pd.listener.Addr().String() }

// Token is the API key.
func (pd *PagerDuty) Token() string { return pd.opts.Token }

// AddUser makes a user and returns their id.
func (pd *PagerDuty) AddUser(name, email string) string {
	pd.mu.Lock()
	defer pd.mu.Unlock()
	u := pdUser{fmt.Sprintf("PUSER%02d", len(pd.users)+1), name, email}
	pd.users = append(pd.users, u)
	return u.id
}

// OnCall adds shifts.
func (pd *PagerDuty) OnCall(shifts ...Shift) {
	pd.mu.Lock()
	defer pd.mu.Unlock()
	for _, s := range shifts {
		if pd.user(s.User).id == "" {
			panic(fmt.Sprintf("sandbox: PagerDuty has no user %q", s.User))
		}
		pd.shifts = append(pd.shifts, s)
	}
}

// OffCall forgets every shift.
func (pd *PagerDuty) OffCall() {
	pd.mu.Lock()
	defer pd.mu.Unlock()
	pd.shifts = nil
}

// Fail makes requests go wrong; see [Fault]. Status 401, 429 and 500 answer as PagerDuty does; Error "nonsense" answers
// 200 with something that is not JSON. Faults happen in the order they were given.
func (pd *PagerDuty) Fail(f Fault) {
	pd.mu.Lock()
	defer pd.mu.Unlock()
	pd.faults = append(pd.faults, &f)
}

// Heal ends every fault, those of events too, and Down.
func (pd *PagerDuty) Heal() {
	pd.mu.Lock()
	defer pd.mu.Unlock()
	pd.faults, pd.eventFaults, pd.down = nil, nil, false
}

// Down breaks every connection without an answer.
func (pd *PagerDuty) Down(down bool) {
	pd.mu.Lock()
	defer pd.mu.Unlock()
	pd.down = down
}

// Requests is how many requests came, refused ones included. Tests of caching look at it.
func (pd *PagerDuty) Requests() int {
	pd.mu.Lock()
	defer pd.mu.Unlock()
	return pd.requests
}

func (pd *PagerDuty) user(id string) pdUser {
	for _, u := range pd.users {
		if u.id == id {
			return u
		}
	}
	return pdUser{}
}

// wire is a reference to the user, or the whole user when it is included.
func (u pdUser) wire(whole bool) object {
	o := object{
		"id": u.id, "type": "user_reference", "summary": u.name,
		"self": "https://api.pagerduty.com/users/" + u.id, "html_url": "https://example.pagerduty.com/users/" + u.id,
	}
	if whole {
		o["type"], o["name"], o["email"], o["time_zone"], o["role"] = "user", u.name, u.email, "Etc/UTC", "user"
		o["job_title"], o["invitation_sent"], o["description"] = nil, false, nil
	}
	return o
}

func (s Shift) wire(u pdUser, whole bool) object {
	policy := s.Policy
	if policy == "" {
		policy = "PPOLICY"
	}
	o := object{
		"escalation_policy": object{
			"id": policy, "type": "escalation_policy_reference", "summary": "Policy " + policy,
			"self": "https://api.pagerduty.com/escalation_policies/" + policy, "html_url": "https://example.pagerduty.com/escalation_policies/" + policy,
		},
		"escalation_level": max(1, s.Level), "schedule": nil, "user": u.wire(whole), "start": nil, "end": nil,
	}
	if s.Schedule != "" {
		name := s.ScheduleName
		if name == "" {
			name = "Schedule " + s.Schedule
		}
		o["schedule"] = object{
			"id": s.Schedule, "type": "schedule_reference", "summary": name,
			"self": "https://api.pagerduty.com/schedules/" + s.Schedule, "html_url": "https://example.pagerduty.com/schedules/" + s.Schedule,
		}
	}
	if !s.Start.IsZero() {
		o["start"] = s.Start.UTC().Format(time.RFC3339)
	}
	if !s.End.IsZero() {
		o["end"] = s.End.UTC().Format(time.RFC3339)
	}
	return o
}

func authorised(r *http.Request, token string) bool {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Token token=")
	return ok && given == token
}
