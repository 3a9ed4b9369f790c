package app

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// health remembers which parts work, and says so once when that changes.
type health struct {
	log zerolog.Logger
	now func() time.Time

	mu    sync.Mutex
	parts map[string]state
	// serving is whether this replica takes work: from the end of Start to the beginning of Stop.
	serving bool
}

// state is what is wrong with a part, "" when nothing is, and until when that is believed; zero is until it is heard of again.
type state struct {
	wrong string
	until time.Time
}

func newHealth(log zerolog.Logger, now func() time.Time) *health {
	return &health{log: log, now: now, parts: map[string]state{}}
}

// set records whether a part works.
func (h *health) set(part string, err error) { h.setUntil(part, err, time.Time{}) }

// setUntil records whether a part works, as long as it is this replica's to know: the next look may be another's.
func (h *health) setUntil(part string, err error, until time.Time) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	h.mu.Lock()
	before, known := h.parts[part]
	h.parts[part] = state{text, until}
	h.mu.Unlock()
	switch {
	case text != "" && text != before.wrong:
		h.log.Error().Str("part", part).Str("error", text).Msg("does not work; trying again")
	case text == "" && before.wrong != "":
		h.log.Info().Str("part", part).Msg("works again")
	case text == "" && !known:
		h.log.Info().Str("part", part).Msg("works")
	}
}

// only forgets the parts whose names begin like these and that are not among them: nobody looks at them any more.
func (h *health) only(prefix string, parts []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for part := range h.parts {
		if strings.HasPrefix(part, prefix) && !slices.Contains(parts, part) {
			delete(h.parts, part)
		}
	}
}

// serve says whether this replica takes work.
func (h *health) serve(serving bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serving = serving
}

// faults are the parts that do not work, by name.
func (h *health) faults() map[string]string {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string]string{}
	for part, s := range h.parts {
		if s.wrong != "" && (s.until.IsZero() || now.Before(s.until)) {
			out[part] = s.wrong
		}
	}
	return out
}

// vital are the parts without which a replica must not get work: the store. A target or PagerDuty that does not answer
// takes no replica out, because every replica would go.
var vital = []string{"store"}

// serveReady answers a readiness probe: 200 when this replica takes work and everything vital works, 503 otherwise, and what
// does not work.
func (h *health) serveReady(w http.ResponseWriter, _ *http.Request) {
	h.mu.Lock()
	status := http.StatusOK
	if !h.serving {
		status = http.StatusServiceUnavailable
	}
	for _, part := range vital {
		if s, known := h.parts[part]; !known || s.wrong != "" {
			status = http.StatusServiceUnavailable
		}
	}
	h.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"ready": status == http.StatusOK, "faults": h.faults()})
}
