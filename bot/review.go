package bot

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/slack-go/slack"
)

// What a reviewer presses, and the windows that open then.
const (
	actJustified    = "justified"
	actNotJustified = "not_justified"

	viewJustified    = "justified"
	viewNotJustified = "not_justified"

	blockNote = "note"
)

// afterwards says whether the access of broken glass is over, so that its review can be closed.
func afterwards(c approvals.Case) bool {
	g := c.Grant
	switch {
	case c.Request.State != approvals.Activated || g == nil, g.Cause == grants.Failed && g.ShownAt.IsZero():
		return false // nobody has had it; the review closes by itself
	}
	return c.Unsecured == 0 && (!g.SecuredAt.IsZero() || g.State == grants.Revoked)
}

// reviewButtons are what a reviewer may press once the access is over and until the review is closed.
func reviewButtons(c approvals.Case) []*slack.ButtonBlockElement {
	if !c.Review.Open() || !afterwards(c) {
		return nil
	}
	return []*slack.ButtonBlockElement{
		button("Justified…", actJustified, c.Request.ID).WithStyle(slack.StylePrimary),
		button("Not justified…", actNotJustified, c.Request.ID).WithStyle(slack.StyleDanger),
	}
}

// reviewWords say where the review stands, who may close it and by when, and what time will do.
func reviewWords(c approvals.Case, now time.Time) string {
	words := reviewStands(c, now)
	if c.Review.Open() {
		words += reviewClock(c, now)
	}
	return words
}

func reviewStands(c approvals.Case, now time.Time) string {
	r := c.Review
	if r == nil {
		return ""
	}
	if !r.Open() {
		switch {
		case r.Verdict == approvals.Unused:
			return "Closed by itself " + at(r.ClosedAt) + ": nobody took the access, so there is nothing to look at."
		case r.Verdict == approvals.NotJustified:
			return "*Not justified*, says " + person(r.ClosedBy) + " " + at(r.ClosedAt) + because(r.Note) + "."
		}
		return "*Justified*, says " + person(r.ClosedBy) + " " + at(r.ClosedAt) + because(r.Note) + "."
	}
	due := "Due " + at(r.DueAt)
	if r.Overdue(now) {
		due = "🚨 *OVERDUE* since " + at(r.DueAt)
	}
	out := due + ", by " + reviewers(c) + "."
	if !afterwards(c) {
		out += " It can be closed once the access is over" + earlierWords(c) + "."
	}
	return out + " Until then " + person(c.Request.Requester) + " cannot break glass again."
}

// earlierWords say that the access would be over if it were not for an earlier try to make the login.
func earlierWords(c approvals.Case) string {
	if c.Unsecured > 0 && c.Grant != nil && (!c.Grant.SecuredAt.IsZero() || c.Grant.State == grants.Revoked) {
		return ": an earlier try to make the login failed and is not yet known to be gone"
	}
	return ""
}

// reviewers are those who may close a review now; never whoever broke the glass.
func reviewers(c approvals.Case) string { return mrkdwn("one of "+c.Reviewers(), 300) }

// doneWords say what was done with the access, as far as it is proven.
func doneWords(c approvals.Case, events []audit.Event) string {
	g := c.Grant
	if g == nil {
		return "Nobody has taken the access."
	}
	counted := func(kind audit.Kind, what string) string {
		if n := tally(events, kind); n > 0 {
			return what + " " + times(n)
		}
		return ""
	}
	parts := []string{}
	for _, part := range []string{
		counted(audit.GrantShown, "credential shown"), counted(audit.GrantRotated, "new password made"), counted(audit.GrantExtended, "extended"),
	} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	out := "Login " + code(g.Login)
	if !g.IssuedAt.IsZero() {
		end := ended(*g)
		if end.IsZero() {
			out += " since " + atSecond(g.IssuedAt)
		} else {
			out += fmt.Sprintf(" from %s to %s (%s)", atSecond(g.IssuedAt), atSecond(end), lasting(max(0, end.Sub(g.IssuedAt))))
		}
	}
	if len(parts) > 0 {
		out += ": " + both(parts)
	}
	out += "."
	if r := g.Receipt; r != nil && g.State == grants.Revoked {
		out += "\n" + receiptLine(*r)
		var left []string
		for _, l := range r.Leftovers {
			left = append(left, mrkdwn(l.What, 100)+" in "+mrkdwn(l.Database, 63))
		}
		if len(left) > 0 {
			out += "\nLeft behind:\n" + bullets(left, 4)
		}
	}
	return out
}

// reviewView asks a reviewer for a note, below all there is to judge by.
func reviewView(verdict approvals.ReviewVerdict, c approvals.Case, events []audit.Event) slack.ModalViewRequest {
	callback, title, hint := viewJustified, "Justified", "What it was for, and what became of it. It is kept with the request."
	if verdict == approvals.NotJustified {
		callback, title, hint = viewNotJustified, "Not justified", "What should not have happened, and what follows. It is kept with the request."
	}
	r := c.Request
	v := modal(title, section("🚨 *"+person(r.Requester)+"* broke the glass: "+what(c)+" "+at(r.FiledAt)))
	if reason := plain(r.Reason, longestSection); reason != "" {
		v.Blocks.BlockSet = append(v.Blocks.BlockSet, section("*Reason*"), plainSection(reason))
	}
	v.Blocks.BlockSet = append(v.Blocks.BlockSet, section("*What was done*\n"+doneWords(c, events)))
	if lines := recorded(events, 15); lines != "" {
		v.Blocks.BlockSet = append(v.Blocks.BlockSet, section("*Timeline*\n"+lines))
	}
	input := slack.NewPlainTextInputBlockElement(nil, blockNote).WithMultiline(true).WithMinLength(1).WithMaxLength(approvals.LongestReason)
	v.Blocks.BlockSet = append(v.Blocks.BlockSet, slack.NewInputBlock(blockNote, literal("Note"), literal(hint), input))
	v.CallbackID, v.PrivateMetadata = callback, r.ID
	v.Submit, v.Close = literal("Close the review"), literal("Back")
	return v
}

// askReview draws the window for those who may close the review. Looking is not an attempt; sending the window is.
func (b *Bot) askReview(ctx context.Context, press approvals.Press, verdict approvals.ReviewVerdict) (slack.ModalViewRequest, error) {
	none := slack.ModalViewRequest{}
	c, err := b.service.Case(ctx, press.Request)
	switch {
	case err != nil:
		return none, err
	case !c.Review.Open():
		return none, &approvals.Refusal{Code: approvals.AlreadyOver, Words: "This review is closed already."}
	case !afterwards(c):
		return none, &approvals.Refusal{Code: approvals.TooEarly, Words: "The access is not over yet. Revoke it, or come back when it has ended."}
	}
	mine, err := b.service.Reviewable(ctx, press.By)
	if err != nil {
		return none, err
	}
	for _, m := range mine {
		if m.Request.ID != press.Request {
			continue
		}
		events, err := b.service.Timeline(ctx, press.Request)
		if err != nil {
			return none, err
		}
		return reviewView(verdict, c, events), nil
	}
	return none, &approvals.Refusal{Code: approvals.NotReviewer, Words: "This review is for " + c.Reviewers() +
		", and never for whoever broke the glass."}
}

// submitReview answers the window; a refusal stands at the note.
func (b *Bot) submitReview(ctx context.Context, cb slack.InteractionCallback, press approvals.Press, verdict approvals.ReviewVerdict) answer {
	note := clean(valueOf(cb.View, blockNote))
	if strings.TrimSpace(note) == "" {
		return wrongAt(press.Request, blockNote, "Say what you found.", "mistake")
	}
	if _, err := b.service.CloseReview(ctx, press, verdict, note); err != nil {
		return b.refusedAt(press.Request, blockNote, err)
	}
	return answer{payload: slack.NewClearViewSubmissionResponse(), request: press.Request, outcome: "reviewed", acted: true}
}
