package bot

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
)

// whoami tells somebody how the policy sees them: who they are, what they are on call for, and what they may ask for.
func (b *Bot) whoami(ctx context.Context, by string) answer {
	me, err := b.service.Me(ctx, by)
	if err != nil {
		return b.failed(err, "")
	}
	return tell(b.meWords(me), "", "told who they are")
}

func (b *Bot) meWords(me approvals.Me) string {
	who := "You are *" + person(me.Person) + "*"
	if me.Person.Email != "" {
		who += " (" + mrkdwn(me.Person.Email, 150) + ")"
	}
	if len(me.Groups) > 0 {
		who += ", in " + mrkdwn(some(me.Groups), 500)
	}
	lines := []string{who + "."}
	if len(me.OnCall) == 0 {
		lines = append(lines, "You are on call for nothing that the policy names.")
	}
	for _, s := range me.OnCall[:min(5, len(me.OnCall))] {
		lines = append(lines, onCallWords(s))
	}
	for _, unknown := range me.Unknown[:min(3, len(me.Unknown))] {
		lines = append(lines, "⚠️ Not everything is known, because "+mrkdwn(unknown, 200)+".")
	}
	if len(me.Offers) == 0 {
		return strings.Join(append(lines, "There is nothing you may ask for. The policy says who may; `"+b.command+" explain TARGET PROFILE` says why not."), "\n")
	}
	lines = append(lines, "*You may ask for*")
	const most = 20
	listed := 0
	for i, offer := range me.Offers {
		if i > 0 && me.Offers[i-1].Target == offer.Target {
			continue
		}
		if listed++; listed > most {
			lines = append(lines, "• and more databases; the form lists them")
			break
		}
		var parts []string
		for _, o := range me.Offers {
			if o.Target == offer.Target {
				parts = append(parts, offerWords(o))
			}
		}
		lines = append(lines, "• *"+mrkdwn(offer.Target, 80)+"*: "+cutJoin(parts, 8))
	}
	lines = append(lines, "To ask: `"+b.command+" "+b.example()+"`")
	return strings.Join(lines, "\n")
}

// onCallWords is the proof that somebody is on call.
func onCallWords(s policy.Standing) string {
	out := fmt.Sprintf("On call for *%s* (%s, level %d)", mrkdwn(s.Schedule, 100), mrkdwn(s.Source, 100), s.Level)
	if !s.End.IsZero() {
		out += " until " + at(s.End)
	}
	if !s.AsOf.IsZero() {
		out += ", as of " + atSecond(s.AsOf)
	}
	return out
}

// offerWords say what asking for something comes to: "read-only at once", "ddl with one of @dba".
func offerWords(o approvals.Offer) string {
	out := mrkdwn(o.Profile, 60)
	switch d := o.Decision; d.Outcome {
	case policy.Approved:
		out += " at once"
	case policy.NeedsApproval:
		out += " with " + mrkdwn(inWords(d.Approvals, d.InOrder), 120)
	default:
		switch d.Field {
		case policy.FieldTicket:
			out += " with a ticket"
		case policy.FieldReason:
			out += " with a longer reason"
		default:
			out += " with a ticket or a longer reason"
		}
	}
	if most := o.Decision.MaxDuration; most > 0 {
		out += " (up to " + lasting(most) + ")"
	}
	return out
}

// cutJoin joins up to most parts.
func cutJoin(parts []string, most int) string {
	if n := len(parts) - most; n > 0 {
		parts = append(slices.Clone(parts[:most]), fmt.Sprintf("and %d more", n))
	}
	return strings.Join(parts, "; ")
}
