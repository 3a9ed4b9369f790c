package sandbox

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// post sends JSON to a response_url.
func post(t *testing.T, url, body string) int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(url, "application/json", strings.NewReader(body))
	no(t, err)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// card posts a message with an Approve button and returns its channel and timestamp.
func card(t *testing.T, ws *Workspace, channel string) map[string]string {
	t.Helper()
	answer, _ := call(t, ws, "chat.postMessage", in(channel, map[string]string{"text": "card", "blocks": `[
		{"type":"section","text":{"type":"mrkdwn","text":"a *card* &lt;3"}},
		{"type":"actions","block_id":"b","elements":[
			{"type":"button","action_id":"yes","value":"7","text":{"type":"plain_text","text":"Approve"}},
			{"type":"static_select","action_id":"menu","placeholder":{"type":"plain_text","text":"Colour"},"options":[
				{"text":{"type":"plain_text","text":"red"},"value":"r"},{"text":{"type":"plain_text","text":"blue"},"value":"b"}]},
			{"type":"overflow","action_id":"more","options":[{"text":{"type":"plain_text","text":"Hide"},"value":"h"}]}]}]`}))
	if answer["ok"] != true {
		t.Fatal(answer)
	}
	return map[string]string{"channel": answer["channel"].(string), "ts": answer["ts"].(string)}
}

func TestPressesOnMessages(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	app := newRawApp(t, ws, nil)
	app.connects()
	no(t, ws.WaitsForApp(soon(t)))
	where := card(t, ws, ws.AddChannel("room", "ana"))
	ana := ws.Person("ana")
	if want := "a *card* <3\n[Approve] ‹Colour› […Hide]"; ana.Messages()[0].Text != want {
		t.Errorf("the card reads %q, want %q", ana.Messages()[0].Text, want)
	}
	must(t, ana.Clicks("Approve"))
	must(t, ana.Selects("Colour", "blue"))
	must(t, ana.Clicks("Hide"))
	if ana.Selects("Colour", "green").Err() == nil || ana.Clicks("Deny").Err() == nil || ana.Clicks("Approve", With("another card")).Err() == nil {
		t.Error("what is not there was pressed")
	}
	got := app.received()
	if len(got) != 3 {
		t.Fatalf("the app heard %+v", got)
	}
	action := func(i int) object { return got[i].payload["actions"].([]any)[0].(object) }
	if a := action(0); a["action_id"] != "yes" || a["value"] != "7" || a["block_id"] != "b" || a["type"] != "button" {
		t.Errorf("the press was %v", a)
	}
	if a := action(1); a["selected_option"].(object)["value"] != "b" {
		t.Errorf("the choice was %v", a)
	}
	if a := action(2); a["type"] != "overflow" || a["selected_option"].(object)["value"] != "h" {
		t.Errorf("the overflow was %v", a)
	}
	p := got[0].payload
	if p["type"] != "block_actions" || p["user"].(object)["id"] != ana.ID() || p["container"].(object)["message_ts"] != where["ts"] ||
		p["channel"].(object)["name"] != "room" || p["message"].(object)["text"] != "card" || p["trigger_id"] == "" {
		t.Errorf("the payload was %v", p)
	}
	both := ana.DoubleClicks("Approve")
	must(t, both[0])
	must(t, both[1])
	if got := app.received(); len(got) != 5 || got[3].payload["trigger_id"] == got[4].payload["trigger_id"] {
		t.Error("a double click is not two presses")
	}

	where["text"] = "done"
	call(t, ws, "chat.update", where)
	if ana.Clicks("Approve").Err() == nil {
		t.Error("a button that was redrawn away was pressed")
	}
	must(t, ana.ClicksStale("Approve"))
	if ws.Person("bo").ClicksStale("Approve").Err() == nil {
		t.Error("somebody who never saw the button pressed it")
	}
}

func TestResponseURL(t *testing.T) {
	t.Parallel()
	now := noon()
	ws := open(t, now.options())
	app := newRawApp(t, ws, nil)
	app.connects()
	no(t, ws.WaitsForApp(soon(t)))
	ana := ws.Person("ana")
	command := func() (string, Reply) {
		r := must(t, ana.Command("/prodaccess help"))
		got := app.received()
		return got[len(got)-1].payload["response_url"].(string), r
	}
	url, reply := command()
	for i := range hookPosts {
		if status := post(t, url, `{"text":"answer"}`); status != http.StatusOK {
			t.Errorf("post %d: %d", i+1, status)
		}
	}
	if status := post(t, url, `{"text":"answer"}`); status != http.StatusNotFound {
		t.Errorf("a sixth post: %d", status)
	}
	if got := reply.Posts(); len(got) != hookPosts || got[0] != "answer" {
		t.Errorf("the posts are %q", got)
	}
	if strings.Contains(ws.Person("bo").Sees(), "answer") {
		t.Error("an ephemeral answer is seen by others")
	}
	url, _ = command()
	now.moves(hookLife + time.Second)
	if status := post(t, url, `{"text":"late"}`); status != http.StatusNotFound {
		t.Errorf("a late post: %d", status)
	}
	url, _ = command()
	for _, bad := range []string{`{`, `{"text":""}`, `{"text":"x","response_type":"loud"}`, `{"blocks":[{"type":"x"}]}`} {
		if status := post(t, url, bad); status != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, status)
		}
	}
	post(t, url, `{"text":"for all","response_type":"in_channel"}`)
	if !strings.Contains(ws.Person("bo").Sees(), "for all") {
		t.Error("an answer in the channel is not seen by others")
	}

	// A press on an ephemeral message may replace and delete it, which chat.update cannot.
	call(t, ws, "chat.postEphemeral", map[string]string{
		"channel": ws.channels[0].id, "user": ana.ID(), "text": "x",
		"blocks": `[{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"Dismiss"}}]}]`,
	})
	must(t, ana.Clicks("Dismiss"))
	got := app.received()
	last := got[len(got)-1].payload
	if last["message"] != nil || last["container"].(object)["is_ephemeral"] != true {
		t.Errorf("a press on an ephemeral message carried %v", last)
	}
	post(t, last["response_url"].(string), `{"replace_original":true,"text":"replaced"}`)
	if !strings.Contains(ana.Sees(), "replaced") || strings.Contains(ana.Sees(), "[Dismiss]") {
		t.Errorf("after replacing, ana sees %s", ana.Sees())
	}
	post(t, last["response_url"].(string), `{"delete_original":true}`)
	if strings.Contains(ana.Sees(), "replaced") {
		t.Error("the message is still there")
	}
}

func TestTriggers(t *testing.T) {
	t.Parallel()
	now := noon()
	ws := open(t, now.options())
	app := newRawApp(t, ws, nil)
	app.connects()
	no(t, ws.WaitsForApp(soon(t)))
	trigger := func() string {
		must(t, ws.Person("ana").Command("/prodaccess help"))
		got := app.received()
		return got[len(got)-1].payload["trigger_id"].(string)
	}
	opens := func(id string) any {
		answer, _ := call(t, ws, "views.open", map[string]string{"trigger_id": id, "view": goodModal})
		return answer["error"]
	}
	id := trigger()
	if got := opens(id); got != nil {
		t.Errorf("a fresh trigger: %v", got)
	}
	if got := opens(id); got != "exchanged_trigger_id" {
		t.Errorf("a spent trigger: %v", got)
	}
	id = trigger()
	now.moves(triggerLife + time.Millisecond)
	if got := opens(id); got != "expired_trigger_id" {
		t.Errorf("an old trigger: %v", got)
	}
	ws.opts.AckWithin = 2 * triggerLife
	id = trigger()
	now.moves(2 * triggerLife)
	if got := opens(id); got != nil {
		t.Errorf("an app that is given longer may take it: %v", got)
	}
	if got := opens("1.2.abc"); got != "invalid_trigger_id" {
		t.Errorf("a trigger nobody made: %v", got)
	}
	if answer, _ := call(t, ws, "views.push", map[string]string{"trigger_id": trigger(), "view": goodModal}); answer["error"] != "not_found" {
		t.Errorf("a push with a trigger from no view: %v", answer)
	}
}

func TestAcknowledgementsOfCommands(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	var said any
	app := newRawApp(t, ws, func(string, object) any { return said })
	app.listens()
	ana := ws.Person("ana")
	for _, test := range []struct {
		said    any
		text    string
		failure string
	}{
		{nil, "", ""},
		{"plain words", "plain words", ""},
		{object{"text": "json"}, "json", ""},
		{object{"blocks": []any{object{"type": "header", "text": object{"type": "plain_text", "text": "H"}}}}, "# H", ""},
		{object{"blocks": []any{object{"type": "nonsense"}}}, "", FailureDispatch},
		{"{not json", "", FailureDispatch},
	} {
		said = test.said
		if r := ana.Command("/prodaccess help"); r.Text != test.text || r.Failure != test.failure {
			t.Errorf("%v was shown as %+v", test.said, r)
		}
	}
	if ana.Command("/other").Err() == nil || ana.In("nowhere").Command("/prodaccess").Err() == nil {
		t.Error("a command that does not exist, or a channel that does not, worked")
	}
}

func TestControlOverHTTP(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	app := newRawApp(t, ws, func(kind string, _ object) any {
		if kind == kindCommand {
			return "heard"
		}
		return nil
	})
	app.listens()
	card(t, ws, ws.AddChannel("room", "ana"))
	ask := func(method, path, body string, header ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, ws.URL()+path, strings.NewReader(body))
		no(t, err)
		for i := 0; i+1 < len(header); i += 2 {
			if header[i] == "Host" {
				req.Host = header[i+1]
			}
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		no(t, err)
		defer func() { _ = resp.Body.Close() }()
		var out bytes.Buffer
		_, _ = out.ReadFrom(resp.Body)
		return resp.StatusCode, out.String()
	}
	for _, test := range []struct {
		method, path, body string
		status             int
		says               string
		header             []string
	}{
		{"GET", "/sandbox/people", "", 200, "ana\nbo\ncy\n", nil},
		{"POST", "/sandbox/people/ana/command", "/prodaccess help", 200, "heard", nil},
		{"GET", "/sandbox/people/ana/sees", "", 200, "[Approve]", nil},
		{"POST", "/sandbox/people/ana/click", "Approve", 200, "ok", nil},
		{"POST", "/sandbox/people/ana/select", "Colour: red", 200, "ok", nil},
		{"POST", "/sandbox/people/bo/click", "Approve", 409, "it is not there", nil},
		{"POST", "/sandbox/people/ana/submit", "Reason: x", 409, "no form open", nil},
		{"POST", "/sandbox/people/ana/close", "", 409, "no view open", nil},
		{"POST", "/sandbox/people/zed/click", "Approve", 404, "nobody is called zed", nil},
		{"POST", "/sandbox/people/ana/click", "Approve", 403, "", []string{"Origin", "https://evil.example.com"}},
		{"POST", "/sandbox/people/ana/click", "Approve", 403, "", []string{"Sec-Fetch-Site", "cross-site"}},
		{"GET", "/sandbox/people/ana/sees", "", 403, "only from this machine", []string{"Host", "evil.example.com"}},
	} {
		if status, said := ask(test.method, test.path, test.body, test.header...); status != test.status || !strings.Contains(said, test.says) {
			t.Errorf("%s %s %q: %d %q, want %d %q", test.method, test.path, test.body, status, said, test.status, test.says)
		}
	}
}

func TestControlRefusesOtherMachines(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	for caller, want := range map[string]int{"127.0.0.1:1": http.StatusOK, "[::1]:1": http.StatusOK, "192.0.2.1:1": http.StatusForbidden} {
		r := httptest.NewRequest(http.MethodGet, "http://localhost/sandbox/people", nil)
		r.RemoteAddr = caller
		w := httptest.NewRecorder()
		ws.control().ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("a caller at %s was answered %d, want %d", caller, w.Code, want)
		}
	}
	if _, err := New(Options{Listen: "0.0.0.0:0"}); err == nil {
		t.Error("a workspace listens to other machines")
	}
	if _, err := NewPagerDuty(PagerDutyOptions{Listen: "0.0.0.0:0"}); err == nil {
		t.Error("a PagerDuty listens to other machines")
	}
}
