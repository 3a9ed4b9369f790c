package bot

import (
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/slack-go/slack"
)

// othersAtHome is what others wait for: answers, reviews, and the person's own broken glass.
func othersAtHome(h home, now time.Time) []slack.Block {
	out := titled("What waits for my answer", entries(h.answer, mostToAnswer, func(c approvals.Case) []slack.Block {
		out := []slack.Block{section(askedWords(c, now))}
		if reason := plain(c.Request.Reason, longestSection); reason != "" {
			out = append(out, plainSection(reason))
		}
		return withButtons("answer", c, decisionButtons(c), out...)
	}))
	out = append(out, titled("Reviews waiting for me", entries(h.review, mostToReview, func(c approvals.Case) []slack.Block {
		words := "🚨 *" + person(c.Request.Requester) + "* broke the glass " + at(c.Request.FiledAt) + ": " + whatFor(c) + because(c.Request.Reason) + "\n" + reviewWords(c, now)
		return withButtons("review", c, reviewButtons(c), section(words))
	}))...)
	return append(out, titled("My open review", entries(h.broken, mostBroken, func(c approvals.Case) []slack.Block {
		return []slack.Block{section(whatFor(c) + "\n" + glassWords(c, now))}
	}))...)
}

// askedWords say what an approver has to know beside the reason.
func askedWords(c approvals.Case, now time.Time) string {
	r := c.Request
	who := "*" + person(r.Requester) + "*"
	if r.Requester.Email != "" {
		who += " (" + mrkdwn(r.Requester.Email, 100) + ")"
	}
	out := who + " asks for " + whatFor(c)
	if len(r.Params) > 0 {
		out += ", only for " + mrkdwn(paramWords(r.Params), 500)
	}
	return out + "\nNeeds " + mrkdwn(needs(c), 300) + ". " + clockWords(c, now) + unknowns(r.Decision)
}

// decisionButtons are what somebody may press who has not answered yet.
func decisionButtons(c approvals.Case) []*slack.ButtonBlockElement {
	return []*slack.ButtonBlockElement{
		button("Approve", actApprove, c.Request.ID).WithStyle(slack.StylePrimary),
		button("Approve for less…", actLess, c.Request.ID),
		button("Deny", actDeny, c.Request.ID).WithStyle(slack.StyleDanger),
	}
}

// deciderButtons are what an approver may press while a request is pending.
func deciderButtons(c approvals.Case) []*slack.ButtonBlockElement {
	out := decisionButtons(c)
	if standingYes(c) {
		withdraw := button("Withdraw my approval", actWithdraw, c.Request.ID)
		withdraw.Confirm = confirm("Withdraw your approval?", "Only if you gave one. The request then waits for another.", "Withdraw", "Keep it")
		out = append(out, withdraw)
	}
	return out
}
