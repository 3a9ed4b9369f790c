package sandbox

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// pageAsk is what a page says that its person did. Which fields count depends on the act.
type pageAsk struct {
	Channel string
	Thread  string
	TS      string
	Text    string
	View    string
	All     bool
	Open    bool
	Block   string
	Action  string
	Option  string
	Chosen  []string
	Values  map[string]map[string]string // what is written in the text fields of the view: block, action, text
}

// pageActs are what a person can do on the page.
var pageActs = map[string]func(*Actor, pageAsk) (Reply, object){
	"command": func(a *Actor, ask pageAsk) (Reply, object) { return a.In(ask.Channel).Command(ask.Text), nil },
	"say":     func(a *Actor, ask pageAsk) (Reply, object) { return a.In(ask.Channel).says(ask.Thread, ask.Text), nil },
	"press":   func(a *Actor, ask pageAsk) (Reply, object) { return a.pressAt(ask), nil },
	"choose":  func(a *Actor, ask pageAsk) (Reply, object) { return a.chooseAt(ask), nil },
	"suggest": func(a *Actor, ask pageAsk) (Reply, object) { return a.suggestAt(ask) },
	"submit":  func(a *Actor, ask pageAsk) (Reply, object) { return a.submitAt(ask), nil },
	"close":   func(a *Actor, ask pageAsk) (Reply, object) { return a.closeAt(ask), nil },
	"read":    func(a *Actor, ask pageAsk) (Reply, object) { return a.reads(ask.Channel, ask.TS), nil },
	"home": func(a *Actor, ask pageAsk) (Reply, object) {
		if ask.Open {
			return a.OpensHome(), nil
		}
		a.LeavesHome()
		return Reply{}, nil
	},
}

// servePageAct does what somebody did on the page. The answer is JSON: "error" why it could not be done, "failure" the
// code Slack shows when the app failed, "errors" what is wrong with a form by block.
func (ws *Workspace) servePageAct(w http.ResponseWriter, r *http.Request) {
	leave, ok := ws.enter()
	if !ok {
		return
	}
	defer leave()
	a := ws.find(r.PathValue("name"))
	act := pageActs[r.PathValue("act")]
	if a == nil || a.p.IsBot || act == nil {
		http.NotFound(w, r)
		return
	}
	var ask pageAsk
	if !readAsk(w, r, &ask) {
		return
	}
	reply, more := act(a, ask)
	said := object{"failure": reply.Failure, "milliseconds": reply.Latency.Milliseconds()}
	if reply.wrong != nil {
		said["errors"] = reply.wrong
	} else if err := reply.Err(); err != nil {
		said["error"] = err.Error()
	}
	for k, v := range more {
		said[k] = v
	}
	sayJSON(w, said)
}

// says writes an ordinary message, as people do to each other. The app does not hear of it.
func (a *Actor) says(thread, text string) Reply {
	ws := a.ws
	ws.mu.Lock()
	defer ws.mu.Unlock()
	c, err := a.place()
	switch {
	case err != nil:
		return impossible("writing: %w", err)
	case c.archived:
		return impossible("the channel is archived")
	case strings.TrimSpace(text) == "":
		return impossible("there is nothing to say")
	case thread != "" && ws.messageAt(c.id, thread) == nil:
		return impossible("that thread is not there")
	}
	m := ws.post(c, a.p.id, "", thread, content{text: strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(cut(text, longestPost))})
	ws.markRead(a.p.id, c.id, m.ts)
	return Reply{}
}

// reads says that a message was on the person's screen.
func (a *Actor) reads(channel, ts string) Reply {
	ws := a.ws
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if c := ws.channelByID(channel); c == nil || !c.has(a.p.id) {
		return impossible("%s is not in %s", a.p.Name, channel)
	}
	if ws.markRead(a.p.id, channel, ts) {
		ws.notify()
	}
	return Reply{}
}

func (ws *Workspace) markRead(user, channel, ts string) bool {
	if ws.page.read[user] == nil {
		ws.page.read[user] = map[string]string{}
	}
	if ts <= ws.page.read[user][channel] {
		return false
	}
	ws.page.read[user][channel] = ts
	return true
}

// spot finds the element an ask means on what the person sees now. The caller holds ws.mu.
func (a *Actor) spot(ask pageAsk) (target, error) {
	for _, p := range a.places(false) {
		if p.view != nil && (ask.View == "" || p.view.id != ask.View) {
			continue
		}
		if p.message != nil && (p.message.ts != ask.TS || p.message.channel.id != ask.Channel) {
			continue
		}
		for _, item := range p.items {
			b, _ := item.(object)
			if b["block_id"] != ask.Block {
				continue
			}
			for _, e := range interactive(b) {
				if e["action_id"] != ask.Action {
					continue
				}
				t := target{place: p, block: b, element: e}
				for _, o := range optionsOf(e) {
					if o["value"] == ask.Option {
						t.option = o
					}
				}
				return t, nil
			}
		}
	}
	return target{}, errors.New("that is not on the screen any more")
}

// writes takes over what is written in the text fields of a view. The caller holds ws.mu.
func (ws *Workspace) writes(v *view, values map[string]map[string]string) {
	if v == nil {
		return
	}
	for _, item := range v.blocks() {
		b, _ := item.(object)
		id, _ := b["block_id"].(string)
		for _, e := range interactive(b) {
			action, _ := e["action_id"].(string)
			kind, _ := e["type"].(string)
			text, written := values[id][action]
			if field, _ := valueField(kind); !written || field != "value" || kind == "button" || kind == "overflow" || v.state[id] == nil {
				continue
			}
			value := object{"type": kind, "value": text}
			if text == "" {
				value["value"] = nil
			}
			v.state[id][action] = value
		}
	}
}

func (a *Actor) pressAt(ask pageAsk) Reply {
	a.ws.mu.Lock()
	t, err := a.spot(ask)
	kind := t.element["type"]
	switch {
	case err == nil && kind == "overflow" && t.option == nil:
		err = fmt.Errorf("there is no choice %q", ask.Option)
	case err == nil && kind != "button" && kind != "overflow":
		err = errors.New("that is not a button")
	}
	if err != nil {
		a.ws.mu.Unlock()
		return impossible("%w", err)
	}
	if kind == "button" {
		t.option = nil
	}
	a.ws.writes(t.view, ask.Values)
	return a.press(t, nil)
}

// chooseAt gives a menu, a picker or a text field its value.
func (a *Actor) chooseAt(ask pageAsk) Reply {
	ws := a.ws
	ws.mu.Lock()
	t, err := a.spot(ask)
	if err != nil {
		ws.mu.Unlock()
		return impossible("%w", err)
	}
	ws.writes(t.view, ask.Values)
	value, err := a.valueOf(t, ask)
	if err != nil {
		ws.mu.Unlock()
		return impossible("%w", err)
	}
	return a.hold(t, value)
}

// suggestAt asks the app for the choices of an external select, and remembers what it offered.
func (a *Actor) suggestAt(ask pageAsk) (Reply, object) {
	ws := a.ws
	ws.mu.Lock()
	t, err := a.spot(ask)
	if err == nil {
		ws.writes(t.view, ask.Values)
	}
	ws.mu.Unlock()
	if err != nil {
		return impossible("%w", err), nil
	}
	offered, err := a.suggestions(t, ask.Text)
	if err != nil {
		return impossible("%w", err), nil
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.page.offered[a.offer(t)] = offered
	return Reply{}, object{"options": offered}
}

// offer names one external select in front of one person.
func (a *Actor) offer(t target) string {
	where := ""
	if t.view != nil {
		where = t.view.id
	} else {
		where = t.message.channel.id + ":" + t.message.ts
	}
	return fmt.Sprint(a.p.id, " ", where, " ", t.block["block_id"], " ", t.element["action_id"])
}

func (a *Actor) submitAt(ask pageAsk) Reply {
	ws := a.ws
	ws.mu.Lock()
	v := ws.top(a.p.id)
	if v == nil || v.id != ask.View {
		ws.mu.Unlock()
		return impossible("that window is not open any more")
	}
	ws.writes(v, ask.Values)
	ws.mu.Unlock()
	return a.Submits(nil)
}

func (a *Actor) closeAt(ask pageAsk) Reply {
	a.ws.mu.Lock()
	v := a.ws.top(a.p.id)
	a.ws.mu.Unlock()
	if v == nil || v.id != ask.View {
		return impossible("that window is not open any more")
	}
	return a.close(ask.All)
}
