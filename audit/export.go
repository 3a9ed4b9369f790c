package audit

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Filter selects events. Zero fields select everything.
type Filter struct {
	Request string
	Grant   string
	// Person is an actor's Slack user ID, account name or e-mail address (in any case).
	Person string
	Kind   Kind
	// Refused selects refused attempts only.
	Refused bool
	// Since is inclusive, Until exclusive.
	Since, Until time.Time
	// Limit keeps the newest; 0 is 100.
	Limit int
}

// exported is one line of an export. The event is in its canonical form, so that the hash can be recomputed from the line.
type exported struct {
	Seq   int64           `json:"seq,omitempty"`
	Prev  string          `json:"prev,omitempty"`
	Hash  string          `json:"hash,omitempty"`
	Seal  string          `json:"sealed_at,omitempty"`
	Event json.RawMessage `json:"event"`
}

// Export writes the whole record as JSON lines, in the order of [Source]: each event in its canonical form, with its seal
// where it has one. A seal whose event is gone has the event null.
func Export(ctx context.Context, source Source, w io.Writer) error {
	out := bufio.NewWriter(w)
	for link, err := range source.Chain(ctx) {
		if err != nil {
			return fmt.Errorf("reading the audit chain: %w", err)
		}
		line := exported{Event: json.RawMessage("null")}
		if s := link.Seal; s != nil {
			line.Seq, line.Prev, line.Hash = s.Seq, s.Prev, s.Hash
			line.Seal = s.At.UTC().Format(time.RFC3339Nano)
		}
		if link.Event != nil {
			line.Event = Canonical(*link.Event)
		}
		if err := write(out, line); err != nil {
			return fmt.Errorf("writing the export: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing the export: %w", err)
	}
	return nil
}

// write encodes by hand around the event, because encoding/json would escape and so change its bytes.
func write(out *bufio.Writer, line exported) error {
	event := line.Event
	line.Event = json.RawMessage("0")
	envelope, err := json.Marshal(line)
	if err != nil {
		return err
	}
	for _, part := range [][]byte{envelope[:len(envelope)-len(`0}`)], event, []byte("}\n")} {
		if _, err := out.Write(part); err != nil {
			return err
		}
	}
	return nil
}
