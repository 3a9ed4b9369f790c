package bot

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/policy"
	"github.com/slack-go/slack"
)

// What is typed into the form is kept at every change Slack tells of, because the delivery that says a window was closed holds nothing
// of it: its state is always empty. Fields that are written into therefore tell of each character.

// DraftsLast is how long what was typed is offered again.
const DraftsLast = 24 * time.Hour

// Drafts keep what people typed into the form and did not send. The store implements it. What is kept is nobody's business: it is
// in no log and no error.
type Drafts interface {
	// SaveDraft keeps what a window held at an instant of Slack's clock; an older change than the one kept does nothing.
	SaveDraft(ctx context.Context, person, view string, at time.Time, content string) error
	// Draft is what was kept since an instant, if anything is.
	Draft(ctx context.Context, person string, since time.Time) (content string, ok bool, err error)
	// SentDraft forgets it because the window was sent, ClearDraft because its writer said so.
	SentDraft(ctx context.Context, person, view string, at time.Time) error
	ClearDraft(ctx context.Context, person string, at time.Time) error
}

// actClear empties the form.
const actClear = "clear"

// draft is a wish as it is kept.
type draft struct {
	Target   string            `json:"target,omitempty"`
	Profile  string            `json:"profile,omitempty"`
	Length   string            `json:"length,omitempty"`
	Exact    string            `json:"exact,omitempty"`
	Start    string            `json:"start,omitempty"`
	StartsAt int64             `json:"starts_at,omitempty"`
	Ticket   string            `json:"ticket,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Params   map[string]string `json:"params,omitempty"`
}

func (w wish) draft() draft {
	return draft{w.target, w.profile, w.length, w.exact, w.start, w.startsAt, w.ticket, w.reason, w.params}
}

// keepDraft keeps what a form holds. A draft that is not kept is no reason to disturb anybody.
func (b *Bot) keepDraft(ctx context.Context, cb slack.InteractionCallback, w wish) {
	content, err := json.Marshal(w.draft())
	if err == nil {
		err = b.drafts.SaveDraft(ctx, cb.User.ID, cb.View.ID, b.changedAt(cb), string(content))
	}
	if err != nil {
		b.log.Warn().Str("who", cb.User.ID).Err(err).Msg("what was typed into the form is not kept")
	}
}

// changedAt is when a form was changed, by Slack's clock where it says so.
func (b *Bot) changedAt(cb slack.InteractionCallback) time.Time {
	if len(cb.ActionCallback.BlockActions) > 0 {
		seconds, fraction, _ := strings.Cut(cb.ActionCallback.BlockActions[0].ActionTs, ".")
		s, err := strconv.ParseInt(seconds, 10, 64)
		micro, wrong := strconv.ParseInt((fraction + "000000")[:6], 10, 64)
		if err == nil && wrong == nil {
			return time.Unix(s, micro*1000)
		}
	}
	return b.now()
}

// drafted is the wish that somebody typed earlier, as far as it still fits what there is to ask for.
func (b *Bot) drafted(ctx context.Context, user string, m menu) (wish, bool) {
	content, ok, err := b.drafts.Draft(ctx, user, b.now().Add(-DraftsLast))
	if err != nil {
		b.log.Warn().Str("who", user).Err(err).Msg("what was typed into the form before is not known")
	}
	var d draft
	if err != nil || !ok || json.Unmarshal([]byte(content), &d) != nil {
		return wish{}, false
	}
	w := wish{
		target: d.Target, profile: d.Profile, length: d.Length, exact: d.Exact, start: d.Start, startsAt: d.StartsAt,
		ticket: d.Ticket, reason: d.Reason, params: d.Params,
	}
	w.fit(m, b.now())
	return w, !w.empty()
}

// settle makes a wish one that a form can show: what another choice has made impossible is taken out of it.
func (w *wish) settle(m menu, now time.Time) {
	profiles := m.choices(w.target)
	if !slices.ContainsFunc(profiles, func(p policy.Profile) bool { return p.Name == w.profile }) {
		w.profile = ""
	}
	var params map[string]string
	for _, p := range parameters(profiles, w.profile) {
		if value, given := w.params[p.Name]; given {
			if params == nil {
				params = map[string]string{}
			}
			params[p.Name] = value
		}
	}
	w.params = params
	switch {
	case w.start != startLater || m.never(w.target, w.profile):
		w.start, w.startsAt = "", 0
	case w.startsAt == 0:
		w.startsAt = proposedStart(now).Unix()
	}
	w.note.At = w.startsAt
}

// fit is settle for a wish of another day: it may name what there is no more.
func (w *wish) fit(m menu, now time.Time) {
	if !slices.ContainsFunc(databases(m.targets), func(o *slack.OptionBlockObject) bool { return o.Value == w.target }) {
		w.target = ""
	}
	if w.startsAt <= now.Unix() {
		w.start = ""
	}
	w.settle(m, now)
	if !slices.ContainsFunc(lengthChoices(m.longest(w.target, w.profile)), func(o *slack.OptionBlockObject) bool { return o.Value == w.length }) {
		w.length = ""
	}
	if w.length != otherLength {
		w.exact = ""
	}
}

// empty says whether nothing was chosen or written that could not be there by itself.
func (w wish) empty() bool {
	return w.profile == "" && w.exact == "" && w.start != startLater && w.ticket == "" && strings.TrimSpace(w.reason) == "" && len(w.params) == 0
}

// clear empties the form and forgets what was kept of it.
func (b *Bot) clear(ctx context.Context, cb slack.InteractionCallback) {
	if err := b.drafts.ClearDraft(ctx, cb.User.ID, b.changedAt(cb)); err != nil {
		b.log.Warn().Str("who", cb.User.ID).Err(err).Msg("what was typed into the form is not forgotten")
	}
	m, err := b.menuFor(ctx, cb.User.ID)
	if err != nil {
		return // who may not ask has been told when the form did not open
	}
	w := blank(m)
	w.note.Cleared = noteOf(cb.View).Cleared + 1
	view := b.form(m, w, choose(w))
	if err := b.changes.draw(cb.View.ID, changeOf(cb), func() error { return b.updateForm(ctx, cb, view, "") }); err != nil {
		b.log.Warn().Str("who", cb.User.ID).Err(safe(err)).Msg("the form was not emptied")
	}
}

// formNote is what the form remembers of itself, in its metadata.
type formNote struct {
	// Cleared counts how often it was emptied. Slack keeps what is in a field while its block keeps its id, so every id changes with it.
	Cleared int `json:"n,omitempty"`
	// Restored says that it began with what was typed earlier.
	Restored bool `json:"r,omitempty"`
	// At is the start that the form proposes, which counts until another is chosen.
	At int64 `json:"t,omitempty"`
	// Said is a digest of the preview, so that a character that changes nothing draws nothing.
	Said string `json:"s,omitempty"`
}

func noteOf(view slack.View) formNote {
	var note formNote
	_ = json.Unmarshal([]byte(view.PrivateMetadata), &note) // a form of the binary before has none
	return note
}

func (n formNote) String() string {
	encoded, _ := json.Marshal(n) // numbers and letters
	return string(encoded)
}

// afresh begins an id that belongs to a form emptied so many times.
const afresh = "~"

// id is a block's id in this form.
func (w wish) id(block string) string {
	if w.note.Cleared == 0 {
		return block
	}
	return block + afresh + strconv.Itoa(w.note.Cleared)
}

// idOf is a block without what makes its id new.
func (n formNote) idOf(block string) string {
	if n.Cleared == 0 {
		return block
	}
	return strings.TrimSuffix(block, afresh+strconv.Itoa(n.Cleared))
}
