package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// channel is a conversation: a channel, or the direct messages between the app and one person.
type channel struct {
	id, name string
	private  bool
	archived bool
	with     string // the person of a direct message; empty for channels
	members  []string
}

func (c *channel) direct() bool           { return c.with != "" }
func (c *channel) has(userID string) bool { return slices.Contains(c.members, userID) }
func (c *channel) kind() string {
	switch {
	case c.direct():
		return "im"
	case c.private:
		return "groups"
	}
	return "channels"
}

// AddChannel makes a public channel with the app and the named people in it, and returns its id.
func (ws *Workspace) AddChannel(name string, members ...string) string {
	return ws.addChannel(name, false, members)
}

// AddPrivateChannel is AddChannel for a private one.
func (ws *Workspace) AddPrivateChannel(name string, members ...string) string {
	return ws.addChannel(name, true, members)
}

func (ws *Workspace) addChannel(name string, private bool, members []string) string {
	ids := ws.ids(members)
	ws.mu.Lock()
	defer ws.mu.Unlock()
	c := &channel{id: ws.newID("C"), name: strings.TrimPrefix(name, "#"), private: private, members: append(ids, BotUserID)}
	ws.channels = append(ws.channels, c)
	return c.id
}

// Archive closes a channel, by name or id: nobody can post in it any more.
func (ws *Workspace) Archive(name string) {
	ws.withChannel(name, func(c *channel) { c.archived = true })
}

// RemoveBot takes the app out of a channel, by name or id.
func (ws *Workspace) RemoveBot(name string) {
	ws.withChannel(name, func(c *channel) {
		c.members = slices.DeleteFunc(c.members, func(id string) bool { return id == BotUserID })
	})
}

// Join lets somebody enter a channel, by name or id.
func (ws *Workspace) Join(name, who string) {
	id := ws.Person(who).p.id
	ws.withChannel(name, func(c *channel) {
		if !c.has(id) {
			c.members = append(c.members, id)
		}
	})
}

// Leave lets somebody leave a channel, by name or id.
func (ws *Workspace) Leave(name, who string) {
	gone := ws.Person(who).p.id
	ws.withChannel(name, func(c *channel) {
		c.members = slices.DeleteFunc(c.members, func(id string) bool { return id == gone })
	})
}

func (ws *Workspace) withChannel(name string, change func(*channel)) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	c := ws.channelNamed(name)
	if c == nil {
		panic(fmt.Sprintf("sandbox: there is no channel %q", name))
	}
	change(c)
	ws.notify()
}

func (ws *Workspace) channelByID(id string) *channel {
	for _, c := range ws.channels {
		if c.id == id {
			return c
		}
	}
	return nil
}

// channelNamed finds a channel by id, name or #name.
func (ws *Workspace) channelNamed(name string) *channel {
	name = strings.TrimPrefix(name, "#")
	for _, c := range ws.channels {
		if c.id == name || (!c.direct() && c.name == name) {
			return c
		}
	}
	return nil
}

// directWith is the direct-message conversation between the app and a person, made when it is not there.
func (ws *Workspace) directWith(userID string) *channel {
	for _, c := range ws.channels {
		if c.with == userID {
			return c
		}
	}
	c := &channel{id: ws.newID("D"), with: userID, members: []string{userID, BotUserID}}
	ws.channels = append(ws.channels, c)
	return c
}

func (ws *Workspace) channelWire(c *channel) object {
	o := object{
		"id": c.id, "created": 1, "is_archived": c.archived, "is_im": c.direct(), "is_mpim": false,
		"is_org_shared": false, "context_team_id": ws.opts.TeamID, "updated": 1,
	}
	if c.direct() {
		o["user"] = c.with
		p := ws.personByID(c.with)
		o["is_user_deleted"] = p == nil || p.Deleted
		return o
	}
	for k, v := range (object{
		"name": c.name, "name_normalized": c.name, "is_channel": !c.private, "is_group": c.private, "is_private": c.private,
		"is_general": c.name == "general", "is_shared": false, "is_ext_shared": false, "is_member": c.has(BotUserID),
		"creator": BotUserID, "num_members": len(c.members), "topic": object{"value": ""}, "purpose": object{"value": ""},
	}) {
		o[k] = v
	}
	return o
}

// title is how a person reads the conversation's name.
func (ws *Workspace) title(c *channel) string {
	if c.direct() {
		return "direct message from prodaccess"
	}
	return "#" + c.name
}
