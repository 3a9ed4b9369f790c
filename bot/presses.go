package bot

import (
	"context"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/slack-go/slack"
)

// onActions answers a press of a button, or a change in the form.
func (b *Bot) onActions(ctx context.Context, cb slack.InteractionCallback, source string) answer {
	if cb.View.CallbackID == viewRequest {
		if len(cb.ActionCallback.BlockActions) > 0 && cb.ActionCallback.BlockActions[0].ActionID == actClear {
			return answer{outcome: "cleared", after: func(ctx context.Context) { b.clear(ctx, cb) }}
		}
		if actions := cb.ActionCallback.BlockActions; len(actions) > 0 && isFill(actions[0].ActionID) {
			return answer{outcome: "filled", after: func(ctx context.Context) { b.onFill(ctx, cb, actions[0].Value, source) }}
		}
		return answer{outcome: "redraw", after: func(ctx context.Context) { b.onChange(ctx, cb, source) }}
	}
	if len(cb.ActionCallback.BlockActions) == 0 {
		return answer{outcome: "ignored"}
	}
	action := cb.ActionCallback.BlockActions[0]
	press := approvals.Press{By: cb.User.ID, Request: action.Value, Delivery: pressDelivery(cb), Source: source}
	if action.ActionID == actAsk {
		press.Request = ""
	}
	if isAgain(action.ActionID) {
		return b.onAgain(ctx, cb, action.Value, source)
	}
	switch action.ActionID {
	case actRevokeAgain:
		return b.onRevokeAgain(cb, action.Value, source)
	case actSettled:
		return b.onSettled(ctx, cb, action.Value, source)
	case actRun:
		return b.onRun(ctx, cb, action.Value, source)
	case actApprove:
		return b.pressed(ctx, cb, press, "approved", b.service.Approve)
	case actWithdraw:
		return b.pressed(ctx, cb, press, "withdrawn", b.service.Withdraw)
	case actLess:
		return b.opening(cb, press, func(ctx context.Context) (slack.ModalViewRequest, error) { return b.askLess(ctx, press) })
	case actJustified, actNotJustified:
		verdict := approvals.Justified
		if action.ActionID == actNotJustified {
			verdict = approvals.NotJustified
		}
		return b.opening(cb, press, func(ctx context.Context) (slack.ModalViewRequest, error) { return b.askReview(ctx, press, verdict) })
	case actRelease:
		return b.pressed(ctx, cb, press, "releasing", b.service.Release)
	case actCancel:
		return b.pressed(ctx, cb, press, "cancelled", b.service.Cancel)
	case actGet:
		return b.getCredentials(ctx, cb, press)
	case actAsk:
		return b.opening(cb, press, func(ctx context.Context) (slack.ModalViewRequest, error) { return b.blankForm(ctx, cb.User.ID, source) })
	case actDeny:
		return b.opening(cb, press, func(ctx context.Context) (slack.ModalViewRequest, error) {
			if err := b.service.MayDecide(ctx, press); err != nil {
				return slack.ModalViewRequest{}, err
			}
			c, err := b.service.Case(ctx, press.Request)
			return reasonView(viewDeny, "Deny request", "Deny", "The requester reads it.", c), err
		})
	case actRevoke:
		return b.opening(cb, press, func(ctx context.Context) (slack.ModalViewRequest, error) {
			if err := b.service.MayRevoke(ctx, press); err != nil {
				return slack.ModalViewRequest{}, err
			}
			c, err := b.service.Case(ctx, press.Request)
			return reasonView(viewRevoke, "Revoke access", "Revoke", "Open sessions are closed at once. The holder reads this.", c), err
		})
	case actExtend:
		return b.opening(cb, press, func(ctx context.Context) (slack.ModalViewRequest, error) {
			c, err := b.service.Case(ctx, press.Request)
			switch {
			case err != nil:
				return slack.ModalViewRequest{}, err
			case c.Grant == nil || !c.Grant.Live():
				return slack.ModalViewRequest{}, &approvals.Refusal{Code: approvals.AlreadyOver, Words: "This access is over. Ask again if you need more."}
			}
			return b.askLonger(ctx, c)
		})
	}
	return answer{request: press.Request, outcome: "ignored"}
}

// pressed carries out an act that needs no window. Its outcome shows on the card; a refusal is told to the presser alone.
func (b *Bot) pressed(ctx context.Context, cb slack.InteractionCallback, press approvals.Press, done string,
	act func(context.Context, approvals.Press) (approvals.Case, error),
) answer {
	if _, err := act(ctx, press); err != nil {
		return b.refused(cb, press.Request, err)
	}
	return answer{request: press.Request, outcome: done, acted: true}
}

func (b *Bot) refused(cb slack.InteractionCallback, request string, err error) answer {
	text, outcome := b.words(err)
	return answer{request: request, outcome: outcome, acted: true, after: func(ctx context.Context) { b.tellPresser(ctx, cb, text) }}
}

// opening answers a press with a window. Nothing is committed, so Slack is answered first: the trigger lives three seconds.
func (b *Bot) opening(cb slack.InteractionCallback, press approvals.Press, draw func(context.Context) (slack.ModalViewRequest, error)) answer {
	return answer{request: press.Request, outcome: "asking", after: func(ctx context.Context) {
		view, err := draw(ctx)
		if err != nil {
			text, outcome := b.words(err)
			b.log.Info().Str("who", press.By).Str("request", press.Request).Str("outcome", outcome).Msg("window not opened")
			b.tellPresser(ctx, cb, text)
			return
		}
		if _, err := b.slack.api.OpenViewContext(ctx, cb.TriggerID, view); err != nil {
			b.log.Warn().Str("who", press.By).Str("request", press.Request).Err(safe(err)).Msg("a window was not opened")
			b.tellPresser(ctx, cb, "The window did not open. Press the button again.")
		}
	}}
}

// askLonger opens the window of an extension, or says why there cannot be one before anybody has written anything. Where the policy
// could not be asked, the window opens, and what is sent is decided by itself.
func (b *Bot) askLonger(ctx context.Context, c approvals.Case) (slack.ModalViewRequest, error) {
	most, why, err := b.service.Extendable(ctx, c)
	if err == nil && most <= 0 {
		return slack.ModalViewRequest{}, &approvals.Refusal{Code: approvals.NotApprover, Words: why}
	}
	v := extendView(c)
	if err == nil {
		v.Blocks.BlockSet = append(v.Blocks.BlockSet, footer("At most "+lasting(most)+" more, without asking anybody."))
	}
	return v, nil
}
