package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Where narrows the place a button is looked for.
type Where func(*place) bool

// With looks only at messages and views whose text contains words.
func With(words string) Where {
	return func(p *place) bool { return strings.Contains(p.text, words) }
}

// InHome looks only at the Home tab.
func InHome() Where { return func(p *place) bool { return p.view != nil && p.view.kind == "home" } }

// InView looks only at the open modal.
func InView() Where { return func(p *place) bool { return p.view != nil && p.view.kind == "modal" } }

// InMessage looks only at messages.
func InMessage() Where { return func(p *place) bool { return p.message != nil } }

// place is a message or a view at one moment, with what can be pressed on it.
type place struct {
	message *message
	body    content // the version of the message that was seen
	view    *view
	items   []any
	text    string
}

// target is one element in a place, and the option chosen for an overflow menu.
type target struct {
	place
	block, element object
	option         object
}

// Clicks presses a button on what the person sees: the modal in front of them, or else the newest message that has
// it, or else the Home tab. A button that asks for confirmation is confirmed. Overflow entries count as buttons.
func (a *Actor) Clicks(label string, where ...Where) Reply {
	a.ws.mu.Lock()
	t, found := a.locate(label, where, false)
	if !found {
		a.ws.mu.Unlock()
		return impossible("%s cannot press [%s]: it is not there; this is what they see:\n%s", a.p.Name, label, a.Sees())
	}
	return a.press(t, nil)
}

// ClicksStale presses a button that was once on a message or view the person could see, as a person does whose screen
// is behind. Buttons that are still there are passed over unless there is no other.
func (a *Actor) ClicksStale(label string, where ...Where) Reply {
	a.ws.mu.Lock()
	t, found := a.locate(label, where, true)
	if !found {
		a.ws.mu.Unlock()
		return impossible("%s cannot press [%s]: it never was there", a.p.Name, label)
	}
	return a.press(t, nil)
}

// DoubleClicks presses a button twice at the same moment: two presses with triggers of their own.
func (a *Actor) DoubleClicks(label string, where ...Where) [2]Reply {
	var replies [2]Reply
	a.ws.mu.Lock()
	t, found := a.locate(label, where, false)
	a.ws.mu.Unlock()
	if !found {
		r := impossible("%s cannot press [%s]: it is not there", a.p.Name, label)
		return [2]Reply{r, r}
	}
	var both sync.WaitGroup
	for i := range replies {
		both.Go(func() {
			a.ws.mu.Lock()
			replies[i] = a.press(t, nil)
		})
	}
	both.Wait()
	return replies
}

// Selects chooses an option of a menu outside of a form, or of one inside it, by the menu's label or placeholder.
func (a *Actor) Selects(field, choice string) Reply {
	a.ws.mu.Lock()
	for _, p := range a.places(false) {
		if b, e := fieldNamed(p.items, field); e != nil {
			return a.set(target{place: p, block: b, element: e}, choice)
		}
	}
	a.ws.mu.Unlock()
	return impossible("%s cannot choose %q: there is no field %q", a.p.Name, choice, field)
}

// places are what the person can press on, the nearest first; with stale, every earlier version. The caller holds
// ws.mu.
func (a *Actor) places(stale bool) []place {
	ws := a.ws
	var out []place
	fromView := func(v *view) {
		out = append(out, place{view: v, items: v.blocks(), text: ws.renderView(v)})
	}
	fromMessage := func(m *message, c content) {
		items := slices.Clone(c.blocks)
		for _, attached := range c.attach {
			o, _ := attached.(object)
			more, _ := o["blocks"].([]any)
			items = append(items, more...)
		}
		out = append(out, place{message: m, body: c, items: items, text: ws.renderMessage(c)})
	}
	if a.p.Deleted {
		return nil
	}
	if stale {
		for _, m := range slices.Backward(ws.messages) {
			if !m.channel.has(a.p.id) || (m.only != "" && m.only != a.p.id) {
				continue
			}
			versions := m.versions
			if !m.deleted {
				versions = versions[:len(versions)-1]
			}
			for _, c := range slices.Backward(versions) {
				fromMessage(m, c)
			}
		}
		for _, v := range slices.Backward(ws.views) {
			if v.owner == a.p.id && v.closed {
				fromView(v)
			}
		}
		return append(out, a.places(false)...)
	}
	if v := ws.top(a.p.id); v != nil {
		fromView(v)
	}
	home := ws.homes[a.p.id]
	if home != nil && ws.atHome[a.p.id] {
		fromView(home)
	}
	for _, m := range a.sight() {
		fromMessage(m, m.now())
	}
	return out
}

func (a *Actor) locate(label string, where []Where, stale bool) (target, bool) {
	for _, p := range a.places(stale) {
		if slices.ContainsFunc(where, func(w Where) bool { return !w(&p) }) {
			continue
		}
		for _, item := range p.items {
			b, _ := item.(object)
			for _, e := range interactive(b) {
				if e["type"] == "button" && textOf(e["text"]) == label {
					return target{place: p, block: b, element: e}, true
				}
				if e["type"] != "overflow" {
					continue
				}
				for _, o := range optionsOf(e) {
					if textOf(o["text"]) == label {
						return target{place: p, block: b, element: e, option: o}, true
					}
				}
			}
		}
	}
	return target{}, false
}

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
	return ws.reply(ws.deliver(delivery{kind: kindInteraction, payload: payload}), hook)
}

// messageInteraction adds what a press on a message carries. Slack leaves the message itself out when it is ephemeral.
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
		payload["message"] = copyJSON(ws.messageWire(m, t.body, true))
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
