package bot

import (
	"context"
	"errors"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/slack-go/slack"
)

// onHomeOpened answers somebody who looks at their Home: it is drawn from what is stored now.
func (b *Bot) onHomeOpened(ctx context.Context, user, tab string) answer {
	return b.guard(ctx, "event", user, "app_home_opened", func(context.Context) answer {
		if user == "" || tab != "home" {
			return answer{outcome: "ignored"}
		}
		return answer{outcome: "drawing", after: func(ctx context.Context) {
			now := b.now()
			b.homes.open(user, now)
			if err := b.shown.HomeOpened(ctx, user, now, now.Add(homesEvery), now.Add(-openedLately)); err != nil {
				b.log.Info().Str("who", user).Err(err).Msg("that a home was opened is not remembered: others' changes do not show on it")
			}
			b.showHome(ctx, user)
		}}
	}, func() answer { return answer{outcome: "failed"} })
}

// showHome draws a Home somebody looks at, and tries again while Slack has trouble: nobody comes back for it.
func (b *Bot) showHome(ctx context.Context, user string) {
	const tries = 4
	for try := 1; ; try++ {
		err := b.drawHome(ctx, user, true, "")
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

// freshenHome redraws a Home that its owner may be looking at, at once unless it was drawn a moment ago. Failing is not worth more than a
// line: it is drawn when opened.
func (b *Bot) freshenHome(user string) {
	now := b.now()
	if user == "" || !b.homes.lately(user, now) {
		return
	}
	if !b.homes.turn(user, now) {
		return // the round that the change asked for draws it
	}
	b.redrawHome(user)
}

// redrawHome redraws a Home now.
func (b *Bot) redrawHome(user string) {
	if err := b.drawHome(b.life, user, false, ""); err != nil {
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
		b.redrawHome(who) // who pressed waits for it
		b.wantHomes(ctx)
	}
	return a
}

// drawHome makes a Home show what is stored. Drawings of one Home are one after the other in this replica, and the last one
// began after the last call. What cannot be read is said to whoever is opening their Home; anybody else keeps what they have. A Home that
// shows what is stored, known standing for what it shows, is left as it is. The error may be logged.
func (b *Bot) drawHome(ctx context.Context, user string, opening bool, known string) (err error) {
	if !b.homes.begin(user) {
		return nil
	}
	err = b.publish(ctx, user, opening, known)
	for !b.homes.done(user) {
		// A round for others that fails is not this caller's failure; one that succeeds is their success.
		if b.publish(b.life, user, false, "") == nil {
			err = nil
		}
	}
	return err
}

var errDrawing = errors.New("bot: drawing a home panicked")

func (b *Bot) publish(ctx context.Context, user string, opening bool, known string) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			b.panicked("drawing a home", cause)
			err = errDrawing
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, homeWithin)
	defer cancel()
	view, shows, err := b.homeFor(ctx, user)
	if err != nil && !opening || shows != "" && shows == known {
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
		shows, err = "", send()
	}
	if err == nil {
		b.homes.published()
		if kept := b.shown.HomeShown(ctx, user, shows, b.now()); kept != nil {
			b.log.Info().Str("who", user).Err(kept).Msg("what a home shows is not remembered")
		}
	}
	return err
}

// homeFor is the view for a person, and what stands for it: their Home, or words alone, for which nothing does. With an error the words say
// that something is wrong.
func (b *Bot) homeFor(ctx context.Context, user string) (view slack.HomeTabViewRequest, shows string, err error) {
	h, err := b.homeOf(ctx, user)
	if err == nil {
		h.note = b.homes.note(user, b.now())
		return homeView(h, b.command, b.now()), h.shows(), nil
	}
	text, _ := b.words(err)
	if refusal, ok := refusalOf(err); ok && refusal.Code == approvals.NotEligible {
		return homeSaying(text), "", nil
	}
	return homeSaying(text + "\nOpen this tab again in a moment."), "", err
}
