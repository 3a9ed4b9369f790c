package bot

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"

	"github.com/prodaccess/prodaccess/approvals"
)

// words turns an error into what its actor is told, and says what the log calls the outcome. A refusal has its own words; anything
// else becomes a reference, and the error goes to the log under it.
func (b *Bot) words(err error) (text, outcome string) {
	if refusal, ok := errors.AsType[*approvals.Refusal](err); ok {
		text := mrkdwn(refusal.Words, 1500)
		if !refusal.When.IsZero() {
			text = strings.ReplaceAll(text, approvals.Instant(refusal.When), at(refusal.When))
		}
		return text, "refused: " + string(refusal.Code)
	}
	if errors.Is(err, approvals.ErrNotFound) {
		return "There is no such request.", "refused: not-found"
	}
	reference := rand.Text()[:8]
	b.log.Error().Str("reference", reference).Err(err).Msg("an act failed")
	if errors.Is(err, context.DeadlineExceeded) {
		return "That took too long on our side (reference " + reference + "). It may or may not have happened: look at the card before you try again.",
			"failed: too slow " + reference
	}
	return "Something went wrong on our side (reference " + reference + "). Try again; if it stays, give your administrators the reference.",
		"failed: " + reference
}

func refusalOf(err error) (*approvals.Refusal, bool) { return errors.AsType[*approvals.Refusal](err) }

var (
	errNoGrant  = errors.New("bot: the service activated a request without a grant")
	errPanicked = errors.New("bot: the service panicked")
)
