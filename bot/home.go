package bot

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/slack-go/slack"
)

const (
	viewHome = "home"
	// actAsk opens the form from the Home tab.
	actAsk = "ask"

	// A Home tab takes a hundred blocks: three sections of eight entries in up to three blocks each stay under it.
	mostAtHome  = 8
	mostHistory = 10
)

// home is what somebody's Home tab shows.
type home struct {
	// note is what the last press could not say elsewhere, in mrkdwn.
	note                       string
	live, take, answer, recent []approvals.Case
	// review are the reviews that wait for the person, broken their own that wait for somebody else.
	review, broken []approvals.Case
}

// homeOf reads what a person's Home shows. Somebody who may neither ask nor answer gets the *approvals.Refusal that says so.
func (b *Bot) homeOf(ctx context.Context, user string) (h home, err error) {
	if h.answer, err = b.service.Answerable(ctx, user); err != nil {
		return h, fmt.Errorf("reading what waits for %s: %w", user, err)
	}
	mine, err := b.service.Cases(ctx, approvals.Query{Requester: user, LiveGrants: true, Limit: 50})
	if err != nil {
		return h, fmt.Errorf("reading the access of %s: %w", user, err)
	}
	for _, c := range mine {
		// What is locked out is no access any more, and a login that failed is said where its request waits.
		if c.Request.State == approvals.Activated && c.Grant != nil && c.Grant.SecuredAt.IsZero() {
			h.live = append(h.live, c)
		}
	}
	h.take, err = b.service.Cases(ctx, approvals.Query{Requester: user, States: []approvals.State{approvals.Approved}, Limit: 50})
	if err != nil {
		return h, fmt.Errorf("reading what %s may take: %w", user, err)
	}
	if h.review, err = b.service.Reviewable(ctx, user); err != nil {
		return h, fmt.Errorf("reading the reviews that wait for %s: %w", user, err)
	}
	if h.broken, err = b.service.Cases(ctx, approvals.Query{Requester: user, OpenReviews: true, Limit: mostAtHome}); err != nil {
		return h, fmt.Errorf("reading the open reviews of %s: %w", user, err)
	}
	if h.recent, err = b.service.Cases(ctx, approvals.Query{Requester: user, Limit: mostHistory}); err != nil {
		return h, fmt.Errorf("reading the requests of %s: %w", user, err)
	}
	return h, nil
}

// homeView draws a Home tab.
func homeView(h home, command string, now time.Time) slack.HomeTabViewRequest {
	blocks := []slack.Block{header("prodaccess")}
	if h.note != "" {
		blocks = append(blocks, section("⚠️ "+h.note))
	}
	blocks = append(blocks, buttonsOf("home", button("Ask for access", actAsk, "home").WithStyle(slack.StylePrimary)))

	blocks = append(blocks, header("My access now"))
	if len(h.live) == 0 {
		blocks = append(blocks, section("You have no access now."))
	}
	blocks = append(blocks, entries(h.live, func(c approvals.Case) []slack.Block {
		return withButtons("live", c, requesterButtons(c), section(liveWords(c, now)))
	})...)
	if len(h.take) > 0 {
		blocks = append(blocks, header("Waiting for me to take"))
	}
	blocks = append(blocks, entries(h.take, func(c approvals.Case) []slack.Block {
		s := stands(c, now)
		return withButtons("take", c, requesterButtons(c), section(s.icon+" "+whatFor(c)+"\n"+s.now))
	})...)
	if len(h.answer) > 0 {
		blocks = append(blocks, header("What waits for my answer"))
	}
	blocks = append(blocks, entries(h.answer, func(c approvals.Case) []slack.Block {
		out := []slack.Block{section(askedWords(c, now))}
		if reason := plain(c.Request.Reason, longestSection); reason != "" {
			out = append(out, plainSection(reason))
		}
		return withButtons("answer", c, decisionButtons(c), out...)
	})...)
	if len(h.review) > 0 {
		blocks = append(blocks, header("Reviews waiting for me"))
	}
	blocks = append(blocks, entries(h.review, func(c approvals.Case) []slack.Block {
		words := "🚨 *" + person(c.Request.Requester) + "* broke the glass " + at(c.Request.FiledAt) + ": " + whatFor(c) + because(c.Request.Reason) + "\n" + reviewWords(c, now)
		return withButtons("review", c, reviewButtons(c), section(words))
	})...)
	if len(h.broken) > 0 {
		blocks = append(blocks, header("My open review"))
	}
	blocks = append(blocks, entries(h.broken, func(c approvals.Case) []slack.Block {
		return []slack.Block{section(whatFor(c) + "\n" + glassWords(c, now))}
	})...)
	if len(h.recent) > 0 {
		blocks = append(blocks, header("My requests"), section(history(h.recent, now)))
	}
	blocks = append(blocks, footer("As of "+atSecond(now)+"; open this tab again to see what is so then. `"+mrkdwn(command, 40)+" help` shows how to ask in one line."))
	return homeTab(blocks...)
}

// homeSaying is a Home tab of words alone, for those who may do nothing here.
func homeSaying(text string) slack.HomeTabViewRequest {
	return homeTab(header("prodaccess"), section(text))
}

func homeTab(blocks ...slack.Block) slack.HomeTabViewRequest {
	return slack.HomeTabViewRequest{Type: slack.VTHomeTab, CallbackID: viewHome, Blocks: slack.Blocks{BlockSet: blocks}}
}

// entries draws up to mostAtHome cases and says how many it left out.
func entries(cases []approvals.Case, draw func(approvals.Case) []slack.Block) []slack.Block {
	var out []slack.Block
	for _, c := range cases[:min(mostAtHome, len(cases))] {
		out = append(out, draw(c)...)
	}
	if n := len(cases) - mostAtHome; n > 0 {
		out = append(out, footer(fmt.Sprintf("and %d more", n)))
	}
	return out
}

func withButtons(part string, c approvals.Case, acts []*slack.ButtonBlockElement, blocks ...slack.Block) []slack.Block {
	if len(acts) == 0 {
		return blocks
	}
	return append(blocks, buttonsOf(part+":"+plain(c.Request.ID, 100), acts...))
}

// whatFor says what a request is about in one line.
func whatFor(c approvals.Case) string {
	return what(c) + " for " + lasting(c.Request.Length()) + startWords(c.Request) + ticket(c)
}

func what(c approvals.Case) string {
	return "*" + mrkdwn(c.Request.Access(), 100) + "* on *" + mrkdwn(c.Request.Target, 100) + "*"
}

func ticket(c approvals.Case) string {
	if c.Request.Ticket == "" {
		return ""
	}
	return ", " + mrkdwn(c.Request.Ticket, approvals.LongestTicket)
}

// liveWords say how long access still lasts. The Home is not redrawn by time, so the instant is said too.
func liveWords(c approvals.Case, now time.Time) string {
	s := stands(c, now)
	left := c.Grant.Deadline.Sub(now)
	if len(requesterButtons(c)) == 0 || left <= 0 || isOverdue(*c.Grant, now) {
		return s.icon + " " + what(c) + ticket(c) + "\n*" + mrkdwn(s.head, 80) + "*. " + s.now
	}
	password := "*Get credentials* makes a new password."
	if c.Grant.ShownAt.IsZero() {
		password = "You have not seen the credential yet."
	}
	return fmt.Sprintf("%s %s: *%s left*%s\n%s %s", s.icon, what(c), lasting(left), ticket(c), s.now, password)
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

// history lists requests with where they stand, one line each.
func history(cases []approvals.Case, now time.Time) string {
	var lines []string
	for _, c := range cases[:min(mostHistory, len(cases))] {
		r, s := c.Request, stands(c, now)
		lines = append(lines, fmt.Sprintf("%s %s %s on %s: *%s* (`%s`)",
			s.icon, at(r.FiledAt), mrkdwn(r.Access(), 45), mrkdwn(r.Target, 45), mrkdwn(s.head, 60), mrkdwn(r.ID, 20)))
	}
	return strings.Join(lines, "\n")
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
