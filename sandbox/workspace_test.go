package sandbox

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestWorkspaceChanges(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	room := ws.AddChannel("room", "ana")
	app := newRawApp(t, ws, nil)
	app.connects()
	no(t, ws.WaitsForApp(soon(t)))
	ana, bob := ws.Person("ana"), ws.Person("bo")
	waited := make(chan error, 1)
	go func() { waited <- bob.WaitsForButton(soon(t), "Approve", InMessage()) }()
	where := card(t, ws, room)
	ws.Join("room", "bo")
	no(t, <-waited)
	must(t, bob.In("room").Clicks("Approve"))
	if bob.Clicks("Approve", InView()).Err() == nil {
		t.Error("a button of a message was found in a view")
	}
	if bob.In("general").Clicks("Approve").Err() == nil {
		t.Error("a button of another channel was pressed")
	}
	ws.Leave("room", "bo")
	if bob.Clicks("Approve").Err() == nil || bob.ClicksStale("Approve").Err() == nil || strings.Contains(bob.Sees(), "Approve") {
		t.Error("bo left and is still there")
	}
	link, _ := call(t, ws, "chat.getPermalink", map[string]string{"channel": room, "message_ts": where["ts"]})
	if !strings.Contains(link["permalink"].(string), "/archives/"+room+"/p") {
		t.Errorf("the link is %v", link)
	}
	members, _ := call(t, ws, "conversations.members", map[string]string{"channel": room})
	if list := members["members"].([]any); len(list) != 2 || list[0] != ana.ID() {
		t.Errorf("the members are %v", list)
	}
	mine, _ := call(t, ws, "users.conversations", map[string]string{"user": ana.ID()})
	if list := mine["channels"].([]any); len(list) != 2 {
		t.Errorf("ana's channels are %v", list)
	}
	call(t, ws, "chat.postMessage", in(ana.ID(), text1("just you")))
	if got := ana.Direct().Messages(); len(got) != 1 || got[0].Text != "just you" || got[0].To != ana.Name() {
		t.Errorf("the direct messages are %+v", got)
	}
	ws.ChangePerson("ana", func(p *Person) { p.Email = "new@example.com" })
	if found, _ := call(t, ws, "users.lookupByEmail", map[string]string{"email": "new@example.com"}); found["ok"] != true {
		t.Errorf("the new address is not known: %v", found)
	}
	group := ws.AddUserGroup("dba", "ana")
	ws.SetUserGroup(group, "bo", "cy")
	groups, _ := call(t, ws, "usergroups.list", map[string]string{"include_users": "true"})
	if g := groups["usergroups"].([]any)[0].(object); g["handle"] != "dba" || len(g["users"].([]any)) != 2 {
		t.Errorf("the group is %v", g)
	}
	must(t, ws.Event(object{"type": "user_change", "user": object{"id": ana.ID()}}))
	got := app.received()
	if last := got[len(got)-1]; last.kind != kindEvent || last.payload["event"].(object)["type"] != "user_change" {
		t.Errorf("the event arrived as %+v", last)
	}
	ws.WarnSockets()
	until(t, func() bool { got := app.received(); return got[len(got)-1].kind == "disconnect" })
}

func TestWaitsSayWhatWasSeen(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	card(t, ws, ws.AddChannel("room", "ana"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := ws.Person("ana").WaitsForView(ctx, "credentials")
	if err == nil || !strings.Contains(err.Error(), `ana waited for a view with "credentials"`) || !strings.Contains(err.Error(), "[Approve]") {
		t.Errorf("the error says %v", err)
	}
}

func TestRendering(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{})
	group := ws.AddUserGroup("dba")
	blocks := parse(t, `[
		{'type':'header','text':{'type':'plain_text','text':'Head <@x>'}},
		{'type':'section','text':{'type':'mrkdwn','text':'for <!subteam^`+group+`> &amp; <!date^1^{date}|today>'},'fields':[{'type':'plain_text','text':'one'},{'type':'mrkdwn','text':'two'}]},
		{'type':'divider'},
		{'type':'context','elements':[{'type':'mrkdwn','text':'small'},{'type':'image','image_url':'https://example.com/a.png','alt_text':'face'}]},
		{'type':'image','image_url':'https://example.com/a.png','alt_text':'graph'},
		{'type':'markdown','text':'**md**'},
		{'type':'rich_text','elements':[{'type':'rich_text_section','elements':[{'type':'text','text':'rich '},{'type':'link','url':'https://example.com'}]}]},
		{'type':'input','label':{'type':'plain_text','text':'Field'},'hint':{'type':'plain_text','text':'hint'},'element':{'type':'plain_text_input','placeholder':{'type':'plain_text','text':'say'}}}]`)
	list, faults := checkMessageBlocks(blocks)
	if faults != nil {
		t.Fatal(faults)
	}
	want := "# Head <@x>\nfor @dba & today\none\ntwo\n---\nsmall  (image: face)\n(image: graph)\n**md**\nrich https://example.com\nField: ‹say›\n(hint)"
	if got := ws.renderBlocks(list, nil); got != want {
		t.Errorf("rendered as\n%s\nwant\n%s", got, want)
	}
	attached := content{text: "old", attach: []any{object{"text": "attached", "blocks": []any{object{"type": "divider"}}}}}
	if got := ws.renderMessage(attached); got != "old\nattached\n---" {
		t.Errorf("an attachment reads %q", got)
	}
}

func TestWrongTypesAreRefused(t *testing.T) {
	t.Parallel()
	for bad, want := range map[string]string{
		inputWith(`{'type':'plain_text_input','multiline':'yes'}`):                          "must be a boolean [json-pointer:/blocks/0/element/multiline]",
		inputWith(`{'type':'plain_text_input','min_length':1.5}`):                           "must be an integer [json-pointer:/blocks/0/element/min_length]",
		inputWith(`{'type':'plain_text_input','min_length':-1}`):                            "must be greater than or equal to 0 [json-pointer:/blocks/0/element/min_length]",
		inputWith(`{'type':'plain_text_input','dispatch_action_config':{'x':1}}`):           "invalid additional property: x [json-pointer:/blocks/0/element/dispatch_action_config]",
		`[{'type':'header','text':{'type':'plain_text','text':7}}]`:                         "must be a string [json-pointer:/blocks/0/text/text]",
		`[{'type':'rich_text','elements':[{'type':'poem'}]}]`:                               "unsupported type: poem [json-pointer:/blocks/0/elements/0/type]",
		`[{'type':'rich_text','elements':[{'type':'rich_text_section','elements':['x']}]}]`: "must provide an object [json-pointer:/blocks/0/elements/0/elements/0]",
		`[{}]`: "missing required field: type [json-pointer:/blocks/0]",
		sectionWith(`{'type':'static_select','options':[` + strings.ReplaceAll(choice+","+choice, "%", "") + `]}`): `option values must be unique: "v" [json-pointer:/blocks/0/accessory/options]`,
	} {
		if _, faults := checkMessageBlocks(parse(t, bad)); len(faults) != 1 || faults[0] != want {
			t.Errorf("%s: %q, want %q", bad, faults, want)
		}
	}
}
