package sandbox

import "strings"

func usersInfo(ws *Workspace, a args) (object, *apiError) {
	if !a.has("user") {
		return nil, missing("user")
	}
	p := ws.personByID(a.str("user"))
	if p == nil {
		return nil, refuse("user_not_found")
	}
	return object{"user": p.wire(ws.scoped("users:read.email"))}, nil
}

func usersList(ws *Workspace, a args) (object, *apiError) {
	members := []any{}
	for _, p := range ws.people {
		members = append(members, p.wire(ws.scoped("users:read.email")))
	}
	page, next, problem := paginate(a, members, 1000)
	if problem != nil {
		return nil, problem
	}
	return object{"members": page, "cache_ts": ws.opts.Now().Unix(), "response_metadata": object{"next_cursor": next}}, nil
}

func lookupByEmail(ws *Workspace, a args) (object, *apiError) {
	if !a.has("email") {
		return nil, missing("email")
	}
	for _, p := range ws.people {
		if strings.EqualFold(p.Email, a.str("email")) && !p.Deleted && !p.IsBot {
			return object{"user": p.wire(true)}, nil
		}
	}
	return nil, refuse("users_not_found")
}

func usergroupsList(ws *Workspace, a args) (object, *apiError) {
	if ws.opts.FreePlan {
		return nil, refuse("plan_upgrade_required")
	}
	list := []any{}
	for _, g := range ws.groups {
		o := object{
			"id": g.id, "team_id": ws.opts.TeamID, "is_usergroup": true, "name": g.name, "description": "", "handle": g.handle,
			"is_external": false, "date_create": 1, "date_update": 1, "date_delete": 0, "auto_type": nil,
			"created_by": BotUserID, "updated_by": BotUserID, "deleted_by": nil,
			"prefs": object{"channels": []any{}, "groups": []any{}}, "user_count": len(g.members),
		}
		if a.truth("include_users") {
			o["users"] = g.members
		}
		list = append(list, o)
	}
	return object{"usergroups": list}, nil
}

func usergroupsUsers(ws *Workspace, a args) (object, *apiError) {
	if ws.opts.FreePlan {
		return nil, refuse("plan_upgrade_required")
	}
	if !a.has("usergroup") {
		return nil, missing("usergroup")
	}
	for _, g := range ws.groups {
		if g.id == a.str("usergroup") {
			users := []string{}
			for _, id := range g.members {
				if !ws.personByID(id).Deleted || a.truth("include_disabled") {
					users = append(users, id)
				}
			}
			return object{"users": users}, nil
		}
	}
	return nil, refuse("no_such_subteam")
}
