package bot

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Config is what a Bot is made of. Every field is needed but ChannelWorks and SocketWorks.
type Config struct {
	Slack    *Slack
	Service  Service
	Grants   Grants
	Outbox   Outbox
	Homes    Homes
	Digests  Digests
	Findings Findings
	Drafts   Drafts
	// Command is the slash command with its slash.
	Command string
	// Channels by ID ("C0123ABCD"), not by name: Slack reads history by ID only.
	ApprovalsChannel, AuditChannel, SecurityChannel string
	// ChannelWorks, when it is not nil, hears that a channel ("security") cannot be written to, and with a nil error that it can again.
	ChannelWorks func(name string, err error)
	// SocketWorks, when it is not nil, hears that no connection of Socket Mode is up, and with a nil error that one is.
	SocketWorks func(err error)

	Now func() time.Time
	Log zerolog.Logger
}

// Bot is prodaccess in Slack. It is safe for concurrent use.
type Bot struct {
	slack   *Slack
	service Service
	grants  Grants
	outbox  Outbox
	// shown is what the store knows of Homes, homes what this replica does.
	shown    Homes
	digests  Digests
	findings Findings
	drafts   Drafts
	command  string

	approvalsChannel, auditChannel, securityChannel string

	now  func() time.Time
	log  zerolog.Logger
	pace *pacer
	// reach is which channels cannot be written to now.
	reach        reach
	channelWorks func(name string, err error)
	socketWorks  func(err error)
	// people are for mentions; who may act is asked of the service.
	people *Directory

	changes changes
	homes   homes

	// life ends with Close; work started after an acknowledgement outlives the delivery that caused it, but not the bot.
	life context.Context
	end  context.CancelFunc
	work sync.WaitGroup
}

var channelID = regexp.MustCompile(`^[CG][A-Z0-9]+$`)

// New refuses a configuration with anything missing, and says all that is.
func New(c Config) (*Bot, error) {
	var faults []error
	for name, missing := range map[string]bool{
		"Slack": c.Slack == nil, "Service": c.Service == nil, "Grants": c.Grants == nil, "Outbox": c.Outbox == nil,
		"Homes": c.Homes == nil, "Digests": c.Digests == nil, "Findings": c.Findings == nil, "Drafts": c.Drafts == nil, "Now": c.Now == nil, "Command": c.Command == "",
	} {
		if missing {
			faults = append(faults, fmt.Errorf("bot: %s is missing", name))
		}
	}
	for name, id := range map[string]string{"approvals": c.ApprovalsChannel, "audit": c.AuditChannel, "security": c.SecurityChannel} {
		if !channelID.MatchString(id) {
			faults = append(faults, fmt.Errorf("bot: the %s channel must be a channel's ID such as C0123ABCD, not %q", name, id))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	life, end := context.WithCancel(context.Background())
	return &Bot{
		slack: c.Slack, service: c.Service, grants: c.Grants, outbox: c.Outbox, shown: c.Homes, digests: c.Digests, findings: c.Findings, drafts: c.Drafts,
		command: c.Command, approvalsChannel: c.ApprovalsChannel, auditChannel: c.AuditChannel, securityChannel: c.SecurityChannel,
		channelWorks: c.ChannelWorks, socketWorks: c.SocketWorks, now: c.Now, log: c.Log, pace: newPacer(c.Now), people: NewDirectory(c.Slack, c.Now), life: life, end: end,
	}, nil
}

// Drain waits for the work that acknowledgements left behind: logins being made, windows being filled. Stop the transports
// first. When ctx ends before the work does, the work is cancelled and Drain says so.
func (b *Bot) Drain(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		b.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		b.end()
		<-done
		return fmt.Errorf("finishing what was acknowledged: %w", ctx.Err())
	}
}

// later runs f after the acknowledgement, tracked by Drain, for at most a minute.
func (b *Bot) later(f func(ctx context.Context)) {
	b.work.Go(func() {
		defer b.survive("after an acknowledgement")
		ctx, cancel := context.WithTimeout(b.life, time.Minute)
		defer cancel()
		f(ctx)
	})
}

// survive logs a panic and lets the process live.
func (b *Bot) survive(where string) {
	if cause := recover(); cause != nil {
		b.panicked(where, cause)
	}
}

// panicked logs the type of what was thrown and where, never the value, which may hold anything.
func (b *Bot) panicked(where string, cause any) {
	event := b.log.Error().Str("where", where).Str("panic", fmt.Sprintf("%T", cause)).Bytes("stack", debug.Stack())
	if err, ok := cause.(interface{ RuntimeError() }); ok {
		event = event.Str("error", fmt.Sprint(err))
	}
	event.Msg("a handler panicked")
}
