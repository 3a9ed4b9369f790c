package bot

import (
	"context"
	"errors"
	"io"
	stdlog "log"
	"sync"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

const (
	sourceSocket = "slack:socket"
	sourceHTTP   = "slack:http"
)

// mostAtOnce bounds the deliveries handled at the same time; more wait, and Slack sends again what waits too long.
const mostAtOnce = 128

// RunSocket speaks Socket Mode until ctx ends, which is its only way to return nil; an error means that Slack refuses the
// app token for good. It reconnects by itself. Deliveries under way are finished before it returns.
func (b *Bot) RunSocket(ctx context.Context) error {
	if b.slack.creds.AppToken.Empty() {
		return errors.New("bot: Socket Mode needs an app token")
	}
	for {
		err := b.connection(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
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

// connection runs one client of the library, which itself reconnects when Slack asks for it.
func (b *Bot) connection(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The library's own log holds payloads and URLs with tickets in them.
	client := socketmode.New(b.slack.api, socketmode.OptionReadLimit(4<<20), socketmode.OptionLog(stdlog.New(io.Discard, "", 0)))
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		ended <- client.RunContext(ctx)
	}()
	var handling sync.WaitGroup
	defer handling.Wait()
	slots := make(chan struct{}, mostAtOnce)
	impatient := false
	for {
		select {
		case err := <-ended:
			if impatient {
				return nil
			}
			return err
		case event := <-client.Events:
			switch event.Type {
			case socketmode.EventTypeConnected:
				b.log.Info().Msg("connected to slack")
			case socketmode.EventTypeConnectionError:
				problem, _ := event.Data.(*slack.ConnectionErrorEvent)
				if problem != nil {
					b.log.Warn().Err(safe(problem.ErrorObj)).Dur("again_in", problem.Backoff).Msg("connecting to slack failed")
					var limited *slack.RateLimitedError
					if problem.Backoff > reconnectAfter && !errors.As(problem.ErrorObj, &limited) {
						impatient = true
						cancel()
					}
				}
			case socketmode.EventTypeSlashCommand, socketmode.EventTypeInteractive, socketmode.EventTypeEventsAPI:
				if event.Request == nil {
					continue
				}
				slots <- struct{}{}
				handling.Go(func() {
					defer func() { <-slots }()
					b.onEvent(client, event)
				})
			}
		}
	}
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
