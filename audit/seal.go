package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Genesis is what the first seal follows.
var Genesis = strings.Repeat("0", hex.EncodedLen(sha256.Size))

// Seal is one link of the chain: the proof that an event was there, in this form, before every later one was sealed.
type Seal struct {
	// Seq counts the seals from 1, without a gap.
	Seq int64 `json:"seq"`
	// Event is the id of the event it covers.
	Event int64 `json:"event"`
	// Prev is the hash of the seal before, [Genesis] for the first. Hash is [Hash] of Prev and the event.
	Prev string    `json:"prev"`
	Hash string    `json:"hash"`
	At   time.Time `json:"at"`
}

// Hash chains one event to the seal before it: the SHA-256, in lower-case hex, of prev, a line feed and [Canonical] of the
// event. Anybody can check it without this program:
//
//	printf '%s\n%s' "$prev" "$event" | sha256sum
func Hash(prev string, e Event) string {
	h := sha256.New()
	h.Write([]byte(prev))
	h.Write([]byte{'\n'})
	h.Write(Canonical(e))
	return hex.EncodeToString(h.Sum(nil))
}

// Append makes the seals of events, in their order, after the given head.
func Append(head Head, events []Event, at time.Time) []Seal {
	prev := head.Hash
	if head.Seq == 0 {
		prev = Genesis
	}
	seals := make([]Seal, 0, len(events))
	for i, e := range events {
		hash := Hash(prev, e)
		seals = append(seals, Seal{Seq: head.Seq + int64(i) + 1, Event: e.ID, Prev: prev, Hash: hash, At: Cut(at)})
		prev = hash
	}
	return seals
}
