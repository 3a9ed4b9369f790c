package bot

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/prodaccess/prodaccess/internal/outbox"
	"github.com/slack-go/slack"
)

const (
	// claimFor is how long a drawing may take before another worker may try.
	claimFor = 30 * time.Second
	// drawWithin is shorter, so that a claim is given back before it runs out.
	drawWithin   = 20 * time.Second
	recordWithin = 5 * time.Second
	// eventType marks our messages in Slack, with their key as payload.
	eventType = "prodaccess_message"
)

// posting is one message and what it should show.
type posting struct {
	key     string
	version int64
	// channel is where it is posted. For somebody's direct messages it is empty, and person is who they are.
	channel string
	person  string
	thread  string
	content message
	urgency urgency
	// anew draws once more what shows this very version, in the turn of whoever asks: only time passed. What was never posted, or shows
	// another version, is for whom that is to be drawn.
	anew bool
	// calling gives the mentions of those who are called when the message is posted. An update calls nobody: Slack would not
	// tell them.
	calling func(context.Context) string
}

// keep makes a message show at least p.version, posting it if it was never posted. The error is an *Undelivered.
func (b *Bot) keep(ctx context.Context, p posting) error {
	known, err := b.outbox.Message(ctx, p.key)
	if err != nil && !errors.Is(err, outbox.ErrNoMessage) {
		return delay(fmt.Errorf("reading where %s is: %w", p.key, err))
	}
	if !p.anew && known.Gone && b.mended(known, p) {
		if err := b.outbox.ReviveMessage(ctx, p.key, known.Why); err != nil {
			return delay(fmt.Errorf("taking up %s again: %w", p.key, err))
		}
		known.Gone = false
	}
	if p.done(known) {
		return nil
	}
	// Whoever is sent away here has tried nothing and holds nothing, so that many may wait: their message cannot have arrived, and
	// when their turn comes they draw what is stored then.
	name, pace := b.laneFor(known, p)
	if !p.anew {
		if err := b.pace.turn(ctx, name, pace, p.key, p.urgency); err != nil {
			return delay(fmt.Errorf("drawing %s: %w", p.key, err))
		}
	}
	m, claim, err := b.claim(ctx, p.key)
	if err != nil {
		return err
	}
	if p.done(m) {
		if err := b.release(ctx, p.key, claim); err != nil {
			return delay(err)
		}
		return nil
	}
	drawing, cancel := context.WithTimeout(ctx, drawWithin)
	defer cancel()
	channel, ts, err := b.deliver(drawing, m, p, name)
	b.learn(channel, err)
	record, stop := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer stop()
	switch {
	case err == nil:
		if err := b.outbox.RecordPosted(record, p.key, claim, channel, ts, p.version); err != nil {
			return delay(fmt.Errorf("recording %s: %w", p.key, err))
		}
		return nil
	case (gone[codeOf(err)] && !b.comesBack(channel, err)) || malformed[codeOf(err)]:
		b.log.Warn().Str("message", p.key).Err(err).Msg("a message cannot be drawn any more")
		if err := b.outbox.RecordGone(record, p.key, claim, codeOf(err)); err != nil {
			return delay(fmt.Errorf("recording %s: %w", p.key, err))
		}
		return nil
	}
	undelivered := delay(fmt.Errorf("drawing %s: %w", p.key, err))
	if err := b.release(ctx, p.key, claim); err != nil {
		b.log.Warn().Str("message", p.key).Err(err).Msg("a claim was not given back")
	}
	return undelivered
}

// done says whether nothing is left to be done about a message.
func (p posting) done(m outbox.Message) bool {
	if p.anew {
		return m.Gone || m.TS == "" || m.Version != p.version
	}
	return m.Gone || (m.TS != "" && m.Version >= p.version)
}

const updateLane = "chat.update"

// laneFor is the limit of Slack's under which a message is drawn.
func (b *Bot) laneFor(m outbox.Message, p posting) (name string, pace pace) {
	if m.TS != "" {
		return updateLane, updates
	}
	return b.postLane(p), posts
}

func (b *Bot) postLane(p posting) string {
	return "chat.postMessage in " + firstOf(p.channel, b.slack.directKnown(p.person), p.person)
}

// comesBack says whether a message that cannot be drawn waits for its channel, which somebody configured and can mend.
func (b *Bot) comesBack(channel string, err error) bool {
	return unreachable[codeOf(err)] && b.configured(channel) != ""
}

// claim takes a message's lease. Drawing takes a few milliseconds as a rule, so a message that is busy is waited for rather
// than left to a job that comes back much later. The error is an *Undelivered.
func (b *Bot) claim(ctx context.Context, key string) (outbox.Message, string, error) {
	const every = 20 * time.Millisecond
	for waited := time.Duration(0); ; waited += every {
		m, claim, err := b.outbox.ClaimMessage(ctx, key, b.now(), claimFor)
		if err == nil {
			return m, claim, nil
		}
		if !errors.Is(err, outbox.ErrBusy) || waited >= patience {
			return m, "", delay(fmt.Errorf("claiming %s: %w", key, err))
		}
		select {
		case <-ctx.Done():
			return m, "", delay(fmt.Errorf("claiming %s: %w", key, ctx.Err()))
		case <-time.After(every):
		}
	}
}

// deliver posts or updates, in the turn that was given on a lane, and says where the message is; with an error, as far as it got,
// in which channel that was.
func (b *Bot) deliver(ctx context.Context, m outbox.Message, p posting, turn string) (channel, ts string, err error) {
	if m.TS != "" {
		return m.Channel, m.TS, b.change(ctx, m.Channel, m.TS, p, turn)
	}
	// Slack takes a person for their direct messages and says which conversation those are; only reading needs to know before.
	channel = firstOf(p.channel, b.slack.directKnown(p.person), p.person)
	if m.Tried {
		if p.channel == "" {
			if channel, err = b.slack.direct(ctx, p.person); err != nil {
				return "", "", safe(err)
			}
		}
		ts, err := b.find(ctx, channel, p, m.FirstTriedAt)
		if err != nil {
			return channel, "", err
		}
		if ts != "" {
			return channel, ts, b.change(ctx, channel, ts, p, turn)
		}
	}
	if p.calling != nil {
		p.content = called(p.content, p.calling(ctx))
	}
	name := b.postLane(p)
	if err := b.inTurn(ctx, turn, name, posts, p); err != nil {
		return channel, "", err
	}
	to := channel
	err = b.simpler(ctx, p, func(content ...slack.MsgOption) error {
		options := append(content, slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(), metadata(p.key))
		if p.thread != "" {
			options = append(options, slack.MsgOptionTS(p.thread))
		}
		return b.pace.call(name, posts, func() error {
			at, posted, err := b.slack.api.PostMessageContext(ctx, to, options...)
			if err == nil {
				channel, ts = at, posted
			}
			return err
		})
	})
	if err == nil && p.person != "" {
		b.slack.directIs(p.person, channel)
	}
	return channel, ts, err
}

// inTurn waits for a turn on a lane, unless it is the one that was given already.
func (b *Bot) inTurn(ctx context.Context, given, name string, pace pace, p posting) error {
	if given == name {
		return nil
	}
	return b.pace.turn(ctx, name, pace, p.key, p.urgency)
}

// called is a message that mentions people as well.
func called(m message, who string) message {
	if who == "" {
		return m
	}
	return message{text: who + " " + m.text, long: who + " " + firstOf(m.long, m.text), blocks: append(slices.Clone(m.blocks), section("🔔 "+who))}
}

func (b *Bot) change(ctx context.Context, channel, ts string, p posting, turn string) error {
	if err := b.inTurn(ctx, turn, updateLane, updates, p); err != nil {
		return err
	}
	return b.simpler(ctx, p, func(content ...slack.MsgOption) error {
		options := append(content, metadata(p.key))
		return b.pace.call(updateLane, updates, func() error {
			_, _, _, err := b.slack.api.UpdateMessageContext(ctx, channel, ts, options...)
			return err
		})
	})
}

// simpler sends a message, and when Slack refuses its form, once more as text alone.
func (b *Bot) simpler(ctx context.Context, p posting, send func(...slack.MsgOption) error) error {
	err := send(slack.MsgOptionText(p.content.text, false), slack.MsgOptionBlocks(p.content.blocks...))
	if err == nil || !malformed[codeOf(err)] || ctx.Err() != nil {
		return err
	}
	reference := rand.Text()[:8]
	b.log.Error().Str("reference", reference).Str("message", p.key).Err(err).Msg("slack refused a message's form; it goes out as text")
	text := firstOf(p.content.long, p.content.text) + "\n(Shown in a simpler form; reference " + reference + ".)"
	return send(slack.MsgOptionText(text, false), slack.MsgOptionBlocks())
}

func metadata(key string) slack.MsgOption {
	return slack.MsgOptionMetadata(slack.SlackMetadata{EventType: eventType, EventPayload: map[string]any{"key": key}})
}

// find looks for a message an earlier try may have posted. Not finding it in a history that was read whole means that it
// never arrived.
func (b *Bot) find(ctx context.Context, channel string, p posting, since time.Time) (string, error) {
	// Slack's clock stamps messages and ours stamps claims.
	const skew = 2 * time.Minute
	oldest := strconv.FormatInt(since.Add(-skew).Unix(), 10) + ".000000"
	for cursor := ""; ; {
		var messages []slack.Message
		next := ""
		err := b.pace.run(ctx, readLane(p), reads, func() (err error) {
			messages, next, err = b.page(ctx, channel, p.thread, oldest, cursor)
			return err
		})
		if err != nil {
			return "", err
		}
		for _, m := range messages {
			if m.Metadata.EventType == eventType && m.Metadata.EventPayload["key"] == p.key {
				return m.Timestamp, nil
			}
		}
		if next == "" {
			return "", nil
		}
		cursor = next
	}
}

func readLane(p posting) string {
	if p.thread != "" {
		return "conversations.replies"
	}
	return "conversations.history"
}

func (b *Bot) page(ctx context.Context, channel, thread, oldest, cursor string) ([]slack.Message, string, error) {
	const limit = 200
	if thread != "" {
		messages, more, next, err := b.slack.api.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{
			ChannelID: channel, Timestamp: thread, Oldest: oldest, Cursor: cursor, Limit: limit, IncludeAllMetadata: true,
		})
		if !more {
			next = ""
		}
		return messages, next, err
	}
	h, err := b.slack.api.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{
		ChannelID: channel, Oldest: oldest, Cursor: cursor, Limit: limit, IncludeAllMetadata: true,
	})
	if err != nil {
		return nil, "", err
	}
	if h.HasMore && h.ResponseMetaData.NextCursor == "" {
		return nil, "", errors.New("slack gave a page of history without a way to the next")
	}
	return h.Messages, h.ResponseMetaData.NextCursor, nil
}
