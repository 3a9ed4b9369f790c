package bot

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/slack-go/slack"
)

// viewGlass is the window that says what breaking glass will do. Nothing has happened until it is sent.
const viewGlass = "break_glass"

// notifyPagerDuty is how the policy says that an incident is opened.
const notifyPagerDuty = "pagerduty"

// longestMetadata is what Slack keeps with a window.
const longestMetadata = 3000

// shards is what the window about to break glass remembers of the command; the reason is in its field.
type shards struct {
	Target  string            `json:"target"`
	Profile string            `json:"profile"`
	Length  string            `json:"length,omitempty"`
	Ticket  string            `json:"ticket,omitempty"`
	Params  map[string]string `json:"params,omitempty"`
}

// aboutToBreak answers the command with a window, or says in words why not. Nothing is committed.
func (b *Bot) aboutToBreak(ctx context.Context, c command, cmd slack.SlashCommand, source string) answer {
	f := approvals.Filing{
		By: cmd.UserID, Target: c.target, Profile: c.profile, Duration: c.duration, Ticket: c.ticket, Reason: c.reason, Params: c.params, Source: source,
	}
	d, err := b.service.PreviewBreakGlass(ctx, f)
	if err != nil {
		return b.failed(err, "")
	}
	if d.Outcome != policy.Approved || d.Review == nil {
		words := "⛔ *The glass stays whole.* " + mrkdwn(d.Why, 1000) + unknowns(d)
		if d.MaxDuration > 0 {
			return tell(words+"\nPut the line right and send it again.", "", "mistake")
		}
		return suggesting(words+"\nTo ask instead: `"+b.command+" "+mrkdwn(instead30(c), 500)+"`", instead30(c), "not allowed")
	}
	f.Duration = d.Duration
	metadata, err := json.Marshal(shards{Target: f.Target, Profile: f.Profile, Length: policy.FormatDuration(d.Duration), Ticket: f.Ticket, Params: f.Params})
	if err != nil {
		return b.failed(fmt.Errorf("writing down what to break: %w", err), "")
	}
	if width(string(metadata)) > longestMetadata || width(f.Reason) > approvals.LongestReason {
		return tell(fmt.Sprintf("That is too long. A reason has at most %d characters, and the parameters must fit a window of Slack.", approvals.LongestReason), "", "mistake")
	}
	view := b.glassView(f, d, string(metadata), b.now())
	return answer{outcome: "asking", after: func(ctx context.Context) {
		if _, err := b.slack.api.OpenViewContext(ctx, cmd.TriggerID, view); err != nil {
			b.log.Warn().Str("who", cmd.UserID).Err(safe(err)).Msg("the window to break glass was not opened")
			b.whisperTo(ctx, cmd, "The window did not open, and nothing has happened: no access was given and nobody was told. Send the line again.")
		}
	}}
}

// instead30 is the line that asks people for what cannot be taken.
func instead30(c command) string {
	c.verb, c.length, c.reason = verbRequest, firstOf(c.length, "30m"), firstOf(c.reason, "REASON")
	return c.String()
}

// glassView says what will happen before it does.
func (b *Bot) glassView(f approvals.Filing, d policy.Decision, metadata string, now time.Time) slack.ModalViewRequest {
	length, ends := lasting(d.Duration), "It ends by itself after "+lasting(d.Duration)+", about "+at(now.Add(d.Duration))+"."
	if s := d.Shift; s != nil && !s.End.IsZero() && s.End.Before(now.Add(d.Duration)) {
		length = "less than " + length
		ends = "It ends by itself " + at(s.End) + ", before the " + lasting(d.Duration) + " are over: it rests on your shift for *" + mrkdwn(s.Schedule, 100) + "*, which ends then."
	}
	lines := []string{
		"A login is made *at once* and shown in this window. *Nobody approves it.* " + ends,
		"<#" + b.securityChannel + "> is told this moment: who, what, where, why, and everything that happens after.",
	}
	if slices.Contains(d.Review.Notify, notifyPagerDuty) {
		lines = append(lines, "An incident is opened in PagerDuty.")
	}
	if len(d.Review.Reviewers) > 0 {
		lines = append(lines, mrkdwn("One of "+either(selectors(d.Review.Reviewers)), 300)+" reviews it by "+at(now.Add(d.Review.Within))+
			": they see your reason, the timeline and what was done.")
	}
	lines = append(lines, "Until that review is closed you cannot break glass again.")
	input := slack.NewPlainTextInputBlockElement(nil, blockReason).WithMultiline(true).WithMinLength(1).WithMaxLength(approvals.LongestReason)
	if reason := plain(f.Reason, approvals.LongestReason); reason != "" {
		input = input.WithInitialValue(reason)
	}
	what := "🚨 *" + mrkdwn(f.Profile, 200) + "* on *" + mrkdwn(f.Target, 200) + "* for " + length
	if f.Ticket != "" {
		what += ", " + mrkdwn(f.Ticket, approvals.LongestTicket)
	}
	if len(f.Params) > 0 {
		what += ", only for " + mrkdwn(paramWords(f.Params), 500)
	}
	v := modal("Break glass", section(what), section("*What will happen*\n"+bullets(lines, len(lines))))
	if d.Advice != "" {
		v.Blocks.BlockSet = append(v.Blocks.BlockSet, section("ℹ️ "+mrkdwn(d.Advice, 1000)))
	}
	v.Blocks.BlockSet = append(v.Blocks.BlockSet, slack.NewInputBlock(blockReason, literal(labelReason), literal("Everybody in the security channel reads it."), input))
	v.CallbackID, v.PrivateMetadata = viewGlass, metadata
	v.Submit, v.Close = literal("Break the glass"), literal("Not now")
	return v
}

// submitGlass breaks it. What was committed is acknowledged with the window that the credential will be shown in; that window's
// delivery names the request, so that sending it twice breaks glass once.
func (b *Bot) submitGlass(ctx context.Context, cb slack.InteractionCallback, source string) answer {
	var s shards
	if err := json.Unmarshal([]byte(cb.View.PrivateMetadata), &s); err != nil {
		return b.refusedAt("", blockReason, fmt.Errorf("reading what to break: %w", err))
	}
	reason := clean(valueOf(cb.View, blockReason))
	if reason == "" {
		return wrongAt("", blockReason, "Say why; it is what the review begins with.", "mistake")
	}
	length, err := policy.ParseDuration(s.Length)
	if err != nil {
		return b.refusedAt("", blockReason, fmt.Errorf("reading for how long to break: %w", err))
	}
	f := approvals.Filing{
		By: cb.User.ID, Target: s.Target, Profile: s.Profile, Duration: length, Ticket: s.Ticket, Reason: reason, Params: maps.Clone(s.Params),
		Key: windowDelivery(cb), Source: source,
	}
	// What the policy wants said is said at the field, where it can be mended; a look changes nothing.
	if d, err := b.service.PreviewBreakGlass(ctx, f); err == nil && d.Outcome == policy.Denied && d.MaxDuration > 0 {
		return wrongAt("", blockReason, plain(d.Why, 1500), "mistake")
	}
	c, err := b.service.BreakGlass(ctx, f)
	if err != nil {
		return b.refusedAt("", blockReason, err)
	}
	a := answer{request: c.Request.ID, outcome: string(c.Request.State), acted: true}
	if c.Request.State == approvals.Denied {
		a.payload = slack.NewUpdateViewSubmissionResponse(ptr(saying("Not allowed", outcomeWords(c))))
		return a
	}
	if !takeable(c) { // the window was sent again long after
		a.payload = slack.NewUpdateViewSubmissionResponse(ptr(saying("Not again", "No login was made. "+whereItStands(c, b.now()))))
		return a
	}
	making := makingView()
	making.ExternalID = "glass-" + cb.View.ID
	a.outcome, a.payload = "glass broken", slack.NewUpdateViewSubmissionResponse(&making)
	press := approvals.Press{By: cb.User.ID, Request: c.Request.ID, Delivery: windowDelivery(cb), Source: source}
	a.after = func(ctx context.Context) { b.handBroken(ctx, cb, press, making.ExternalID) }
	return a
}

// handBroken takes broken glass for its holder and shows the credential in the window that is open. Whatever goes wrong, the
// request waits in their direct messages with Get credentials, like any other.
func (b *Bot) handBroken(ctx context.Context, cb slack.InteractionCallback, press approvals.Press, window string) {
	log := b.log.With().Str("who", press.By).Str("request", press.Request).Logger()
	tell := func(err error) {
		text, outcome := b.words(err)
		log.Warn().Str("outcome", outcome).Msg("credential not shown")
		text += "\n" + b.nothingShown(ctx, press.Request)
		if err := b.fillNamed(ctx, cb.View.ID, window, saying("No login was made", text)); err != nil {
			b.tellPresser(ctx, cb, text)
		}
	}
	c, err := b.service.Activate(ctx, press)
	if refusal, ok := refusalOf(err); ok && (refusal.Code == approvals.InProgress || refusal.Code == approvals.AlreadyIssued) {
		return // the same window, sent twice: the first is being answered
	}
	if err == nil && c.Grant == nil {
		err = errNoGrant
	}
	if err != nil {
		tell(err)
		return
	}
	cred, err := b.issue(ctx, c.Grant.ID)
	if err != nil {
		tell(err)
		return
	}
	b.show(ctx, cb, cb.View.ID, window, press.Request, cred)
}

// takeable says whether the access of broken glass can be had by pressing Get credentials, now or in a moment.
func takeable(c approvals.Case) bool {
	switch c.Request.State {
	case approvals.Approved:
		return true
	case approvals.Activated:
		return c.Grant == nil || c.Grant.Live() || c.Grant.Cause == grants.Failed
	}
	return false
}

// whereItStands says of broken glass that cannot be taken what became of it.
func whereItStands(c approvals.Case, now time.Time) string {
	s := stands(c, now)
	return strings.TrimSpace("*" + mrkdwn(s.head, 100) + "*. " + s.now + "\n" + s.next)
}

// nothingShown tells somebody who broke the glass and saw no credential what they can do.
func (b *Bot) nothingShown(ctx context.Context, request string) string {
	if c, err := b.service.Case(ctx, request); err == nil && !takeable(c) {
		return whereItStands(c, b.now())
	}
	return "The glass is broken, and nothing was shown yet. Press *Get credentials* in your direct message with prodaccess."
}

// glassWords tell a requester what follows from the glass they broke.
func glassWords(c approvals.Case, now time.Time) string {
	if c.Review == nil {
		return ""
	}
	if !c.Review.Open() {
		return "*Review*: " + reviewWords(c, now)
	}
	return "🚨 *You broke the glass: nobody approved this.* Its review follows: " + strings.Replace(reviewWords(c, now), person(c.Request.Requester)+" cannot", "you cannot", 1)
}
