package sandbox

import (
	"slices"
	"strings"
)

// mostShown is how many messages a page starts with; older ones are not shown.
const mostShown = 400

// sentMessages remembers which version of which message a page has.
type sentMessages map[string]int

// screen is everything in front of a person, with only those messages that the page does not have yet. The caller
// holds ws.mu, and writes it as JSON before letting go.
func (ws *Workspace) screen(p *person, sent sentMessages) object {
	unread := ws.unread()
	o := object{
		"workspace": ws.opts.TeamName, "command": ws.opts.Command, "bot": BotUserID, "me": personFrame(p),
		"title": ws.page.Title, "tour": ws.tourFrame(), "panes": ws.paneFrames(), "outputs": ws.page.outputs, "atHome": ws.atHome[p.id],
	}
	people := []object{}
	for _, one := range ws.people {
		f := personFrame(one)
		for _, n := range unread[one.id] {
			f["unread"] = f["unread"].(int) + n
		}
		people = append(people, f)
	}
	o["people"] = people
	groups := []object{}
	for _, g := range ws.groups {
		groups = append(groups, object{"id": g.id, "handle": g.handle})
	}
	o["groups"] = groups
	ws.directWith(p.id) // the app's direct messages can always be opened
	channels := []object{}
	for _, c := range ws.channels {
		if !c.has(p.id) {
			continue
		}
		name := c.name
		if c.direct() {
			name = "prodaccess"
		}
		channels = append(channels, object{
			"id": c.id, "name": name, "direct": c.direct(), "private": c.private, "archived": c.archived,
			"unread": unread[p.id][c.id], "members": len(c.members),
		})
	}
	o["channels"] = channels
	o["messages"], o["gone"] = ws.news(p.id, sent)
	views := []object{}
	for _, v := range ws.stacks[p.id] {
		views = append(views, viewFrame(v))
	}
	o["views"] = views
	if home := ws.homes[p.id]; home != nil {
		o["home"] = viewFrame(home)
	}
	return o
}

func personFrame(p *person) object {
	return object{
		"id": p.id, "name": p.Name, "realName": p.RealName, "title": p.Title, "tz": p.TZ, "bot": p.IsBot,
		"guest": p.IsRestricted || p.IsUltraRestricted || p.IsStranger, "deleted": p.Deleted, "unread": 0,
	}
}

// news are the messages that a page does not have as they are now, oldest first, and those it must take away.
func (ws *Workspace) news(user string, sent sentMessages) (fresh []object, gone []string) {
	fresh, gone = []object{}, []string{}
	seen := ws.visible(user)
	seen = seen[:min(len(seen), mostShown)]
	now := map[string]bool{}
	for _, m := range slices.Backward(seen) {
		key := m.channel.id + ":" + m.ts
		now[key] = true
		if sent[key] != len(m.versions) {
			sent[key] = len(m.versions)
			fresh = append(fresh, messageFrame(m))
		}
	}
	for key := range sent {
		if !now[key] {
			delete(sent, key)
			gone = append(gone, key)
		}
	}
	return fresh, gone
}

func messageFrame(m *message) object {
	c := m.now()
	return object{
		"channel": m.channel.id, "ts": m.ts, "thread": m.thread, "from": m.from, "only": m.only != "", "version": len(m.versions),
		"text": c.text, "blocks": c.blocks, "attachments": c.attach, "state": initialState(c.all(), nil),
	}
}

func viewFrame(v *view) object {
	return object{
		"id": v.id, "hash": v.hash, "kind": v.kind, "title": v.title(), "submit": textOf(v.body["submit"]), "close": textOf(v.body["close"]),
		"disabled": v.body["submit_disabled"] == true, "blocks": v.blocks(), "state": v.state, "errors": v.errors,
	}
}

// unread counts, for each person and channel, the messages that were not on their screen yet. Replies in threads do not
// count, as at Slack for people who did not write in the thread.
func (ws *Workspace) unread() map[string]map[string]int {
	out := map[string]map[string]int{}
	for _, p := range ws.people {
		out[p.id] = map[string]int{}
	}
	for _, m := range ws.messages {
		for _, id := range m.channel.members {
			if id != m.from && m.thread == "" && m.seenBy(id) && strings.Compare(m.ts, ws.page.read[id][m.channel.id]) > 0 && out[id] != nil {
				out[id][m.channel.id]++
			}
		}
	}
	return out
}
