package sandbox

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/internal/browser"
)

// hostile is text that would do something on a page that makes HTML of it.
const hostile = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>&lt;b&gt;"'` + "`" + ` <javascript:alert(1)|click> <data:text/html,x|data> <https://example.com/"onmouseover="x|fine>`

// onPage opens the page in a browser of its own.
func onPage(t *testing.T, ws *Workspace, at string, width int) (*browser.Page, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	b, err := browser.Start(ctx)
	no(t, err)
	t.Cleanup(b.Close)
	p, err := b.Open(ctx, ws.URL()+"/#"+at, width, 800)
	no(t, err)
	t.Cleanup(func() {
		for _, trouble := range p.Trouble() {
			t.Errorf("the page had trouble: %s", trouble)
		}
		for _, address := range p.Requests() {
			if !strings.HasPrefix(address, ws.URL()) && !strings.HasPrefix(address, "data:") {
				t.Errorf("the page asked %s", address)
			}
		}
		if dir := os.Getenv("SCREENSHOTS"); dir != "" {
			after, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_ = p.Screenshot(after, filepath.Join(dir, t.Name()+".png"))
		}
	})
	return p, ctx
}

func (b *pageBlocks) add(blocks ...object) {
	for _, o := range blocks {
		b.list = append(b.list, o)
	}
}

type pageBlocks struct{ list []any }

func mrkdwnObject(text string) object { return object{"type": "mrkdwn", "text": text} }

// TestPageShowsEverythingAnAppCanSay draws every block, with hostile text in every place that takes text.
func TestPageShowsEverythingAnAppCanSay(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true, TeamName: "Ex <i>ample</i>"})
	ws.AddPerson(Person{Name: "kiri", RealName: "Kiri <u>", Title: "<b>", TZ: "Pacific/Auckland"})
	room := ws.AddChannel("room", "kiri", "bo")
	group := ws.AddUserGroup("dba", "bo")
	kiri, bo := ws.Person("kiri").ID(), ws.Person("bo").ID()
	var b pageBlocks
	b.add(
		object{"type": "header", "text": plainObject("Head " + hostile[:60])},
		object{"type": "section", "text": mrkdwnObject("*bold _both_* _it_ ~gone~ `co<de` 2 * 3 * 4 snake_case_name ```pre <b>\nline``` after\n&gt; quoted\n" + hostile)},
		object{"type": "section", "text": mrkdwnObject(fmt.Sprintf("<@%s> <@%s> <#%s> <!subteam^%s> <!here> <https://example.com/a|a link> <mailto:bo@example.com>", kiri, bo, room, group))},
		object{"type": "section", "text": mrkdwnObject(fmt.Sprintf("<!date^1700000000^{date_short} {time_secs}|fallback> <!date^%d^{ago}|fallback> <!date^%d^{date_short_pretty}|fallback>", time.Now().Add(-3*time.Minute).Unix(), time.Now().Unix()))},
		object{"type": "section", "fields": []any{mrkdwnObject("*Field*\n" + hostile), plainObject(hostile)}, "accessory": object{"type": "button", "action_id": "acc", "text": plainObject(hostile[:70])}},
		object{"type": "divider"},
		object{"type": "context", "elements": []any{mrkdwnObject(hostile), object{"type": "image", "image_url": "https://example.com/x.png", "alt_text": "a picture " + hostile}}},
		object{"type": "image", "image_url": "https://example.com/y.png", "alt_text": hostile, "title": plainObject(hostile)},
		object{"type": "markdown", "text": hostile},
		object{"type": "rich_text", "elements": []any{
			object{"type": "rich_text_section", "elements": []any{object{"type": "text", "text": hostile, "style": object{"bold": true}}, object{"type": "link", "url": "javascript:alert(1)", "text": "bad link"}, object{"type": "user", "user_id": bo}}},
			object{"type": "rich_text_preformatted", "elements": []any{object{"type": "text", "text": hostile}}},
			object{"type": "rich_text_list", "style": "bullet", "elements": []any{object{"type": "rich_text_section", "elements": []any{object{"type": "text", "text": "an item"}}}}},
		}},
	)
	tells(t, ws, "chat.postMessage", object{"channel": room, "text": hostile, "blocks": b.list})
	tells(t, ws, "chat.postMessage", object{"channel": room, "text": hostile, "attachments": []any{
		object{"color": "#d40e0d", "fallback": "x", "blocks": []any{object{"type": "section", "text": mrkdwnObject("in an attachment " + hostile)}}},
		object{"color": "good; background: url(https://example.com/z)", "text": hostile, "title": hostile, "title_link": "javascript:alert(2)", "footer": hostile},
	}})
	ws.SetPage(Page{
		Title: hostile,
		Panes: []Pane{{Title: hostile, About: hostile, Read: func(context.Context) ([]Table, error) {
			return []Table{{Caption: hostile, Columns: []string{hostile}, Rows: [][]string{{hostile}}}}, nil
		}}},
		Tour: Tour{Title: hostile, About: hostile, Steps: []Step{{Person: "kiri", Title: hostile, Text: hostile}}},
	})
	p, ctx := onPage(t, ws, "/kiri/room", 1280)
	no(t, p.Sees(ctx, "in an attachment"))
	text := p.Text(ctx)
	for _, words := range []string{
		"2 * 3 * 4 snake_case_name", "co<de", "pre <b>\nline", "@kiri @bo #room @dba @here a link", "15 Nov 2023 11:13:20", "3 minutes ago", "today", "an item",
		"<img src=x onerror=", `Head <img src=x`, `<script>document.title='owned'</script>`,
	} {
		if !strings.Contains(text, words) {
			t.Errorf("%q is not on the page:\n%s", words, text)
		}
	}
	var found map[string]any
	no(t, p.Eval(ctx, `(() => {
		const all = s => [...document.querySelectorAll(s)]
		const said = s => all('#messages ' + s).map(e => e.textContent)
		return {
			title: document.title,
			foreign: all('#messages img:not(.avatar), #messages script, #messages b, #messages i, #side img, #side script, #sidebar u, iframe, object, embed, style').length,
			handlers: all('*').filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length,
			links: all('a[href]').map(a => a.getAttribute('href')),
			strong: said('strong'), em: said('em'), s: said('s'), code: said('code'), quote: said('blockquote'),
			bar: getComputedStyle(document.querySelector('.attachment')).borderLeftColor,
			mine: said('.mention.mine'),
		}
	})()`, &found))
	raw, _ := json.Marshal(found)
	if found["foreign"] != 0.0 || found["handlers"] != 0.0 || strings.Contains(fmt.Sprint(found["title"]), "owned") {
		t.Errorf("text became more than text: %s", raw)
	}
	for _, link := range found["links"].([]any) {
		if l := link.(string); !strings.HasPrefix(l, "https://") && !strings.HasPrefix(l, "mailto:") && l != "#messages" {
			t.Errorf("there is a link to %q", l)
		}
	}
	for _, part := range []string{`"strong":[`, `"bold both"`, `"em":["both","it"`, `"s":["gone"]`, `"quote":["quoted"]`, `"bar":"rgb(212, 14, 13)"`, `"mine":["@kiri","@here"]`} {
		if !strings.Contains(string(raw), part) {
			t.Errorf("%s is not in %s", part, raw)
		}
	}
}

// TestPageUsesEveryElement fills in a form with all elements there are, through the browser, and looks at what the app gets.
func TestPageUsesEveryElement(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	input := func(id string, element object) object {
		element["action_id"] = id
		return object{"type": "input", "block_id": id, "optional": true, "label": plainObject("Field " + id), "element": element}
	}
	options := []any{option1("red"), object{"text": plainObject("Blue"), "value": "blue", "description": plainObject("the sky")}}
	confirm := object{"title": plainObject("Sure?"), "text": mrkdwnObject("*Really*"), "confirm": plainObject("Do it"), "deny": plainObject("No")}
	view := object{"type": "modal", "title": plainObject("All of it"), "submit": plainObject("Send"), "close": plainObject("Not now"), "blocks": []any{
		input("text", object{"type": "plain_text_input", "placeholder": plainObject("say")}),
		input("lines", object{"type": "plain_text_input", "multiline": true, "initial_value": "start"}),
		input("number", object{"type": "number_input", "is_decimal_allowed": false}),
		input("static", object{"type": "static_select", "options": options}),
		input("groups", object{"type": "static_select", "option_groups": []any{object{"label": plainObject("warm"), "options": []any{option1("orange")}}}}),
		input("multi", object{"type": "multi_static_select", "options": options}),
		input("find", object{"type": "external_select", "min_query_length": 1}),
		input("finds", object{"type": "multi_external_select", "min_query_length": 0}),
		input("person", object{"type": "users_select"}),
		input("channel", object{"type": "channels_select"}),
		input("radio", object{"type": "radio_buttons", "options": options}),
		input("boxes", object{"type": "checkboxes", "options": options}),
		input("date", object{"type": "datepicker"}),
		input("time", object{"type": "timepicker"}),
		input("moment", object{"type": "datetimepicker"}),
		object{"type": "actions", "block_id": "acts", "elements": []any{
			object{"type": "button", "action_id": "ask", "text": plainObject("Ask first"), "confirm": confirm},
			object{"type": "button", "action_id": "deep", "text": plainObject("Deeper")},
			object{"type": "overflow", "action_id": "more", "options": []any{option1("Archive"), option1("Delete")}},
		}},
	}}
	pushed := object{"type": "modal", "title": plainObject("Below"), "close": plainObject("Back"), "blocks": []any{object{"type": "section", "text": plainObject("the second window")}}}
	trigger := make(chan any, 20)
	app := newRawApp(t, ws, func(kind string, payload object) any {
		if payload["type"] == "block_suggestion" {
			return object{"options": []any{option1("found " + payload["value"].(string)), option1("other")}}
		}
		trigger <- payload["trigger_id"]
		return nil
	})
	app.listens()
	p, ctx := onPage(t, ws, "/bo/general", 390)
	clicks := func(role, name string) { t.Helper(); no(t, p.Clicks(ctx, role, name)) }
	types := func(text string) { t.Helper(); no(t, p.Types(ctx, text)) }
	key := func(name string) { t.Helper(); no(t, p.Presses(ctx, name)) }
	waits := func(expression string) { t.Helper(); no(t, p.Waits(ctx, expression)) }
	picks := func(label, value string) {
		t.Helper()
		no(t, p.Eval(ctx, fmt.Sprintf(`(() => { const f = [...document.querySelectorAll('label')].find(l => l.textContent.startsWith(%q)).control
			f.value = %q; f.dispatchEvent(new Event('change', { bubbles: true })) })()`, label, value), nil))
	}
	// again does something until it shows. What was done before comes back from the workspace and is drawn, however late, and
	// a menu that is open then closes.
	again := func(shows string, do func(ctx context.Context) error) {
		t.Helper()
		for {
			soon, cancel := context.WithTimeout(ctx, 5*time.Second)
			err := do(soon)
			if err == nil {
				err = p.Waits(soon, shows)
			}
			cancel()
			if err == nil {
				return
			}
			if ctx.Err() != nil {
				t.Fatal(err)
			}
		}
	}
	clicks("combobox", "Message #general, or /prodaccess for a command")
	types("/prodaccess")
	key("Enter")
	tells(t, ws, "views.open", object{"trigger_id": <-trigger, "view": view})
	no(t, p.Sees(ctx, "All of it"))
	clicks("textbox", "Field text (optional)")
	types("hello")
	clicks("textbox", "Field lines (optional)")
	key("End")
	types(" and more")
	clicks("textbox", "Field number (optional)")
	types("42")
	picks("Field static", "blue")
	picks("Field groups", "orange")
	clicks("checkbox", "red")
	again("[...document.querySelectorAll('[role=combobox]')].some(f => f.value === 'found x')", func(ctx context.Context) error {
		return cmp.Or(p.Clicks(ctx, "combobox", "Field find (optional)"), p.Eval(ctx, "document.activeElement.select?.()", nil), p.Types(ctx, "x"),
			p.Clicks(ctx, "option", "found x"))
	})
	again("document.querySelector('.chip')?.textContent.startsWith('other')", func(ctx context.Context) error {
		return cmp.Or(p.Clicks(ctx, "textbox", "Field text (optional)"), p.Clicks(ctx, "combobox", "Field finds (optional)"), p.Sees(ctx, "other"),
			p.Presses(ctx, "ArrowDown"), p.Presses(ctx, "Enter"))
	})
	picks("Field person", ws.Person("ana").ID())
	picks("Field channel", ws.channelNamed("general").id)
	clicks("radio", "Blue the sky")
	picks("Field date", "2026-01-31")
	picks("Field time", "23:59")
	picks("Field moment", "2026-01-31T23:59")
	// What is written stays while the app redraws the view.
	v, _ := ws.Person("bo").View()
	tells(t, ws, "views.update", object{"view_id": v.ID, "view": view})
	waits("document.querySelector('.modal input').value === 'hello'")
	clicks("button", "Ask first")
	no(t, p.Sees(ctx, "Really"))
	clicks("button", "No")
	clicks("button", "Ask first")
	clicks("button", "Do it")
	again("true", func(ctx context.Context) error {
		return cmp.Or(p.Clicks(ctx, "button", "More"), p.Clicks(ctx, "menuitem", "Delete"))
	})
	for len(trigger) > 0 {
		<-trigger
	}
	clicks("button", "Deeper")
	tells(t, ws, "views.push", object{"trigger_id": <-trigger, "view": pushed})
	no(t, p.Sees(ctx, "window 2 of a stack"))
	nameless, err := p.Nameless(ctx)
	no(t, err)
	if len(nameless) > 0 {
		t.Errorf("these have no name: %q", nameless)
	}
	clicks("button", "Back")
	waits("document.querySelector('.modal input')?.value === 'hello'")
	var wide bool
	no(t, p.Eval(ctx, "document.documentElement.scrollWidth > innerWidth || document.querySelector('.modal-body').scrollWidth > innerWidth", &wide))
	if wide {
		t.Error("the form is wider than a telephone")
	}
	clicks("button", "Send")
	waits("document.querySelector('#modals').hidden")
	var submitted, pressed string
	asked := 0
	for _, r := range app.received() {
		body := string(encode(r.payload))
		switch r.payload["type"] {
		case "view_submission":
			submitted = string(encode(r.payload["view"].(object)["state"]))
		case "block_actions":
			action := r.payload["actions"].([]any)[0].(object)
			if action["action_id"] == "ask" {
				asked++
			}
			pressed += body
		}
	}
	for _, words := range []string{
		`"value":"hello"`, `"value":"start and more"`, `"value":"42"`, `"value":"blue"`, `"value":"orange"`, `"selected_options":[{`, `"value":"found x"`, `"value":"other"`,
		`"selected_user":"` + ws.Person("ana").ID() + `"`, `"selected_channel":"` + ws.channelNamed("general").id + `"`, `"selected_date":"2026-01-31"`, `"selected_time":"23:59"`, `"selected_date_time":1769903940`,
	} {
		if !strings.Contains(submitted, words) {
			t.Errorf("the app did not get %s:\n%s", words, submitted)
		}
	}
	if asked != 1 || !strings.Contains(pressed, `"value":"Delete"`) {
		t.Errorf("confirmed %d times; presses: %s", asked, pressed)
	}
}

// TestTablesFitTheScreen holds every cell of a pane to being in sight without scrolling sideways, on a telephone with the name of
// its column before it.
func TestTablesFitTheScreen(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	ws.SetPage(Page{Panes: []Pane{{Title: "The database", Read: func(context.Context) ([]Table, error) {
		return []Table{
			{Caption: "Logins", Columns: []string{"login", "logs in", "until", "role"}, Rows: [][]string{{"pa_bo_k3v9x7q2ab", "yes", "20:55:49Z", "pa_read_only pa_data_fix"}}},
			{Caption: "Sessions", Columns: []string{"login", "state", "since", "last statement"}, Rows: [][]string{{"pa_bo_k3v9x7q2ab", "idle in transaction", "20:55:49Z", strings.Repeat("SELECT id FROM orders ", 10)}}},
			{Caption: "Nothing", Columns: []string{"none"}},
		}, nil
	}}}})
	for width, named := range map[int]bool{390: true, 320: true, 1280: false} {
		p, ctx := onPage(t, ws, "/bo/general", width)
		if width < 900 {
			no(t, p.Clicks(ctx, "button", "Behind the scenes"))
		}
		no(t, p.Waits(ctx, "document.querySelectorAll('.table td').length === 9"))
		var hidden []string
		no(t, p.Eval(ctx, `[...document.querySelectorAll('.table')].filter(t => t.scrollWidth > t.clientWidth).map(t => t.textContent)`, &hidden))
		if len(hidden) > 0 {
			t.Errorf("at %d pixels these must be scrolled sideways: %q", width, hidden)
		}
		if seen := p.Text(ctx); strings.Contains(seen, "last statement\nSELECT") != named {
			t.Errorf("at %d pixels it reads:\n%s", width, seen)
		}
		nameless, err := p.Nameless(ctx)
		no(t, err)
		if len(nameless) > 0 {
			t.Errorf("these have no name: %q", nameless)
		}
	}
}

// TestPagePicksAMomentByKeyboard writes a day and a time part by part, in the zone of the person and not of the browser. The app hears
// of the whole and draws the form anew, and the focus stays.
func TestPagePicksAMomentByKeyboard(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	nina := ws.AddPerson(Person{Name: "nina", Email: "nina@example.com", TZ: "America/New_York"})
	const eight, evening, earlier = 1769864400, 1769911500, 1767319500 // 08:00, 21:05, and 21:05 on the first, five hours behind UTC
	view := object{"type": "modal", "title": plainObject("When"), "submit": plainObject("Send"), "blocks": []any{
		object{"type": "input", "block_id": "starts", "dispatch_action": true, "label": plainObject("Starts at"), "element": object{"type": "datetimepicker", "action_id": "starts", "initial_date_time": eight}},
	}}
	trigger, heard := make(chan any, 20), make(chan any, 20)
	app := newRawApp(t, ws, func(_ string, payload object) any {
		if actions, ok := payload["actions"].([]any); ok {
			heard <- actions[0].(object)["selected_date_time"]
		} else if payload["view"] == nil {
			trigger <- payload["trigger_id"]
		}
		return nil
	})
	app.listens()
	p, ctx := onPage(t, ws, "/nina/general", 390)
	key := func(name string, times int) {
		t.Helper()
		for range times {
			no(t, p.Presses(ctx, name))
		}
	}
	holds := func(value string) {
		t.Helper()
		no(t, p.Waits(ctx, "document.activeElement?.type === 'datetime-local' && document.activeElement.value === '"+value+"'"))
	}
	no(t, p.Clicks(ctx, "combobox", "Message #general, or /prodaccess for a command"))
	no(t, p.Types(ctx, "/prodaccess"))
	key("Enter", 1)
	tells(t, ws, "views.open", object{"trigger_id": <-trigger, "view": view})
	holds("2026-01-31T08:00")
	key("Tab", 3) // over month, day and year
	key("ArrowUp", 1)
	key("Tab", 1)
	key("ArrowUp", 5)
	key("Tab", 1)
	key("ArrowUp", 1)
	holds("2026-01-31T21:05")
	key("Enter", 1)
	if told := <-heard; told != float64(evening) {
		t.Errorf("the app heard of %v", told)
	}
	// The app draws the form anew, with another title to wait for.
	v, _ := nina.View()
	view["title"] = plainObject("When, again")
	tells(t, ws, "views.update", object{"view_id": v.ID, "view": view})
	no(t, p.Sees(ctx, "When, again"))
	holds("2026-01-31T21:05")
	// What is written and not told yet goes with the form.
	key("Tab", 1)
	key("ArrowUp", 1)
	holds("2026-01-01T21:05")
	no(t, p.Clicks(ctx, "button", "Send"))
	no(t, p.Waits(ctx, "document.querySelector('#modals').hidden"))
	if told := <-heard; told != float64(earlier) || len(heard) > 0 {
		t.Errorf("the app heard of %v, and %d more", told, len(heard))
	}
	sent := ""
	for _, r := range app.received() {
		if r.payload["type"] == "view_submission" {
			sent = string(encode(r.payload["view"].(object)["state"]))
		}
	}
	if !strings.Contains(sent, fmt.Sprint(`"selected_date_time":`, earlier)) {
		t.Errorf("sent was %s", sent)
	}
}

// TestPageComesBack ends the workspace under an open page and starts another one in its place.
func TestPageComesBack(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	address := ws.listener.Addr().String()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b, err := browser.Start(ctx)
	no(t, err)
	defer b.Close()
	p, err := b.Open(ctx, ws.URL()+"/#/bo/general", 1280, 800)
	no(t, err)
	no(t, p.Sees(ctx, "Nothing has been said"))
	ws.Close()
	no(t, p.Sees(ctx, "Reconnecting…"))
	again := open(t, Options{NoRateLimits: true, Listen: address})
	tells(t, again, "chat.postMessage", object{"channel": again.channelNamed("general").id, "text": "I am back"})
	no(t, p.Sees(ctx, "I am back"))
	no(t, p.Waits(ctx, "document.querySelector('#connection').textContent === ''"))
}
