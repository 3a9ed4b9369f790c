package bot

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/slack-go/slack"
)

// answerWithin leaves room in Slack's three seconds for the way there and back.
const answerWithin = 2500 * time.Millisecond

// answer is what a delivery is acknowledged with, and what happens after.
type answer struct {
	// payload is JSON for the acknowledgement; nil for an empty one.
	payload any
	// after runs once the acknowledgement is on its way; nil for nothing.
	after func(ctx context.Context)
	// acted says that the actor's Home may show something else now.
	acted bool
	// request and outcome are for the log.
	request, outcome string
}

// whisper is an acknowledgement only the person sees.
type whisper struct {
	ResponseType string        `json:"response_type"`
	Text         string        `json:"text"`
	Blocks       []slack.Block `json:"blocks,omitempty"`
}

// tell answers a command privately. Socket Mode drops acknowledgements of 20 kB without a word, hence the cut.
func tell(text, request, outcome string) answer {
	const most = 6000
	if width(text) > most {
		text = cutTo(text, most, func(r rune) string { return string(r) })
	}
	return answer{payload: whisper{ResponseType: "ephemeral", Text: text}, request: request, outcome: outcome}
}

// acted marks the answer to a command that changed something.
func acted(a answer) answer {
	a.acted = true
	return a
}

// onCommand answers a slash command.
func (b *Bot) onCommand(ctx context.Context, cmd slack.SlashCommand, source string) answer {
	return b.afterActing(cmd.UserID, b.guard(ctx, "command", cmd.UserID, verbOf(cmd.Text), func(ctx context.Context) answer {
		return b.runCommand(ctx, cmd, source)
	}, func() answer {
		text, outcome := b.words(errors.New("handling a command panicked"))
		return tell(text, "", outcome)
	}))
}

// onInteraction answers a press, a change in a form or a submission.
func (b *Bot) onInteraction(ctx context.Context, cb slack.InteractionCallback, source string) answer {
	what := string(cb.Type)
	if cb.Type == slack.InteractionTypeBlockActions && len(cb.ActionCallback.BlockActions) > 0 {
		what = cb.ActionCallback.BlockActions[0].ActionID
	} else if cb.View.CallbackID != "" {
		what += " " + cb.View.CallbackID
	}
	return b.afterActing(cb.User.ID, b.guard(ctx, "press", cb.User.ID, what, func(ctx context.Context) answer {
		switch cb.Type {
		case slack.InteractionTypeBlockActions:
			return b.onActions(ctx, cb, source)
		case slack.InteractionTypeViewSubmission:
			return b.onSubmission(ctx, cb, source)
		case slack.InteractionTypeViewClosed:
			return answer{outcome: "closed", after: func(ctx context.Context) { b.onClosed(ctx, cb) }}
		case slack.InteractionTypeBlockSuggestion:
			return b.onSuggestion(ctx, cb)
		}
		return answer{outcome: "ignored"}
	}, func() answer {
		text, outcome := b.words(errors.New("handling a press panicked"))
		if cb.Type == slack.InteractionTypeViewSubmission {
			return answer{payload: slack.NewUpdateViewSubmissionResponse(ptr(saying("prodaccess", text))), outcome: outcome}
		}
		return answer{outcome: outcome, after: func(ctx context.Context) { b.tellPresser(ctx, cb, text) }}
	}))
}

// guard runs a handler within Slack's time, survives its panic, and writes its one line to the log.
func (b *Bot) guard(ctx context.Context, kind, who, what string, run func(context.Context) answer, failed func() answer) (a answer) {
	started := time.Now()
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	defer func() {
		if cause := recover(); cause != nil {
			b.panicked(kind, cause)
			a = failed()
		}
		b.log.Info().Str("who", who).Str("what", what).Str("request", a.request).Str("outcome", a.outcome).
			Int64("ms", time.Since(started).Milliseconds()).Msg(kind)
	}()
	return run(ctx)
}

// verbOf is the first word of a line if it is one of ours: what people write does not go to the log.
func verbOf(text string) string {
	words := strings.Fields(strings.ToLower(asTyped(text)))
	if len(words) == 0 {
		return verbForm
	}
	for _, verb := range subcommands {
		if words[0] == verb {
			return verb
		}
	}
	return verbRequest
}

// tellPresser answers a press privately, where it was pressed.
func (b *Bot) tellPresser(ctx context.Context, cb slack.InteractionCallback, text string) {
	if cb.ResponseURL != "" {
		if b.slack.respond(ctx, cb.ResponseURL, text) == nil {
			return
		}
	}
	channel := firstOf(cb.Channel.ID, cb.Container.ChannelID)
	if channel == "" {
		b.tellInView(ctx, cb, text)
		return
	}
	b.tellIn(ctx, channel, cb.User.ID, text)
}

// tellInView answers a press in a view, which belongs to no channel: a press on the Home tab in a window or, when its trigger is
// spent, on the tab itself, and any other in the direct messages.
func (b *Bot) tellInView(ctx context.Context, cb slack.InteractionCallback, text string) {
	if cb.View.Type == slack.VTHomeTab {
		if _, err := b.slack.api.OpenViewContext(ctx, cb.TriggerID, saying("prodaccess", text)); err == nil {
			return
		}
		b.homes.open(cb.User.ID, b.now())
		b.homes.tell(cb.User.ID, text, b.now())
		b.showHome(ctx, cb.User.ID)
		return
	}
	channel, err := b.slack.direct(ctx, cb.User.ID)
	if err != nil {
		b.log.Warn().Str("who", cb.User.ID).Err(safe(err)).Msg("a private answer did not arrive")
		return
	}
	b.tellIn(ctx, channel, cb.User.ID, text)
}

func (b *Bot) tellIn(ctx context.Context, channel, user, text string) {
	if _, err := b.slack.api.PostEphemeralContext(ctx, channel, user, slack.MsgOptionText(text, false)); err != nil {
		b.log.Warn().Str("who", user).Err(safe(err)).Msg("a private answer did not arrive")
	}
}

func ptr[T any](v T) *T { return &v }
