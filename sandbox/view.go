package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// formState is what the fields of a view or message hold: block_id, action_id, value as Slack writes it.
type formState map[string]map[string]object

type view struct {
	id, hash, kind string
	owner          string // the one person who sees it
	body           object // as the app sent it, completed
	root           *view
	previous       *view
	closed         bool
	state          formState
	errors         map[string]string // what the app found wrong, by block_id
	versions       []string          // renderings, oldest first
	raw            []string
}

func (v *view) str(field string) string { s, _ := v.body[field].(string); return s }
func (v *view) blocks() []any           { b, _ := v.body["blocks"].([]any); return b }
func (v *view) title() string           { return textOf(v.body["title"]) }

// newView makes a view out of a checked body. The caller holds ws.mu.
func (ws *Workspace) newView(owner string, body object) *view {
	v := &view{id: ws.newID("V"), owner: owner, kind: body["type"].(string)}
	v.root = v
	ws.views = append(ws.views, v)
	ws.redraw(v, body)
	return v
}

// redraw gives a view another body. What a person has typed stays where block_id and action_id are the same.
func (ws *Workspace) redraw(v *view, body object) {
	v.body = copyJSON(body).(object)
	v.body["blocks"] = complete(v.blocks())
	v.hash = fmt.Sprintf("%d.%s", ws.opts.Now().Unix(), strings.ToLower(rand.Text()[:8]))
	v.errors = nil
	v.state = initialState(v.blocks(), v.state)
	raw, _ := json.Marshal(v.body)
	v.raw = append(v.raw, string(raw))
	v.versions = append(v.versions, ws.renderView(v))
	ws.notify()
	ws.tellHome(v)
}

func (ws *Workspace) viewWire(v *view) object {
	o := object{
		"id": v.id, "team_id": ws.opts.TeamID, "type": v.kind, "blocks": v.blocks(), "private_metadata": v.str("private_metadata"),
		"callback_id": v.str("callback_id"), "external_id": v.str("external_id"), "state": object{"values": v.state}, "hash": v.hash,
		"title": v.body["title"], "submit": v.body["submit"], "close": v.body["close"], "submit_disabled": v.body["submit_disabled"] == true,
		"clear_on_close": v.body["clear_on_close"] == true, "notify_on_close": v.body["notify_on_close"] == true,
		"previous_view_id": nil, "root_view_id": v.root.id, "app_id": AppID, "app_installed_team_id": ws.opts.TeamID, "bot_id": BotID,
	}
	if v.previous != nil {
		o["previous_view_id"] = v.previous.id
	}
	if o["title"] == nil { // a Home tab has none; Slack sends a placeholder
		o["title"] = object{"type": "plain_text", "text": "View Title", "emoji": true}
	}
	return copyJSON(o).(object)
}

// renderView is a view as a person reads it.
func (ws *Workspace) renderView(v *view) string {
	lines := []string{}
	if v.kind == "modal" {
		lines = append(lines, "== "+v.title()+" ==")
	}
	lines = append(lines, ws.renderBlocks(v.blocks(), v.state))
	for _, b := range v.blocks() {
		o, _ := b.(object)
		if said, there := v.errors[fmt.Sprint(o["block_id"])]; there {
			lines = append(lines, "! "+ws.prose(o["label"])+": "+said)
		}
	}
	var keys []string
	for _, key := range []string{"close", "submit"} {
		if s := textOf(v.body[key]); s != "" {
			keys = append(keys, "["+s+"]")
		}
	}
	return join(append(lines, join(keys, " ")), "\n")
}

// top is the modal a person is looking at, or nil.
func (ws *Workspace) top(user string) *view {
	if stack := ws.stacks[user]; len(stack) > 0 {
		return stack[len(stack)-1]
	}
	return nil
}

// push puts a view on a person's stack.
func (ws *Workspace) push(user string, v *view) {
	if below := ws.top(user); below != nil {
		v.previous, v.root = below, below.root
	}
	ws.stacks[user] = append(ws.stacks[user], v)
	ws.notify()
}

// pop closes a person's topmost view, or all of them.
func (ws *Workspace) pop(user string, all bool) []*view {
	stack := ws.stacks[user]
	keep := max(0, len(stack)-1)
	if all {
		keep = 0
	}
	gone := slices.Clone(stack[keep:])
	for _, v := range gone {
		v.closed = true
	}
	ws.stacks[user] = stack[:keep]
	ws.notify()
	return gone
}

// View is one view as somebody outside the sandbox sees it. Views may hold what a message must not: a password is
// shown in one.
type View struct {
	ID       string
	Kind     string // modal or home
	Owner    string // the name of the one person who sees it
	Title    string
	Text     string // as a person reads it now
	Open     bool
	Versions []string // every rendering it ever had, oldest first
	Raw      []string // the JSON the app sent for every version, oldest first
}

// Views are all views there ever were, oldest first.
func (ws *Workspace) Views() []View {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	out := make([]View, 0, len(ws.views))
	for _, v := range ws.views {
		out = append(out, ws.exportView(v))
	}
	return out
}

func (ws *Workspace) exportView(v *view) View {
	return View{
		ID: v.id, Kind: v.kind, Owner: ws.personByID(v.owner).Name, Title: v.title(), Text: ws.renderView(v), Open: !v.closed,
		Versions: slices.Clone(v.versions), Raw: slices.Clone(v.raw),
	}
}
