package sandbox

import (
	"encoding/json"
	"slices"
	"time"
)

type message struct {
	channel  *channel
	ts       string
	thread   string
	from     string // the app's bot user, or a person
	only     string // who alone sees it, when ephemeral
	deleted  bool
	versions []content
}

// content is one version of a message: what it said from some moment on.
type content struct {
	at       time.Time
	text     string
	blocks   []any
	attach   []any
	metadata any
}

// all are the blocks of a message, those in attachments too.
func (c content) all() []any {
	items := slices.Clone(c.blocks)
	for _, attached := range c.attach {
		o, _ := attached.(object)
		more, _ := o["blocks"].([]any)
		items = append(items, more...)
	}
	return items
}

func (m *message) now() content { return m.versions[len(m.versions)-1] }

// seenBy reports whether a person can see the message as it stands.
func (m *message) seenBy(userID string) bool {
	return !m.deleted && m.channel.has(userID) && (m.only == "" || m.only == userID)
}

// post adds a message. The caller holds ws.mu.
func (ws *Workspace) post(c *channel, from, only, thread string, body content) *message {
	body.at = ws.opts.Now()
	m := &message{channel: c, ts: ws.newTS(), thread: thread, from: from, only: only, versions: []content{body}}
	ws.messages = append(ws.messages, m)
	ws.index[c.id+" "+m.ts] = m
	ws.notify()
	ws.tellDrawn(m)
	return m
}

func (ws *Workspace) edit(m *message, body content) {
	body.at = ws.opts.Now()
	m.versions = append(m.versions, body)
	ws.notify()
	ws.tellDrawn(m)
}

func (ws *Workspace) messageAt(channelID, ts string) *message {
	return ws.index[channelID+" "+ts]
}

func (ws *Workspace) messageWire(m *message, body content, metadata bool) object {
	o := object{"type": "message", "ts": m.ts, "user": m.from, "text": body.text, "team": ws.opts.TeamID}
	if m.from == BotUserID {
		o["bot_id"], o["app_id"] = BotID, AppID
		o["bot_profile"] = object{"id": BotID, "app_id": AppID, "name": "prodaccess", "team_id": ws.opts.TeamID, "deleted": false, "updated": 1}
	}
	if len(body.blocks) > 0 {
		o["blocks"] = body.blocks
	}
	if len(body.attach) > 0 {
		o["attachments"] = body.attach
	}
	if m.thread != "" {
		o["thread_ts"] = m.thread
	}
	if len(m.versions) > 1 {
		o["edited"] = object{"user": m.from, "ts": m.ts}
	}
	if metadata && body.metadata != nil {
		o["metadata"] = body.metadata
	}
	return o
}

// Message is one message as somebody outside the sandbox sees it.
type Message struct {
	Channel     string // id
	ChannelName string // "#approvals", or "direct message from prodaccess"
	TS          string
	From        string   // the author's name
	To          string   // the name of the one person who sees it: ephemeral, or a direct message
	Ephemeral   bool     //
	Deleted     bool     //
	Text        string   // as a person reads it now: blocks rendered, or the text
	Versions    []string // every rendering it ever had, oldest first
	Raw         []string // the JSON of every version, oldest first
}

// Messages are all messages of the workspace, ephemeral and deleted ones included, oldest first.
func (ws *Workspace) Messages() []Message {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	out := make([]Message, 0, len(ws.messages))
	for _, m := range ws.messages {
		out = append(out, ws.export(m))
	}
	return out
}

func (ws *Workspace) export(m *message) Message {
	out := Message{
		Channel: m.channel.id, ChannelName: ws.title(m.channel), TS: m.ts, Ephemeral: m.only != "", Deleted: m.deleted,
		Text: ws.renderMessage(m.now()),
	}
	if p := ws.personByID(m.from); p != nil {
		out.From = p.Name
	}
	to := m.only
	if to == "" {
		to = m.channel.with
	}
	if p := ws.personByID(to); p != nil {
		out.To = p.Name
	}
	for _, v := range m.versions {
		raw, _ := json.Marshal(ws.messageWire(m, v, true))
		out.Versions = append(out.Versions, ws.renderMessage(v))
		out.Raw = append(out.Raw, string(raw))
	}
	return out
}

// visible are the messages a person sees, newest first.
func (ws *Workspace) visible(userID string) []*message {
	var out []*message
	for _, m := range slices.Backward(ws.messages) {
		if m.seenBy(userID) {
			out = append(out, m)
		}
	}
	return out
}
