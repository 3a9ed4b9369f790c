package bot

import (
	"context"
	"crypto/rand"
	"strings"

	"github.com/slack-go/slack"
)

// actRun is the button under a suggestion; its value is a mark of the suggestion and the line to run.
const actRun = "run"

// longestButton is what Slack takes as the value of a button.
const longestButton = 2000

// suggesting answers privately with a line put right and a button that runs it. A line with something left to fill in, or too
// long for a button, has none.
func suggesting(text, line, outcome string) answer {
	a := tell(text, "", outcome)
	value := rand.Text()[:12] + " " + line
	if line == "" || strings.Contains(line, "REASON") || width(value) > longestButton {
		return a
	}
	w := a.payload.(whisper)
	w.Blocks = []slack.Block{section(w.Text), buttons(button(runLabel(line), actRun, value))}
	a.payload = w
	return a
}

// runLabel says what the button does.
func runLabel(line string) string {
	switch verb := verbOf(line); verb {
	case verbRequest:
		return "Ask for this"
	case verbBreakGlass:
		return "Go on…"
	default:
		return capital(verb)
	}
}

// onRun runs a suggested line as if its reader had typed it. The mark makes one request of a suggestion pressed twice.
func (b *Bot) onRun(ctx context.Context, cb slack.InteractionCallback, value, source string) answer {
	mark, line, found := strings.Cut(value, " ")
	if !found {
		return answer{outcome: "ignored"}
	}
	cmd := slack.SlashCommand{Command: b.command, Text: line, UserID: cb.User.ID, TriggerID: cb.TriggerID, ResponseURL: cb.ResponseURL}
	ran := b.runLine(ctx, cmd, "suggestion:"+cb.User.ID+":"+mark, source)
	said, _ := ran.payload.(whisper)
	after := ran.after
	ran.payload = nil // a press is answered with nothing, and its words go where the suggestion stood
	ran.after = func(ctx context.Context) {
		if after != nil {
			after(ctx)
		}
		if said.Text == "" {
			return
		}
		if err := b.slack.replace(ctx, cb.ResponseURL, said); err != nil {
			b.log.Warn().Str("who", cb.User.ID).Err(err).Msg("a private answer did not arrive")
		}
	}
	return ran
}
