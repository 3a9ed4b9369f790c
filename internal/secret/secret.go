// Package secret holds values that must not be printed: administrator URLs, tokens, passwords.
//
// A [String] keeps its text behind a pointer in an unexported field, so that no verb of fmt, no JSON or text
// encoder, no structured logger and no reflective dump of a struct that contains one shows it. A plain
// `type Secret string` would leak through an unexported field, because fmt does not call methods there.
// The only way to the text is [String.Reveal]; searching for that name finds every use.
package secret

import (
	"fmt"
	"io"
)

// Redacted stands wherever a secret would have been printed.
const Redacted = "[secret]"

// String is one secret text. The zero value is the empty secret.
type String struct{ p *string }

// New wraps text. The empty text gives the zero value, so two empty secrets compare equal.
func New(text string) String {
	if text == "" {
		return String{}
	}
	return String{p: &text}
}

// Reveal returns the text. Call it at the place that needs it, never to pass the text on.
func (s String) Reveal() string {
	if s.p == nil {
		return ""
	}
	return *s.p
}

// Empty says whether there is no text.
func (s String) Empty() bool { return s.p == nil }

// Format implements fmt.Formatter for every verb, %#v and %x included.
func (s String) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// String implements fmt.Stringer.
func (s String) String() string { return Redacted }

// GoString implements fmt.GoStringer.
func (s String) GoString() string { return Redacted }

// MarshalText implements encoding.TextMarshaler, which encoding/json uses too.
func (s String) MarshalText() ([]byte, error) { return []byte(Redacted), nil }
