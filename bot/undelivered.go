package bot

import (
	"errors"
	"fmt"
	"time"

	"github.com/prodaccess/prodaccess/internal/outbox"
)

// Undelivered says that a message does not show what it should, and what a retry can do about it.
type Undelivered struct {
	// After is how long to wait before the next try.
	After time.Duration
	// Permanent says that no retry helps.
	Permanent bool
	Err       error
}

// ErrInLine is in the error of a message that waits for its turn, because Slack takes no more now. Nothing went wrong.
var ErrInLine = errors.New("it waits in line")

func (u *Undelivered) Error() string {
	if u.Permanent {
		return fmt.Sprintf("not delivered, for good: %v", u.Err)
	}
	return fmt.Sprintf("not delivered, again in %s: %v", u.After, u.Err)
}

func (u *Undelivered) Unwrap() error { return u.Err }

// Pauses before a retry, by what stands in the way.
const (
	pauseBusy    = 500 * time.Millisecond
	pausePassing = 5 * time.Second // also long enough for a post that did arrive to show in the history
	pausePerson  = time.Minute     // somebody must mend a token, a scope or an invitation
)

// What Slack's error codes mean for a message.
var (
	// gone codes never come back: the message, the conversation or the person is not there any more. A channel of the configuration
	// does come back, see reach.go.
	gone = map[string]bool{
		"message_not_found": true, "thread_not_found": true, "channel_not_found": true, "is_archived": true, "is_inactive": true,
		"cant_update_message": true, "edit_window_closed": true, "user_not_found": true, "users_not_found": true, "user_disabled": true,
		"cannot_dm_bot": true, "user_not_visible": true, "cannot_dm_user": true, "messages_tab_disabled": true,
	}
	// malformed codes are about what was sent: a simpler form may pass.
	malformed = map[string]bool{
		"invalid_blocks": true, "invalid_blocks_format": true, "msg_too_long": true, "msg_blocks_too_long": true, "invalid_arguments": true,
		"no_text": true, "invalid_metadata_format": true, "invalid_metadata_schema": true, "metadata_too_large": true, "invalid_form_data": true,
	}
	// passing codes are Slack's own trouble.
	passing = map[string]bool{
		"fatal_error": true, "internal_error": true, "service_unavailable": true, "request_timeout": true, "team_added_to_org": true,
		"ratelimited": true, "rate_limited": true, "message_limit_exceeded": true, "update_failed": true, "hash_conflict": true,
	}
)

// delay turns an error on the way to Slack into when to try again.
func delay(err error) *Undelivered {
	if u, ok := errors.AsType[*Undelivered](err); ok {
		return u
	}
	if errors.Is(err, outbox.ErrBusy) {
		return &Undelivered{After: pauseBusy, Err: err}
	}
	f, ok := errors.AsType[*failure](err)
	switch {
	case !ok, f.code == "", passing[f.code]:
		u := &Undelivered{After: pausePassing, Err: err}
		if ok && f.after > 0 {
			u.After = f.after
		}
		return u
	}
	return &Undelivered{After: pausePerson, Err: err}
}
