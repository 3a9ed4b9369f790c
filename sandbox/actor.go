package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Actor is a person who does things. What they do reaches the app over the transport it has, and every act waits for
// the app's acknowledgement.
type Actor struct {
	ws      *Workspace
	p       *person
	channel string // where commands are typed; #general when empty
}

// ID is the person's user id.
func (a *Actor) ID() string { return a.p.id }

// Name is the person's handle.
func (a *Actor) Name() string { return a.p.Name }

// In is the same person with another channel in front of them, by name or id: commands are typed there, and buttons
// are looked for there only.
func (a *Actor) In(channel string) *Actor {
	return &Actor{ws: a.ws, p: a.p, channel: channel}
}

// place is the channel in front of the person. The caller holds ws.mu.
func (a *Actor) place() (*channel, error) {
	if a.p.Deleted {
		return nil, fmt.Errorf("%s is deactivated and cannot do anything", a.p.Name)
	}
	if a.channel == "" {
		c := a.ws.channels[0]
		if !c.has(a.p.id) {
			c = a.ws.directWith(a.p.id) // guests and strangers are not in #general
		}
		return c, nil
	}
	c := a.ws.channelNamed(a.channel)
	if c == nil || !c.has(a.p.id) {
		return nil, fmt.Errorf("%s is not in %s", a.p.Name, a.channel)
	}
	return c, nil
}

// Command types a whole line, "/prodaccess help".
func (a *Actor) Command(line string) Reply {
	name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
	ws := a.ws
	ws.mu.Lock()
	c, err := a.place()
	switch {
	case err != nil:
	case name != ws.opts.Command:
		err = fmt.Errorf("%s is not a valid command", name)
	case !ws.scoped("commands"):
		err = errors.New("the app may not have commands: its scope is missing")
	case c.archived:
		err = errors.New("the channel is archived")
	}
	if err != nil {
		ws.mu.Unlock()
		return impossible("typing a command: %w", err)
	}
	shown := c.name
	if c.direct() {
		shown = "directmessage"
	}
	url, hook := ws.newResponseURL(a.p.id, c, nil)
	d := delivery{kind: kindCommand, answers: true, payload: object{
		"token": "sandbox-verification", "team_id": a.p.TeamID, "team_domain": strings.ToLower(ws.opts.TeamName),
		"channel_id": c.id, "channel_name": shown, "user_id": a.p.id, "user_name": a.p.Name, "command": name,
		"text": strings.TrimSpace(text), "api_app_id": AppID, "is_enterprise_install": "false",
		"response_url": url, "trigger_id": ws.newTrigger(a.p.id, nil),
	}}
	ws.mu.Unlock()
	ack := ws.deliver(d)
	r := ws.reply(ack, hook)
	if ack.failure == "" {
		ws.sayBack(&r, ack.body)
	}
	return r
}

// sayBack shows what a command's acknowledgement says: JSON, or plain text over HTTP.
func (ws *Workspace) sayBack(r *Reply, body []byte) {
	text := strings.TrimSpace(string(body))
	if text == "" || text == "null" || text == "{}" || text == `""` {
		return
	}
	said := object{}
	if strings.HasPrefix(text, "{") {
		if json.Unmarshal(body, &said) != nil {
			r.Failure, r.err = FailureDispatch, errors.New("the acknowledgement is not JSON")
			return
		}
	} else {
		var s string
		if json.Unmarshal(body, &s) != nil {
			s = text
		}
		said["text"] = s
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if problem := ws.answerIn(r.hook, args{values: said}); problem != "ok" {
		r.Failure, r.err = FailureDispatch, fmt.Errorf("the acknowledgement was refused: %s", problem)
		return
	}
	r.Text = ws.renderMessage(r.hook.posts[len(r.hook.posts)-1].now())
}

// OpensHome opens the app's Home tab; the app hears app_home_opened. The Home tab stays in front until the person
// does [Actor.LeavesHome].
func (a *Actor) OpensHome() Reply {
	ws := a.ws
	ws.mu.Lock()
	if a.p.Deleted {
		ws.mu.Unlock()
		return impossible("%s is deactivated", a.p.Name)
	}
	ws.atHome[a.p.id] = true
	event := object{"type": "app_home_opened", "user": a.p.id, "channel": ws.directWith(a.p.id).id, "tab": "home", "event_ts": ws.newTS()}
	if home := ws.homes[a.p.id]; home != nil {
		event["view"] = ws.viewWire(home)
	}
	ws.notify()
	ws.mu.Unlock()
	return ws.reply(ws.announce(event), nil)
}

// LeavesHome goes back to the channels.
func (a *Actor) LeavesHome() {
	a.ws.mu.Lock()
	defer a.ws.mu.Unlock()
	delete(a.ws.atHome, a.p.id)
	a.ws.notify()
}

// WaitsForMessage waits until the person sees a message that contains words, and returns the newest.
func (a *Actor) WaitsForMessage(ctx context.Context, words string) (Message, error) {
	m, err := wait(ctx, a.ws, func() (Message, bool) {
		for _, m := range a.sight() {
			if out := a.ws.export(m); strings.Contains(out.Text, words) {
				return out, true
			}
		}
		return Message{}, false
	})
	return m, a.explain(err, "a message with %q", words)
}

// WaitsForButton waits until the person can press a button, wherever it is.
func (a *Actor) WaitsForButton(ctx context.Context, label string, where ...Where) error {
	_, err := wait(ctx, a.ws, func() (struct{}, bool) {
		_, found := a.locate(label, where, false)
		return struct{}{}, found
	})
	return a.explain(err, "a button %q", label)
}

// WaitsForView waits until the modal in front of the person has words in its title or its text.
func (a *Actor) WaitsForView(ctx context.Context, words string) (View, error) {
	v, err := wait(ctx, a.ws, func() (View, bool) {
		if v := a.ws.top(a.p.id); v != nil && strings.Contains(a.ws.renderView(v), words) {
			return a.ws.exportView(v), true
		}
		return View{}, false
	})
	return v, a.explain(err, "a view with %q", words)
}

// WaitsForHome waits until the person's Home tab contains words.
func (a *Actor) WaitsForHome(ctx context.Context, words string) (View, error) {
	v, err := wait(ctx, a.ws, func() (View, bool) {
		if v := a.ws.homes[a.p.id]; v != nil && strings.Contains(a.ws.renderView(v), words) {
			return a.ws.exportView(v), true
		}
		return View{}, false
	})
	return v, a.explain(err, "a Home tab with %q", words)
}

// View is the modal in front of the person, if there is one.
func (a *Actor) View() (View, bool) {
	a.ws.mu.Lock()
	defer a.ws.mu.Unlock()
	if v := a.ws.top(a.p.id); v != nil {
		return a.ws.exportView(v), true
	}
	return View{}, false
}

func (a *Actor) explain(err error, format string, values ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s waited for %s: %w; this is what they see:\n%s", a.p.Name, fmt.Sprintf(format, values...), err, a.Sees())
}

// sight are the messages in front of the person, newest first.
func (a *Actor) sight() []*message {
	all := a.ws.visible(a.p.id)
	if a.channel == "" {
		return all
	}
	c, err := a.place()
	var here []*message
	for _, m := range all {
		if err == nil && m.channel == c {
			here = append(here, m)
		}
	}
	return here
}

// Messages are the messages the person sees now, newest first.
func (a *Actor) Messages() []Message {
	a.ws.mu.Lock()
	defer a.ws.mu.Unlock()
	var out []Message
	for _, m := range a.sight() {
		out = append(out, a.ws.export(m))
	}
	return out
}

// Sees is the person's screen as text: the modal if one is open, then the Home tab if they are there, then their
// conversations, the oldest message first. Buttons are written [Approve].
func (a *Actor) Sees() string {
	ws := a.ws
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var parts []string
	if v := ws.top(a.p.id); v != nil {
		parts = append(parts, ws.renderView(v))
	}
	if home := ws.homes[a.p.id]; home != nil && ws.atHome[a.p.id] {
		parts = append(parts, "== Home ==\n"+ws.renderView(home))
	}
	seen := a.sight()
	for _, c := range ws.channels {
		var lines []string
		for i := len(seen) - 1; i >= 0; i-- {
			m := seen[i]
			if m.channel != c {
				continue
			}
			line := ws.renderMessage(m.now())
			if m.only != "" {
				line = "(only you can see this)\n" + line
			}
			lines = append(lines, line)
		}
		if lines != nil {
			parts = append(parts, "== "+ws.title(c)+" ==\n"+strings.Join(lines, "\n\n"))
		}
	}
	return strings.Join(parts, "\n\n")
}
