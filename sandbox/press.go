package sandbox

import (
	"fmt"
	"strings"
)

// press tells the app about one action. The caller holds ws.mu; press lets go of it.
func (a *Actor) press(t target, value object) Reply {
	ws := a.ws
	action := object{
		"type": t.element["type"], "action_id": t.element["action_id"], "block_id": t.block["block_id"], "action_ts": ws.newTS(),
	}
	for _, field := range []string{"text", "value", "style"} {
		if v, there := t.element[field]; there && t.element["type"] == "button" {
			action[field] = v
		}
	}
	if t.element["confirm"] != nil {
		action["confirm"] = t.element["confirm"]
	}
	if t.option != nil {
		action["selected_option"] = t.option
	}
	for k, v := range value {
		action[k] = v
	}
	payload := ws.interaction(a.p, "block_actions")
	payload["actions"] = []any{action}
	var hook *responseURL
	if t.view != nil {
		payload["container"] = object{"type": "view", "view_id": t.view.id}
		payload["view"] = ws.viewWire(t.view)
		payload["trigger_id"] = ws.newTrigger(a.p.id, modalOnly(t.view))
	} else {
		hook = ws.messageInteraction(payload, a.p, t)
	}
	ws.mu.Unlock()
	d := delivery{kind: kindInteraction, payload: payload}
	r := ws.reply(ws.deliver(d), hook)
	r.sent = d
	return r
}

// messageInteraction adds what a press on a message carries. Slack leaves the message itself out when it is ephemeral;
// whether it shows the metadata here is documented nowhere, so an app must not count on it.
func (ws *Workspace) messageInteraction(payload object, p *person, t target) *responseURL {
	m := t.message
	url, hook := ws.newResponseURL(p.id, m.channel, m)
	name := m.channel.name
	if m.channel.direct() {
		name = "directmessage"
	}
	payload["trigger_id"] = ws.newTrigger(p.id, nil)
	payload["response_url"] = url
	payload["channel"] = object{"id": m.channel.id, "name": name}
	payload["container"] = object{"type": "message", "message_ts": m.ts, "channel_id": m.channel.id, "is_ephemeral": m.only != ""}
	payload["state"] = object{"values": initialState(t.items, nil)}
	if m.only == "" {
		payload["message"] = copyJSON(ws.messageWire(m, t.body, false))
	}
	return hook
}

func modalOnly(v *view) *view {
	if v.kind == "modal" {
		return v
	}
	return nil
}

// interaction is what every interaction payload begins with.
func (ws *Workspace) interaction(p *person, kind string) object {
	return object{
		"type": kind, "api_app_id": AppID, "token": "sandbox-verification", "enterprise": nil, "is_enterprise_install": false,
		"user": object{"id": p.id, "username": p.Name, "name": p.Name, "team_id": p.TeamID},
		"team": object{"id": ws.opts.TeamID, "domain": strings.ToLower(ws.opts.TeamName)},
	}
}

// set gives an element a value; outside of inputs, or where an input dispatches, the app hears of it. The caller holds
// ws.mu; set lets go of it.
func (a *Actor) set(t target, wanted string) Reply {
	ws := a.ws
	offered := optionsOf(t.element)
	if kind, _ := t.element["type"].(string); strings.HasSuffix(kind, "external_select") && wanted != "" {
		ws.mu.Unlock()
		more, err := a.suggestions(t, wanted)
		ws.mu.Lock()
		if err != nil {
			ws.mu.Unlock()
			return impossible("asking for choices: %w", err)
		}
		offered = more
	}
	value, err := ws.choose(t.element, wanted, offered)
	if err != nil {
		ws.mu.Unlock()
		return impossible("filling in %q: %w", t.element["action_id"], err)
	}
	return a.hold(t, value)
}

// hold puts a value into an element, and tells the app where it hears of changes. The caller holds ws.mu; hold lets go
// of it.
func (a *Actor) hold(t target, value object) Reply {
	ws := a.ws
	if t.view != nil {
		block, action := fmt.Sprint(t.block["block_id"]), fmt.Sprint(t.element["action_id"])
		if t.view.state[block] == nil {
			t.view.state[block] = map[string]object{}
		}
		t.view.state[block][action] = value
		ws.notify()
	}
	if t.block["type"] == "input" && t.block["dispatch_action"] != true {
		ws.mu.Unlock()
		return Reply{}
	}
	return a.press(t, value)
}
