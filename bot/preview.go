package bot

import (
	"context"
	"fmt"
	"strings"

	"github.com/prodaccess/prodaccess/policy"
	"github.com/slack-go/slack"
)

const chooseFirst = "Choose a database and an access to see what will happen."

// foresee says what would happen to a wish, in mrkdwn.
func (b *Bot) foresee(ctx context.Context, by, source string, w wish) string {
	if w.target == "" || w.profile == "" {
		return chooseFirst
	}
	f, wrong := w.filing(by, source)
	if words, ok := wrong[blockDuration]; ok {
		return "⚠️ " + mrkdwn(words, 500)
	}
	decision, err := b.service.Preview(ctx, f)
	if err != nil {
		text, _ := b.words(err)
		return "⚠️ " + text
	}
	return outlook(decision)
}

// outlook is a decision before anything was filed.
func outlook(d policy.Decision) string {
	var out string
	switch d.Outcome {
	case policy.Approved:
		out = "✅ *Approved at once.* " + mrkdwn(d.Why, 1000)
	case policy.NeedsApproval:
		out = "⏳ *Needs " + mrkdwn(requirements(d.Approvals), 500) + ".* " + mrkdwn(d.Why, 1000)
	default:
		out = "⛔ *Not allowed.* " + mrkdwn(d.Why, 1000)
	}
	if d.MaxDuration > 0 {
		out += fmt.Sprintf(" At most %s here.", lasting(d.MaxDuration))
	}
	for i, unknown := range d.Unknowns {
		if i == 3 {
			break
		}
		out += "\n⚠️ " + mrkdwn(unknown, 200)
	}
	return out
}

// explanation is a decision rule by rule.
func explanation(d policy.Decision) string {
	lines := []string{outlook(d)}
	const most = 15
	for i, step := range d.Steps {
		if i == most {
			lines = append(lines, fmt.Sprintf("and %d more rules", len(d.Steps)-most))
			break
		}
		mark := "no "
		switch {
		case step.Matched:
			mark = "*yes*"
		case step.Unknown:
			mark = "not known"
		}
		lines = append(lines, "• "+mark+" "+mrkdwn(step.Rule, 100)+": "+mrkdwn(step.Why, 200))
	}
	return strings.Join(lines, "\n")
}

// redraw shows the form again around what it holds. A stale hash means that a later change is being drawn already.
func (b *Bot) redraw(ctx context.Context, cb slack.InteractionCallback, source string) {
	w, _ := read(cb.View)
	if w.target != "" {
		known := false
		for _, p := range b.choices(w.target) {
			known = known || p.Name == w.profile
		}
		if !known {
			w.profile = ""
		}
	}
	view := b.form(w, b.foresee(ctx, cb.User.ID, source, w))
	if _, err := b.slack.api.UpdateViewContext(ctx, view, "", cb.View.Hash, cb.View.ID); err != nil && codeOf(err) != "hash_conflict" {
		b.log.Warn().Str("who", cb.User.ID).Err(safe(err)).Msg("the form was not redrawn")
	}
}
