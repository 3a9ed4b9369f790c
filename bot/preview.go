package bot

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/slack-go/slack"
)

const (
	chooseFirst = "Choose a database and an access to see what will happen."
	chooseWhat  = "Choose an access to see what will happen."
)

// choose says what has to be chosen before anything can be foreseen.
func choose(w wish) string {
	if w.target != "" {
		return chooseWhat
	}
	return chooseFirst
}

// foresee says what would happen to a wish, in mrkdwn.
func (b *Bot) foresee(ctx context.Context, by, source string, w wish) string {
	if w.target == "" || w.profile == "" {
		return choose(w)
	}
	f, wrong := w.filing(by, source)
	for _, words := range wrong {
		return "⚠️ " + mrkdwn(words, 500)
	}
	decision, err := b.service.Preview(ctx, f)
	if err != nil && !tooMany(err) {
		text, _ := b.words(err)
		return "⚠️ " + text
	}
	usual := ""
	if decision.Outcome == policy.NeedsApproval {
		usual = b.service.Usual(ctx, decision.Approvals).String()
	}
	out := outlookOf(decision, usual)
	if decision.Outcome != policy.Denied && !f.StartsAt.IsZero() {
		out += "\n🗓️ Starts " + at(f.StartsAt) + "."
	}
	if err != nil {
		text, _ := b.words(err)
		out += "\n⚠️ " + text
	}
	return out
}

// tooMany says whether a preview was refused for want of room alone: it still says what would be decided.
func tooMany(err error) bool {
	refusal, ok := refusalOf(err)
	return ok && refusal.Code == approvals.TooMany
}

// outlook is a decision before anything was filed.
func outlook(d policy.Decision) string { return outlookOf(d, "") }

// outlookOf is outlook with what is known of how long such a thing takes.
func outlookOf(d policy.Decision, usual string) string {
	var out string
	asked := ".*"
	if usual != "" {
		usual = ", " + usual
		asked = "*" + usual + "."
	}
	switch d.Outcome {
	case policy.Approved:
		out = "✅ *Approved at once.* " + mrkdwn(d.Why, 1000)
		if rest, found := strings.CutPrefix(d.Why, "Approved at once "); found {
			out = "✅ *Approved at once* " + mrkdwn(rest, 1000)
		}
	case policy.NeedsApproval:
		out = "⏳ *Needs " + mrkdwn(inWords(d.Approvals, d.InOrder), 300) + asked + " " + mrkdwn(d.Why, 800)
		if d.Rule != "" && strings.HasPrefix(d.Why, "Needs ") {
			// The policy's own sentence says the same in other words.
			out = "⏳ *Needs " + mrkdwn(inWords(d.Approvals, d.InOrder), 300) + "*" + usual + " (rule “" + mrkdwn(d.Rule, 200) + "”)."
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

// onChange keeps what a form holds and shows the form again around it.
func (b *Bot) onChange(ctx context.Context, cb slack.InteractionCallback, source string) {
	w := read(cb.View)
	b.keepDraft(ctx, cb, w)
	b.redraw(ctx, cb, w, source)
}

// onClosed keeps what a form held when it was closed, should Slack ever say so: until now it sends no values then.
func (b *Bot) onClosed(ctx context.Context, cb slack.InteractionCallback) {
	if cb.View.CallbackID != viewRequest || cb.View.State == nil || len(cb.View.State.Values) == 0 {
		return
	}
	if w := read(cb.View); !w.empty() {
		b.keepDraft(ctx, cb, w)
	}
}

// redraw shows the form again around what it holds. Two changes in quick succession are drawn by two deliveries: the later
// one must win, whichever gets to Slack first. A character that changes nothing of what will happen draws nothing.
func (b *Bot) redraw(ctx context.Context, cb slack.InteractionCallback, w wish, source string) {
	when := changeOf(cb)
	if !b.changes.latest(cb.View.ID, when) {
		return
	}
	written := len(cb.ActionCallback.BlockActions) > 0 && cb.ActionCallback.BlockActions[0].Type == slack.ActionType(slack.METPlainTextInput)
	if written && w.note.Said == digest(b.foresee(ctx, cb.User.ID, source, w)) {
		return
	}
	m, err := b.menuFor(ctx, cb.User.ID)
	if err != nil {
		return // who may not ask has been told when the form did not open
	}
	w.settle(m, b.now())
	w.instead = b.alternatives(ctx, cb.User.ID, source, m, w)
	view := b.form(m, w, b.foresee(ctx, cb.User.ID, source, w))
	err = b.changes.draw(cb.View.ID, when, func() error { return b.updateForm(ctx, cb, view, cb.View.Hash) })
	if err != nil && codeOf(err) == "hash_conflict" {
		// Somebody drew between the change and now. If that was a later change, theirs is the truth; an earlier one is behind. Who
		// is still writing is about to say more; who has stopped would be left with what was to happen before they wrote.
		if written && !pause(ctx, stillWriting) {
			return
		}
		err = b.changes.draw(cb.View.ID, when, func() error { return b.updateForm(ctx, cb, view, "") })
	}
	if err != nil {
		b.log.Warn().Str("who", cb.User.ID).Err(safe(err)).Msg("the form was not redrawn")
	}
}

// updateForm draws a form over the one with that hash, or over any.
func (b *Bot) updateForm(ctx context.Context, cb slack.InteractionCallback, view slack.ModalViewRequest, hash string) error {
	_, err := b.slack.api.UpdateViewContext(ctx, view, "", hash, cb.View.ID)
	return err
}

// stillWriting is how long the next character is waited for.
const stillWriting = 400 * time.Millisecond

// pause says whether a time went by before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// changeOf is the instant of a change as Slack writes it.
func changeOf(cb slack.InteractionCallback) string {
	if len(cb.ActionCallback.BlockActions) > 0 {
		return cb.ActionCallback.BlockActions[0].ActionTs
	}
	return ""
}

// changes remembers, for each form, the instant of its last change that this replica heard of, and who draws it.
type changes struct {
	mu      sync.Mutex
	last    map[string]string
	drawing map[string]*formLock
}

// formLock is held by whoever draws a form. It is forgotten when nobody holds it or waits for it.
type formLock struct {
	sync.Mutex
	wanted int
}

// draw draws a form for a change, unless a later one is known by then. Drawings of one form are one after the other: a request on its
// way must not be overtaken by that of a later change, which it would draw over.
func (c *changes) draw(view, when string, do func() error) error {
	c.mu.Lock()
	lock := c.drawing[view]
	if lock == nil {
		lock = &formLock{}
		if c.drawing == nil {
			c.drawing = map[string]*formLock{}
		}
		c.drawing[view] = lock
	}
	lock.wanted++
	c.mu.Unlock()
	lock.Lock()
	defer func() {
		lock.Unlock()
		c.mu.Lock()
		defer c.mu.Unlock()
		if lock.wanted--; lock.wanted == 0 {
			delete(c.drawing, view)
		}
	}()
	if !c.latest(view, when) {
		return nil
	}
	return do()
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

// sent says that a form is no more: nothing is drawn over what was put in its place.
func (c *changes) sent(view string) { c.latest(view, "sent") } // later than every number
