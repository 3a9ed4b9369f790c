package bot

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/slack-go/slack"
)

// actFill puts what can be had instead into the fields of the form. Nothing is asked for before the form is sent. Several of them in
// one row are numbered: "fill:1".
const actFill = "fill"

// filling is what such a button puts into the form.
type filling struct {
	Target  string `json:"target"`
	Profile string `json:"profile"`
	Seconds int64  `json:"seconds"`
}

// alternatives are what the form can be filled with instead of a wish that is not allowed; none where a field is at fault that
// only its writer can mend.
func (b *Bot) alternatives(ctx context.Context, by, source string, m menu, w wish) []slack.Block {
	f, wrong := w.filing(by, source)
	if wrong != nil || w.target == "" || w.profile == "" {
		return nil
	}
	d, err := b.service.Preview(ctx, f)
	if err != nil || d.Outcome != policy.Denied || !slices.Contains([]string{"", policy.FieldTarget, policy.FieldProfile, policy.FieldDuration}, d.Field) {
		return nil
	}
	r := approvals.Request{
		State: approvals.Denied, Requester: approvals.Person{ID: by}, Target: f.Target, Profile: f.Profile, Duration: f.Duration, Ticket: f.Ticket,
		Reason: f.Reason, Params: f.Params, StartsAt: f.StartsAt,
	}
	for _, t := range b.service.Targets() {
		if t.Name == r.Target {
			r.Engine = t.Engine
		}
	}
	found, err := b.service.Instead(ctx, r)
	if err != nil {
		b.log.Info().Str("who", by).Err(err).Msg("what to ask for instead is not known")
	}
	found = slices.DeleteFunc(found, func(a approvals.Alternative) bool { return !m.has(a.Target, a.Profile) })
	if len(found) == 0 {
		return nil
	}
	return ways(r, found, func(a approvals.Alternative, differs string, number int) *slack.ButtonBlockElement {
		value, _ := json.Marshal(filling{a.Target, a.Profile, int64(a.Duration / time.Second)}) // strings and a number
		return button(plain("Choose "+strings.TrimPrefix(strings.TrimPrefix(differs, "for "), "on "), longestButtonText), actFill+":"+strconv.Itoa(number), string(value))
	})
}

// has says whether the form offers an access on a database.
func (m menu) has(target, profile string) bool {
	return slices.ContainsFunc(databases(m.targets), func(o *slack.OptionBlockObject) bool { return o.Value == target }) &&
		slices.ContainsFunc(m.choices(target), func(p policy.Profile) bool { return p.Name == profile })
}

// onFill fills the form and shows it again.
func (b *Bot) onFill(ctx context.Context, cb slack.InteractionCallback, value, source string) {
	var f filling
	if json.Unmarshal([]byte(value), &f) != nil || f.Target == "" || f.Profile == "" {
		return
	}
	m, err := b.menuFor(ctx, cb.User.ID)
	if err != nil {
		return // who may not ask has been told when the form did not open
	}
	w := read(cb.View)
	w.target, w.profile = f.Target, f.Profile
	w.length, w.exact = policy.FormatDuration(time.Duration(f.Seconds)*time.Second), ""
	if !slices.ContainsFunc(lengthChoices(m.longest(w.target, w.profile)), func(o *slack.OptionBlockObject) bool { return o.Value == w.length }) {
		w.length, w.exact = otherLength, w.length
	}
	w.note.Cleared++ // every field is another one: Slack keeps what is in those that stay
	w.settle(m, b.now())
	b.keepDraft(ctx, cb, w)
	b.redraw(ctx, cb, w, source)
}

// isFill says whether an action is one of these buttons.
func isFill(action string) bool { return strings.HasPrefix(action, actFill+":") }
