package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// DefaultPagerDutyRoutingKey is the integration key a [PagerDuty] takes unless its options say otherwise.
const DefaultPagerDutyRoutingKey = "sandbox0pagerduty0routing0key000"

// largestEvent is the most PagerDuty takes, in bytes.
const largestEvent = 512 << 10

// The states of an [Incident].
const (
	Triggered    = "triggered"
	Acknowledged = "acknowledged"
	Resolved     = "resolved"
)

// Incident is what events with one dedup_key came to. A trigger after it was resolved opens another one.
type Incident struct {
	Key                       string // dedup_key
	State                     string
	Summary, Source, Severity string
	Details                   map[string]any // custom_details
	Triggers                  int            // how many triggers it took together
	Opened, Ended             time.Time
}

// Incidents lists every incident there ever was, oldest first.
func (pd *PagerDuty) Incidents() []Incident {
	pd.mu.Lock()
	defer pd.mu.Unlock()
	return slices.Clone(pd.incidents)
}

// RoutingKey is the integration key that events are taken with.
func (pd *PagerDuty) RoutingKey() string { return pd.opts.RoutingKey }

// FailEvents makes events go wrong, and leaves who is on call alone; see [Fault] and [PagerDuty.Fail]. Status 429 answers as
// PagerDuty does.
func (pd *PagerDuty) FailEvents(f Fault) {
	pd.mu.Lock()
	defer pd.mu.Unlock()
	pd.eventFaults = append(pd.eventFaults, &f)
}

var alphanumeric = regexp.MustCompile(`^[0-9A-Za-z]*$`)

// event is the body of POST /v2/enqueue. PagerDuty passes over fields it does not know; here they are refused, because they
// are mistakes.
type event struct {
	RoutingKey string  `json:"routing_key"`
	Action     string  `json:"event_action"`
	DedupKey   string  `json:"dedup_key"`
	Client     string  `json:"client"`
	ClientURL  string  `json:"client_url"`
	Images     []any   `json:"images"`
	Links      []any   `json:"links"`
	Payload    *detail `json:"payload"`
}

type detail struct {
	Summary   string         `json:"summary"`
	Source    string         `json:"source"`
	Severity  string         `json:"severity"`
	Timestamp string         `json:"timestamp"`
	Component string         `json:"component"`
	Group     string         `json:"group"`
	Class     string         `json:"class"`
	Details   map[string]any `json:"custom_details"`
}

// enqueue serves POST /v2/enqueue of PagerDuty's Events API v2.
func (pd *PagerDuty) enqueue(w http.ResponseWriter, r *http.Request) {
	fault, down := pd.countEvent()
	switch {
	case down:
		hangUp(w)
		return
	case fault != nil && fault.Status == http.StatusTooManyRequests && fault.Error == "" && !fault.Drop:
		if fault.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(fault.RetryAfter/time.Second)))
		}
		sayEvent(w, http.StatusTooManyRequests, object{
			"status": "throttle exceeded", "message": "Requests for this service are arriving too quickly.  Please retry later.",
		})
		return
	case fault != nil && pd.suffer(w, r, fault):
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, largestEvent+1))
	if err != nil {
		return
	}
	if len(body) > largestEvent {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	var e event
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	problems := []string{}
	if err := decoder.Decode(&e); err != nil {
		problems = append(problems, "JSON is invalid: "+strings.TrimPrefix(err.Error(), "json: "))
	} else {
		problems = e.problems(pd.opts.RoutingKey)
	}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		problems = append(problems, "Content-Type must be application/json")
	}
	if len(problems) > 0 {
		sayEvent(w, http.StatusBadRequest, object{"status": "invalid event", "message": "Event object is invalid", "errors": problems})
		return
	}
	sayEvent(w, http.StatusAccepted, object{"status": "success", "message": "Event processed", "dedup_key": pd.take(e)})
}

func sayEvent(w http.ResponseWriter, status int, answer object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// problems says everything that PagerDuty would have against an event.
func (e event) problems(key string) []string {
	out := []string{}
	wrong := func(is bool, format string, values ...any) {
		if is {
			out = append(out, fmt.Sprintf(format, values...))
		}
	}
	required := func(name, value string) { wrong(value == "", "'%s' is missing or blank", name) }
	required("routing_key", e.RoutingKey)
	wrong(e.RoutingKey != "" && len(e.RoutingKey) != 32, "Length of 'routing_key' is incorrect (should be 32 characters)")
	wrong(!alphanumeric.MatchString(e.RoutingKey), "'routing_key' cannot contain non-alphanumeric characters.")
	wrong(len(out) == 0 && e.RoutingKey != key, "Invalid routing key")
	required("event_action", e.Action)
	wrong(e.Action != "" && !slices.Contains([]string{"trigger", "acknowledge", "resolve"}, e.Action), "'event_action' is invalid (must be one of: trigger, acknowledge, resolve)")
	wrong(utf8.RuneCountInString(e.DedupKey) > 255, "'dedup_key' is too long (maximum is 255 characters)")
	if e.Action != "trigger" {
		required("dedup_key", e.DedupKey)
		return out
	}
	if e.Payload == nil {
		return append(out, "'payload' is missing or blank")
	}
	required("payload.summary", e.Payload.Summary)
	wrong(utf8.RuneCountInString(e.Payload.Summary) > 1024, "'payload.summary' is too long (maximum is 1024 characters)")
	required("payload.source", e.Payload.Source)
	required("payload.severity", e.Payload.Severity)
	wrong(e.Payload.Severity != "" && !slices.Contains([]string{"critical", "error", "warning", "info"}, e.Payload.Severity),
		"'payload.severity' is invalid (must be one of: critical, error, warning, info)")
	if e.Payload.Timestamp != "" {
		_, err := time.Parse(time.RFC3339, e.Payload.Timestamp)
		wrong(err != nil, "'payload.timestamp' is not a date in ISO 8601")
	}
	return out
}

// countEvent notes an event and takes the fault that is next.
func (pd *PagerDuty) countEvent() (fault *Fault, down bool) {
	pd.mu.Lock()
	defer pd.mu.Unlock()
	pd.events++
	return nextFault(&pd.eventFaults), pd.down
}

// Events is how many events came, refused ones included.
func (pd *PagerDuty) Events() int {
	pd.mu.Lock()
	defer pd.mu.Unlock()
	return pd.events
}

// take is what an event that is in order does. One that is about nothing does nothing, and is taken all the same.
func (pd *PagerDuty) take(e event) (key string) {
	pd.mu.Lock()
	defer pd.mu.Unlock()
	now := pd.opts.Now()
	key = e.DedupKey
	if key == "" {
		key = fmt.Sprintf("%032x", len(pd.incidents)+1)
	}
	var open *Incident
	for i := range pd.incidents {
		if one := &pd.incidents[i]; one.Key == key && one.State != Resolved {
			open = one
		}
	}
	switch {
	case e.Action == "trigger" && open == nil:
		pd.incidents = append(pd.incidents, Incident{
			Key: key, State: Triggered, Summary: e.Payload.Summary, Source: e.Payload.Source, Severity: e.Payload.Severity,
			Details: e.Payload.Details, Triggers: 1, Opened: now,
		})
	case e.Action == "trigger":
		open.Triggers++
	case open == nil:
	case e.Action == "acknowledge":
		open.State = Acknowledged
	case e.Action == "resolve":
		open.State, open.Ended = Resolved, now
	}
	return key
}
