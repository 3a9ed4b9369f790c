package bot

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/slack-go/slack"
)

const (
	// openedLately is for how long after somebody opened their Home it is kept fresh. Slack does not say when it is left.
	openedLately = time.Hour
	// mostHomes bounds how many are kept fresh; the others are drawn when they are opened.
	mostHomes = 2000
	// notedFor is how long a note stays on a Home that is redrawn meanwhile.
	notedFor = time.Minute
	// homeWithin bounds one drawing, so that a slow Slack holds up no job that draws more than this.
	homeWithin = 4 * time.Second
)

// homes remembers who opened their Home lately, in this replica. Forgetting costs nothing but freshness: a Home is drawn anew
// whenever it is opened.
type homes struct {
	mu sync.Mutex
	of map[string]*opened
}

type opened struct {
	at    time.Time
	note  string
	noted time.Time
	// drawing and again keep two drawings of one Home from overtaking each other.
	drawing, again bool
}

func (h *homes) open(user string, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of == nil {
		h.of = map[string]*opened{}
	}
	if o, ok := h.of[user]; ok {
		o.at, o.note = now, ""
		return
	}
	if len(h.of) >= mostHomes {
		h.forget(now)
	}
	h.of[user] = &opened{at: now}
}

// forget makes room: whoever opened theirs long ago goes, and if that is nobody, the one that was opened first.
func (h *homes) forget(now time.Time) {
	first := ""
	for user, o := range h.of {
		switch {
		case o.drawing:
		case now.Sub(o.at) > openedLately:
			delete(h.of, user)
		case first == "" || o.at.Before(h.of[first].at):
			first = user
		}
	}
	if len(h.of) >= mostHomes {
		delete(h.of, first)
	}
}

func (h *homes) lately(user string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	o, ok := h.of[user]
	return ok && now.Sub(o.at) <= openedLately
}

func (h *homes) tell(user, words string, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o, ok := h.of[user]; ok {
		o.note, o.noted = words, now
	}
}

func (h *homes) note(user string, now time.Time) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o, ok := h.of[user]; ok && now.Sub(o.noted) <= notedFor {
		return o.note
	}
	return ""
}

// begin says whether the caller is to draw. When somebody else draws now, they draw once more afterwards.
func (h *homes) begin(user string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	o, ok := h.of[user]
	if !ok {
		return false
	}
	if o.drawing {
		o.again = true
		return false
	}
	o.drawing = true
	return true
}

// done ends a drawing, unless something changed since it began.
func (h *homes) done(user string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.of[user]
	o.drawing, o.again = o.again, false
	return !o.drawing
}

// onHomeOpened answers somebody who looks at their Home: it is drawn from what is stored now.
func (b *Bot) onHomeOpened(ctx context.Context, user, tab string) answer {
	return b.guard(ctx, "event", user, "app_home_opened", func(context.Context) answer {
		if user == "" || tab != "home" {
			return answer{outcome: "ignored"}
		}
		return answer{outcome: "drawing", after: func(ctx context.Context) {
			b.homes.open(user, b.now())
			b.showHome(ctx, user)
		}}
	}, func() answer { return answer{outcome: "failed"} })
}

// showHome draws a Home somebody looks at, and tries again while Slack has trouble: nobody comes back for it.
func (b *Bot) showHome(ctx context.Context, user string) {
	const tries = 4
	for try := 1; ; try++ {
		err := b.drawHome(user, true)
		if err == nil {
			return
		}
		pause := time.Duration(try) * 500 * time.Millisecond
		if f, ok := errors.AsType[*failure](err); ok {
			pause = max(pause, f.after)
		} else if u, ok := errors.AsType[*Undelivered](err); ok {
			pause = max(pause, u.After)
		}
		if try == tries || pause > 10*time.Second || delay(err).After == pausePerson {
			b.log.Warn().Str("who", user).Err(err).Msg("a home was not drawn")
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// freshenHome redraws a Home that its owner may be looking at. Failing is not worth more than a line: it is drawn when opened.
func (b *Bot) freshenHome(user string) {
	if user == "" || !b.homes.lately(user, b.now()) {
		return
	}
	if err := b.drawHome(user, false); err != nil {
		b.log.Info().Str("who", user).Err(err).Msg("a home was not redrawn")
	}
}

// afterActing adds to an answer that the actor's Home is redrawn: what they did changed it, or it was out of date.
func (b *Bot) afterActing(who string, a answer) answer {
	if !a.acted || !b.homes.lately(who, b.now()) {
		return a
	}
	first := a.after
	a.after = func(ctx context.Context) {
		if first != nil {
			first(ctx)
		}
		b.freshenHome(who)
	}
	return a
}

// drawHome makes a Home show what is stored. Drawings of one Home are one after the other in this replica, and the last one
// began after the last call. What cannot be read is said to whoever is opening their Home; anybody else keeps what they have. The
// error may be logged.
func (b *Bot) drawHome(user string, opening bool) (err error) {
	if !b.homes.begin(user) {
		return nil
	}
	err = b.publish(user, opening)
	for !b.homes.done(user) {
		// A round for others that fails is not this caller's failure; one that succeeds is their success.
		if b.publish(user, false) == nil {
			err = nil
		}
	}
	return err
}

var errDrawing = errors.New("bot: drawing a home panicked")

func (b *Bot) publish(user string, opening bool) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			b.panicked("drawing a home", cause)
			err = errDrawing
		}
	}()
	ctx, cancel := context.WithTimeout(b.life, homeWithin)
	defer cancel()
	view, err := b.homeFor(ctx, user)
	if err != nil && !opening {
		return err
	}
	send := func() error {
		return b.pace.run(ctx, "views.publish", publishes, func() error {
			_, err := b.slack.api.PublishViewContext(ctx, slack.PublishViewContextRequest{UserID: user, View: view})
			return err
		})
	}
	if err = send(); err != nil && malformed[codeOf(err)] {
		text, _ := b.words(err)
		view = homeSaying(text + "\n`" + b.command + " list` shows your access meanwhile.")
		err = send()
	}
	return err
}

// homeFor is the view for a person: their Home, or words alone. With an error the words say that something is wrong.
func (b *Bot) homeFor(ctx context.Context, user string) (slack.HomeTabViewRequest, error) {
	h, err := b.homeOf(ctx, user)
	if err == nil {
		h.note = b.homes.note(user, b.now())
		return homeView(h, b.command, b.now()), nil
	}
	text, _ := b.words(err)
	if refusal, ok := refusalOf(err); ok && refusal.Code == approvals.NotEligible {
		return homeSaying(text), nil
	}
	return homeSaying(text + "\nOpen this tab again in a moment."), err
}
