package bot

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/sandbox"
)

func TestNewSaysEverythingThatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := New(Config{ApprovalsChannel: "#approvals"})
	for _, want := range []string{"Slack", "Service", "Grants", "Outbox", "Digests", "Findings", "Now", "Command", `"#approvals"`, "audit channel", "security channel"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if _, err := NewSlack(Credentials{}); err == nil {
		t.Error("a workspace without a token was taken")
	}
}

func TestRedeliveredCommandFilesOnce(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.does(w.ana.Command(askLine))
		w.does(w.ws.Redeliver())
		w.sees(w.bo, "checkout is failing")
		if n := len(w.service.cases); n != 1 {
			t.Errorf("%d requests were filed", n)
		}
	})
}

func TestSlowServiceIsToldInTime(t *testing.T) {
	t.Parallel()
	if answerWithin > 2700*time.Millisecond {
		t.Errorf("%s are left of Slack's three seconds for the way there and back", 3*time.Second-answerWithin)
	}
	w := overSocket(t, sandbox.Options{NoRateLimits: true})
	w.bot.service = slow{w.service}
	r := w.ana.Command("/prodaccess list")
	if w.does(r); !strings.Contains(r.Text, "took too long") {
		t.Errorf("after %v: %q", r.Latency, r.Text)
	}
}

// slow answers only when nobody wants to know any more.
type slow struct{ *fakeService }

func (slow) Cases(ctx context.Context, _ approvals.Query) ([]approvals.Case, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestDrainWaitsForLogins(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.service.issuing = make(chan struct{})
	w.does(w.ana.Command(askLine))
	w.button(w.bo, "Approve")
	w.does(w.bo.Clicks("Approve"))
	w.button(w.ana, "Get credentials")
	w.does(w.ana.Clicks("Get credentials"))
	w.window(w.ana, "Making your login")
	drained := make(chan error, 1)
	go func() { drained <- w.bot.Drain(context.Background()) }()
	select {
	case err := <-drained:
		t.Fatalf("Drain returned %v while a login was being made", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(w.service.issuing)
	no(t, <-drained)
	w.window(w.ana, canary)
}

func TestDrainGivesUpInTime(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.service.issuing = make(chan struct{})
	w.does(w.ana.Command(askLine))
	w.button(w.bo, "Approve")
	w.does(w.bo.Clicks("Approve"))
	w.button(w.ana, "Get credentials")
	w.does(w.ana.Clicks("Get credentials"))
	w.window(w.ana, "Making your login")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := w.bot.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain returned %v", err)
	}
}

// weather loses answers, refuses and limits at random.
type weather struct {
	http.RoundTripper
	draw *rand.Rand
}

func (w weather) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.URL.Path, "/api/") {
		return w.RoundTripper.RoundTrip(r)
	}
	switch w.draw.IntN(6) {
	case 0:
		return nil, errors.New("no route to host")
	case 1:
		if answer, err := w.RoundTripper.RoundTrip(r); err == nil {
			_ = answer.Body.Close()
		}
		return nil, errors.New("connection reset by peer")
	case 2:
		return &http.Response{StatusCode: http.StatusBadGateway, Status: "502", Body: http.NoBody, Request: r, Header: http.Header{}}, nil
	}
	return w.RoundTripper.RoundTrip(r)
}

// TestBadWeather draws through a network that loses a half of everything: afterwards every message is true and there once.
func TestBadWeather(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		w := quiet(t, sandbox.Options{NoRateLimits: true})
		w.service.changed = func(string) {}
		good := w.slack.client.Transport
		w.slack.client.Transport = weather{good, rand.New(rand.NewPCG(seed, 1))}
		for _, state := range []string{"pending", "approved", "provisioning", "active", "revoking", "over-expired"} {
			c := writings["ordinary"].states()[state]
			c.Request.Requester.ID = w.ana.ID()
			old, err := w.service.Case(t.Context(), c.Request.ID)
			if err == nil {
				c.Request.Version = old.Request.Version + 1
			}
			w.service.put(c)
			for try := 0; ; try++ {
				w.bot.pace = newPacer(time.Now)
				if w.bot.Draw(t.Context(), c.Request.ID) == nil {
					break
				}
				if try == 100 {
					t.Fatalf("%s is not drawn after %d tries", state, try)
				}
				if c.Grant != nil && c.Grant.State == grants.Active && try == 0 {
					break // the job of the next state finds it undrawn
				}
			}
		}
		w.slack.client.Transport = good
		if n := len(w.ws.Messages()); n != 3 {
			t.Errorf("seed %d: %d messages are there, not two copies and what was said of the approval", seed, n)
		}
		for _, m := range w.ws.Messages() {
			if !strings.Contains(m.Text, "Press *Get credentials* above") && !strings.Contains(m.Text, "Access is over") {
				t.Errorf("seed %d: a message is behind:\n%s", seed, m.Text)
			}
		}
	}
}
