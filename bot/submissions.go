package bot

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/slack-go/slack"
)

// onSubmission answers a window that was sent. What it is about is in private_metadata, which only we write: a request's id, or for
// the window that breaks glass what there is to break.
func (b *Bot) onSubmission(ctx context.Context, cb slack.InteractionCallback, source string) answer {
	press := approvals.Press{By: cb.User.ID, Request: cb.View.PrivateMetadata, Delivery: windowDelivery(cb), Source: source}
	switch cb.View.CallbackID {
	case viewRequest:
		return b.submitRequest(ctx, cb, source)
	case viewDeny:
		return b.withReason(cb, press, "denied", func(reason string) error {
			_, err := b.service.Deny(ctx, press, reason)
			return err
		})
	case viewRevoke:
		return b.withReason(cb, press, "revoking", func(reason string) error {
			_, err := b.service.Revoke(ctx, press, reason)
			return err
		})
	case viewLess:
		return b.submitLess(ctx, cb, press)
	case viewGlass:
		return b.submitGlass(ctx, cb, source)
	case viewJustified:
		return b.submitReview(ctx, cb, press, approvals.Justified)
	case viewNotJustified:
		return b.submitReview(ctx, cb, press, approvals.NotJustified)
	case viewExtend:
		return b.submitExtend(ctx, cb, press)
	case viewAgain:
		return b.showAgain(cb, press)
	}
	return answer{outcome: "ignored"}
}

func (b *Bot) submitRequest(ctx context.Context, cb slack.InteractionCallback, source string) answer {
	w := read(cb.View)
	f, wrong := w.filing(cb.User.ID, source)
	if wrong == nil {
		wrong = w.wrongParams(b.service.Profiles(w.target))
	}
	if wrong == nil && strings.TrimSpace(f.Reason) == "" {
		wrong = map[string]string{w.id(blockReason): "Say why; approvers read it."}
	}
	if wrong != nil {
		return answer{payload: slack.NewErrorsViewSubmissionResponse(wrong), outcome: "mistake"}
	}
	// What the policy wants said is said at its field, where it can be mended; a look changes nothing.
	if d, err := b.service.Preview(ctx, f); err == nil && d.Outcome == policy.Denied && d.Field != "" {
		return wrongAt("", w.demanded(d), plain(d.Why, 1500), "mistake")
	}
	f.Key = windowDelivery(cb)
	filed, err := b.service.File(ctx, f)
	if err != nil {
		text, outcome := b.words(err)
		at := w.id(blockDatabase)
		if refusal, ok := refusalOf(err); ok {
			text, at = plain(refusal.Words, 1500), w.blockOf(refusal.Field)
		}
		return answer{payload: slack.NewErrorsViewSubmissionResponse(map[string]string{at: text}), outcome: outcome}
	}
	a := answer{request: filed.Request.ID, outcome: string(filed.Request.State), acted: true}
	b.changes.sent(cb.View.ID)
	if filed.Request.State == approvals.Denied {
		a.payload = slack.NewUpdateViewSubmissionResponse(ptr(saying("Denied", outcomeWords(filed))))
		return a
	}
	a.payload = slack.NewClearViewSubmissionResponse()
	a.after = func(ctx context.Context) {
		if err := b.drafts.SentDraft(ctx, cb.User.ID, cb.View.ID, b.now()); err != nil {
			b.log.Warn().Str("who", cb.User.ID).Err(err).Msg("what was typed into the form is not forgotten")
		}
	}
	return a
}

// valueOf is what a window's only input holds.
func valueOf(view slack.View, block string) string {
	if view.State == nil {
		return ""
	}
	for _, v := range view.State.Values[block] {
		return v.Value
	}
	return ""
}

// withReason carries out an act that needs one; a refusal stands at the field.
func (b *Bot) withReason(cb slack.InteractionCallback, press approvals.Press, done string, act func(reason string) error) answer {
	reason := clean(valueOf(cb.View, blockReason))
	if reason == "" {
		return wrongAt(press.Request, blockReason, "Say why.", "mistake")
	}
	if err := act(reason); err != nil {
		return b.refusedAt(press.Request, blockReason, err)
	}
	return answer{payload: slack.NewClearViewSubmissionResponse(), request: press.Request, outcome: done, acted: true}
}

// endSeen is what a window to extend in is about: the request, and the end that it shows. Of two windows that
// were open at the same time, the second to be sent speaks of an end that the first has moved.
func endSeen(c approvals.Case) string {
	return c.Request.ID + " " + strconv.FormatInt(c.Grant.Deadline.UnixMicro(), 10)
}

func (b *Bot) submitExtend(ctx context.Context, cb slack.InteractionCallback, press approvals.Press) answer {
	var seen string
	press.Request, seen, _ = strings.Cut(press.Request, " ")
	if until, err := strconv.ParseInt(seen, 10, 64); err == nil { // a window of the binary before has none
		press.Until = time.UnixMicro(until)
	}
	length := bare(asTyped(valueOf(cb.View, blockDuration)))
	by, err := policy.ParseDuration(length)
	if err != nil {
		return wrongAt(press.Request, blockDuration, capital(err.Error())+".", "mistake")
	}
	extended, err := b.service.Extend(ctx, press, by)
	if err != nil {
		return b.refusedAt(press.Request, blockDuration, err)
	}
	return answer{
		payload: slack.NewUpdateViewSubmissionResponse(ptr(saying("Extended", extendedWords(extended)))),
		request: press.Request, outcome: "extended", acted: true,
	}
}

func wrongAt(request, block, words, outcome string) answer {
	return answer{payload: slack.NewErrorsViewSubmissionResponse(map[string]string{block: words}), request: request, outcome: outcome}
}

// refusedAt puts the words of an error at the field of a window that has one.
func (b *Bot) refusedAt(request, block string, err error) answer {
	text, outcome := b.words(err)
	if refusal, ok := refusalOf(err); ok {
		text = plain(refusal.Words, 1500)
	}
	return wrongAt(request, block, text, outcome)
}
