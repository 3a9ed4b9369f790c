package bot

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/sandbox"
)

// door is the bot's HTTP side without Slack in front of it.
type door struct {
	*world
	url string
}

func openDoor(t *testing.T) door {
	w := quiet(t, sandbox.Options{NoRateLimits: true})
	handler, err := w.bot.Handler()
	no(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return door{w, server.URL}
}

func (d door) send(path string, body []byte, change func(*http.Request)) (int, string) {
	d.Helper()
	r, err := http.NewRequestWithContext(d.Context(), http.MethodPost, d.url+path, bytes.NewReader(body))
	no(d.T, err)
	r.Header = d.ws.Sign(body, time.Now())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if change != nil {
		change(r)
	}
	answer, err := http.DefaultClient.Do(r)
	no(d.T, err)
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	no(d.T, err)
	return answer.StatusCode, string(said)
}

func (d door) command(text string) []byte {
	return []byte(url.Values{"user_id": {d.ana.ID()}, "command": {"/prodaccess"}, "text": {text}, "trigger_id": {"t1"}}.Encode())
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	d := openDoor(t)
	body := d.command("help")
	for name, c := range map[string]struct {
		status int
		change func(*http.Request)
	}{
		"good":         {http.StatusOK, nil},
		"no signature": {http.StatusUnauthorized, func(r *http.Request) { r.Header.Del("X-Slack-Signature") }},
		"no timestamp": {http.StatusUnauthorized, func(r *http.Request) { r.Header.Del("X-Slack-Request-Timestamp") }},
		"other body": {http.StatusUnauthorized, func(r *http.Request) {
			r.Header.Set("X-Slack-Signature", d.ws.Sign([]byte("x"), time.Now()).Get("X-Slack-Signature"))
		}},
		"short signature": {http.StatusUnauthorized, func(r *http.Request) { r.Header.Set("X-Slack-Signature", "v0=00") }},
		"old":             {http.StatusUnauthorized, func(r *http.Request) { sign(r, d, body, time.Now().Add(-signedWithin-time.Second)) }},
		"from the future": {http.StatusUnauthorized, func(r *http.Request) { sign(r, d, body, time.Now().Add(signedWithin+2*time.Second)) }},
		"almost old":      {http.StatusOK, func(r *http.Request) { sign(r, d, body, time.Now().Add(-signedWithin+10*time.Second)) }},
		"not a form": {http.StatusBadRequest, func(r *http.Request) {
			sign(r, d, body, time.Now().Add(-time.Second))
			r.Header.Set("Content-Type", "text/plain")
		}},
		"GET": {http.StatusMethodNotAllowed, func(r *http.Request) { r.Method = http.MethodGet }},
	} {
		if status, said := d.send("/slack/commands", body, c.change); status != c.status {
			t.Errorf("%s: %d %s", name, status, said)
		}
	}
	long := []byte("text=" + strings.Repeat("x", longestBody))
	if status, _ := d.send("/slack/commands", long, nil); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body of %d bytes got %d", len(long), status)
	}
}

func sign(r *http.Request, d door, body []byte, at time.Time) {
	for name, values := range d.ws.Sign(body, at) {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
}

// TestSignaturesOfSlacksDocumentation is the example Slack publishes.
func TestSignaturesOfSlacksDocumentation(t *testing.T) {
	t.Parallel()
	b := &Bot{now: func() time.Time { return time.Unix(1531420618, 0) }, slack: &Slack{creds: Credentials{SigningSecret: secret.New("8f742231b10e8888abcd99yyyzzz85a5")}}}
	body := "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA" +
		"&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN" +
		"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	if why := b.unsigned("v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503", "1531420618", []byte(body)); why != "" {
		t.Error(why)
	}
}

func TestReplaysDoNothing(t *testing.T) {
	t.Parallel()
	d := openDoor(t)
	body := d.command("orders-prod read-only 30m why not")
	at := time.Now()
	var asking sync.WaitGroup
	answers := make([]string, 8)
	for i := range answers {
		asking.Go(func() {
			_, answers[i] = d.send("/slack/commands", body, func(r *http.Request) {
				sign(r, d, body, at)
				if i%2 == 1 { // a good signature too
					r.Header.Set("X-Slack-Signature", "v0="+strings.ToUpper(strings.TrimPrefix(r.Header.Get("X-Slack-Signature"), "v0=")))
				}
			})
		})
	}
	asking.Wait()
	for _, said := range answers {
		if said != answers[0] || !strings.Contains(said, "one of @dba") {
			t.Errorf("a replay was answered with %q", said)
		}
	}
	if n := strings.Count(d.log(), `"message":"command"`); n != 1 {
		t.Errorf("the command was carried out %d times", n)
	}
	// Signed anew, the delivery is the same, and the store knows it.
	d.send("/slack/commands", body, func(r *http.Request) { sign(r, d, body, at.Add(-time.Second)) })
	if n := len(d.service.cases); n != 1 {
		t.Errorf("%d requests were filed", n)
	}
}

func TestReplaysAreForgotten(t *testing.T) {
	t.Parallel()
	clock := noon
	r := newReplays(func() time.Time { return clock })
	for i := range 3 * mostReplays {
		clock = clock.Add(time.Millisecond)
		r.take(strings.Repeat("x", i%7) + time.Duration(i).String())
	}
	if len(r.slots) > mostReplays || len(r.order) != len(r.slots) {
		t.Errorf("%d signatures are remembered", len(r.slots))
	}
	clock = clock.Add(time.Hour)
	r.take("new")
	if len(r.slots) != 1 {
		t.Errorf("%d old signatures are remembered", len(r.slots))
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	d := openDoor(t)
	status, said := d.send("/slack/events", []byte(`{"type":"url_verification","challenge":"3eZbrw1aB"}`), nil)
	if status != http.StatusOK || said != "3eZbrw1aB" {
		t.Errorf("the challenge was answered with %d %q", status, said)
	}
	if status, _ := d.send("/slack/events", []byte(`{"type":"event_callback","event":{"type":"app_home_opened"}}`), nil); status != http.StatusOK {
		t.Errorf("an event was answered with %d", status)
	}
	if status, _ := d.send("/slack/events", []byte(`nonsense`), nil); status != http.StatusBadRequest {
		t.Errorf("nonsense was answered with %d", status)
	}
	if status, _ := d.send("/slack/interactions", []byte(`payload=nonsense`), nil); status != http.StatusBadRequest {
		t.Errorf("nonsense was answered with %d", status)
	}
	if status, _ := d.send("/slack/commands", []byte(`ssl_check=1`), nil); status != http.StatusOK {
		t.Errorf("the certificate check was answered with %d", status)
	}
}
