package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/prodaccess/prodaccess/internal/outbox"
	"github.com/slack-go/slack"
)

// A channel of the configuration that cannot be written to is somebody's slip, and is mended in Slack: it is brought back from the
// archive, or prodaccess is invited. Until then its messages are tried again, and what must not go unseen is shown elsewhere.

// unreachable codes are about a whole channel. For one of the configuration they mean "not now".
var unreachable = map[string]bool{
	"channel_not_found": true, "not_in_channel": true, "is_archived": true, "is_inactive": true, "access_denied": true, "restricted_action": true,
	"restricted_action_read_only_channel": true, "restricted_action_thread_only_channel": true, "restricted_action_non_threadable_channel": true,
}

// reach remembers which channels of the configuration this replica could not write to when it last tried.
type reach struct {
	mu   sync.Mutex
	lost map[string]error
}

// learn records how writing to a channel went, and says whether that is news.
func (r *reach) learn(channel string, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost == nil {
		r.lost = map[string]error{}
	}
	before := r.lost[channel]
	if err == nil {
		delete(r.lost, channel)
	} else {
		r.lost[channel] = err
	}
	return (before == nil) != (err == nil)
}

// why is what stood in the way of a channel; nil when nothing did.
func (r *reach) why(channel string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost[channel]
}

// configured names a channel of the configuration; any other has no name.
func (b *Bot) configured(channel string) string {
	switch channel {
	case b.securityChannel:
		return "security"
	case b.auditChannel:
		return "audit"
	case b.approvalsChannel:
		return "approvals"
	}
	return ""
}

// mended says whether a message that was given up because of its channel is taken up again: because the channel is one of the
// configuration now, and was not then. What somebody deleted stays gone, and so does what stands in a former channel.
func (b *Bot) mended(m outbox.Message, p posting) bool {
	return unreachable[m.Why] && b.configured(firstOf(m.Channel, p.channel)) != ""
}

// learn takes from the outcome of a drawing whether a channel of the configuration can be written to. What changes is logged once.
func (b *Bot) learn(channel string, err error) {
	name := b.configured(channel)
	if name == "" || (err != nil && !unreachable[codeOf(err)]) || !b.reach.learn(channel, err) {
		return
	}
	if b.channelWorks != nil {
		b.channelWorks(name, err)
	}
	if err == nil {
		b.log.Info().Str("channel", channel).Msg("the " + name + " channel can be written to again")
		return
	}
	b.log.Error().Str("channel", channel).Err(err).Msg("the " + name + " channel CANNOT BE WRITTEN TO: bring it back from the archive, invite prodaccess, or configure another; its messages wait")
}

func standInKey(key string) string { return "stand-in:" + key }

// loud is keep for messages of the security channel that must not go unseen. While that channel cannot be written to, each of them
// has one stand-in in the next channel that can be; the error says that the message itself is still due.
func (b *Bot) loud(ctx context.Context, p posting) error { return b.heard(ctx, p, b.keep(ctx, p)) }

// heard looks after the stand-in of a loud message whose drawing came to err.
func (b *Bot) heard(ctx context.Context, p posting, err error) error {
	switch {
	case err == nil:
		return b.standDown(ctx, p)
	case !unreachable[codeOf(err)]:
		return err
	}
	stead := p
	// Even versions show the message and odd ones that it is where it belongs, so that either can follow the other.
	stead.key, stead.version, stead.thread = standInKey(p.key), 2*p.version, ""
	stead.content = b.instead(p.content, err)
	return sooner(err, b.standIn(ctx, stead))
}

// standIn keeps a stand-in in the first channel that takes it.
func (b *Bot) standIn(ctx context.Context, p posting) error {
	var err error
	for _, channel := range slices.Compact([]string{b.auditChannel, b.approvalsChannel}) {
		if channel == b.securityChannel {
			continue
		}
		p.channel = channel
		if err = b.keep(ctx, p); !unreachable[codeOf(err)] {
			return err
		}
	}
	if err != nil {
		b.log.Error().Str("message", p.key).Err(err).Msg("NOBODY SEES this message: no channel of the configuration can be written to")
	}
	return err
}

// standDown says at a stand-in, if there is one, that the message is where it belongs.
func (b *Bot) standDown(ctx context.Context, p posting) error {
	key := standInKey(p.key)
	stead, err := b.outbox.Message(ctx, key)
	switch {
	case errors.Is(err, outbox.ErrNoMessage):
		return nil
	case err != nil:
		return delay(fmt.Errorf("reading where %s is: %w", key, err))
	case stead.TS == "" || stead.Version%2 == 1:
		return nil
	}
	words := "✅ <#" + b.securityChannel + "> can be reached again, and what stood here is there."
	return b.keep(ctx, posting{
		key: key, version: 2*p.version + 1, channel: stead.Channel, content: message{text: words, blocks: []slack.Block{section(words)}},
	})
}

// instead is a message with words before it that say why it is not where it belongs.
func (b *Bot) instead(m message, err error) message {
	why := "prodaccess is not in it"
	switch codeOf(err) {
	case "is_archived":
		why = "it is archived"
	case "is_inactive":
		why = "it is frozen"
	case "access_denied", "restricted_action", "restricted_action_read_only_channel", "restricted_action_thread_only_channel", "restricted_action_non_threadable_channel":
		why = "prodaccess may not post in it"
	}
	words := "⚠️ The security channel <#" + b.securityChannel + "> cannot be reached: " + why + ". This is shown here until somebody mends that."
	return message{text: words + "\n" + m.text, long: words + "\n" + firstOf(m.long, m.text), blocks: append([]slack.Block{section(words)}, m.blocks...)}
}
