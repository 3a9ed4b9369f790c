// Package outbox is the memory of what was posted to Slack: one row for each message that prodaccess keeps true.
//
// Slack offers no idempotent post. A message is therefore claimed before it is posted and its timestamp is recorded
// after; a claim without a timestamp means that the post may or may not have arrived, and whoever claims it next looks
// in the channel for a message carrying the row's key before posting again. A claim is a lease: two workers never draw
// one message at the same time, and a worker that dies gives it up by time.
package outbox

import (
	"errors"
	"time"
)

// Message is one message that prodaccess keeps true.
type Message struct {
	// Key identifies the message for ever, for example "card:<request>" or "digest:<instant>".
	Key string
	// Channel and TS are Slack's address of the message; TS is empty until a post is known to have arrived.
	Channel, TS string
	// Tried says that an earlier claim ended without recording a timestamp: look before posting.
	Tried bool
	// Version is the version of the state the message shows now; 0 when it was never posted.
	Version int64
	// Gone says that the message can never be drawn again (deleted, channel archived, person left), and Why is Slack's code.
	Gone bool
	Why  string
	// FirstTriedAt is when the first claim was taken, the oldest instant a lost post can carry.
	FirstTriedAt time.Time
}

// ErrNoMessage means that nobody ever claimed a message with that key.
var ErrNoMessage = errors.New("outbox: no such message")

// ErrBusy means that another worker holds the message's claim: try again shortly.
var ErrBusy = errors.New("outbox: message is being drawn by another worker")

// Home is somebody's Home tab that may be out of date.
type Home struct {
	User string
	// Shows stands for what it showed when it was last drawn.
	Shows string
	// StaleAt is the last instant at which something changed.
	StaleAt time.Time
}
