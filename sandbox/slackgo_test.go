package sandbox

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"
)

// storyBot is a small bot on slack-go: a command posts a card, its button opens a form, the form refuses once and then
// updates the card.
type storyBot struct {
	api     *slack.Client
	channel string
	mu      sync.Mutex
	ts      string
}

func newStoryBot(ws *Workspace, channel string) *storyBot {
	return &storyBot{
		channel: channel,
		api:     slack.New(ws.BotToken(), slack.OptionAppLevelToken(ws.AppToken()), slack.OptionAPIURL(ws.APIURL())),
	}
}

// command answers a slash command.
func (b *storyBot) command(cmd slack.SlashCommand) any {
	_, ts, err := b.api.PostMessage(b.channel, slack.MsgOptionText("asked", false), slack.MsgOptionBlocks(
		slack.NewSectionBlock(slack.NewTextBlockObject("mrkdwn", "*<@"+cmd.UserID+">* asks: "+cmd.Text, false, false), nil, nil),
		slack.NewActionBlock("card", slack.NewButtonBlockElement("approve", "42", slack.NewTextBlockObject("plain_text", "Approve", false, false))),
	), slack.MsgOptionMetadata(slack.SlackMetadata{EventType: "card", EventPayload: map[string]any{"id": "42"}}))
	if err != nil {
		return map[string]any{"text": "posting failed: " + err.Error()}
	}
	b.mu.Lock()
	b.ts = ts
	b.mu.Unlock()
	return map[string]any{"response_type": "ephemeral", "text": "filed"}
}

func (b *storyBot) interaction(cb slack.InteractionCallback) any {
	switch cb.Type {
	case slack.InteractionTypeBlockActions:
		_, err := b.api.OpenView(cb.TriggerID, slack.ModalViewRequest{
			Type: slack.VTModal, Title: plainText("Why?"), Submit: plainText("Send"), PrivateMetadata: cb.Container.MessageTs, NotifyOnClose: true,
			Blocks: slack.Blocks{BlockSet: []slack.Block{
				slack.NewInputBlock("reason", plainText("Reason"), nil, slack.NewPlainTextInputBlockElement(nil, "text")),
			}},
		})
		if err != nil {
			_, _ = b.api.PostEphemeral(cb.Channel.ID, cb.User.ID, slack.MsgOptionText("opening failed: "+err.Error(), false))
		}
	case slack.InteractionTypeViewSubmission:
		said := cb.View.State.Values["reason"]["text"].Value
		if len(said) < 5 {
			return slack.NewErrorsViewSubmissionResponse(map[string]string{"reason": "say more"})
		}
		_, _, _, err := b.api.UpdateMessage(b.channel, cb.View.PrivateMetadata, slack.MsgOptionText("approved by <@"+cb.User.ID+">: "+said, false))
		if err != nil {
			panic(err)
		}
	}
	return nil
}

func (b *storyBot) event(raw json.RawMessage) {
	event, err := slackevents.ParseEvent(raw, slackevents.OptionNoVerifyToken())
	if err != nil {
		panic(err)
	}
	if opened, ok := event.InnerEvent.Data.(*slackevents.AppHomeOpenedEvent); ok {
		_, err := b.api.PublishView(opened.User, slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: []slack.Block{
			slack.NewHeaderBlock(plainText("Welcome")),
		}}}, "")
		if err != nil {
			panic(err)
		}
	}
}

func plainText(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject("plain_text", s, false, false)
}

// overSocket runs the bot in Socket Mode until the test ends.
func (b *storyBot) overSocket(t *testing.T, ws *Workspace) {
	client := socketmode.New(b.api)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = client.RunContext(ctx) })
	running.Go(func() {
		for {
			select {
			case e := <-client.Events:
				if e.Request == nil {
					continue
				}
				running.Go(func() {
					switch data := e.Data.(type) {
					case slack.SlashCommand:
						_ = client.Ack(*e.Request, b.command(data))
					case slack.InteractionCallback:
						_ = client.Ack(*e.Request, b.interaction(data))
					case slackevents.EventsAPIEvent:
						b.event(e.Request.Payload)
						_ = client.Ack(*e.Request)
					}
				})
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() { cancel(); ws.DropSockets(); running.Wait() })
	no(t, ws.WaitsForApp(soon(t)))
}

// overHTTP runs the bot behind signed requests until the test ends.
func (b *storyBot) overHTTP(t *testing.T, ws *Workspace) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		verifier, err := slack.NewSecretsVerifier(r.Header, ws.SigningSecret())
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = verifier.Write(body)
		if verifier.Ensure() != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		var said any
		form, _ := url.ParseQuery(string(body))
		switch {
		case r.Header.Get("Content-Type") == "application/json":
			b.event(body)
		case form.Has("payload"):
			cb, err := slack.InteractionCallbackParse(r)
			if err != nil {
				panic(err)
			}
			said = b.interaction(cb)
		default:
			cmd, _ := slack.SlashCommandParse(r)
			said = b.command(cmd)
		}
		if said != nil {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(said)
		}
	}))
	t.Cleanup(server.Close)
	ws.SetRequestURL(server.URL)
}

func TestSlackGoTellsTheStory(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*storyBot, *testing.T, *Workspace){"socket": (*storyBot).overSocket, "http": (*storyBot).overHTTP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := open(t, Options{})
			channel := ws.AddChannel("approvals", "bo")
			bot := newStoryBot(ws, channel)
			start(bot, t, ws)
			ana, bob := ws.Person("ana"), ws.Person("bo")

			if r := must(t, ana.Command("/prodaccess orders-prod read-only 30m a < b & c")); r.Text != "filed" {
				t.Errorf("the command was answered with %q", r.Text)
			}
			m, err := bob.WaitsForMessage(soon(t), "asks: orders-prod")
			no(t, err)
			if want := "@ana"; !strings.Contains(m.Text, want) || !strings.Contains(m.Text, "[Approve]") {
				t.Errorf("the card reads %q", m.Text)
			}
			if strings.Contains(ana.Sees(), "[Approve]") {
				t.Error("ana sees a channel she is not in")
			}
			if ana.Clicks("Approve").Err() == nil {
				t.Error("ana pressed a button she cannot see")
			}
			must(t, bob.Clicks("Approve"))
			_, err = bob.WaitsForView(soon(t), "Why?")
			no(t, err)
			if r := bob.Submits(nil); r.Errors["Reason"] == "" {
				t.Errorf("an empty form went through: %+v", r)
			}
			if r := bob.Submits(map[string]string{"Reason": "ok"}); r.Errors["Reason"] != "say more" {
				t.Errorf("the app's errors were not shown: %+v", r)
			}
			must(t, bob.Submits(map[string]string{"Reason": "checkout is failing"}))
			if _, open := bob.View(); open {
				t.Error("the form is still open")
			}
			_, err = bob.WaitsForMessage(soon(t), "approved by @bo: checkout is failing")
			no(t, err)
			if bob.Clicks("Approve").Err() == nil {
				t.Error("a button that is gone was pressed")
			}
			must(t, bob.ClicksStale("Approve"))
			_, err = bob.WaitsForView(soon(t), "Why?")
			no(t, err)
			must(t, bob.Closes())
			must(t, bob.OpensHome())
			_, err = bob.WaitsForHome(soon(t), "# Welcome")
			no(t, err)
			history, err := bot.api.GetConversationHistory(&slack.GetConversationHistoryParameters{ChannelID: channel, IncludeAllMetadata: true})
			no(t, err)
			if got := history.Messages[0].Metadata.EventPayload["id"]; got != "42" {
				t.Errorf("metadata came back as %v", got)
			}
			for _, e := range ws.Traffic() {
				if strings.Contains(e.Body, ws.BotToken()) {
					t.Errorf("a token is in the log: %+v", e)
				}
			}
		})
	}
}
