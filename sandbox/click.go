package sandbox

import (
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
		out = append(out, place{message: m, body: c, items: c.all(), text: ws.renderMessage(c)})
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
