package bot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/slack-go/slack"
)

const (
	viewHome = "home"
	// actAsk opens the form from the Home tab.
	actAsk = "ask"
)

// A Home tab takes a hundred blocks. These are how many entries each of its parts shows; [TestHomeViews] counts what the longest comes to.
const (
	mostLive     = 6 // of two blocks
	mostToTake   = 4 // of two
	mostAsked    = 4
	mostToAnswer = 7 // of three
	mostToReview = 5 // of two
	mostBroken   = 4
	mostAgain    = 5
	mostTrouble  = 4
	mostHistory  = 10
)

// home is what somebody's Home tab shows.
type home struct {
	// note is what the last press could not say elsewhere, in mrkdwn.
	note string
	// asked are the person's own requests that wait for somebody else, take those that wait for them.
	live, take, asked, answer, recent []approvals.Case
	// review are the reviews that wait for the person, broken their own that wait for somebody else.
	review, broken []approvals.Case
	// operations are for the operators alone; security is the channel their alarms are in.
	operations approvals.Operations
	security   string
	// again are the last requests for each access that may be asked for now, offers all of that access.
	again  []approvals.Case
	offers []approvals.Offer
	// mayAskNothing: it is known what may be asked for, and it is nothing.
	mayAskNothing bool
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
	h.asked, err = b.service.Cases(ctx, approvals.Query{Requester: user, States: []approvals.State{approvals.Pending}, Limit: 50})
	if err != nil {
		return h, fmt.Errorf("reading what %s has asked for: %w", user, err)
	}
	if h.review, err = b.service.Reviewable(ctx, user); err != nil {
		return h, fmt.Errorf("reading the reviews that wait for %s: %w", user, err)
	}
	if h.broken, err = b.service.Cases(ctx, approvals.Query{Requester: user, OpenReviews: true, Limit: 8}); err != nil {
		return h, fmt.Errorf("reading the open reviews of %s: %w", user, err)
	}
	lately, err := b.service.Cases(ctx, approvals.Query{Requester: user, Limit: 50})
	if err != nil {
		return h, fmt.Errorf("reading the requests of %s: %w", user, err)
	}
	h.recent = lately[:min(mostHistory, len(lately))]
	if h.operations, err = b.service.Operations(ctx, user); err != nil {
		return h, fmt.Errorf("reading what waits for %s as an operator: %w", user, err)
	}
	h.security = b.securityChannel
	// What may be asked for is a help and no more; the form says it too.
	if me, err := b.service.Me(ctx, user); err == nil {
		h.offers, h.again, h.mayAskNothing = me.Offers, repeats(lately, me.Offers), len(me.Offers) == 0 && len(me.Unknown) == 0
	}
	return h, nil
}

// shows stands for what a Home shows: it changes with everything that is stored and with nothing else.
func (h home) shows() string {
	sum := sha256.New()
	for part, cases := range [][]approvals.Case{h.live, h.take, h.asked, h.answer, h.recent, h.review, h.broken} {
		for _, c := range cases {
			fmt.Fprintln(sum, part, c.Request.ID, c.Request.Version)
		}
	}
	for part, list := range [][]grants.Grant{h.operations.Overdue, h.operations.Stuck, h.operations.LeftBehind} {
		for _, g := range list {
			fmt.Fprintln(sum, "operator", part, g.ID, g.Version)
		}
	}
	fmt.Fprintln(sum, h.operations.Operator, h.operations.More)
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// homeView draws a Home tab: first what is the person's own, then what others wait for.
func homeView(h home, command string, now time.Time) slack.HomeTabViewRequest {
	blocks := []slack.Block{header("prodaccess")}
	if h.note != "" {
		blocks = append(blocks, section("⚠️ "+h.note))
	}
	blocks = append(blocks, buttonsOf("home", button("Ask for access", actAsk, "home").WithStyle(slack.StylePrimary)))
	blocks = append(blocks, liveAtHome(h, now)...)
	blocks = append(blocks, operatorsAtHome(h)...)
	blocks = append(blocks, othersAtHome(h, now)...)
	blocks = append(blocks, againAtHome(h, command, now)...)
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

// entries draws up to most of a list and says how many it left out.
func entries[T any](list []T, most int, draw func(T) []slack.Block) []slack.Block {
	var out []slack.Block
	for _, item := range list[:min(most, len(list))] {
		out = append(out, draw(item)...)
	}
	if n := len(list) - most; n > 0 {
		out = append(out, footer(fmt.Sprintf("and %d more", n)))
	}
	return out
}

// titled puts a header over blocks, if there are any.
func titled(title string, blocks []slack.Block) []slack.Block {
	if len(blocks) == 0 {
		return nil
	}
	return append([]slack.Block{header(title)}, blocks...)
}

func withButtons(part string, c approvals.Case, acts []*slack.ButtonBlockElement, blocks ...slack.Block) []slack.Block {
	if len(acts) == 0 {
		return blocks
	}
	return append(blocks, buttonsOf(part+":"+plain(c.Request.ID, 100), acts...))
}

// beside is a section with a button at its side.
func beside(text string, act *slack.ButtonBlockElement) slack.Block {
	s := slack.NewSectionBlock(markup(cutMarkup(text, longestSection)), nil, nil)
	s.Accessory = slack.NewAccessory(act)
	return s
}
