package sandbox

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

func conversationsOpen(ws *Workspace, a args) (object, *apiError) {
	if id := a.str("channel"); id != "" {
		c := ws.channelByID(id)
		if c == nil || !c.direct() {
			return nil, refuse("channel_not_found")
		}
		return object{"no_op": true, "already_open": true, "channel": ws.opened(c, a)}, nil
	}
	users := strings.Split(a.str("users"), ",")
	switch {
	case a.str("users") == "":
		return nil, refuse("users_list_not_supplied")
	case len(users) > 1:
		return nil, &apiError{code: "missing_scope", needed: "mpim:write"}
	}
	p := ws.personByID(users[0])
	switch {
	case p == nil:
		return nil, refuse("user_not_found")
	case p.Deleted:
		return nil, refuse("user_disabled")
	case p.IsBot:
		return nil, refuse("cannot_dm_bot")
	}
	return object{"channel": ws.opened(ws.directWith(p.id), a)}, nil
}

func (ws *Workspace) opened(c *channel, a args) object {
	if a.truth("return_im") {
		return ws.channelWire(c)
	}
	return object{"id": c.id}
}

// readable finds a conversation the app may look into with a scope such as channels:history.
func (ws *Workspace) readable(a args, right string) (*channel, *apiError) {
	if !a.has("channel") {
		return nil, missing("channel")
	}
	c := ws.channelByID(a.str("channel"))
	if c == nil || (c.private && !c.has(BotUserID)) {
		return nil, refuse("channel_not_found")
	}
	if scope := c.kind() + ":" + right; !ws.scoped(scope) {
		return nil, &apiError{code: "missing_scope", needed: scope}
	}
	return c, nil
}

func conversationsInfo(ws *Workspace, a args) (object, *apiError) {
	c, problem := ws.readable(a, "read")
	if problem != nil {
		return nil, problem
	}
	return object{"channel": ws.channelWire(c)}, nil
}

func conversationsList(ws *Workspace, a args) (object, *apiError) {
	return ws.list(a, func(*channel) bool { return true })
}

func usersConversations(ws *Workspace, a args) (object, *apiError) {
	user := a.str("user")
	if user == "" {
		user = BotUserID
	}
	return ws.list(a, func(c *channel) bool { return c.has(user) })
}

func (ws *Workspace) list(a args, wanted func(*channel) bool) (object, *apiError) {
	types := strings.Split(a.str("types"), ",")
	if a.str("types") == "" {
		types = []string{"public_channel"}
	}
	kinds := map[string]string{"channels": "public_channel", "groups": "private_channel", "im": "im"}
	for kind, name := range kinds {
		if slices.Contains(types, name) && !ws.scoped(kind+":read") {
			return nil, &apiError{code: "missing_scope", needed: kind + ":read"}
		}
	}
	all := []any{}
	for _, c := range ws.channels {
		hidden := (c.private && !c.has(BotUserID)) || (c.archived && a.truth("exclude_archived"))
		if !hidden && slices.Contains(types, kinds[c.kind()]) && wanted(c) {
			all = append(all, ws.channelWire(c))
		}
	}
	page, next, problem := paginate(a, all, 100)
	if problem != nil {
		return nil, problem
	}
	return object{"channels": page, "response_metadata": object{"next_cursor": next}}, nil
}

func conversationsMembers(ws *Workspace, a args) (object, *apiError) {
	c, problem := ws.readable(a, "read")
	if problem != nil {
		return nil, problem
	}
	all := []any{}
	for _, id := range c.members {
		all = append(all, id)
	}
	page, next, problem := paginate(a, all, 100)
	if problem != nil {
		return nil, problem
	}
	return object{"members": page, "response_metadata": object{"next_cursor": next}}, nil
}

func conversationsJoin(ws *Workspace, a args) (object, *apiError) {
	if !a.has("channel") {
		return nil, missing("channel")
	}
	c := ws.channelByID(a.str("channel"))
	switch {
	case c == nil, c.private:
		return nil, refuse("channel_not_found")
	case c.direct():
		return nil, refuse("method_not_supported_for_channel_type")
	case c.archived:
		return nil, refuse("is_archived")
	}
	if !c.has(BotUserID) {
		c.members = append(c.members, BotUserID)
	}
	return object{"channel": ws.channelWire(c)}, nil
}

func conversationsHistory(ws *Workspace, a args) (object, *apiError) {
	return ws.past(a, func(m *message) bool { return m.thread == "" || m.thread == m.ts }, true)
}

func conversationsReplies(ws *Workspace, a args) (object, *apiError) {
	root := a.str("ts")
	if root == "" {
		return nil, missing("ts")
	}
	answer, problem := ws.past(a, func(m *message) bool { return m.ts == root || m.thread == root }, false)
	if problem == nil && len(answer["messages"].([]any)) == 0 {
		return nil, refuse("thread_not_found")
	}
	return answer, problem
}

// past lists messages of a conversation; timestamps compare as strings because they all have the same length.
func (ws *Workspace) past(a args, wanted func(*message) bool, newestFirst bool) (object, *apiError) {
	c, problem := ws.readable(a, "history")
	if problem != nil {
		return nil, problem
	}
	if !c.has(BotUserID) {
		return nil, refuse("not_in_channel")
	}
	oldest, latest, inclusive := a.str("oldest"), a.str("latest"), a.truth("inclusive")
	within := func(ts string) bool {
		if inclusive && (ts == oldest || ts == latest) {
			return true
		}
		return (oldest == "" || after(ts, oldest)) && (latest == "" || after(latest, ts))
	}
	all := []any{}
	for _, m := range ws.messages {
		if m.channel == c && !m.deleted && m.only == "" && wanted(m) && within(m.ts) {
			all = append(all, ws.messageWire(m, m.now(), a.truth("include_all_metadata")))
		}
	}
	if newestFirst {
		slices.Reverse(all)
	}
	page, next, problem := paginate(a, all, 100)
	if problem != nil {
		return nil, problem
	}
	return object{"messages": page, "has_more": next != "", "pin_count": 0, "response_metadata": object{"next_cursor": next}}, nil
}

// after compares two timestamps that may be written with or without a fraction.
func after(a, b string) bool {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	if errX != nil || errY != nil || x == y {
		return a > b
	}
	return x > y
}

// paginate cuts one page out of a list with Slack's cursor arguments.
func paginate(a args, all []any, usual int) (page []any, next string, problem *apiError) {
	limit := a.number("limit", usual)
	if limit <= 0 || limit > 1000 {
		return nil, "", refuse("invalid_limit")
	}
	from := 0
	if c := a.str("cursor"); c != "" {
		raw, err := base64.StdEncoding.DecodeString(c)
		n, isNumber := strconv.Atoi(strings.TrimPrefix(string(raw), "next:"))
		if err != nil || isNumber != nil || n < 0 || n > len(all) {
			return nil, "", refuse("invalid_cursor")
		}
		from = n
	}
	to := min(from+limit, len(all))
	if to < len(all) {
		next = base64.StdEncoding.EncodeToString([]byte("next:" + strconv.Itoa(to)))
	}
	return all[from:to], next, nil
}
