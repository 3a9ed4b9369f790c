package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// short is an ack deadline for tests that wait for it.
const short = 150 * time.Millisecond

func TestSilentAppTimesOut(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*rawApp){"socket": func(a *rawApp) { a.connects() }, "http": (*rawApp).listens} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := open(t, Options{AckWithin: short})
			app := newRawApp(t, ws, func(string, object) any { return silence })
			start(app)
			no(t, appReady(t, ws, name))
			r := ws.Person("ana").Command("/prodaccess help")
			if r.Failure != FailureTimeout || r.Latency < short || r.Err() == nil {
				t.Errorf("a silent app gave %+v", r)
			}
		})
	}
}

func appReady(t *testing.T, ws *Workspace, transport string) error {
	if transport == "http" {
		return nil
	}
	return ws.WaitsForApp(soon(t))
}

func TestNobodyToDeliverTo(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	if r := ws.Person("ana").Command("/prodaccess help"); r.Failure != FailureDispatch {
		t.Errorf("without a connection: %+v", r)
	}
	ws.SetRequestURL("http://127.0.0.1:1/")
	if r := ws.Person("ana").Command("/prodaccess help"); r.Failure != FailureDispatch {
		t.Errorf("with nobody listening: %+v", r)
	}
	app := newRawApp(t, ws, func(string, object) any { return http.StatusInternalServerError })
	app.listens()
	if r := ws.Person("ana").Command("/prodaccess help"); r.Failure != FailureDispatch {
		t.Errorf("with an app that answers 500: %+v", r)
	}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	now := noon()
	ws := open(t, Options{Now: now.now, SigningSecret: "8f742231b10e8888abcd99yyyzzz85a5"})
	app := newRawApp(t, ws, nil)
	app.listens()
	must(t, ws.Person("ana").Command("/prodaccess a=b&c <x>"))
	got := app.received()[0]
	mac := hmac.New(sha256.New, []byte(ws.SigningSecret()))
	mac.Write([]byte("v0:" + got.header.Get("X-Slack-Request-Timestamp") + ":" + got.body))
	if want := "v0=" + hex.EncodeToString(mac.Sum(nil)); got.header.Get("X-Slack-Signature") != want {
		t.Errorf("signature %s, want %s", got.header.Get("X-Slack-Signature"), want)
	}
	if got.payload["text"] != "a=b&c <x>" || got.payload["command"] != "/prodaccess" || got.payload["user_name"] != "ana" {
		t.Errorf("the command arrived as %v", got.payload)
	}
	// The example of Slack's documentation on verifying requests.
	body := "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	want := "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
	if got := ws.Sign([]byte(body), time.Unix(1531420618, 0)).Get("X-Slack-Signature"); got != want {
		t.Errorf("Slack's own example is signed %s, want %s", got, want)
	}
}

func TestEventsAreSentAgain(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{EventRetries: []time.Duration{0, time.Millisecond, time.Millisecond}})
	var mu sync.Mutex
	refusals := 2
	app := newRawApp(t, ws, func(string, object) any {
		mu.Lock()
		defer mu.Unlock()
		if refusals--; refusals >= 0 {
			return http.StatusServiceUnavailable
		}
		return nil
	})
	app.listens()
	if r := ws.Person("ana").OpensHome(); r.Failure != FailureDispatch {
		t.Errorf("the first delivery gave %+v", r)
	}
	until(t, func() bool { return len(app.received()) == 3 })
	got := app.received()
	if got[0].retry != "" || got[1].retry != "1" || got[2].retry != "2" || got[2].reason != "http_error" {
		t.Errorf("retries were numbered %q %q %q, reason %q", got[0].retry, got[1].retry, got[2].retry, got[2].reason)
	}
	if got[0].payload["event_id"] != got[2].payload["event_id"] || got[0].payload["event"].(object)["type"] != "app_home_opened" {
		t.Errorf("another event was sent: %v", got[2].payload)
	}
}

// until looks again and again: for what nothing announces.
func until(t *testing.T, done func() bool) {
	t.Helper()
	for ctx := soon(t); !done(); time.Sleep(time.Millisecond) {
		no(t, ctx.Err())
	}
}

func TestRedeliveryIsTheSamePayload(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	app := newRawApp(t, ws, nil)
	app.connects()
	no(t, ws.WaitsForApp(soon(t)))
	must(t, ws.Person("ana").Command("/prodaccess help"))
	must(t, ws.Redeliver())
	got := app.received()
	if len(got) != 2 || got[0].payload["trigger_id"] != got[1].payload["trigger_id"] || got[1].reason != "timeout" {
		t.Errorf("the redelivery was %+v", got)
	}
}

func TestEnvelopeOutlivesItsSocket(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	seen := make(chan struct{}, 2)
	mute := newRawApp(t, ws, func(string, object) any { seen <- struct{}{}; return silence })
	first := mute.connects()
	no(t, ws.WaitsForApp(soon(t)))
	replied := make(chan Reply)
	go func() { replied <- ws.Person("ana").Command("/prodaccess help") }()
	<-seen
	_ = first.Close() // the app dies with the command unanswered
	until(t, func() bool { return ws.Connections() == 0 })
	second := newRawApp(t, ws, func(string, object) any { return object{"text": "here"} })
	second.connects()
	if r := <-replied; r.Text != "here" {
		t.Errorf("the command was lost with its socket: %+v", r)
	}
	if got := second.received(); got[0].reason != "connection_closed" {
		t.Errorf("the second envelope says %q", got[0].reason)
	}
}

func TestSocketsShareTheWork(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	var apps []*rawApp
	for range mostSockets {
		app := newRawApp(t, ws, nil)
		app.connects()
		apps = append(apps, app)
	}
	until(t, func() bool { return ws.Connections() == mostSockets })
	opened, _ := callWith(t, ws, "apps.connections.open", nil, ws.AppToken())
	conn, _, err := websocket.DefaultDialer.Dial(opened["url"].(string), nil)
	no(t, err)
	defer func() { _ = conn.Close() }()
	var said object
	if no(t, conn.ReadJSON(&said)); said["reason"] != "too_many_websockets" {
		t.Errorf("the eleventh connection heard %v", said)
	}
	if _, resp, err := websocket.DefaultDialer.Dial(opened["url"].(string), nil); err == nil || resp.StatusCode != http.StatusForbidden {
		t.Error("a ticket worked twice")
	}
	for range 2 * mostSockets {
		must(t, ws.Person("ana").Command("/prodaccess help"))
	}
	for i, app := range apps {
		if len(app.received()) == 0 {
			t.Errorf("connection %d got nothing", i)
		}
	}
}

func TestRefreshMovesToTheNewSocket(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	app := newRawApp(t, ws, nil)
	app.connects()
	no(t, ws.WaitsForApp(soon(t)))
	ws.RefreshSockets()
	until(t, func() bool { return len(app.received()) == 1 })
	if got := app.received()[0]; got.kind != "disconnect" {
		t.Errorf("the app was told %v", got)
	}
	must(t, ws.Person("ana").Command("/prodaccess help")) // the old one still serves
	next := newRawApp(t, ws, nil)
	next.connects()
	until(t, func() bool { return ws.Connections() == 2 })
	for range 4 {
		must(t, ws.Person("ana").Command("/prodaccess help"))
	}
	if len(next.received()) != 4 {
		t.Errorf("the new connection got %d of 4", len(next.received()))
	}
	ws.DropSockets()
	until(t, func() bool { return ws.Connections() == 0 })
}

func TestFaults(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	ws.Fail("auth.test", Fault{Error: "ratelimited", RetryAfter: 7 * time.Second, Times: 1})
	ws.Fail("auth.test", Fault{Error: "internal_error", Times: 1})
	answer, resp := call(t, ws, "auth.test", nil)
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "7" || answer["error"] != "ratelimited" {
		t.Errorf("rate limited: %d %v", resp.StatusCode, answer)
	}
	if answer, _ := call(t, ws, "auth.test", nil); answer["error"] != "internal_error" {
		t.Errorf("the second fault: %v", answer)
	}
	if answer, _ := call(t, ws, "auth.test", nil); answer["ok"] != true {
		t.Errorf("a fault outlived its times: %v", answer)
	}
	get := func() (*http.Response, error) { //nolint:bodyclose // closed below
		return (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Post(ws.APIURL()+"auth.test", "application/x-www-form-urlencoded", strings.NewReader(""))
	}
	ws.Fail("*", Fault{Status: http.StatusBadGateway, RetryAfter: 9 * time.Second})
	if resp, err := get(); err != nil || resp.StatusCode != http.StatusBadGateway || resp.Header.Get("Retry-After") != "9" {
		t.Errorf("bad gateway: %v %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
	ws.Heal()
	ws.Fail("*", Fault{Drop: true, Times: 1})
	if resp, err := get(); err == nil {
		_ = resp.Body.Close()
		t.Error("a dropped request was answered")
	}
	ws.Fail("*", Fault{Delay: 50 * time.Millisecond, Times: 1})
	start := time.Now()
	if answer, _ := call(t, ws, "auth.test", nil); answer["ok"] != true || time.Since(start) < 50*time.Millisecond {
		t.Errorf("a late answer came after %v: %v", time.Since(start), answer)
	}
	app := newRawApp(t, ws, nil)
	app.connects()
	no(t, ws.WaitsForApp(soon(t)))
	ws.Down(true)
	if resp, err := get(); err == nil {
		_ = resp.Body.Close()
		t.Error("Slack answered while it was down")
	}
	if r := ws.Person("ana").Command("/prodaccess help"); r.Failure != FailureDispatch {
		t.Errorf("a command while Slack is down: %+v", r)
	}
	ws.Down(false)
	if answer, _ := call(t, ws, "auth.test", nil); answer["ok"] != true {
		t.Errorf("after Slack came back: %v", answer)
	}
}

func TestTrafficIsOrderedAndRedacted(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	var heard []Entry
	stop := ws.OnTraffic(func(e Entry) { heard = append(heard, e) })
	call(t, ws, "chat.postMessage", in("general", text1("my token is "+ws.BotToken())))
	stop()
	call(t, ws, "auth.test", nil)
	all := ws.Traffic()
	if len(heard) != 2 || len(all) != 4 || heard[0].From != "app" || heard[1].From != "slack" {
		t.Fatalf("heard %+v of %+v", heard, all)
	}
	for i, e := range all {
		if e.Seq != i+1 || strings.Contains(e.Body, ws.BotToken()) {
			t.Errorf("entry %d is %+v", i, e)
		}
	}
	if !strings.Contains(all[0].Body, "my token is [redacted]") {
		t.Errorf("the message was logged as %s", all[0].Body)
	}
}
