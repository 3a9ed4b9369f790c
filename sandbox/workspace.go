package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Options say what the workspace is like. The zero value is a paid workspace on the real clock with the default
// credentials, all scopes, and Socket Mode.
type Options struct {
	Now      func() time.Time // the clock of Slack's servers; time.Now when nil
	Listen   string           // host:port to listen on; a free loopback port when empty
	TeamID   string           // "T0SANDBOX" when empty
	TeamName string           // "Sandbox" when empty
	Command  string           // "/prodaccess" when empty

	BotToken      string // [DefaultBotToken] when empty
	AppToken      string // [DefaultAppToken] when empty
	SigningSecret string // [DefaultSigningSecret] when empty

	Scopes       []string // bot scopes of the app; all of them when nil
	FreePlan     bool     // user groups answer plan_upgrade_required
	NoRateLimits bool

	RequestURL string // where HTTP requests go; Socket Mode when empty. See [Workspace.SetRequestURL]

	AckWithin    time.Duration   // how long an app has to answer, and at least three seconds to open a window; three seconds when zero
	EventRetries []time.Duration // pauses before an event is sent again; at once, a minute, five minutes when nil
}

// The credentials of the app unless Options say otherwise. They open nothing but a sandbox.
const (
	DefaultBotToken      = "xoxb-sandbox-bot-token"
	DefaultAppToken      = "xapp-1-A0SANDBOX-sandbox-app-token"
	DefaultSigningSecret = "sandbox-signing-secret"

	// AppID, BotID and BotUserID identify the app, its bot, and the bot's user.
	AppID     = "A0SANDBOX"
	BotID     = "B0SANDBOX"
	BotUserID = "U0SANDBOX"
)

type object = map[string]any

// Workspace is one Slack workspace with one app in it. Make one with [New]; end it with [Workspace.Close].
type Workspace struct {
	opts     Options
	listener net.Listener
	server   *http.Server
	ctx      context.Context
	stop     context.CancelFunc
	work     sync.WaitGroup
	http     *http.Client

	traffic trafficLog
	faults  faultList
	sockets socketPool

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced whenever something a person could see changes
	serial   int
	lastTS   time.Time
	people   []*person
	channels []*channel
	groups   []*group
	messages []*message
	index    map[string]*message // by channel and timestamp
	drawn    []*func(Drawn)
	views    []*view
	stacks   map[string][]*view // open modals by user id, the topmost last
	homes    map[string]*view   // published Home tabs by user id
	atHome   map[string]bool    // who is looking at the Home tab
	triggers map[string]*trigger
	hooks    map[string]*responseURL
	last     *delivery
	limits   map[string]*limiter
	urls     requestURLs
	page     page
}

type requestURLs struct{ commands, interactivity, events string }

// New starts a workspace. It has one channel, #general, that everybody joins.
func New(opts Options) (*Workspace, error) {
	defaults(&opts)
	listener, err := net.Listen("tcp", opts.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening for the sandbox workspace: %w", err)
	}
	if !listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
		_ = listener.Close()
		return nil, errors.New("the sandbox listens on loopback addresses only")
	}
	ctx, stop := context.WithCancel(context.Background())
	ws := &Workspace{
		opts: opts, listener: listener, ctx: ctx, stop: stop,
		http:     &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		changed:  make(chan struct{}),
		index:    map[string]*message{},
		stacks:   map[string][]*view{},
		homes:    map[string]*view{},
		atHome:   map[string]bool{},
		triggers: map[string]*trigger{},
		hooks:    map[string]*responseURL{},
		limits:   map[string]*limiter{},
		page:     newPage(Page{}),
	}
	ws.traffic.secrets = []string{opts.BotToken, opts.AppToken, opts.SigningSecret}
	ws.SetRequestURL(opts.RequestURL)
	ws.people = append(ws.people, &person{Person: Person{Name: "prodaccess", RealName: "prodaccess", IsBot: true, TeamID: opts.TeamID}, id: BotUserID})
	ws.AddChannel("general")
	ws.server = &http.Server{Handler: ws.routes(), ReadHeaderTimeout: 10 * time.Second}
	ws.work.Go(func() { _ = ws.server.Serve(listener) })
	return ws, nil
}

func defaults(o *Options) {
	set := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	set(&o.Listen, "127.0.0.1:0")
	set(&o.TeamID, "T0SANDBOX")
	set(&o.TeamName, "Sandbox")
	set(&o.Command, "/prodaccess")
	set(&o.BotToken, DefaultBotToken)
	set(&o.AppToken, DefaultAppToken)
	set(&o.SigningSecret, DefaultSigningSecret)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.AckWithin == 0 {
		o.AckWithin = 3 * time.Second
	}
	if o.EventRetries == nil {
		o.EventRetries = []time.Duration{0, time.Minute, 5 * time.Minute}
	}
}

// Close stops the workspace: sockets, deliveries under way, retries, the listener. It may be called twice.
func (ws *Workspace) Close() {
	ws.mu.Lock()
	ws.stop()
	ws.mu.Unlock()
	ws.sockets.dropAll()
	_ = ws.server.Close()
	ws.work.Wait()
	ws.http.CloseIdleConnections()
}

// spawn runs f in a goroutine that Close waits for, unless the workspace is closing already.
func (ws *Workspace) spawn(f func()) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.ctx.Err() != nil {
		return false
	}
	ws.work.Go(f)
	return true
}

// URL is the root of the workspace, without a trailing slash.
func (ws *Workspace) URL() string { return "http://" + ws.listener.Addr().String() }

// APIURL is what a client takes for https://slack.com/api/. It ends in a slash.
func (ws *Workspace) APIURL() string { return ws.URL() + "/api/" }

// BotToken is the bot token the app was given.
func (ws *Workspace) BotToken() string { return ws.opts.BotToken }

// AppToken is the app-level token for Socket Mode.
func (ws *Workspace) AppToken() string { return ws.opts.AppToken }

// SigningSecret is the key of the signatures on HTTP requests.
func (ws *Workspace) SigningSecret() string { return ws.opts.SigningSecret }

// SetRequestURL makes commands, interactions and events all go to one URL over HTTP; empty means Socket Mode.
func (ws *Workspace) SetRequestURL(url string) { ws.SetRequestURLs(url, url, url) }

// SetRequestURLs is [Workspace.SetRequestURL] with a URL for each kind, as an app's configuration page has it.
func (ws *Workspace) SetRequestURLs(commands, interactivity, events string) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.urls = requestURLs{commands, interactivity, events}
}

func (ws *Workspace) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/{method}", ws.serveAPI)
	mux.HandleFunc("GET /link/", ws.serveSocket)
	mux.HandleFunc("POST /response/{id}", ws.serveResponseURL)
	mux.Handle("/sandbox/", ws.control())
	ws.pageRoutes(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ws.faults.isDown() {
			hangUp(w)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// hangUp breaks the connection without an answer.
func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// newID makes an identifier of Slack's look. The caller holds ws.mu.
func (ws *Workspace) newID(prefix string) string {
	ws.serial++
	return fmt.Sprintf("%s%09d", prefix, ws.serial)
}

// newTS makes a message timestamp, unique and rising even when the clock stands still. The caller holds ws.mu.
func (ws *Workspace) newTS() string {
	now := ws.opts.Now().Truncate(time.Microsecond)
	if !now.After(ws.lastTS) {
		now = ws.lastTS.Add(time.Microsecond)
	}
	ws.lastTS = now
	return fmt.Sprintf("%d.%06d", now.Unix(), now.Nanosecond()/1000)
}

// notify wakes everybody who waits for something to be seen. The caller holds ws.mu.
func (ws *Workspace) notify() {
	close(ws.changed)
	ws.changed = make(chan struct{})
}

// wait returns the first value find gives, looking again after each change until ctx ends.
func wait[T any](ctx context.Context, ws *Workspace, find func() (T, bool)) (T, error) {
	for {
		ws.mu.Lock()
		found, ok := find()
		changed := ws.changed
		ws.mu.Unlock()
		if ok {
			return found, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return found, ctx.Err()
		case <-ws.ctx.Done():
			return found, errors.New("the workspace was closed")
		}
	}
}
