package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// call makes one Web API call as a form and returns the answer and its HTTP response.
func call(t *testing.T, ws *Workspace, method string, form map[string]string) (object, *http.Response) {
	t.Helper()
	return callWith(t, ws, method, form, ws.BotToken())
}

func callWith(t *testing.T, ws *Workspace, method string, form map[string]string, token string) (object, *http.Response) {
	t.Helper()
	values := url.Values{}
	for k, v := range form {
		values.Set(k, v)
	}
	return send(t, ws, method, "application/x-www-form-urlencoded", values.Encode(), token)
}

func send(t *testing.T, ws *Workspace, method, kind, body, token string) (object, *http.Response) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ws.APIURL()+method, strings.NewReader(body))
	no(t, err)
	req.Header.Set("Content-Type", kind)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	no(t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	no(t, err)
	var answer object
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatalf("%s answered %d %q", method, resp.StatusCode, raw)
	}
	return answer, resp
}

// clock is a clock that stands until it is moved.
type clock struct{ at time.Time }

func (c *clock) now() time.Time        { return c.at }
func (c *clock) moves(d time.Duration) { c.at = c.at.Add(d) }
func noon() *clock                     { return &clock{time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)} }
func (c *clock) options() Options      { return Options{Now: c.now} }
func text1(s string) map[string]string { return map[string]string{"text": s} }
func in(c string, m map[string]string) map[string]string {
	m["channel"] = c
	return m
}

// TestRefusals holds what Slack refuses, in Slack's words.
func TestRefusals(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	room := ws.AddChannel("room", "ana")
	secret := ws.AddPrivateChannel("secret", "ana")
	foreign := ws.AddChannel("foreign", "ana")
	old := ws.AddChannel("old", "ana")
	for _, name := range []string{"secret", "foreign"} {
		ws.RemoveBot(name)
	}
	ws.Archive("old")
	gone := ws.AddPerson(Person{Name: "gone", Email: "gone@example.com"}).ID()
	ws.RemovePerson("gone")
	ana := ws.Person("ana").ID()
	posted, _ := call(t, ws, "chat.postMessage", in(room, text1("hello")))
	ts := posted["ts"].(string)
	whisper, _ := call(t, ws, "chat.postEphemeral", map[string]string{"channel": room, "user": ana, "text": "psst"})
	deleted, _ := call(t, ws, "chat.postMessage", in(room, text1("bye")))
	call(t, ws, "chat.delete", map[string]string{"channel": room, "ts": deleted["ts"].(string)})

	section := `{"type":"section","text":{"type":"mrkdwn","text":"` + strings.Repeat("x", 2501) + `"}}`
	wordy := "[" + strings.Join([]string{section, section, section, section}, ",") + "]"

	tests := []struct {
		name, method string
		form         map[string]string
		code         string
	}{
		{"unknown method", "chat.shout", nil, "unknown_method"},
		{"no such channel", "chat.postMessage", in("C404", text1("x")), "channel_not_found"},
		{"a private channel without us", "chat.postMessage", in(secret, text1("x")), "channel_not_found"},
		{"not a member", "chat.postMessage", in(foreign, text1("x")), "not_in_channel"},
		{"archived", "chat.postMessage", in(old, text1("x")), "is_archived"},
		{"nothing to say", "chat.postMessage", in(room, text1(" ")), "no_text"},
		{"no channel", "chat.postMessage", text1("x"), "invalid_arguments"},
		{"bad blocks", "chat.postMessage", in(room, map[string]string{"blocks": `[{"type":"x"}]`}), "invalid_blocks"},
		{"blocks that are no JSON", "chat.postMessage", in(room, map[string]string{"blocks": `[`}), "invalid_blocks_format"},
		{"metadata without payload", "chat.postMessage", in(room, map[string]string{"text": "x", "metadata": `{"event_type":"e"}`}), "invalid_metadata_format"},
		{"too many words in all blocks", "chat.postMessage", in(room, map[string]string{"blocks": wordy}), "msg_blocks_too_long"},
		{"too many words in an update", "chat.update", in(room, map[string]string{"ts": ts, "blocks": wordy}), "msg_blocks_too_long"},
		{"bad blocks in an attachment", "chat.postMessage", in(room, map[string]string{"attachments": `[{"blocks":[{"type":"x"}]}]`}), "invalid_attachments"},
		{"an attachment that is no object", "chat.postMessage", in(room, map[string]string{"attachments": `[1]`}), "invalid_attachments"},
		{"attachments that are no list", "chat.postMessage", in(room, map[string]string{"attachments": `{}`}), "invalid_attachments_format"},
		{"no such thread", "chat.postMessage", in(room, map[string]string{"text": "x", "thread_ts": "1.000001"}), "thread_not_found"},
		{"update without such a message", "chat.update", in(room, map[string]string{"ts": "1.000001", "text": "x"}), "message_not_found"},
		{"update of a deleted message", "chat.update", in(room, map[string]string{"ts": deleted["ts"].(string), "text": "x"}), "message_not_found"},
		{"update of an ephemeral message", "chat.update", in(room, map[string]string{"ts": whisper["message_ts"].(string), "text": "x"}), "message_not_found"},
		{"update too long", "chat.update", in(room, map[string]string{"ts": ts, "text": strings.Repeat("x", 4001)}), "msg_too_long"},
		{"update with a person for a channel", "chat.update", in(ana, map[string]string{"ts": ts, "text": "x"}), "channel_not_found"},
		{"update with nothing", "chat.update", in(room, map[string]string{"ts": ts}), "no_text"},
		{"ephemeral to somebody elsewhere", "chat.postEphemeral", in(room, map[string]string{"user": ws.Person("bo").ID(), "text": "x"}), "user_not_in_channel"},
		{"permalink", "chat.getPermalink", in(room, map[string]string{"message_ts": "1.000001"}), "message_not_found"},
		{"nobody", "users.info", map[string]string{"user": "U404"}, "user_not_found"},
		{"no such e-mail", "users.lookupByEmail", map[string]string{"email": "nobody@example.com"}, "users_not_found"},
		{"the e-mail of somebody deactivated", "users.lookupByEmail", map[string]string{"email": "gone@example.com"}, "users_not_found"},
		{"no such group", "usergroups.users.list", map[string]string{"usergroup": "S404"}, "no_such_subteam"},
		{"direct message to a bot", "conversations.open", map[string]string{"users": BotUserID}, "cannot_dm_bot"},
		{"direct message to somebody deactivated", "conversations.open", map[string]string{"users": gone}, "user_disabled"},
		{"history without us", "conversations.history", map[string]string{"channel": foreign}, "not_in_channel"},
		{"bad cursor", "conversations.history", in(room, map[string]string{"cursor": "?"}), "invalid_cursor"},
		{"bad limit", "users.list", map[string]string{"limit": "5000"}, "invalid_limit"},
		{"join private", "conversations.join", map[string]string{"channel": secret}, "channel_not_found"},
		{"trigger of no form", "views.open", map[string]string{"trigger_id": "x", "view": goodModal}, "invalid_trigger_id"},
		{"no trigger", "views.open", map[string]string{"view": goodModal}, "invalid_arguments"},
		{"bad view", "views.open", map[string]string{"trigger_id": "1.2.a", "view": `{"type":"modal"}`}, "invalid_arguments"},
		{"large view", "views.open", map[string]string{"trigger_id": "1.2.a", "view": `{"x":"` + strings.Repeat("x", 250_000) + `"}`}, "view_too_large"},
		{"no such view", "views.update", map[string]string{"view_id": "V404", "view": goodModal}, "not_found"},
		{"home of nobody", "views.publish", map[string]string{"user_id": "U404", "view": goodHome}, "user_not_found"},
		{"a modal for a home", "views.publish", map[string]string{"user_id": ana, "view": goodModal}, "invalid_arguments"},
		{"no such bot", "bots.info", map[string]string{"bot": "B404"}, "bot_not_found"},
		{"what was asked for", "api.test", map[string]string{"error": "my_error"}, "my_error"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if answer, _ := call(t, ws, test.method, test.form); answer["ok"] != false || answer["error"] != test.code {
				t.Errorf("%s was answered with %v, want %s", test.method, answer, test.code)
			}
		})
	}
}

const (
	goodModal = `{"type":"modal","title":{"type":"plain_text","text":"T"},"blocks":[{"type":"divider"}]}`
	goodHome  = `{"type":"home","blocks":[{"type":"divider"}]}`
)

func TestTokens(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	for _, test := range []struct{ name, method, token, code string }{
		{"none", "auth.test", "", "not_authed"},
		{"wrong", "auth.test", "xoxb-wrong", "invalid_auth"},
		{"app token for a bot method", "auth.test", ws.AppToken(), "not_allowed_token_type"},
		{"bot token for a socket", "apps.connections.open", ws.BotToken(), "not_allowed_token_type"},
	} {
		if answer, _ := callWith(t, ws, test.method, nil, test.token); answer["error"] != test.code {
			t.Errorf("%s: %v, want %s", test.name, answer, test.code)
		}
	}
	if answer, _ := callWith(t, ws, "auth.test", map[string]string{"token": ws.BotToken()}, ""); answer["user_id"] != BotUserID {
		t.Errorf("a token in the form was not taken: %v", answer)
	}
	if answer, _ := callWith(t, ws, "auth.test?token="+ws.BotToken(), nil, ""); answer["error"] != "not_authed" {
		t.Errorf("a token in the URL was taken: %v", answer)
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	post := func(kind, body string) object {
		answer, _ := send(t, ws, "chat.postMessage", kind, body, ws.BotToken())
		return answer
	}
	if answer := post("application/json; charset=utf-8", `{"channel":"general","text":"x","blocks":[{"type":"divider"}]}`); answer["ok"] != true {
		t.Errorf("JSON: %v", answer)
	}
	for _, test := range []struct{ kind, body, code string }{
		{"application/json", `{`, "invalid_json"},
		{"application/json", `[]`, "json_not_object"},
		{"text/xml", `<x/>`, "invalid_post_type"},
	} {
		if answer := post(test.kind, test.body); answer["error"] != test.code {
			t.Errorf("%s %s: %v, want %s", test.kind, test.body, answer, test.code)
		}
	}
	answer, _ := send(t, ws, "users.info", "application/json", `{"user":"`+ws.Person("ana").ID()+`"}`, ws.BotToken())
	if answer["error"] != "invalid_arguments" {
		t.Errorf("a method that only reads took JSON: %v", answer)
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{Scopes: []string{"users:read", "channels:history"}})
	answer, _ := call(t, ws, "chat.postMessage", in("general", text1("x")))
	if answer["error"] != "missing_scope" || answer["needed"] != "chat:write" || answer["provided"] != "users:read,channels:history" {
		t.Errorf("without chat:write: %v", answer)
	}
	answer, _ = call(t, ws, "users.info", map[string]string{"user": ws.Person("ana").ID()})
	if profile := answer["user"].(object)["profile"].(object); profile["email"] != nil {
		t.Error("an e-mail address is shown without users:read.email")
	}
	if answer, _ = call(t, ws, "conversations.list", map[string]string{"types": "im"}); answer["needed"] != "im:read" {
		t.Errorf("listing direct messages: %v", answer)
	}
	if ws.Person("ana").Command("/prodaccess help").Err() == nil {
		t.Error("an app without the scope had a command")
	}
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	now := noon()
	ws := open(t, now.options())
	a, b := ws.AddChannel("a"), ws.AddChannel("b")
	for i := range postBurst {
		if answer, _ := call(t, ws, "chat.postMessage", in(a, text1(fmt.Sprint(i)))); answer["ok"] != true {
			t.Fatalf("message %d of a burst: %v", i, answer)
		}
	}
	answer, resp := call(t, ws, "chat.postMessage", in(a, text1("too many")))
	if resp.StatusCode != http.StatusTooManyRequests || answer["error"] != "ratelimited" || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("one message too many: %d %v, retry after %q", resp.StatusCode, answer, resp.Header.Get("Retry-After"))
	}
	if answer, _ := call(t, ws, "chat.postMessage", in(b, text1("x"))); answer["ok"] != true {
		t.Errorf("another channel was limited too: %v", answer)
	}
	now.moves(time.Second)
	if answer, _ := call(t, ws, "chat.postMessage", in(a, text1("x"))); answer["ok"] != true {
		t.Errorf("a second later: %v", answer)
	}
	for method, calls := range map[string]int{"usergroups.list": tier2, "users.lookupByEmail": tier3, "views.publish": tier4} {
		for range calls {
			call(t, ws, method, map[string]string{"email": "ana@example.com"})
		}
		if answer, _ := call(t, ws, method, nil); answer["error"] != "ratelimited" {
			t.Errorf("%s was called %d times in no time: %v", method, calls+1, answer)
		}
	}
}

func TestUpdatesKeepWhatTheyDoNotName(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	room := ws.AddChannel("room", "ana")
	posted, _ := call(t, ws, "chat.postMessage", in(room, map[string]string{
		"text": "t", "blocks": `[{"type":"section","text":{"type":"mrkdwn","text":"one"}}]`, "metadata": `{"event_type":"e","event_payload":{"n":1}}`,
	}))
	ts := posted["ts"].(string)
	sees := func(want string) {
		t.Helper()
		if got := ws.Person("ana").Messages()[0].Text; got != want {
			t.Errorf("the message reads %q, want %q", got, want)
		}
	}
	sees("one")
	call(t, ws, "chat.update", in(room, map[string]string{"ts": ts, "blocks": `[{"type":"section","text":{"type":"mrkdwn","text":"two"}}]`}))
	sees("two")
	call(t, ws, "chat.update", in(room, map[string]string{"ts": ts, "text": "three"}))
	sees("three")
	m := ws.Messages()[0]
	if want := []string{"one", "two", "three"}; strings.Join(m.Versions, ",") != strings.Join(want, ",") {
		t.Errorf("the history is %q", m.Versions)
	}
	history, _ := call(t, ws, "conversations.history", in(room, map[string]string{"include_all_metadata": "true"}))
	first := history["messages"].([]any)[0].(object)
	if first["metadata"].(object)["event_payload"].(object)["n"] != 1.0 {
		t.Errorf("the metadata is gone: %v", first)
	}
	plainHistory, _ := call(t, ws, "conversations.history", in(room, map[string]string{}))
	if plainHistory["messages"].([]any)[0].(object)["metadata"] != nil {
		t.Error("metadata is shown unasked")
	}
}

func TestLongTextIsCut(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	answer, _ := call(t, ws, "chat.postMessage", in("general", text1(strings.Repeat("é", longestPost+1))))
	if got := []rune(answer["message"].(object)["text"].(string)); len(got) != longestPost {
		t.Errorf("%d characters were kept", len(got))
	}
	whole, _ := call(t, ws, "chat.postMessage", in("general", text1(strings.Repeat("é", longestPost))))
	if got := []rune(whole["message"].(object)["text"].(string)); len(got) != longestPost {
		t.Errorf("of just as many as allowed, %d characters were kept", len(got))
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	room := ws.AddChannel("room", "ana")
	var stamps []string
	for i := range 5 {
		answer, _ := call(t, ws, "chat.postMessage", in(room, text1(fmt.Sprint(i))))
		stamps = append(stamps, answer["ts"].(string))
	}
	call(t, ws, "chat.postMessage", in(room, map[string]string{"text": "reply", "thread_ts": stamps[1]}))
	call(t, ws, "chat.delete", in(room, map[string]string{"ts": stamps[4]}))
	read := func(method string, form map[string]string) string {
		var texts []string
		for {
			answer, _ := call(t, ws, method, in(room, form))
			for _, m := range answer["messages"].([]any) {
				texts = append(texts, m.(object)["text"].(string))
			}
			next := answer["response_metadata"].(object)["next_cursor"].(string)
			if answer["has_more"] != (next != "") {
				t.Errorf("has_more does not agree with the cursor: %v", answer)
			}
			if next == "" {
				return strings.Join(texts, ",")
			}
			form["cursor"] = next
		}
	}
	for _, test := range []struct {
		method string
		form   map[string]string
		want   string
	}{
		{"conversations.history", map[string]string{}, "3,2,1,0"},
		{"conversations.history", map[string]string{"limit": "2"}, "3,2,1,0"},
		{"conversations.history", map[string]string{"oldest": stamps[1]}, "3,2"},
		{"conversations.history", map[string]string{"oldest": stamps[1], "inclusive": "true"}, "3,2,1"},
		{"conversations.history", map[string]string{"latest": stamps[1]}, "0"},
		{"conversations.replies", map[string]string{"ts": stamps[1]}, "1,reply"},
	} {
		if got := read(test.method, test.form); got != test.want {
			t.Errorf("%s %v: %s, want %s", test.method, test.form, got, test.want)
		}
	}
}

func TestPeopleAndGroups(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	ws.AddPerson(Person{Name: "gus", Email: "gus@example.com", IsRestricted: true, EmailUnconfirmed: true, TZ: "Europe/Paris"})
	ws.AddPerson(Person{Name: "sue", IsStranger: true, TeamID: "T0OTHER"})
	group := ws.AddUserGroup("@dba", "ana", "bo")
	info := func(name string) object {
		answer, _ := call(t, ws, "users.info", map[string]string{"user": ws.Person(name).ID()})
		return answer["user"].(object)
	}
	if gus := info("gus"); gus["is_restricted"] != true || gus["is_email_confirmed"] != false || gus["tz_offset"] != 3600.0 {
		t.Errorf("a guest is %v", gus)
	}
	if sue := info("sue"); sue["is_stranger"] != true || sue["team_id"] != "T0OTHER" {
		t.Errorf("a stranger is %v", sue)
	}
	answer, _ := call(t, ws, "users.lookupByEmail", map[string]string{"email": "ANA@example.com"})
	if answer["user"].(object)["id"] != ws.Person("ana").ID() {
		t.Errorf("ana was not found by e-mail: %v", answer)
	}
	members := func() int {
		answer, _ := call(t, ws, "usergroups.users.list", map[string]string{"usergroup": group})
		return len(answer["users"].([]any))
	}
	if members() != 2 {
		t.Error("the group has not two members")
	}
	ws.RemovePerson("bo")
	if members() != 1 || info("bo")["deleted"] != true {
		t.Error("bo is still there")
	}
	if ws.Person("bo").Command("/prodaccess help").Err() == nil {
		t.Error("somebody deactivated typed a command")
	}
	listed, _ := call(t, ws, "users.list", map[string]string{"limit": "2"})
	if len(listed["members"].([]any)) != 2 || listed["response_metadata"].(object)["next_cursor"] == "" {
		t.Errorf("the first page of people is %v", listed)
	}

	free := open(t, Options{FreePlan: true})
	for _, method := range []string{"usergroups.list", "usergroups.users.list"} {
		if answer, _ := call(t, free, method, nil); answer["error"] != "plan_upgrade_required" {
			t.Errorf("%s on a free plan: %v", method, answer)
		}
	}
}

func TestConversations(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	room := ws.AddChannel("room", "ana")
	ws.RemoveBot("room")
	if answer, _ := call(t, ws, "conversations.join", map[string]string{"channel": room}); answer["ok"] != true {
		t.Fatalf("joining: %v", answer)
	}
	info, _ := call(t, ws, "conversations.info", map[string]string{"channel": room})
	if c := info["channel"].(object); c["is_member"] != true || c["name"] != "room" {
		t.Errorf("the channel is %v", c)
	}
	direct, _ := call(t, ws, "conversations.open", map[string]string{"users": ws.Person("ana").ID()})
	id := direct["channel"].(object)["id"].(string)
	again, _ := call(t, ws, "chat.postMessage", in(ws.Person("ana").ID(), text1("for you")))
	if again["channel"] != id {
		t.Errorf("a message to a person went to %v, not to %s", again["channel"], id)
	}
	if strings.Contains(ws.Person("bo").Sees(), "for you") || !strings.Contains(ws.Person("ana").Sees(), "for you") {
		t.Error("a direct message is not where it belongs")
	}
	list, _ := call(t, ws, "conversations.list", map[string]string{"types": "public_channel,im", "exclude_archived": "true"})
	if len(list["channels"].([]any)) != 3 {
		t.Errorf("the conversations are %v", list["channels"])
	}
}
