package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// pageOf is a page without a browser: what its stream says, and what it asks.
type pageOf struct {
	passed []frame // not yet asked for
	t      *testing.T
	ws     *Workspace
	name   string
	frames chan frame
}

type frame struct {
	event string
	data  object
	list  []any
}

// opens connects a page that ends with the test, or when stop is called.
func opens(t *testing.T, ws *Workspace, name string) (p *pageOf, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, ws.URL()+"/page/people/"+name+"/stream", nil)
	no(t, err)
	client := &http.Client{Transport: &http.Transport{}}
	response, err := client.Do(request)
	no(t, err)
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("the stream answered %d, %s", response.StatusCode, response.Header.Get("Content-Type"))
	}
	p = &pageOf{t: t, ws: ws, name: name, frames: make(chan frame, 1000)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(p.frames)
		lines := bufio.NewReader(response.Body)
		var f frame
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return
			}
			if event, found := bytes.CutPrefix(line, []byte("event: ")); found {
				f = frame{event: strings.TrimSpace(string(event))}
			} else if data, found := bytes.CutPrefix(line, []byte("data: ")); found {
				_ = json.Unmarshal(data, &f.data)
				_ = json.Unmarshal(data, &f.list)
				p.frames <- f
			}
		}
	}()
	stop = func() {
		cancel()
		_ = response.Body.Close()
		<-ended
		client.CloseIdleConnections()
	}
	t.Cleanup(stop)
	return p, stop
}

// waits reads frames of a kind until one is as wanted.
func (p *pageOf) waits(event string, wanted func(frame) bool) frame {
	p.t.Helper()
	ctx := soon(p.t)
	passed := p.passed
	p.passed = nil
	for i, f := range passed { // they came while something else was waited for
		switch {
		case f.event != event:
			p.passed = append(p.passed, f)
		case wanted(f):
			p.passed = append(p.passed, passed[i+1:]...)
			return f
		}
	}
	for {
		select {
		case f, open := <-p.frames:
			if !open {
				p.t.Fatal("the stream ended")
			}
			if f.event != event {
				p.passed = append(p.passed, f)
			} else if wanted(f) {
				return f
			}
		case <-ctx.Done():
			p.t.Fatalf("no %s as wanted", event)
		}
	}
}

func anyFrame(frame) bool { return true }

// asks posts an act and reads the answer.
func (p *pageOf) asks(act string, body object) object {
	p.t.Helper()
	return asks(p.t, p.ws, "/page/people/"+p.name+"/"+act, body)
}

func asks(t *testing.T, ws *Workspace, path string, body object) object {
	t.Helper()
	response, err := http.Post(ws.URL()+path, "application/json", bytes.NewReader(encode(body)))
	no(t, err)
	defer response.Body.Close()
	var said object
	if err := json.NewDecoder(response.Body).Decode(&said); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s answered %d, %v", path, response.StatusCode, err)
	}
	return said
}

func TestPageAnswersThisMachineAndItsOwnPagesOnly(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	for _, c := range []struct {
		name, method, path string
		host               string
		header             map[string]string
		want               int
	}{
		{name: "the page", path: "/", want: 200},
		{name: "its files", path: "/page/main.js", want: 200},
		{name: "no listing", path: "/page/", want: 404},
		{name: "no such file", path: "/page/none.js", want: 404},
		{name: "nobody's stream", path: "/page/people/nobody/stream", want: 404},
		{name: "the app is nobody to be", path: "/page/people/prodaccess/stream", want: 404},
		{name: "a name that resolves to here", path: "/", host: "evil.example", want: 403},
		{name: "a stream under such a name", path: "/page/people/bo/stream", host: "evil.example:80", want: 403},
		{name: "an act", method: "POST", path: "/page/people/bo/home", want: 200},
		{name: "an act of another origin", method: "POST", path: "/page/people/bo/home", header: map[string]string{"Sec-Fetch-Site": "cross-site"}, want: 403},
		{name: "an act of an older browser elsewhere", method: "POST", path: "/page/people/bo/home", header: map[string]string{"Origin": "https://evil.example"}, want: 403},
		{name: "a pane of another origin", method: "POST", path: "/page/panes/0/0", header: map[string]string{"Sec-Fetch-Site": "cross-site"}, want: 403},
		{name: "the tour of another origin", method: "POST", path: "/page/tour", header: map[string]string{"Sec-Fetch-Site": "same-site"}, want: 403},
		{name: "an act nobody knows", method: "POST", path: "/page/people/bo/fly", want: 404},
		{name: "an act by GET", path: "/page/people/bo/home", want: 404},
		{name: "no such pane", method: "POST", path: "/page/panes/0/0", want: 404},
		{name: "no such message", path: "/archives/C1/x", want: 404},
	} {
		request, err := http.NewRequestWithContext(soon(t), c.method, ws.URL()+c.path, nil)
		no(t, err)
		if c.method == "POST" {
			request, err = http.NewRequestWithContext(soon(t), c.method, ws.URL()+c.path, strings.NewReader("{}"))
			no(t, err)
		}
		request.Host = c.host
		for k, v := range c.header {
			request.Header.Set(k, v)
		}
		response, err := http.DefaultClient.Do(request)
		no(t, err)
		_ = response.Body.Close()
		if response.StatusCode != c.want {
			t.Errorf("%s: %d, not %d", c.name, response.StatusCode, c.want)
		}
		if policy := response.Header.Get("Content-Security-Policy"); c.want == 200 && !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'") {
			t.Errorf("%s: the policy is %q", c.name, policy)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestPageFilesMakeNoHTML holds the page to what makes hostile text harmless, and to asking nobody else.
func TestPageFilesMakeNoHTML(t *testing.T) {
	t.Parallel()
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc`)
	elsewhere := regexp.MustCompile(`(src|href)="(https?:)?//|url\(|@import|from 'https?:`)
	err := fs.WalkDir(webFiles, "web", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(webFiles, path)
		if found := forbidden.Find(raw); found != nil {
			t.Errorf("%s uses %s", path, found)
		}
		if found := elsewhere.Find(raw); found != nil {
			t.Errorf("%s loads something: %s", path, found)
		}
		return err
	})
	no(t, err)
}

func TestPageStreamsWhatItsPersonSees(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	room := ws.AddChannel("room", "ana", "bo")
	secret := ws.AddPrivateChannel("secret", "cy")
	bo, _ := opens(t, ws, "bo")
	first := bo.waits("screen", anyFrame).data
	if text := string(encode(first)); !strings.Contains(text, `"name":"room"`) || strings.Contains(text, "secret") {
		t.Errorf("bo's first screen is %s", text)
	}
	posted := tells(t, ws, "chat.postMessage", object{"channel": room, "text": "hello"})
	tells(t, ws, "chat.postMessage", object{"channel": secret, "text": "not for bo"})
	tells(t, ws, "chat.postEphemeral", object{"channel": room, "user": ws.Person("ana").ID(), "text": "for ana alone"})
	tells(t, ws, "chat.postEphemeral", object{"channel": room, "user": ws.Person("bo").ID(), "text": "for bo alone"})
	tells(t, ws, "chat.update", object{"channel": room, "ts": posted["ts"], "text": "hello again"})
	tells(t, ws, "chat.postMessage", object{"channel": room, "text": "a reply", "thread_ts": posted["ts"]})
	seen := ""
	bo.waits("screen", func(f frame) bool {
		seen += string(encode(f.data["messages"]))
		return strings.Contains(seen, "a reply")
	})
	for _, words := range []string{"hello again", "for bo alone", `"only":true`, `"version":2`, `"thread":"` + posted["ts"].(string)} {
		if !strings.Contains(seen, words) {
			t.Errorf("bo's page does not get %s: %s", words, seen)
		}
	}
	for _, words := range []string{"not for bo", "for ana alone"} {
		if strings.Contains(seen, words) {
			t.Errorf("bo's page gets %q", words)
		}
	}
	traffic := ""
	bo.waits("traffic", func(f frame) bool {
		traffic += string(encode(f.list))
		return strings.Contains(traffic, "chat.update")
	})
	if strings.Contains(traffic, ws.BotToken()) {
		t.Error("the bot's token is in the traffic")
	}
	tells(t, ws, "chat.delete", object{"channel": room, "ts": posted["ts"]})
	bo.waits("screen", func(f frame) bool { return strings.Contains(string(encode(f.data["gone"])), posted["ts"].(string)) })
}

func TestPageCountsWhatIsUnread(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	room := ws.AddChannel("room", "ana", "bo")
	bo, _ := opens(t, ws, "bo")
	unread := func(f frame, name string) float64 {
		for _, c := range f.data["channels"].([]any) {
			if c := c.(object); c["name"] == name {
				return c["unread"].(float64)
			}
		}
		return -1
	}
	posted := tells(t, ws, "chat.postMessage", object{"channel": room, "text": "one"})
	last := tells(t, ws, "chat.postMessage", object{"channel": room, "text": "two"})
	tells(t, ws, "chat.postMessage", object{"channel": room, "text": "in a thread", "thread_ts": posted["ts"]})
	bo.waits("screen", func(f frame) bool { return unread(f, "room") == 2 })
	if said := bo.asks("read", object{"channel": room, "ts": posted["ts"]}); said["error"] != nil {
		t.Error(said)
	}
	bo.waits("screen", func(f frame) bool { return unread(f, "room") == 1 })
	bo.asks("read", object{"channel": room, "ts": last["ts"]})
	f := bo.waits("screen", func(f frame) bool { return unread(f, "room") == 0 })
	people := string(encode(f.data["people"]))
	if !regexp.MustCompile(`"name":"ana"[^}]*"unread":2`).MatchString(people) {
		t.Errorf("ana has read what bo has: %s", people)
	}
	if said := bo.asks("say", object{"channel": room, "text": "I <!channel> wrote & this"}); said["error"] != nil {
		t.Error(said)
	}
	f = bo.waits("screen", func(f frame) bool { return strings.Contains(string(encode(f.data["messages"])), "wrote") })
	if text := string(encode(f.data["messages"])); unread(f, "room") != 0 || !strings.Contains(text, "I &lt;!channel&gt; wrote &amp; this") {
		t.Errorf("one's own message is unread, or does something: %s", text)
	}
	for _, body := range []object{
		{"channel": "nowhere", "text": "x"}, {"channel": room, "text": "  "}, {"channel": room, "text": "x", "thread": "1.000001"},
	} {
		if said := bo.asks("say", body); said["error"] == nil {
			t.Errorf("%v was said", body)
		}
	}
}

func TestPagePressesOnlyWhatIsOnTheScreen(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	app := newRawApp(t, ws, func(kind string, payload object) any {
		if payload["type"] == "block_suggestion" {
			return object{"options": []any{option1("found " + payload["value"].(string))}}
		}
		return nil
	})
	app.listens()
	room := ws.AddChannel("room", "ana", "bo")
	blocks := []any{
		object{"type": "actions", "block_id": "b", "elements": []any{
			object{"type": "button", "action_id": "yes", "text": plainObject("Yes"), "value": "1"},
			object{"type": "static_select", "action_id": "pick", "options": []any{option1("red"), option1("blue")}},
			object{"type": "external_select", "action_id": "find", "min_query_length": 0},
			object{"type": "overflow", "action_id": "more", "options": []any{option1("archive")}},
		}},
	}
	posted := tells(t, ws, "chat.postMessage", object{"channel": room, "text": "x", "blocks": blocks})
	bo, _ := opens(t, ws, "bo")
	cy, _ := opens(t, ws, "cy")
	at := func(action string, more object) object {
		o := object{"channel": room, "ts": posted["ts"], "block": "b", "action": action}
		for k, v := range more {
			o[k] = v
		}
		return o
	}
	for _, c := range []struct {
		name, act string
		who       *pageOf
		body      object
		refused   string
	}{
		{"a button", "press", bo, at("yes", nil), ""},
		{"a button in a channel one is not in", "press", cy, at("yes", nil), "not on the screen"},
		{"a button that is not there", "press", bo, at("no", nil), "not on the screen"},
		{"a menu is no button", "press", bo, at("pick", nil), "not a button"},
		{"an entry of an overflow menu", "press", bo, at("more", object{"option": "archive"}), ""},
		{"no entry", "press", bo, at("more", object{"option": "delete"}), "no choice"},
		{"a choice", "choose", bo, at("pick", object{"chosen": []any{"red"}}), ""},
		{"a choice that is not offered", "choose", bo, at("pick", object{"chosen": []any{"green"}}), "no choice"},
		{"two of one", "choose", bo, at("pick", object{"chosen": []any{"red", "blue"}}), "one can be chosen"},
		{"a suggestion nobody asked for", "choose", bo, at("find", object{"chosen": []any{"found x"}}), "no choice"},
		{"asking", "suggest", bo, at("find", object{"text": "x"}), ""},
		{"a suggestion", "choose", bo, at("find", object{"chosen": []any{"found x"}}), ""},
		{"no window to send", "submit", bo, object{"view": "V1"}, "not open"},
		{"no window to close", "close", bo, object{"view": "V1"}, "not open"},
	} {
		said := c.who.asks(c.act, c.body)
		problem, _ := said["error"].(string)
		if (c.refused == "") != (problem == "") || !strings.Contains(problem, c.refused) {
			t.Errorf("%s: said %v, wanted %q", c.name, said, c.refused)
		}
	}
	pressed := 0
	for _, r := range app.received() {
		if r.payload["type"] == "block_actions" {
			pressed++
		}
	}
	if pressed != 4 {
		t.Errorf("the app heard of %d presses, not of 4", pressed)
	}
	ws.RemovePerson("bo")
	if said := bo.asks("press", at("yes", nil)); said["error"] == nil {
		t.Error("somebody deactivated pressed a button")
	}
}

func TestPageSendsForms(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	view := object{
		"type": "modal", "title": plainObject("Form"), "submit": plainObject("Send"), "blocks": []any{
			object{"type": "input", "block_id": "why", "label": plainObject("Why"), "element": object{"type": "plain_text_input", "action_id": "text"}},
			object{
				"type": "input", "block_id": "who", "label": plainObject("Who"), "optional": true, "dispatch_action": true,
				"element": object{"type": "multi_users_select", "action_id": "people", "max_selected_items": 1},
			},
			object{"type": "input", "block_id": "when", "label": plainObject("When"), "optional": true, "element": object{"type": "datetimepicker", "action_id": "time"}},
		},
	}
	app := newRawApp(t, ws, func(kind string, payload object) any {
		values, _ := json.Marshal(payload["view"])
		if payload["type"] == "view_submission" && !strings.Contains(string(values), "because") {
			return object{"response_action": "errors", "errors": object{"why": "Say because."}}
		}
		return nil
	})
	app.listens()
	bo, _ := opens(t, ws, "bo")
	if said := bo.asks("command", object{"channel": "general", "text": "/prodaccess"}); said["error"] != nil {
		t.Fatal(said)
	}
	trigger := app.received()[0].payload["trigger_id"]
	opened := tells(t, ws, "views.open", object{"trigger_id": trigger, "view": view})
	id := opened["view"].(object)["id"]
	bo.waits("screen", func(f frame) bool { return len(f.data["views"].([]any)) == 1 })
	written := func(text string) object { return object{"why": object{"text": text}} }
	errorsOf := func(said object) string { return string(encode(said["errors"])) }
	if said := bo.asks("submit", object{"view": id, "values": written("")}); !strings.Contains(errorsOf(said), `"why":"Please complete`) {
		t.Errorf("an empty form was taken: %v", said)
	}
	if said := bo.asks("submit", object{"view": id, "values": written("so")}); !strings.Contains(errorsOf(said), `"why":"Say because."`) {
		t.Errorf("the app's error is not there: %v", said)
	}
	ana := ws.Person("ana").ID()
	for chosen, problem := range map[string]string{"U999": "no such person", ana: ""} {
		said := bo.asks("choose", object{"view": id, "block": "who", "action": "people", "chosen": []any{chosen}, "values": written("half a word")})
		if got, _ := said["error"].(string); !strings.Contains(got, problem) || (problem == "") != (got == "") {
			t.Errorf("choosing %s: %v", chosen, said)
		}
	}
	if said := bo.asks("choose", object{"view": id, "block": "who", "action": "people", "chosen": []any{ana, ws.Person("cy").ID()}}); said["error"] == nil {
		t.Error("more people were chosen than may be")
	}
	bo.asks("choose", object{"view": id, "block": "when", "action": "time", "chosen": []any{"1700000000"}})
	if said := bo.asks("submit", object{"view": id, "values": written("because")}); said["errors"] != nil || said["error"] != nil {
		t.Errorf("a good form was not taken: %v", said)
	}
	bo.waits("screen", func(f frame) bool { return len(f.data["views"].([]any)) == 0 })
	got := app.received()
	var dispatched, last string
	for _, r := range got {
		if r.payload["type"] == "block_actions" {
			dispatched = string(encode(r.payload))
		}
		last = string(encode(r.payload))
	}
	if !strings.Contains(dispatched, "half a word") {
		t.Errorf("the app does not see what was written so far: %s", dispatched)
	}
	for _, words := range []string{`"value":"because"`, `"selected_users":["` + ana + `"]`, `"selected_date_time":1700000000`} {
		if !strings.Contains(last, words) {
			t.Errorf("the app did not get %s: %s", words, last)
		}
	}
}

// TestPanesAreReadWhileAPageIsOpen holds panes to being read for somebody, and by nobody after.
func TestPanesAreReadWhileAPageIsOpen(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	var readings atomic.Int64
	ws.SetPage(Page{Panes: []Pane{{
		Title: "Numbers",
		Read: func(context.Context) ([]Table, error) {
			if readings.Add(1) == 2 {
				return nil, context.DeadlineExceeded
			}
			return []Table{{Caption: "one", Columns: []string{"n"}, Rows: [][]string{{"seven"}}}}, nil
		},
		Actions: []PaneAction{{Label: "Do", Run: func(_ context.Context, who string) Output { return Output{Text: "done for " + who, Failed: true} }}},
	}}})
	if readings.Load() != 0 {
		t.Error("a pane is read for nobody")
	}
	bo, stop := opens(t, ws, "bo")
	bo.waits("pane", func(f frame) bool { return strings.Contains(string(encode(f.data)), "seven") })
	bo.waits("pane", func(f frame) bool { return f.data["error"] == context.DeadlineExceeded.Error() })
	if said := asks(t, ws, "/page/panes/0/0", object{"person": "bo"}); said["text"] != "done for bo" || said["failed"] != true {
		t.Errorf("the action said %v", said)
	}
	bo.waits("screen", func(f frame) bool { return strings.Contains(string(encode(f.data["outputs"])), "done for bo") })
	stop()
	// A reading under way may end, and the server takes a moment to see that the page is gone. Then nothing is read for longer
	// than the pause between two readings.
	for ctx, before := soon(t), int64(-1); before != readings.Load(); {
		if ctx.Err() != nil {
			t.Fatal("the pane is read on for a page that is gone")
		}
		before = readings.Load()
		time.Sleep(readEvery + 200*time.Millisecond)
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestTourWaitsForWhatReallyHappens walks a tour through every kind of sight.
func TestTourWaitsForWhatReallyHappens(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	app := newRawApp(t, ws, nil)
	app.listens()
	room := ws.AddChannel("room", "ana", "bo")
	tells(t, ws, "chat.postMessage", object{"channel": room, "text": "magic, too early"})
	ws.SetPage(Page{
		Panes: []Pane{{Title: "P", Actions: []PaneAction{{Label: "Do", Run: func(context.Context, string) Output { return Output{Text: "worked"} }}}}},
		Tour: Tour{Title: "T", Steps: []Step{
			{Person: "bo", Title: "read"},
			{Person: "bo", Title: "message", Until: []Sight{{Message: "never"}, {Person: "ana", Message: "magic"}}},
			{Person: "bo", Title: "view", Until: []Sight{{View: "Form"}}},
			{Person: "bo", Title: "closed", Until: []Sight{{NoView: true}}},
			{Person: "bo", Title: "home", Until: []Sight{{Home: "welcome"}}},
			{Person: "bo", Title: "output", Until: []Sight{{Output: "worked"}}},
		}},
	})
	bo, _ := opens(t, ws, "bo")
	reaches := func(at float64) {
		t.Helper()
		bo.waits("screen", func(f frame) bool { return f.data["tour"].(object)["at"] == at })
	}
	goes := func(what string) { t.Helper(); asks(t, ws, "/page/tour", object{"do": what}) }
	reaches(-1)
	goes("start")
	reaches(0)
	goes("next")
	reaches(1) // the earlier message does not count
	tells(t, ws, "chat.postMessage", object{"channel": room, "text": "magic"})
	reaches(2)
	bo.asks("command", object{"channel": room, "text": "/prodaccess"})
	opened := tells(t, ws, "views.open", object{"trigger_id": app.received()[0].payload["trigger_id"], "view": object{
		"type": "modal", "title": plainObject("Form"), "blocks": []any{object{"type": "divider"}},
	}})
	reaches(3)
	bo.asks("close", object{"view": opened["view"].(object)["id"]})
	reaches(4)
	tells(t, ws, "views.publish", object{"user_id": ws.Person("bo").ID(), "view": object{
		"type": "home", "blocks": []any{object{"type": "section", "text": plainObject("welcome")}},
	}})
	bo.asks("home", object{"open": true})
	reaches(5)
	asks(t, ws, "/page/panes/0/0", object{"person": "bo"})
	reaches(6)
	goes("end")
	reaches(-1)
	http.DefaultClient.CloseIdleConnections()
}

func TestPermalinksOpenThePage(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	room := ws.AddChannel("room", "bo")
	posted := tells(t, ws, "chat.postMessage", object{"channel": room, "text": "x"})
	answer, _ := call(t, ws, "chat.getPermalink", map[string]string{"channel": room, "message_ts": posted["ts"].(string)})
	link := answer["permalink"].(string)
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Get(link)
	no(t, err)
	_ = response.Body.Close()
	if to := response.Header.Get("Location"); to != "/#/-/"+room+"/"+posted["ts"].(string) {
		t.Errorf("%s leads to %q", link, to)
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestCloseEndsOpenPages is what goleak in TestMain watches over as well.
func TestCloseEndsOpenPages(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	ws.SetPage(Page{Panes: []Pane{{Title: "Slow", Read: func(ctx context.Context) ([]Table, error) { <-ctx.Done(); return nil, ctx.Err() }}}})
	bo, _ := opens(t, ws, "bo")
	bo.waits("screen", anyFrame)
	ws.Close()
	ctx := soon(t)
	for {
		select {
		case _, open := <-bo.frames:
			if !open {
				return
			}
		case <-ctx.Done():
			t.Fatal("the stream outlives the workspace")
		}
	}
}

// tells calls a method as the app, with JSON, and wants it taken.
func tells(t *testing.T, ws *Workspace, method string, body object) object {
	t.Helper()
	said, _ := send(t, ws, method, "application/json; charset=utf-8", string(encode(body)), ws.BotToken())
	if said["ok"] != true {
		t.Fatalf("%s: %v", method, said)
	}
	return said
}

func plainObject(text string) object { return object{"type": "plain_text", "text": text} }

func option1(text string) object { return object{"text": plainObject(text), "value": text} }
