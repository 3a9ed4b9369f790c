package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/prodaccess/prodaccess/audit"
)

// Go's zero values stand for SQL's NULL in both directions: moment for instants, word for texts.

// moment is a time.Time whose zero value is NULL.
type moment time.Time

// ScanTimestamptz implements pgtype.TimestamptzScanner.
func (m *moment) ScanTimestamptz(v pgtype.Timestamptz) error {
	if !v.Valid {
		*m = moment{}
		return nil
	}
	if v.InfinityModifier != pgtype.Finite {
		return fmt.Errorf("scanning an instant: it is %s", v.InfinityModifier)
	}
	*m = moment(v.Time.UTC())
	return nil
}

// TimestamptzValue implements pgtype.TimestamptzValuer.
func (m moment) TimestamptzValue() (pgtype.Timestamptz, error) {
	t := time.Time(m)
	return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()}, nil
}

// word is a string whose zero value is NULL.
type word string

// ScanText implements pgtype.TextScanner.
func (w *word) ScanText(v pgtype.Text) error {
	*w = word(v.String)
	return nil
}

// TextValue implements pgtype.TextValuer.
func (w word) TextValue() (pgtype.Text, error) {
	return pgtype.Text{String: string(w), Valid: w != ""}, nil
}

// text makes a string something that Postgres can keep.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// cut brings instants to what the store keeps.
func cut(instants ...*time.Time) {
	for _, t := range instants {
		*t = audit.Cut(*t)
	}
}

// document encodes a value for a jsonb column, which refuses the escape of NUL that encoding/json writes.
func document(v any) (string, error) {
	encoded, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encoding: %w", err)
	}
	if !bytes.Contains(encoded, []byte(`\u0000`)) {
		return string(encoded), nil
	}
	out := make([]byte, 0, len(encoded))
	for i := 0; i < len(encoded); i++ {
		if encoded[i] != '\\' {
			out = append(out, encoded[i])
			continue
		}
		if bytes.HasPrefix(encoded[i:], []byte(`\u0000`)) {
			out = append(out, `\ufffd`...)
			i += len(`\u0000`) - 1
			continue
		}
		out = append(out, encoded[i], encoded[i+1]) // an escape is a pair at least
		i++
	}
	return string(out), nil
}

// settle makes a value what a later read will give: encoded and decoded once.
func settle[T any](v T) (T, string, error) {
	encoded, err := document(v)
	if err != nil {
		return v, "", err
	}
	var out T
	if err := json.Unmarshal([]byte(encoded), &out); err != nil {
		return v, "", fmt.Errorf("decoding: %w", err)
	}
	return out, encoded, nil
}

// clone copies what a pointer points to, so that whoever gets it cannot change the original.
func clone[T any](v *T) *T {
	if v == nil {
		return nil
	}
	out := *v
	return &out
}
