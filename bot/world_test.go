package bot

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/sandbox"
	"github.com/prodaccess/prodaccess/sandbox/slacktypes"
	"github.com/rs/zerolog"
)

// world is a workspace with the bot in it, on a fake service whose changes are drawn at once.
type world struct {
	*testing.T
	ws          *sandbox.Workspace
	service     *fakeService
	outbox      *fakeOutbox
	drafts      *fakeDrafts
	homes       *fakeHomes
	slack       *Slack
	bot         *Bot
	ana, bo, cy *sandbox.Actor

	approvals, audit, security string

	mu      sync.Mutex
	written bytes.Buffer
	drawing drawings
}

// drawings are like a sync.WaitGroup, which must not be waited for while work that nobody waits for may add to it.
type drawings struct {
	mu    sync.Mutex
	under int
	// idle is closed when the last drawing under way ends; nil before the first.
	idle chan struct{}
}

func (d *drawings) Go(draw func()) {
	d.mu.Lock()
	if d.under++; d.under == 1 {
		d.idle = make(chan struct{})
	}
	d.mu.Unlock()
	go func() {
		defer func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.under--; d.under == 0 {
				close(d.idle)
			}
		}()
		draw()
	}()
}

// Wait waits until nobody draws.
func (d *drawings) Wait() {
	d.mu.Lock()
	idle := d.idle
	d.mu.Unlock()
	if idle != nil {
		<-idle
	}
}

// Write keeps the log, for tests that read it.
func (w *world) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written.Write(line)
}

func (w *world) log() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written.String()
}

// quiet is a world without a transport.
func quiet(t *testing.T, opts sandbox.Options) *world {
	t.Helper()
	if opts.AckWithin == 0 {
		opts.AckWithin = time.Minute // a machine that does much else is slow, and no test here is about that
	}
	ws, err := sandbox.New(opts)
	no(t, err)
	t.Cleanup(func() {
		// Everything this test made Slack show is also what Slack's own SDK would have sent.
		for _, wrong := range slacktypes.Check(ws) {
			t.Error(wrong)
		}
		ws.Close()
	})
	w := &world{T: t, ws: ws, service: newFakeService(), outbox: newFakeOutbox(), homes: newFakeHomes(), drafts: newFakeDrafts()}
	w.ana = ws.AddPerson(sandbox.Person{Name: "ana", Email: "ana@example.com"})
	w.bo = ws.AddPerson(sandbox.Person{Name: "bo", Email: "bo@example.com"})
	w.cy = ws.AddPerson(sandbox.Person{Name: "cy", Email: "cy@example.com"})
	w.approvals = ws.AddChannel("approvals", "ana", "bo")
	w.audit = ws.AddChannel("audit", "bo")
	w.security = ws.AddChannel("security", "bo")
	w.slack, err = NewSlack(Credentials{
		BotToken: secret.New(ws.BotToken()), AppToken: secret.New(ws.AppToken()), SigningSecret: secret.New(ws.SigningSecret()), APIURL: ws.APIURL(),
	})
	no(t, err)
	t.Cleanup(w.slack.Close)
	w.bot, err = New(Config{
		Slack: w.slack, Service: w.service, Grants: w.service, Outbox: w.outbox, Homes: w.homes, Drafts: w.drafts, Digests: fakeNews{}, Findings: fakeNews{}, Command: "/prodaccess",
		ApprovalsChannel: w.approvals, AuditChannel: w.audit, SecurityChannel: w.security, Now: time.Now,
		Log: zerolog.New(w).Level(zerolog.DebugLevel),
	})
	no(t, err)
	w.service.changed = func(request string) {
		w.drawing.Go(func() {
			for {
				err := w.bot.Draw(context.Background(), request)
				if err == nil || t.Context().Err() != nil {
					return
				}
				u, again := err.(*Undelivered)
				if !again || u.Permanent {
					t.Errorf("request %s was never drawn: %v", request, err)
					return
				}
				time.Sleep(min(u.After, 20*time.Millisecond))
			}
		})
	}
	w.homes.wanted = func(at time.Time) {
		w.drawing.Go(func() {
			for wait := time.Until(at); ; wait = 20 * time.Millisecond {
				select {
				case <-t.Context().Done():
					return
				case <-time.After(wait):
				}
				if err := w.bot.FreshenHomes(context.Background()); err == nil {
					return
				}
			}
		})
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.bot.Drain(ctx); err != nil {
			t.Error(err)
		}
		w.drawing.Wait() // of what the work before it changed
	})
	return w
}

func overSocket(t *testing.T, opts sandbox.Options) *world {
	w := quiet(t, opts)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.bot.RunSocket(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Socket Mode ended with %v", err)
		}
	})
	no(t, w.ws.WaitsForApp(soon(t)))
	return w
}

func overHTTP(t *testing.T, opts sandbox.Options) *world {
	w := quiet(t, opts)
	handler, err := w.bot.Handler()
	no(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	w.ws.SetRequestURLs(server.URL+"/slack/commands", server.URL+"/slack/interactions", server.URL+"/slack/events")
	return w
}

// appScopes are all the rights the bot may need; slack-manifest.yaml asks for the same.
var appScopes = []string{
	"commands", "chat:write", "im:write", "users:read", "users:read.email", "usergroups:read", "channels:history", "groups:history", "im:history",
	"metadata.message:read",
}

// eachTransport runs a test over both.
func eachTransport(t *testing.T, test func(*world)) {
	for name, start := range map[string]func(*testing.T, sandbox.Options) *world{"socket": overSocket, "http": overHTTP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(start(t, sandbox.Options{NoRateLimits: true, Scopes: appScopes}))
		})
	}
}

func (w *world) does(r sandbox.Reply) sandbox.Reply {
	w.Helper()
	if err := r.Err(); err != nil {
		w.Fatal(err)
	}
	return r
}

// draws and receipt deliver now, if need be after whatever is being drawn already: then they wait in line.
func (w *world) draws(request string) {
	w.Helper()
	w.delivered(func() error { return w.bot.Draw(w.Context(), request) })
}

func (w *world) receipt(grant string) {
	w.Helper()
	w.delivered(func() error { return w.bot.PostReceipt(w.Context(), grant) })
}

func (w *world) delivered(deliver func() error) {
	w.Helper()
	limit := soon(w.T)
	err := deliver()
	for errors.Is(err, ErrInLine) && limit.Err() == nil {
		time.Sleep(20 * time.Millisecond)
		err = deliver()
	}
	no(w.T, err)
}

// sees waits until somebody sees a message with words.
func (w *world) sees(who *sandbox.Actor, words string) sandbox.Message {
	w.Helper()
	m, err := who.WaitsForMessage(soon(w.T), words)
	no(w.T, err)
	return m
}

func (w *world) window(who *sandbox.Actor, words string) sandbox.View {
	w.Helper()
	v, err := who.WaitsForView(soon(w.T), words)
	no(w.T, err)
	return v
}

func (w *world) button(who *sandbox.Actor, label string) {
	w.Helper()
	no(w.T, who.WaitsForButton(soon(w.T), label))
}
