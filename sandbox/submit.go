package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Fills writes into the form in front of the person, by field label and in the order of the screen, without sending
// it. Fields that dispatch their changes tell the app, and what the app makes of it is waited for no longer than the
// acknowledgement.
func (a *Actor) Fills(values map[string]string) Reply {
	ws := a.ws
	ws.mu.Lock()
	v := ws.top(a.p.id)
	if v == nil {
		ws.mu.Unlock()
		return impossible("%s has no form open", a.p.Name)
	}
	names := inOrder(v.blocks(), values)
	ws.mu.Unlock()
	for _, name := range names {
		ws.mu.Lock()
		b, e := fieldNamed(v.blocks(), name)
		if e == nil {
			known := labels(v.blocks())
			ws.mu.Unlock()
			return impossible("the form has no field %q, only %q", name, known)
		}
		if r := a.set(target{place: place{view: v, items: v.blocks()}, block: b, element: e}, values[name]); r.Err() != nil {
			return r
		}
	}
	return Reply{}
}

// suggestions asks the app for the choices of an external select.
func (a *Actor) suggestions(t target, typed string) ([]object, error) {
	ws := a.ws
	ws.mu.Lock()
	payload := ws.interaction(a.p, "block_suggestion")
	payload["action_id"], payload["block_id"], payload["value"] = t.element["action_id"], t.block["block_id"], typed
	if t.view != nil {
		payload["container"] = object{"type": "view", "view_id": t.view.id}
		payload["view"] = ws.viewWire(t.view)
	} else {
		payload["container"] = object{"type": "message", "message_ts": t.message.ts, "channel_id": t.message.channel.id, "is_ephemeral": t.message.only != ""}
		payload["channel"] = object{"id": t.message.channel.id, "name": t.message.channel.name}
	}
	ws.mu.Unlock()
	ack := ws.deliver(delivery{kind: kindInteraction, payload: payload, answers: true})
	if ack.failure != "" {
		return nil, fmt.Errorf("%s: %w", ack.failure, ack.cause)
	}
	var said object
	if json.Unmarshal(ack.body, &said) != nil {
		return nil, errors.New("the app did not answer with options")
	}
	c := &checker{}
	shape{fields: map[string]rule{"options": list(0, 100, menuOption), "option_groups": list(0, 100, optionGroup)}}.check(c, "", said)
	if c.faults != nil {
		return nil, errors.New(strings.Join(c.faults, "; "))
	}
	return optionsOf(said), nil
}

// Submits fills in the form in front of the person and sends it. Reply.Errors says what is wrong with it, be it
// Slack's own client or the app that found it. Afterwards the view is closed, or what the app made of it.
func (a *Actor) Submits(values map[string]string) Reply {
	if r := a.Fills(values); r.Err() != nil {
		return r
	}
	ws := a.ws
	ws.mu.Lock()
	v := ws.top(a.p.id)
	switch {
	case v == nil:
		ws.mu.Unlock()
		return impossible("%s has no form open", a.p.Name)
	case v.body["submit"] == nil, v.body["submit_disabled"] == true:
		ws.mu.Unlock()
		return impossible("the view %q cannot be submitted", v.title())
	}
	if wrong := incomplete(v); len(wrong) > 0 {
		defer ws.mu.Unlock()
		return Reply{Errors: byLabel(v, wrong), wrong: wrong}
	}
	payload := ws.interaction(a.p, "view_submission")
	payload["trigger_id"] = ws.newTrigger(a.p.id, v)
	payload["view"] = ws.viewWire(v)
	payload["response_urls"] = []any{}
	ws.mu.Unlock()
	ack := ws.deliver(delivery{kind: kindInteraction, payload: payload, answers: true})
	r := ws.reply(ack, nil)
	if ack.failure == "" {
		if err := ws.follow(&r, v, ack.body); err != nil {
			r.Failure, r.err = FailureDispatch, fmt.Errorf("answering a submission: %w", err)
		}
	}
	return r
}

// follow does what the answer to a submission says: close, show errors, update, push or clear.
func (ws *Workspace) follow(r *Reply, v *view, body []byte) error {
	said := object{}
	if text := strings.TrimSpace(string(body)); text != "" && text != "null" && text != `""` {
		if json.Unmarshal(body, &said) != nil {
			return errors.New("the answer is not JSON")
		}
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.top(v.owner) != v {
		return nil // the person closed it meanwhile
	}
	action, _ := said["response_action"].(string)
	if len(said) == 0 {
		ws.pop(v.owner, false)
		return nil
	}
	switch action {
	case "clear":
		ws.pop(v.owner, true)
		return nil
	case "errors":
		return ws.showErrors(r, v, said["errors"])
	case "update", "push":
		next, ok := said["view"].(object)
		if faults := checkView(said["view"], "modal"); !ok || faults != nil {
			return fmt.Errorf("the view is refused: %s", strings.Join(faults, "; "))
		}
		if action == "update" {
			ws.redraw(v, next)
			return nil
		}
		if len(ws.stacks[v.owner]) >= deepestStack {
			return errors.New("push_limit_reached")
		}
		ws.push(v.owner, ws.newView(v.owner, next))
		return nil
	}
	return fmt.Errorf("response_action %q is unknown", action)
}

func (ws *Workspace) showErrors(r *Reply, v *view, said any) error {
	list, _ := said.(object)
	if len(list) == 0 {
		return errors.New("response_action errors without errors")
	}
	shown := map[string]string{}
	for id, text := range list {
		s, isString := text.(string)
		isInput := false
		for _, item := range v.blocks() {
			b, _ := item.(object)
			isInput = isInput || (b["type"] == "input" && b["block_id"] == id)
		}
		if !isString || s == "" || !isInput {
			return fmt.Errorf("the error for %q belongs to no input block", id)
		}
		shown[id] = s
	}
	v.errors = shown
	v.versions = append(v.versions, ws.renderView(v))
	r.Errors, r.wrong = byLabel(v, shown), shown
	ws.notify()
	return nil
}

func byLabel(v *view, wrong map[string]string) map[string]string {
	out := map[string]string{}
	for _, item := range v.blocks() {
		b, _ := item.(object)
		id, _ := b["block_id"].(string)
		if said, there := wrong[id]; there {
			out[textOf(b["label"])] = said
		}
	}
	return out
}

// Closes presses the close button of the view in front of the person; the app hears of it when it asked to.
func (a *Actor) Closes() Reply { return a.close(false) }

// ClosesAll closes the whole stack of views at once.
func (a *Actor) ClosesAll() Reply { return a.close(true) }

func (a *Actor) close(all bool) Reply {
	ws := a.ws
	ws.mu.Lock()
	v := ws.top(a.p.id)
	if v == nil {
		ws.mu.Unlock()
		return impossible("%s has no view open", a.p.Name)
	}
	wire := ws.viewWire(v)
	wire["state"] = object{"values": object{}} // Slack says that a view was closed, and nothing of what was in it
	ws.pop(a.p.id, all || v.body["clear_on_close"] == true)
	if v.body["notify_on_close"] != true {
		ws.mu.Unlock()
		return Reply{}
	}
	payload := ws.interaction(a.p, "view_closed")
	payload["view"], payload["is_cleared"] = wire, all
	ws.mu.Unlock()
	return ws.reply(ws.deliver(delivery{kind: kindInteraction, payload: payload}), nil)
}
