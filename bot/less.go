package bot

import (
	"context"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/slack-go/slack"
)

// viewLess is the window of "Approve for less…". Its metadata is the request's id.
const viewLess = "less"

// blockExact is for a time that is not among the choices.
const blockExact = "exact"

// shorterTimes are offered where they are shorter than what was asked for.
var shorterTimes = []time.Duration{
	5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 24 * time.Hour, 3 * 24 * time.Hour,
}

// lessView asks an approver for how long, or with which access, they agree.
func lessView(c approvals.Case, narrower []policy.Profile) slack.ModalViewRequest {
	r := c.Request
	v := modal("Approve for less", section(wishLine(r)+"\nChoose a shorter time, an access that can do less, or both. What is given in the end is the least that anybody who approved agreed to."))
	var lengths []*slack.OptionBlockObject
	for _, d := range shorterTimes {
		if d < asked(r) {
			lengths = offer(lengths, policy.FormatDuration(d), "")
		}
	}
	if len(lengths) > 0 {
		v.Blocks.BlockSet = append(v.Blocks.BlockSet,
			slack.NewInputBlock(blockDuration, literal(labelDuration), nil, selectOne(labelDuration, "As long as asked for", lengths, "")).WithOptional(true))
	}
	exact := slack.NewPlainTextInputBlockElement(literal("45m"), blockExact).WithMaxLength(40)
	v.Blocks.BlockSet = append(v.Blocks.BlockSet,
		slack.NewInputBlock(blockExact, literal("Another duration"), literal("Any other time, shorter than "+lasting(asked(r))+"."), exact).WithOptional(true))
	var accesses []*slack.OptionBlockObject
	for _, p := range narrower {
		accesses = offer(accesses, p.Name, aboutProfile(p))
	}
	if len(accesses) > 0 {
		v.Blocks.BlockSet = append(v.Blocks.BlockSet,
			slack.NewInputBlock(blockAccess, literal(labelAccess), nil, selectOne(labelAccess, "As asked for", accesses, "")).WithOptional(true))
	}
	v.CallbackID, v.PrivateMetadata = viewLess, r.ID
	v.Submit, v.Close = literal("Approve"), literal("Back")
	return v
}

// wishLine is a request in one line of mrkdwn.
func wishLine(r approvals.Request) string {
	return mrkdwn(r.Requester.Name, 80) + ": " + mrkdwn(r.Access(), 200) + " on " + mrkdwn(r.Target, 200) + " for " + lasting(r.Length())
}

// aboutProfile is what a choice says of a profile beside its name.
func aboutProfile(p policy.Profile) string {
	if p.Risk != "" {
		return p.Risk + " risk. " + p.Description
	}
	return p.Description
}

func (b *Bot) askLess(ctx context.Context, press approvals.Press) (slack.ModalViewRequest, error) {
	if err := b.service.MayDecide(ctx, press); err != nil {
		return slack.ModalViewRequest{}, err
	}
	c, err := b.service.Case(ctx, press.Request)
	if err != nil {
		return slack.ModalViewRequest{}, err
	}
	return lessView(c, b.service.Narrower(c)), nil
}

// submitLess answers the window. What is wrong stands at the field it is wrong in.
func (b *Bot) submitLess(ctx context.Context, cb slack.InteractionCallback, press approvals.Press) answer {
	chosen, written := optionOf(cb.View, blockDuration), bare(asTyped(valueOf(cb.View, blockExact)))
	less := approvals.Less{Profile: optionOf(cb.View, blockAccess)}
	lengthAt := blockExact
	switch {
	case chosen != "" && written != "":
		return wrongAt(press.Request, blockExact, "Choose a duration or write one, not both.", "mistake")
	case chosen == "" && written == "" && less.Profile == "":
		return wrongAt(press.Request, blockExact, "Say what less is: a shorter time, or an access that can do less. To agree to all of it, press Back and Approve.", "mistake")
	case chosen != "":
		lengthAt = blockDuration
	}
	if length := chosen + written; length != "" {
		d, err := policy.ParseDuration(length)
		if err != nil {
			return wrongAt(press.Request, lengthAt, durationWords(length, err), "mistake")
		}
		less.Duration = d
	}
	if _, err := b.service.ApproveLess(ctx, press, less); err != nil {
		at := lengthAt
		if refusal, ok := refusalOf(err); ok && refusal.Field == labelAccess && less.Profile != "" {
			at = blockAccess
		}
		return b.refusedAt(press.Request, at, err)
	}
	return answer{payload: slack.NewClearViewSubmissionResponse(), request: press.Request, outcome: "approved for less", acted: true}
}

// durationWords say what is wrong with a duration, and what was probably meant.
func durationWords(length string, err error) string {
	words := capital(err.Error()) + "."
	if near, ok := nearestDuration(length); ok {
		words += " Did you mean " + near + "?"
	}
	return words
}

// optionOf is what a window's menu holds; empty when nothing is chosen.
func optionOf(view slack.View, block string) string {
	if view.State == nil {
		return ""
	}
	for _, v := range view.State.Values[block] {
		return strings.TrimSpace(v.SelectedOption.Value)
	}
	return ""
}
