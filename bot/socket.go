package bot

import (
	"context"
	"errors"
	"io"
	stdlog "log"
	"sync"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"
	"golang.org/x/sync/errgroup"
)

const (
	sourceSocket = "slack:socket"
	sourceHTTP   = "slack:http"
)

// mostAtOnce bounds the deliveries handled at the same time; more wait, and Slack sends again what waits too long.
const mostAtOnce = 128

// sockets is how many connections are open at a time. Slack closes each every few hours and sends to the others meanwhile; with
// only one, what happens in between would fail on somebody's screen.
const sockets = 2

// RunSocket speaks Socket Mode until ctx ends, which is its only way to return nil; an error means that Slack refuses the
// app token for good. It reconnects by itself. Deliveries under way are finished before it returns.
func (b *Bot) RunSocket(ctx context.Context) error {
	if b.slack.creds.AppToken.Empty() {
		return errors.New("bot: Socket Mode needs an app token")
	}
	connections, ctx := errgroup.WithContext(ctx)
	up := &connected{tell: b.socketWorks}
	for i := range sockets {
		connections.Go(func() error { return b.stayConnected(ctx, func(wrong error) { up.is(i, wrong) }) })
	}
	return connections.Wait()
}

// stayConnected keeps one connection, and says when it is up or why it is not.
func (b *Bot) stayConnected(ctx context.Context, is func(wrong error)) error {
	for {
		err := b.connection(ctx, is)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			is(safe(err))
			switch codeOf(err) {
			case "invalid_auth", "account_inactive", "not_authed", "token_revoked", "not_allowed_token_type":
				return safe(err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(reconnectAfter):
		}
	}
}

// reconnectAfter is the pause after the library gave up, or would sleep longer than this: its own back-off goes to five
// minutes, for which an incident does not wait.
const reconnectAfter = 3 * time.Second

// flushFor is how long the library gets to write the last acknowledgements; it does not say when it has.
const flushFor = 100 * time.Millisecond

// connection runs one client of the library, which itself reconnects when Slack asks for it. When ctx ends nothing more is
// taken in, what was taken in is carried out and acknowledged, and then the socket is closed.
func (b *Bot) connection(ctx context.Context, is func(wrong error)) error {
	// The library's own log holds payloads and URLs with tickets in them.
	client := socketmode.New(b.slack.api, socketmode.OptionReadLimit(4<<20), socketmode.OptionLog(stdlog.New(io.Discard, "", 0)))
	open, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	ended := make(chan error, 1)
	go func() { ended <- client.RunContext(open) }()
	var handling sync.WaitGroup
	slots := make(chan struct{}, mostAtOnce)
	for {
		select {
		case <-ctx.Done():
			if len(slots) > 0 {
				handling.Wait()
				time.Sleep(flushFor)
			}
			hangUp()
			<-ended
			return nil
		case err := <-ended:
			handling.Wait()
			return err
		case event := <-client.Events:
			if b.tooPatient(event, is) {
				hangUp()
				<-ended
				handling.Wait()
				return nil
			}
			switch event.Type {
			case socketmode.EventTypeSlashCommand, socketmode.EventTypeInteractive, socketmode.EventTypeEventsAPI:
				slots <- struct{}{}
				handling.Go(func() {
					defer func() { <-slots }()
					b.onEvent(client, event)
				})
			}
		}
	}
}

// tooPatient logs and passes on how the connection fares, and says whether the library is about to wait longer than an incident should.
func (b *Bot) tooPatient(event socketmode.Event, is func(wrong error)) bool {
	switch event.Type {
	case socketmode.EventTypeConnected:
		b.log.Info().Msg("connected to slack")
		is(nil)
	case socketmode.EventTypeConnectionError:
		problem, ok := event.Data.(*slack.ConnectionErrorEvent)
		if !ok {
			return false
		}
		b.log.Warn().Err(safe(problem.ErrorObj)).Int64("again_in_ms", problem.Backoff.Milliseconds()).Msg("connecting to slack failed")
		is(safe(problem.ErrorObj))
		_, limited := errors.AsType[*slack.RateLimitedError](problem.ErrorObj)
		return problem.Backoff > reconnectAfter && !limited
	}
	return false
}

// onEvent handles one delivery and acknowledges it. It outlives the connection's context: what was received is carried out
// and, if it can be, answered.
func (b *Bot) onEvent(client *socketmode.Client, event socketmode.Event) {
	defer b.survive("socket delivery")
	var a answer
	switch data := event.Data.(type) {
	case slack.SlashCommand:
		a = b.onCommand(b.life, data, sourceSocket)
	case slack.InteractionCallback:
		a = b.onInteraction(b.life, data, sourceSocket)
	case slackevents.EventsAPIEvent:
		if home, ok := data.InnerEvent.Data.(*slackevents.AppHomeOpenedEvent); ok {
			a = b.onHomeOpened(b.life, home.User, home.Tab)
		}
	}
	ctx, cancel := context.WithTimeout(b.life, answerWithin)
	defer cancel()
	if err := client.AckCtx(ctx, event.Request.EnvelopeID, a.payload); err != nil {
		b.log.Warn().Str("outcome", a.outcome).Msg("an acknowledgement was not sent")
	}
	if a.after != nil {
		b.later(a.after)
	}
}
