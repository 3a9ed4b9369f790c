package sandbox

import (
	"slices"
	"strings"
	"testing"
)

const form = `{"type":"modal","callback_id":"form","title":{"type":"plain_text","text":"Ask"},"submit":{"type":"plain_text","text":"Send"},
	"close":{"type":"plain_text","text":"Leave"},"notify_on_close":true,"private_metadata":"m","blocks":[
	{"type":"input","block_id":"db","dispatch_action":true,"label":{"type":"plain_text","text":"Database"},"element":{"type":"static_select","action_id":"v","options":[
		{"text":{"type":"plain_text","text":"orders"},"value":"1"},{"text":{"type":"plain_text","text":"users"},"value":"2"}]}},
	{"type":"input","block_id":"why","label":{"type":"plain_text","text":"Reason"},"element":{"type":"plain_text_input","action_id":"v","min_length":3,"max_length":10}},
	{"type":"input","block_id":"who","optional":true,"label":{"type":"plain_text","text":"For"},"element":{"type":"multi_users_select","action_id":"v"}},
	{"type":"input","block_id":"ticket","optional":true,"label":{"type":"plain_text","text":"Ticket"},"element":{"type":"external_select","action_id":"v"}},
	{"type":"actions","block_id":"act","elements":[{"type":"button","action_id":"more","text":{"type":"plain_text","text":"More"}}]}]}`

// formApp opens a form for every command and answers interactions with whatever next holds.
type formApp struct {
	*rawApp
	next map[string]any // by interaction type
}

func newFormApp(t *testing.T, ws *Workspace) *formApp {
	f := &formApp{next: map[string]any{}}
	f.rawApp = newRawApp(t, ws, func(kind string, p object) any {
		if kind == kindCommand {
			if answer, _ := call(t, ws, "views.open", map[string]string{"trigger_id": p["trigger_id"].(string), "view": form}); answer["ok"] != true {
				t.Errorf("opening the form: %v", answer)
			}
			return nil
		}
		said, _ := p["type"].(string)
		return f.next[said]
	})
	f.connects()
	no(t, ws.WaitsForApp(soon(t)))
	return f
}

func (f *formApp) last() object {
	got := f.received()
	return got[len(got)-1].payload
}

func TestForm(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	app := newFormApp(t, ws)
	ana := ws.Person("ana")
	must(t, ana.Command("/prodaccess"))
	view, open := ana.View()
	if !open || !strings.Contains(view.Text, "== Ask ==\nDatabase: ‹›\nReason: ‹›") || !strings.HasSuffix(view.Text, "[More]\n[Leave] [Send]") {
		t.Fatalf("the form reads %q", view.Text)
	}
	if _, open := ws.Person("bo").View(); open {
		t.Error("bo sees ana's form")
	}
	r := ana.Submits(map[string]string{"Reason": "no"})
	if r.Errors["Database"] == "" || r.Errors["Reason"] == "" || r.Errors["For"] != "" {
		t.Errorf("an incomplete form: %+v", r)
	}
	if ana.Submits(map[string]string{"Colour": "red"}).Err() == nil || ana.Submits(map[string]string{"Database": "payroll"}).Err() == nil {
		t.Error("a field or a choice that is not there was filled in")
	}

	must(t, ana.Fills(map[string]string{"Database": "users"}))
	if p := app.last(); p["type"] != "block_actions" || p["container"].(object)["type"] != "view" || p["actions"].([]any)[0].(object)["selected_option"].(object)["value"] != "2" {
		t.Errorf("a field that dispatches sent %v", p)
	}
	app.next["block_suggestion"] = object{"options": []any{object{"text": object{"type": "plain_text", "text": "INC-1"}, "value": "i1"}}}
	must(t, ana.Fills(map[string]string{"Ticket": "INC-1", "For": "bo, cy", "Reason": "fire"}))

	app.next["view_submission"] = object{"response_action": "errors", "errors": object{"why": "not now"}}
	if r := ana.Submits(nil); r.Errors["Reason"] != "not now" || r.Err().Error() != "the form was not accepted. Reason: not now" {
		t.Errorf("the app's errors: %+v", r)
	}
	if view, _ := ana.View(); !strings.Contains(view.Text, "! Reason: not now") || !strings.Contains(view.Text, "For: ‹@bo, @cy›") {
		t.Errorf("the form reads %q", view.Text)
	}
	for _, nonsense := range []any{
		object{"response_action": "errors", "errors": object{"act": "not an input"}},
		object{"response_action": "errors", "errors": object{}},
		object{"response_action": "explode"},
		object{"response_action": "update", "view": object{"type": "modal"}},
	} {
		app.next["view_submission"] = nonsense
		if r := ana.Submits(nil); r.Failure != FailureDispatch {
			t.Errorf("%v was taken: %+v", nonsense, r)
		}
	}
	app.next["view_submission"] = nil
	must(t, ana.Submits(nil))
	if _, open := ana.View(); open {
		t.Error("the form is still open")
	}
	p := app.last()
	values := p["view"].(object)["state"].(object)["values"].(object)
	field := func(block string) object { return values[block].(object)["v"].(object) }
	if p["type"] != "view_submission" || field("db")["selected_option"].(object)["value"] != "2" || field("why")["value"] != "fire" ||
		field("ticket")["selected_option"].(object)["value"] != "i1" || len(field("who")["selected_users"].([]any)) != 2 ||
		p["view"].(object)["private_metadata"] != "m" || p["view"].(object)["callback_id"] != "form" {
		t.Errorf("the submission was %v", p)
	}
	if v := ws.Views()[0]; v.Open || v.Owner != "ana" || len(v.Versions) < 2 {
		t.Errorf("the view is remembered as %+v", v)
	}
}

func TestViewStack(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	app := newFormApp(t, ws)
	ana := ws.Person("ana")
	must(t, ana.Command("/prodaccess"))
	push := func(title string) any {
		must(t, ana.Clicks("More"))
		answer, _ := call(t, ws, "views.push", map[string]string{"trigger_id": app.last()["trigger_id"].(string), "view": strings.Replace(form, "Ask", title, 1)})
		return answer["error"]
	}
	if push("two") != nil || push("three") != nil {
		t.Fatal("pushing failed")
	}
	if got := push("four"); got != "push_limit_reached" {
		t.Errorf("a fourth view: %v", got)
	}
	must(t, ana.Closes())
	if p := app.last(); p["type"] != "view_closed" || p["is_cleared"] != false || p["view"].(object)["title"].(object)["text"] != "three" {
		t.Errorf("closing sent %v", p)
	}
	if values := app.last()["view"].(object)["state"].(object)["values"].(object); len(values) != 0 {
		t.Errorf("Slack says nothing of what was in a view that is closed, and this one said %v", values)
	}
	if view, _ := ana.View(); view.Title != "two" {
		t.Errorf("below was %q", view.Title)
	}
	app.next["view_submission"] = object{"response_action": "update", "view": parse(t, strings.Replace(goodModal, `"T"`, `"updated"`, 1))}
	filled := map[string]string{"Database": "users", "Reason": "fire"}
	must(t, ana.Submits(filled))
	if view, _ := ana.View(); view.Title != "updated" {
		t.Errorf("after an update: %q", view.Title)
	}
	if ana.Submits(nil).Err() == nil {
		t.Error("a view without submit was submitted")
	}
	must(t, ana.Closes())
	app.next["view_submission"] = object{"response_action": "push", "view": parse(t, strings.Replace(form, "Ask", "pushed", 1))}
	must(t, ana.Submits(filled))
	if view, _ := ana.View(); view.Title != "pushed" {
		t.Errorf("after a push: %q", view.Title)
	}
	app.next["view_submission"] = object{"response_action": "clear"}
	must(t, ana.Submits(filled))
	if _, open := ana.View(); open {
		t.Error("after a clear something is open")
	}
}

func TestViewUpdates(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	app := newFormApp(t, ws)
	ana := ws.Person("ana")
	must(t, ana.Command("/prodaccess"))
	must(t, ana.Fills(map[string]string{"Reason": "fire", "Database": "users"}))
	view := app.last()["view"].(object)
	update := func(hash string) any {
		answer, _ := call(t, ws, "views.update", map[string]string{"view_id": view["id"].(string), "hash": hash, "view": strings.Replace(form, "Ask", "Again", 1)})
		return answer["error"]
	}
	if got := update(view["hash"].(string)); got != nil {
		t.Fatalf("updating: %v", got)
	}
	if got := update(view["hash"].(string)); got != "hash_conflict" {
		t.Errorf("a stale hash: %v", got)
	}
	if v, _ := ana.View(); v.Title != "Again" || !strings.Contains(v.Text, "Reason: ‹fire›") || !strings.Contains(v.Text, "Database: ‹users›") {
		t.Errorf("after an update the form reads %q", v.Text)
	}
	must(t, ana.ClosesAll())
	if got := update(""); got != "not_found" {
		t.Errorf("an update of a closed view: %v", got)
	}

	publish := func(hash, text string) object {
		answer, _ := call(t, ws, "views.publish", map[string]string{
			"user_id": ana.ID(), "hash": hash,
			"view": `{"type":"home","blocks":[{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"` + text + `"}}]}]}`,
		})
		return answer
	}
	first := publish("", "Start")
	if ana.Clicks("Start").Err() == nil {
		t.Error("a button of the Home tab was pressed from elsewhere")
	}
	must(t, ana.OpensHome())
	must(t, ana.Clicks("Start", InHome()))
	if !strings.Contains(ana.Sees(), "[Start]") {
		t.Errorf("ana sees %q", ana.Sees())
	}
	hash := first["view"].(object)["hash"].(string)
	if publish(hash, "Next")["error"] != nil || publish(hash, "Next")["error"] != "hash_conflict" {
		t.Error("the hash of the Home tab does not count")
	}
	ana.LeavesHome()
	if ana.Clicks("Next").Err() == nil {
		t.Error("a button of the Home tab was pressed after leaving it")
	}
}

func TestFieldsOfEveryKind(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	room := ws.AddChannel("room")
	options := []object{{"text": object{"type": "plain_text", "text": "one"}, "value": "1"}, {"text": object{"type": "plain_text", "text": "two"}, "value": "2"}}
	for _, test := range []struct{ kind, typed, field, shown string }{
		{"plain_text_input", "words", "value", "words"},
		{"number_input", "7", "value", "7"},
		{"static_select", "two", "selected_option", "two"},
		{"multi_static_select", "one, two", "selected_options", "one, two"},
		{"radio_buttons", "one", "selected_option", "one"},
		{"checkboxes", "one,two", "selected_options", "one, two"},
		{"users_select", "@bo", "selected_user", "@bo"},
		{"channels_select", "#room", "selected_channel", "#room"},
		{"multi_conversations_select", "room", "selected_conversations", "#room"},
		{"datepicker", "2026-03-02", "selected_date", "2026-03-02"},
		{"timepicker", "12:30", "selected_time", "12:30"},
		{"datetimepicker", "1772452800", "selected_date_time", "2026-03-02 12:00 UTC"},
	} {
		v, err := ws.choose(object{"type": test.kind}, test.typed, options)
		if err != nil || v[test.field] == nil || ws.shownValue(v) != test.shown {
			t.Errorf("%s: %v shown as %q: %v", test.kind, v, ws.shownValue(v), err)
		}
		if held := initialValue(test.kind, object{}); ws.shownValue(held) != "" {
			t.Errorf("an untouched %s shows %q", test.kind, ws.shownValue(held))
		}
	}
	for kind, typed := range map[string]string{"static_select": "three", "users_select": "nobody", "channels_select": "nowhere", "datetimepicker": "noon"} {
		if v, err := ws.choose(object{"type": kind}, typed, options); err == nil {
			t.Errorf("%s took %q: %v", kind, typed, v)
		}
	}
	if got := ws.mentions("<@" + ws.Person("ana").ID() + "> in <#" + room + "> &lt;!channel&gt; <!channel> <https://example.com|here> < open"); got != "@ana in #room <!channel> @channel here (https://example.com) < open" {
		t.Errorf("mentions read %q", got)
	}
	names := inOrder(parse(t, form).(object)["blocks"].([]any), map[string]string{"Reason": "", "Database": "", "zzz": ""})
	if !slices.Equal(names, []string{"Database", "Reason", "zzz"}) {
		t.Errorf("the order of the screen is %q", names)
	}
}
