package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Person describes somebody in the workspace. The zero value of every field but Name is an ordinary member.
type Person struct {
	Name              string // the handle, unique: "bo"
	RealName          string // Name when empty
	Email             string // none when empty
	Title             string // what they do, as in their profile; may be empty
	TZ                string // "Etc/UTC" when empty
	TeamID            string // the workspace's own when empty
	IsBot             bool
	IsAdmin           bool
	IsRestricted      bool // a guest of several channels
	IsUltraRestricted bool // a guest of one channel
	IsStranger        bool // from another workspace, met in a shared channel
	Deleted           bool // deactivated
	EmailUnconfirmed  bool
}

type person struct {
	Person
	id string
}

// AddPerson lets somebody join the workspace and, unless a guest or a stranger, #general. A name taken twice is a
// mistake of the test and panics.
func (ws *Workspace) AddPerson(p Person) *Actor {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if p.Name == "" || ws.personNamed(p.Name) != nil {
		panic(fmt.Sprintf("sandbox: a person needs a name of their own, not %q", p.Name))
	}
	if p.RealName == "" {
		p.RealName = p.Name
	}
	if p.TZ == "" {
		p.TZ = "Etc/UTC"
	}
	if p.TeamID == "" {
		p.TeamID = ws.opts.TeamID
	}
	added := &person{Person: p, id: ws.newID("U")}
	ws.people = append(ws.people, added)
	if !p.IsRestricted && !p.IsUltraRestricted && !p.IsStranger {
		general := ws.channels[0]
		general.members = append(general.members, added.id)
	}
	ws.notify()
	return &Actor{ws: ws, p: added}
}

// Person is somebody to act as. A name nobody has is a mistake of the test and panics.
func (ws *Workspace) Person(name string) *Actor {
	if a := ws.find(name); a != nil {
		return a
	}
	panic(fmt.Sprintf("sandbox: nobody is called %q", name))
}

func (ws *Workspace) find(name string) *Actor {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if p := ws.personNamed(name); p != nil {
		return &Actor{ws: ws, p: p}
	}
	return nil
}

// ChangePerson changes what is known of somebody: a new e-mail address, a deactivation, a demotion to guest.
func (ws *Workspace) ChangePerson(name string, change func(*Person)) {
	a := ws.Person(name)
	ws.mu.Lock()
	defer ws.mu.Unlock()
	change(&a.p.Person)
	ws.notify()
}

// RemovePerson deactivates somebody. They stay known, as deleted, and leave user groups.
func (ws *Workspace) RemovePerson(name string) {
	a := ws.Person(name)
	ws.mu.Lock()
	defer ws.mu.Unlock()
	a.p.Deleted = true
	for _, g := range ws.groups {
		g.members = slices.DeleteFunc(g.members, func(id string) bool { return id == a.p.id })
	}
	ws.notify()
}

func (ws *Workspace) personNamed(name string) *person {
	for _, p := range ws.people {
		if p.Name == name {
			return p
		}
	}
	return nil
}

func (ws *Workspace) personByID(id string) *person {
	for _, p := range ws.people {
		if p.id == id {
			return p
		}
	}
	return nil
}

// wire is the person as users.info has them; the e-mail address shows only with its own scope.
func (p *person) wire(withEmail bool) object {
	profile := object{
		"real_name": p.RealName, "real_name_normalized": p.RealName,
		"display_name": p.Name, "display_name_normalized": p.Name, "title": p.Title, "team": p.TeamID,
	}
	if withEmail && p.Email != "" {
		profile["email"] = p.Email
	}
	_, offset := time.Unix(0, 0).In(zone(p.TZ)).Zone()
	o := object{
		"id": p.id, "team_id": p.TeamID, "name": p.Name, "real_name": p.RealName, "deleted": p.Deleted,
		"profile": profile, "is_bot": p.IsBot, "is_app_user": false, "updated": 1,
	}
	if p.Deleted {
		return o
	}
	for k, v := range (object{
		"tz": p.TZ, "tz_label": p.TZ, "tz_offset": offset,
		"is_admin": p.IsAdmin, "is_owner": false, "is_primary_owner": false,
		"is_restricted": p.IsRestricted, "is_ultra_restricted": p.IsUltraRestricted,
		"is_email_confirmed": p.Email != "" && !p.EmailUnconfirmed,
	}) {
		o[k] = v
	}
	if p.IsStranger {
		o["is_stranger"] = true
	}
	return o
}

func zone(name string) *time.Location {
	if loc, err := time.LoadLocation(name); err == nil {
		return loc
	}
	return time.UTC
}

type group struct {
	id, handle, name string
	members          []string
}

// AddUserGroup makes a user group (@handle) with members by name and returns its id.
func (ws *Workspace) AddUserGroup(handle string, members ...string) string {
	ids := ws.ids(members)
	ws.mu.Lock()
	defer ws.mu.Unlock()
	g := &group{id: ws.newID("S"), handle: strings.TrimPrefix(handle, "@"), name: handle, members: ids}
	ws.groups = append(ws.groups, g)
	return g.id
}

// SetUserGroup replaces the members of a user group.
func (ws *Workspace) SetUserGroup(id string, members ...string) {
	ids := ws.ids(members)
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, g := range ws.groups {
		if g.id == id {
			g.members = ids
		}
	}
}

func (ws *Workspace) ids(names []string) []string {
	ids := []string{}
	for _, name := range names {
		ids = append(ids, ws.Person(name).p.id)
	}
	return ids
}
