package sandbox

import (
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

// Direct is the same person with the app's direct messages in front of them.
func (a *Actor) Direct() *Actor {
	a.ws.mu.Lock()
	defer a.ws.mu.Unlock()
	return &Actor{ws: a.ws, p: a.p, channel: a.ws.directWith(a.p.id).id}
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
	r.sent = d
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
