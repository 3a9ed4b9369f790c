package sandbox

import (
	"fmt"
	"testing"
)

func TestOnDrawnTellsWhatTheAppDraws(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	approvals := ws.AddChannel("drawn", "ana", "bo")
	var seen []Drawn
	stop := ws.OnDrawn(func(d Drawn) { seen = append(seen, d) })
	at := card(t, ws, approvals)
	answer, _ := call(t, ws, "chat.update", map[string]string{"channel": at["channel"], "ts": at["ts"], "text": "decided", "metadata": `{"event_type":"e","event_payload":{"key":"k"}}`})
	if answer["ok"] != true {
		t.Fatal(answer)
	}
	_, _ = call(t, ws, "chat.postMessage", map[string]string{"channel": ws.Person("bo").ID(), "text": "for you"})
	_, _ = call(t, ws, "views.publish", map[string]string{"user_id": ws.Person("ana").ID(), "view": `{"type":"home","blocks":[
		{"type":"actions","elements":[{"type":"button","action_id":"go","value":"1","text":{"type":"plain_text","text":"Go"}}]}]}`})
	if len(seen) != 4 {
		t.Fatalf("told of %d drawings: %+v", len(seen), seen)
	}
	if d := seen[0]; d.Channel != approvals || d.TS != at["ts"] || d.Version != 1 || d.To != "" || len(d.Buttons) != 1 || d.Buttons[0].Label != "Approve" {
		t.Errorf("the post is %+v", d)
	}
	if d := seen[1]; d.TS != at["ts"] || d.Version != 2 || d.Text != "decided" || len(d.Buttons) != 0 || fmt.Sprint(d.Metadata["event_payload"]) != "map[key:k]" {
		t.Errorf("the change is %+v", d)
	}
	if d := seen[2]; d.To != "bo" {
		t.Errorf("the direct message is %+v", d)
	}
	if d := seen[3]; !d.Home || d.To != "ana" || len(d.Buttons) != 1 || d.Buttons[0].Value != "1" {
		t.Errorf("the Home tab is %+v", d)
	}
	stop()
	card(t, ws, approvals)
	if len(seen) != 4 {
		t.Error("told after stop")
	}
}

func TestPressesWhatWasDrawn(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	channel := ws.AddChannel("drawn", "ana")
	presses := make(chan object, 10)
	app := newRawApp(t, ws, func(_ string, p object) any { presses <- p; return nil })
	app.connects()
	no(t, ws.WaitsForApp(soon(t)))
	var button Button
	ws.OnDrawn(func(d Drawn) {
		if len(d.Buttons) > 0 {
			button = d.Buttons[0]
		}
	})
	at := card(t, ws, channel)
	value := func() string {
		actions := (<-presses)["actions"].([]any)
		return fmt.Sprint(actions[0].(object)["value"])
	}
	r := ws.Person("ana").Presses(button)
	no(t, r.Err())
	if got := value(); got != "7" {
		t.Errorf("the app heard of %q", got)
	}
	no(t, r.Again().Err())
	if got := value(); got != "7" {
		t.Errorf("the app heard of %q the second time", got)
	}
	_, _ = call(t, ws, "chat.update", map[string]string{"channel": at["channel"], "ts": at["ts"], "text": "decided"})
	no(t, ws.Person("ana").Presses(button).Err()) // her screen is behind
	if got := value(); got != "7" {
		t.Errorf("the app heard of %q from a screen that is behind", got)
	}
	if ws.Person("bo").Presses(button).Err() == nil {
		t.Error("bo pressed a button in a channel he is not in")
	}
	if (Reply{}).Again().Err() == nil {
		t.Error("nothing was sent again")
	}
}
