package bot

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/slack-go/slack"
)

// actAgain asks once more for what was asked for, or for something else with the same reason. Several of them in one row are
// numbered: "again:1".
const actAgain = "again"

// again is what such a button asks for. What it leaves empty is as it was in the request that it names; the reason, the ticket and the
// parameters always are, and so is a start that is still ahead.
type again struct {
	Request string `json:"request"`
	Target  string `json:"target,omitempty"`
	Profile string `json:"profile,omitempty"`
	Seconds int64  `json:"seconds,omitempty"`
}

func (a again) button(label string, number int) *slack.ButtonBlockElement {
	value, _ := json.Marshal(a) // strings and a number
	id := actAgain
	if number > 0 {
		id += ":" + strconv.Itoa(number)
	}
	return button(plain(label, longestButtonText), id, string(value))
}

const longestButtonText = 75

// askAgain repeats a request as it was.
func askAgain(c approvals.Case) *slack.ButtonBlockElement {
	return again{Request: c.Request.ID}.button("Ask again", 0)
}

// startAgain says when access starts that is asked for instead of a request, or again, as the end of a phrase; empty where that
// request named no start.
func startAgain(r approvals.Request, ahead time.Time) string {
	switch {
	case r.StartsAt.IsZero():
		return ""
	case ahead.IsZero():
		return ", starts at once"
	}
	return ", starts " + at(ahead)
}

// onceMore is the button that repeats a request as it was, and what becomes of the start that it named.
func (b *Bot) onceMore(c approvals.Case) []slack.Block {
	acts := buttons(askAgain(c))
	switch r := c.Request; {
	case r.StartsAt.IsZero():
		return []slack.Block{acts}
	case r.StillAhead(b.now()).IsZero():
		return []slack.Block{section("*Ask again* starts at once."), acts}
	default:
		return []slack.Block{section("*Ask again* keeps the start, " + at(r.StartsAt) + ". Once that has passed, it starts at once."), acts}
	}
}

// repeatable says whether a request may be asked for again with one press. Broken glass never is: it is broken with open eyes.
func repeatable(r approvals.Request) bool { return !r.BreakGlass }

// insteadOf are the ways out of a refusal: what would be let through, in words and as buttons; nothing when that is not known.
func (b *Bot) insteadOf(ctx context.Context, c approvals.Case) []slack.Block {
	if c.Request.State != approvals.Denied {
		return nil
	}
	found, err := b.service.Instead(ctx, c.Request)
	if err != nil {
		b.log.Info().Str("request", c.Request.ID).Err(err).Msg("what to ask for instead is not known")
	}
	if len(found) == 0 {
		return nil
	}
	return ways(c.Request, found, func(a approvals.Alternative, differs string, number int) *slack.ButtonBlockElement {
		return again{c.Request.ID, a.Target, a.Profile, int64(a.Duration / time.Second)}.button("Ask "+differs+" instead", number)
	})
}

// ways are alternatives to what was refused, in words and as buttons. What a button says is in what its alternative differs.
func ways(r approvals.Request, found []approvals.Alternative, press func(a approvals.Alternative, differs string, number int) *slack.ButtonBlockElement) []slack.Block {
	var lines []string
	var acts []*slack.ButtonBlockElement
	for i, a := range found {
		what := "*" + mrkdwn(a.Profile, 100) + "* on *" + mrkdwn(a.Target, 100) + "* for " + lasting(a.Duration)
		lines = append(lines, what+startAgain(r, a.StartsAt)+": "+promised(a.Decision))
		differs := "for " + plain(a.Profile, 30)
		switch {
		case a.Target != r.Target:
			differs = "on " + plain(a.Target, 40)
		case a.Profile == r.Profile && a.Duration == r.Duration:
			differs = "for that" // it differs in something a button has no room for, such as a parameter that there is not
		case a.Profile == r.Profile:
			differs = "for " + lasting(a.Duration)
		}
		acts = append(acts, press(a, differs, i+1))
	}
	return []slack.Block{section("*What you can have instead*\n" + bullets(lines, len(lines))), buttonsOf("instead", acts...)}
}

// onAgain files the request behind such a button. Pressing it twice asks once: the second press finds the first one's request, which
// is newer than the one it names.
func (b *Bot) onAgain(ctx context.Context, cb slack.InteractionCallback, value, source string) answer {
	var a again
	if err := json.Unmarshal([]byte(value), &a); err != nil || a.Request == "" {
		return answer{outcome: "ignored"}
	}
	c, err := b.service.Case(ctx, a.Request)
	if err != nil {
		return b.refused(cb, a.Request, err)
	}
	r := c.Request
	switch {
	case r.Requester.ID != cb.User.ID:
		return b.refused(cb, r.ID, &approvals.Refusal{Code: approvals.NotHolder, Words: "Only " + r.Requester.Name + ", whose request this was, may ask for it again."})
	case !repeatable(r):
		return b.refused(cb, r.ID, &approvals.Refusal{Code: approvals.NotHolder, Words: "Glass is not broken with one press. Write " + b.command + " break-glass if you must."})
	}
	f := approvals.Filing{
		By: cb.User.ID, Target: firstOf(a.Target, r.Target), Profile: firstOf(a.Profile, r.Profile), Duration: time.Duration(a.Seconds) * time.Second,
		Ticket: r.Ticket, Reason: r.Reason, Params: b.fitting(firstOf(a.Target, r.Target), firstOf(a.Profile, r.Profile), r.Params), Delivery: pressDelivery(cb), Source: source,
		StartsAt: r.StillAhead(b.now()),
	}
	if f.Duration <= 0 {
		f.Duration = asked(r)
	}
	newest, err := b.newest(ctx, f)
	if err != nil {
		return b.refused(cb, r.ID, err)
	}
	if underWay(newest) {
		return answer{request: newest.Request.ID, outcome: "open already", acted: true, after: func(ctx context.Context) {
			b.tellPresser(ctx, cb, "You have asked for this already. "+whereItStands(newest, b.now()))
		}}
	}
	f.Key = fmt.Sprintf("again:%s:%s:%s:%s:%s", f.By, firstOf(newest.Request.ID, r.ID), f.Target, f.Profile, f.Duration)
	filed, err := b.service.File(ctx, f)
	if err != nil {
		return b.refused(cb, r.ID, err)
	}
	out := answer{request: filed.Request.ID, outcome: string(filed.Request.State), acted: true}
	words := outcomeWords(filed)
	late := !r.StartsAt.IsZero() && f.StartsAt.IsZero() && filed.Request.State != approvals.Denied
	if late {
		words += " The start that was asked for before has passed: this starts at once."
	}
	// What goes well shows where it was pressed on the Home tab, and everywhere in the direct messages.
	if filed.Request.State == approvals.Denied || late || cb.View.Type != slack.VTHomeTab {
		out.after = func(ctx context.Context) { b.tellPresser(ctx, cb, words) }
	}
	return out
}

// promised says what asking for something would come to.
func promised(d policy.Decision) string {
	if d.Outcome == policy.Approved {
		return "approved at once"
	}
	return "needs " + mrkdwn(inWords(d.Approvals, d.InOrder), 200)
}

// fitting are those of a request's parameters that an access has.
func (b *Bot) fitting(target, profile string, params map[string]string) map[string]string {
	var out map[string]string
	for _, p := range parameters(b.service.Profiles(target), profile) {
		if value, given := params[p.Name]; given {
			if out == nil {
				out = map[string]string{}
			}
			out[p.Name] = value
		}
	}
	return out
}

// newest is the last request of somebody for an access on a database, however long ago; empty when there is none.
func (b *Bot) newest(ctx context.Context, f approvals.Filing) (approvals.Case, error) {
	mine, err := b.service.Cases(ctx, approvals.Query{Requester: f.By, Target: f.Target, Profile: f.Profile, Limit: 1})
	if err != nil {
		return approvals.Case{}, fmt.Errorf("reading the requests of %s: %w", f.By, err)
	}
	if len(mine) == 0 {
		return approvals.Case{}, nil
	}
	return mine[0], nil
}

// underWay says whether a request still waits, can be taken, or is in use.
func underWay(c approvals.Case) bool {
	switch c.Request.State {
	case approvals.Pending, approvals.Approved:
		return true
	case approvals.Activated:
		return c.Grant == nil || c.Grant.State == grants.Provisioning || c.Grant.State == grants.Active
	}
	return false
}

// isAgain says whether an action is one of these buttons.
func isAgain(action string) bool {
	return action == actAgain || strings.HasPrefix(action, actAgain+":")
}
