package sandbox

import "slices"

// Looking at the whole screen after every change is what a person does and costs more with every message there is. Whoever
// drives many people at once is told what the app drew instead, and presses it where it stands.

// Button is one button on a message or on a Home tab. [Actor.Presses] presses it.
type Button struct {
	Label, ActionID, Value string

	channel, ts string // of the message; empty on a Home tab
}

// Drawn is a message or a Home tab of the app at the moment when it was drawn.
type Drawn struct {
	To                  string // the name of the one person who sees it; empty in a channel
	Home                bool
	Channel, TS, Thread string         // of a message
	Version             int            // 1 when it is new
	Text                string         // of a message: what a notification shows
	Metadata            map[string]any // of a message, as the app sent it
	Buttons             []Button
}

// OnDrawn calls listen with everything the app draws from now on, until stop is called: messages when they are posted and
// changed, and Home tabs. The workspace stands still meanwhile, so listen must not call it.
func (ws *Workspace) OnDrawn(listen func(Drawn)) (stop func()) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	kept := &listen
	ws.drawn = append(ws.drawn, kept)
	return func() {
		ws.mu.Lock()
		defer ws.mu.Unlock()
		ws.drawn = slices.DeleteFunc(ws.drawn, func(l *func(Drawn)) bool { return l == kept })
	}
}

// tellDrawn tells of a message as it stands. The caller holds ws.mu.
func (ws *Workspace) tellDrawn(m *message) {
	if len(ws.drawn) == 0 || m.from != BotUserID {
		return
	}
	now := m.now()
	d := Drawn{Channel: m.channel.id, TS: m.ts, Thread: m.thread, Version: len(m.versions), Text: now.text, Buttons: buttonsOf(now.all(), m)}
	d.Metadata, _ = now.metadata.(object)
	to := m.only
	if to == "" {
		to = m.channel.with
	}
	if p := ws.personByID(to); p != nil {
		d.To = p.Name
	}
	for _, listen := range ws.drawn {
		(*listen)(d)
	}
}

// tellHome tells of a Home tab as it stands. The caller holds ws.mu.
func (ws *Workspace) tellHome(v *view) {
	if len(ws.drawn) == 0 || v.kind != "home" {
		return
	}
	d := Drawn{Home: true, Version: len(v.versions), Buttons: buttonsOf(v.blocks(), nil)}
	if p := ws.personByID(v.owner); p != nil {
		d.To = p.Name
	}
	for _, listen := range ws.drawn {
		(*listen)(d)
	}
}

func buttonsOf(items []any, m *message) []Button {
	var out []Button
	for _, item := range items {
		b, _ := item.(object)
		for _, e := range interactive(b) {
			if e["type"] != "button" {
				continue
			}
			found := Button{Label: textOf(e["text"])}
			found.ActionID, _ = e["action_id"].(string)
			found.Value, _ = e["value"].(string)
			if m != nil {
				found.channel, found.ts = m.channel.id, m.ts
			}
			out = append(out, found)
		}
	}
	return out
}

// Presses presses a button that [Workspace.OnDrawn] told of. A message may look otherwise by now, as on a screen that is behind;
// on a Home tab the button must still be there. Somebody who cannot see it cannot press it.
func (a *Actor) Presses(b Button) Reply {
	a.ws.mu.Lock()
	t, found := a.find(b)
	if !found {
		a.ws.mu.Unlock()
		return impossible("%s cannot press [%s]: it was never before them", a.p.Name, b.Label)
	}
	return a.press(t, nil)
}

// find looks for a button on its message, the newest version first, or on the Home tab. The caller holds ws.mu.
func (a *Actor) find(b Button) (target, bool) {
	if a.p.Deleted {
		return target{}, false
	}
	if b.ts == "" {
		home := a.ws.homes[a.p.id]
		if home == nil || !a.ws.atHome[a.p.id] {
			return target{}, false
		}
		return pick(place{view: home, items: home.blocks()}, b)
	}
	m := a.ws.messageAt(b.channel, b.ts)
	if m == nil || !m.seenBy(a.p.id) {
		return target{}, false
	}
	for _, c := range slices.Backward(m.versions) {
		if t, found := pick(place{message: m, body: c, items: c.all()}, b); found {
			return t, true
		}
	}
	return target{}, false
}

func pick(p place, b Button) (target, bool) {
	for _, item := range p.items {
		block, _ := item.(object)
		for _, e := range interactive(block) {
			if e["type"] == "button" && e["action_id"] == b.ActionID && e["value"] == b.Value {
				return target{place: p, block: block, element: e}, true
			}
		}
	}
	return target{}, false
}
