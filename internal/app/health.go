package app

import (
	"encoding/json"
	"net/http"
	"sync"

	"github.com/rs/zerolog"
)

// health remembers which parts work, and says so once when that changes.
type health struct {
	log   zerolog.Logger
	mu    sync.Mutex
	parts map[string]string // what is wrong, "" when nothing is
}

func newHealth(log zerolog.Logger) *health { return &health{log: log, parts: map[string]string{}} }

// set records whether a part works.
func (h *health) set(part string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	h.mu.Lock()
	before, known := h.parts[part]
	h.parts[part] = text
	h.mu.Unlock()
	switch {
	case text != "" && text != before:
		h.log.Error().Str("part", part).Str("error", text).Msg("does not work; trying again")
	case text == "" && before != "":
		h.log.Info().Str("part", part).Msg("works again")
	case text == "" && !known:
		h.log.Info().Str("part", part).Msg("works")
	}
}

// faults are the parts that do not work, by name.
func (h *health) faults() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string]string{}
	for part, text := range h.parts {
		if text != "" {
			out[part] = text
		}
	}
	return out
}

// vital are the parts without which a replica must not get work: the store. A target or PagerDuty that does not answer
// takes no replica out, because every replica would go.
var vital = []string{"store"}

// serveReady answers a readiness probe: 200 when everything vital works, 503 otherwise, and what does not work.
func (h *health) serveReady(w http.ResponseWriter, _ *http.Request) {
	h.mu.Lock()
	status := http.StatusOK
	for _, part := range vital {
		if text, known := h.parts[part]; !known || text != "" {
			status = http.StatusServiceUnavailable
		}
	}
	h.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"ready": status == http.StatusOK, "faults": h.faults()})
}
