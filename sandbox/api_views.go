package sandbox

// deepestStack is how many views may lie on each other.
const deepestStack = 3

// readView takes the view out of the arguments and checks it.
func (ws *Workspace) readView(a args, kind string, replacing *view) (object, *apiError) {
	raw, ok := a.structure("view")
	switch {
	case !ok:
		return nil, &apiError{code: "invalid_arguments", messages: []string{"invalid `view` [json-pointer:/view]"}}
	case raw == nil:
		return nil, missing("view")
	case tooLarge(raw):
		return nil, refuse("view_too_large")
	}
	if faults := checkView(raw, kind); faults != nil {
		return nil, &apiError{code: "invalid_arguments", messages: faults}
	}
	body := raw.(object)
	if external, _ := body["external_id"].(string); external != "" {
		for _, v := range ws.views {
			if v != replacing && !v.closed && v.str("external_id") == external {
				return nil, refuse("duplicate_external_id")
			}
		}
	}
	return body, nil
}

func viewsOpen(ws *Workspace, a args) (object, *apiError) {
	if !a.has("trigger_id") {
		return nil, missing("trigger_id")
	}
	body, problem := ws.readView(a, "modal", nil)
	if problem != nil {
		return nil, problem
	}
	t, problem := ws.exchange(a.str("trigger_id"))
	if problem != nil {
		return nil, problem
	}
	ws.pop(t.user, true)
	v := ws.newView(t.user, body)
	ws.push(t.user, v)
	return object{"view": ws.viewWire(v)}, nil
}

func viewsPush(ws *Workspace, a args) (object, *apiError) {
	if !a.has("trigger_id") {
		return nil, missing("trigger_id")
	}
	body, problem := ws.readView(a, "modal", nil)
	if problem != nil {
		return nil, problem
	}
	t := ws.triggers[a.str("trigger_id")]
	if t != nil && !t.spent {
		switch {
		case t.from == nil || t.from.closed:
			return nil, refuse("not_found")
		case len(ws.stacks[t.user]) >= deepestStack:
			return nil, refuse("push_limit_reached")
		}
	}
	t, problem = ws.exchange(a.str("trigger_id"))
	if problem != nil {
		return nil, problem
	}
	v := ws.newView(t.user, body)
	ws.push(t.user, v)
	return object{"view": ws.viewWire(v)}, nil
}

func viewsUpdate(ws *Workspace, a args) (object, *apiError) {
	id, external := a.str("view_id"), a.str("external_id")
	if id == "" && external == "" {
		return nil, missing("view_id")
	}
	var found *view
	for _, v := range ws.views {
		if !v.closed && v.kind == "modal" && (v.id == id || (id == "" && v.str("external_id") == external)) {
			found = v
		}
	}
	if found == nil {
		return nil, refuse("not_found")
	}
	body, problem := ws.readView(a, "modal", found)
	if problem != nil {
		return nil, problem
	}
	if hash := a.str("hash"); hash != "" && hash != found.hash {
		return nil, refuse("hash_conflict")
	}
	ws.redraw(found, body)
	return object{"view": ws.viewWire(found)}, nil
}

func viewsPublish(ws *Workspace, a args) (object, *apiError) {
	if !a.has("user_id") {
		return nil, missing("user_id")
	}
	p := ws.personByID(a.str("user_id"))
	if p == nil || p.IsBot || p.Deleted {
		return nil, refuse("user_not_found")
	}
	home := ws.homes[p.id]
	body, problem := ws.readView(a, "home", home)
	if problem != nil {
		return nil, problem
	}
	if home == nil {
		home = ws.newView(p.id, body)
		ws.homes[p.id] = home
		return object{"view": ws.viewWire(home)}, nil
	}
	if hash := a.str("hash"); hash != "" && hash != home.hash {
		return nil, refuse("hash_conflict")
	}
	ws.redraw(home, body)
	return object{"view": ws.viewWire(home)}, nil
}
