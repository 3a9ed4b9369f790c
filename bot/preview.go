package bot

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

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
	for _, words := range wrong {
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
		if rest, found := strings.CutPrefix(d.Why, "Approved at once "); found {
			out = "✅ *Approved at once* " + mrkdwn(rest, 1000)
		}
	case policy.NeedsApproval:
		out = "⏳ *Needs " + mrkdwn(inWords(d.Approvals, d.InOrder), 300) + ".* " + mrkdwn(d.Why, 800)
		if d.Rule != "" && strings.HasPrefix(d.Why, "Needs ") {
			// The policy's own sentence says the same in other words.
			out = "⏳ *Needs " + mrkdwn(inWords(d.Approvals, d.InOrder), 300) + "* (rule “" + mrkdwn(d.Rule, 200) + "”)."
		}
	default:
		out = "⛔ *Not allowed.* " + mrkdwn(d.Why, 1000)
	}
	if d.MaxDuration > 0 {
		out += fmt.Sprintf(" At most %s here.", lasting(d.MaxDuration))
	}
	if words := extensionWords(d); words != "" {
		out += " " + words
	}
	if d.Advice != "" {
		out += "\nℹ️ " + mrkdwn(d.Advice, 500)
	}
	return out + unknowns(d)
}

// unknowns say what could not be found out, and so why somebody has to be asked who otherwise would not.
func unknowns(d policy.Decision) string {
	var out string
	for _, unknown := range d.Unknowns[:min(3, len(d.Unknowns))] {
		out += "\n⚠️ " + mrkdwn(unknown, 200)
	}
	return out
}

// explanation is a decision rule by rule.
func explanation(d policy.Decision) string {
	lines := []string{outlook(d)}
	const most = 10
	for i, step := range d.Steps {
		if i == most {
			lines = append(lines, fmt.Sprintf("and %d more rules", len(d.Steps)-most))
			break
		}
		mark := "no"
		switch {
		case step.Matched:
			mark = "*yes*"
		case step.Unknown:
			mark = "not known"
		}
		lines = append(lines, "• "+mark+" "+mrkdwn(step.Rule, 60)+": "+mrkdwn(step.Why, 120))
	}
	return strings.Join(lines, "\n")
}

// redraw shows the form again around what it holds. Two changes in quick succession are drawn by two deliveries: the later
// one must win, whichever gets to Slack first.
func (b *Bot) redraw(ctx context.Context, cb slack.InteractionCallback, source string) {
	when := ""
	if len(cb.ActionCallback.BlockActions) > 0 {
		when = cb.ActionCallback.BlockActions[0].ActionTs
	}
	if !b.changes.latest(cb.View.ID, when) {
		return
	}
	w := read(cb.View)
	m, err := b.menuFor(ctx, cb.User.ID)
	if err != nil {
		return // who may not ask has been told when the form did not open
	}
	if w.target != "" && !slices.ContainsFunc(m.choices(w.target), func(p policy.Profile) bool { return p.Name == w.profile }) {
		w.profile = ""
	}
	view := b.form(m, w, b.foresee(ctx, cb.User.ID, source, w))
	_, err = b.slack.api.UpdateViewContext(ctx, view, "", cb.View.Hash, cb.View.ID)
	if err != nil && codeOf(err) == "hash_conflict" {
		// Somebody drew between the change and now. If that was a later change, theirs is the truth; an earlier one is behind.
		if !b.changes.latest(cb.View.ID, when) {
			return
		}
		_, err = b.slack.api.UpdateViewContext(ctx, view, "", "", cb.View.ID)
	}
	if err != nil {
		b.log.Warn().Str("who", cb.User.ID).Err(safe(err)).Msg("the form was not redrawn")
	}
}

// changes remembers, for each form, the instant of its last change that this replica heard of.
type changes struct {
	mu   sync.Mutex
	last map[string]string
}

// latest records an instant as Slack writes it, and says whether it is not before any other of that form.
func (c *changes) latest(view, when string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if when < c.last[view] {
		return false
	}
	const most = 1000
	if c.last == nil || len(c.last) >= most {
		c.last = map[string]string{}
	}
	c.last[view] = when
	return true
}
