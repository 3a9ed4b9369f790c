package bot

import (
	"context"
	"strings"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/slack-go/slack"
)

// What an operator presses; the value is a grant's id.
const (
	actRevokeAgain = "revoke_again"
	actSettled     = "settled"
)

// operatorsAtHome is what waits for the people whom the policy names as its operators; nothing for anybody else.
func operatorsAtHome(h home) []slack.Block {
	o := h.operations
	if !o.Operator {
		if o.Unknown == "" {
			return nil
		}
		return titled("For operators", []slack.Block{section("Whether you are an operator is not known now, because " + mrkdwn(o.Unknown, 300) + ".")})
	}
	out := titled("🚨 Overdue revocations", entries(o.Overdue, mostTrouble, func(g grants.Grant) []slack.Block {
		return []slack.Block{endless(g, overdueWords(g, h.security), "Revoke again")}
	}))
	out = append(out, titled("🔒 Locked, clean-up fails", entries(o.Stuck, mostTrouble, func(g grants.Grant) []slack.Block {
		words := "*" + mrkdwn(g.Holder.Name, 80) + "*'s login " + code(g.Login) + " on *" + mrkdwn(g.Target, 100) + "* is locked and has had no session since " +
			atSecond(g.SecuredAt) + trouble(g) + ". It goes on being tried. Request `" + mrkdwn(g.Request, 60) + "`."
		return []slack.Block{endless(g, words, "Clean up again")}
	}))...)
	out = append(out, titled("📦 Left behind by visitors", entries(o.LeftBehind, mostTrouble, func(g grants.Grant) []slack.Block {
		settled := button("Dealt with", actSettled, g.ID)
		settled.Confirm = confirm("Is it dealt with?", "Given to whom it belongs, or dropped. prodaccess touches no database now; it records that you said so and stops listing it.",
			"It is dealt with", "Not yet")
		return []slack.Block{beside(leftWords(g), settled)}
	}))...)
	if o.More > 0 {
		out = append(out, footer("and what "+plural(o.More, "older visitor", "older visitors")+" left; it comes here as these are dealt with."))
	}
	if len(out) == 0 {
		return titled("For operators", []slack.Block{section("✅ All is well: nothing is overdue, and nobody left anything behind.")})
	}
	return out
}

// endless is a revocation that does not come to its end, with a button that tries again. A login nobody has ended yet has none.
func endless(g grants.Grant, words, label string) slack.Block {
	if g.State != grants.Revoking && g.State != grants.Cleanup {
		return section(words)
	}
	return beside(words, button(label, actRevokeAgain, g.ID))
}

// overdueWords say which login, since when, why it does not end, who knows of it, and what can be done by hand.
func overdueWords(g grants.Grant, security string) string {
	words := "*" + mrkdwn(g.Holder.Name, 80) + "*'s login " + code(g.Login) + " on *" + mrkdwn(g.Target, 100) + "* was to end " + atSecond(g.End()) +
		" and may still work" + trouble(g) + "."
	if g.AlarmedAt.IsZero() {
		words += "\nNobody has been told yet: the alarm follows."
	} else {
		words += "\n<#" + security + "> was told " + atSecond(g.AlarmedAt) + ", and " + mrkdwn(g.Holder.Name, 80) + "'s card says so."
	}
	return words + " prodaccess keeps trying. If the database answers to you, lock the login by hand: " + byHand(g) + ". Request `" + mrkdwn(g.Request, 60) + "`."
}

// byHand is the statement that locks a login.
func byHand(g grants.Grant) string {
	name := mrkdwn(g.Login, 80)
	if g.Engine == "mysql" {
		return "`ALTER USER '" + name + "'@'%' ACCOUNT LOCK`"
	}
	return "`ALTER ROLE " + name + " NOLOGIN`"
}

// leftWords say what somebody left behind, where, with whom it lies and since when.
func leftWords(g grants.Grant) string {
	var left []string
	for _, l := range g.Receipt.Leftovers {
		left = append(left, mrkdwn(l.What, 120)+" in "+mrkdwn(l.Database, 63)+", with "+mrkdwn(firstOf(l.Owner, "nobody we know"), 63))
	}
	since := g.SecuredAt
	if since.IsZero() {
		since = g.EndedAt
	}
	return "*" + mrkdwn(g.Target, 100) + "*, since " + at(since) + ", by *" + mrkdwn(g.Holder.Name, 80) + "* (" + code(g.Login) + ")\n" + bullets(left, 4)
}

// onRevokeAgain tries a revocation once more and tells the presser what came of it. The try takes as long as the database does.
func (b *Bot) onRevokeAgain(cb slack.InteractionCallback, grant, source string) answer {
	return answer{outcome: "revoking again", acted: true, after: func(ctx context.Context) {
		g, err := b.service.RevokeAgain(ctx, approvals.Press{By: cb.User.ID, Delivery: pressDelivery(cb), Source: source}, grant)
		if err != nil {
			text, _ := b.words(err)
			b.tellPresser(ctx, cb, text)
			return
		}
		b.tellPresser(ctx, cb, triedWords(g))
	}}
}

// triedWords say what came of trying once more.
func triedWords(g grants.Grant) string {
	login := code(g.Login) + " on *" + mrkdwn(g.Target, 100) + "*"
	switch {
	case g.State == grants.Revoked:
		return "✅ " + login + " is gone. " + strings.TrimSpace(receiptOf(g))
	case !g.SecuredAt.IsZero():
		return "🔒 " + login + " is locked and has no session left. Its clean-up goes on" + trouble(g) + "."
	}
	return "🚨 " + login + " is still not locked" + trouble(g) + ". prodaccess keeps trying; to lock it by hand: " + byHand(g) + "."
}

func receiptOf(g grants.Grant) string {
	if g.Receipt == nil {
		return ""
	}
	return receiptLine(*g.Receipt)
}

// onSettled records that somebody dealt with what a visitor left behind.
func (b *Bot) onSettled(ctx context.Context, cb slack.InteractionCallback, grant, source string) answer {
	if _, err := b.service.Settle(ctx, approvals.Press{By: cb.User.ID, Delivery: pressDelivery(cb), Source: source}, grant); err != nil {
		return b.refused(cb, "", err)
	}
	return answer{outcome: "settled", acted: true}
}
