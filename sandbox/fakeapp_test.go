package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
)

// rawApp is an app at the level of the wire, for what no SDK lets through.
type rawApp struct {
	t      *testing.T
	ws     *Workspace
	answer func(kind string, payload object) any // nil is an empty acknowledgement; silence says nothing at all

	mu  sync.Mutex
	got []received
}

type received struct {
	kind    string
	payload object
	retry   string
	reason  string
	header  http.Header
	body    string
}

// silence is an answer that never comes.
const silence = "silence"

func newRawApp(t *testing.T, ws *Workspace, answer func(kind string, payload object) any) *rawApp {
	if answer == nil {
		answer = func(string, object) any { return nil }
	}
	return &rawApp{t: t, ws: ws, answer: answer}
}

func (a *rawApp) keep(r received) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got = append(a.got, r)
}

func (a *rawApp) received() []received {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]received(nil), a.got...)
}

// connects opens one Socket Mode connection and serves it until it ends.
func (a *rawApp) connects() *websocket.Conn {
	a.t.Helper()
	opened, _ := callWith(a.t, a.ws, "apps.connections.open", nil, a.ws.AppToken())
	conn, _, err := websocket.DefaultDialer.Dial(opened["url"].(string), nil)
	no(a.t, err)
	var hello object
	no(a.t, conn.ReadJSON(&hello))
	if hello["type"] != "hello" || hello["connection_info"].(object)["app_id"] != AppID {
		a.t.Fatalf("the first word was %v", hello)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			var e object
			if conn.ReadJSON(&e) != nil {
				return
			}
			id, _ := e["envelope_id"].(string)
			payload, _ := e["payload"].(object)
			reason, _ := e["retry_reason"].(string)
			a.keep(received{kind: e["type"].(string), payload: payload, reason: reason})
			if id == "" {
				continue
			}
			said := a.answer(e["type"].(string), payload)
			if said == silence {
				continue
			}
			ack := object{"envelope_id": id}
			if said != nil {
				ack["payload"] = said
			}
			_ = conn.WriteJSON(ack)
		}
	})
	a.t.Cleanup(func() { _ = conn.Close(); serving.Wait() })
	return conn
}

// listens takes HTTP requests.
func (a *rawApp) listens() {
	quit := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got := received{header: r.Header, body: string(body), retry: r.Header.Get("X-Slack-Retry-Num"), reason: r.Header.Get("X-Slack-Retry-Reason"), payload: object{}}
		form, _ := url.ParseQuery(string(body))
		switch {
		case form.Has("payload"):
			got.kind = kindInteraction
			_ = json.Unmarshal([]byte(form.Get("payload")), &got.payload)
		case r.Header.Get("Content-Type") == "application/json":
			got.kind = kindEvent
			_ = json.Unmarshal(body, &got.payload)
		default:
			got.kind = kindCommand
			for k := range form {
				got.payload[k] = form.Get(k)
			}
		}
		a.keep(got)
		switch said := a.answer(got.kind, got.payload).(type) {
		case nil:
		case int:
			w.WriteHeader(said)
		case string:
			if said == silence {
				select {
				case <-r.Context().Done():
				case <-quit:
				}
				return
			}
			_, _ = io.WriteString(w, said)
		default:
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(said)
		}
	}))
	a.t.Cleanup(func() { close(quit); server.Close() })
	a.ws.SetRequestURL(server.URL)
}
