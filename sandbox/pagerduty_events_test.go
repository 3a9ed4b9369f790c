package sandbox

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// enqueue posts an event and gives status and answer; status 0 is none.
func enqueue(t *testing.T, pd *PagerDuty, body string, contentType ...string) (int, object, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, pd.URL()+"/v2/enqueue", strings.NewReader(body))
	no(t, err)
	req.Header.Set("Content-Type", append(contentType, "application/json")[0])
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0, nil, nil
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	no(t, err)
	var answer object
	_ = json.Unmarshal(raw, &answer)
	return resp.StatusCode, answer, resp.Header
}

// pdTrigger is an event in order, with some of its keys changed; nil takes one out.
func pdTrigger(change object, payload object) string {
	p := object{"summary": "Ana broke glass", "source": "orders-prod", "severity": "critical", "custom_details": object{"who": "Ana"}}
	e := object{"routing_key": DefaultPagerDutyRoutingKey, "event_action": "trigger", "dedup_key": "k1", "payload": p}
	for into, change := range map[*object]object{&e: change, &p: payload} {
		for key, value := range change {
			if value == nil {
				delete(*into, key)
			} else {
				(*into)[key] = value
			}
		}
	}
	raw, _ := json.Marshal(e)
	return string(raw)
}

func TestIncidentsOpenAndEnd(t *testing.T) {
	t.Parallel()
	pd, now, _, _ := pager(t)
	send := func(action string) {
		t.Helper()
		event := pdTrigger(object{"event_action": action, "payload": nil}, nil)
		if action == "trigger" {
			event = pdTrigger(nil, nil)
		}
		if status, answer, _ := enqueue(t, pd, event); status != 202 || answer["status"] != "success" || answer["dedup_key"] != "k1" {
			t.Fatalf("%s: %d %v", action, status, answer)
		}
	}
	states := func() (out []string) {
		for _, one := range pd.Incidents() {
			out = append(out, one.State)
		}
		return out
	}
	for _, step := range []struct {
		action string
		want   []string
	}{
		{"resolve", nil},
		{"acknowledge", nil}, // about nothing
		{"trigger", []string{Triggered}},
		{"trigger", []string{Triggered}},
		{"acknowledge", []string{Acknowledged}},
		{"trigger", []string{Acknowledged}},
		{"resolve", []string{Resolved}},
		{"resolve", []string{Resolved}},
		{"trigger", []string{Resolved, Triggered}},
	} {
		send(step.action)
		if got := states(); !slices.Equal(got, step.want) {
			t.Fatalf("after %s: %v, want %v", step.action, got, step.want)
		}
	}
	first := pd.Incidents()[0]
	if first.Triggers != 3 || first.Key != "k1" || first.Summary != "Ana broke glass" || first.Source != "orders-prod" || first.Severity != "critical" ||
		first.Details["who"] != "Ana" || !first.Opened.Equal(now) || !first.Ended.Equal(now) {
		t.Errorf("kept as %+v", first)
	}
	if pd.Events() != 9 || pd.Requests() != 0 {
		t.Errorf("%d events, %d requests", pd.Events(), pd.Requests())
	}
	for range 2 { // each without a key is one of its own
		if status, answer, _ := enqueue(t, pd, pdTrigger(object{"dedup_key": nil}, nil)); status != 202 || answer["dedup_key"] == "" {
			t.Errorf("%d %v", status, answer)
		}
	}
	if n := len(pd.Incidents()); n != 4 {
		t.Errorf("%d incidents", n)
	}
}

func TestEventsOutOfOrderAreRefused(t *testing.T) {
	t.Parallel()
	pd, _, _, _ := pager(t)
	for _, c := range []struct{ want, event string }{
		{"'routing_key' is missing or blank", pdTrigger(object{"routing_key": nil}, nil)},
		{"Length of 'routing_key' is incorrect (should be 32 characters)", pdTrigger(object{"routing_key": "short"}, nil)},
		{"'routing_key' cannot contain non-alphanumeric characters.", pdTrigger(object{"routing_key": strings.Repeat("-", 32)}, nil)},
		{"Invalid routing key", pdTrigger(object{"routing_key": strings.Repeat("x", 32)}, nil)},
		{"'event_action' is missing or blank", pdTrigger(object{"event_action": nil}, nil)},
		{"'event_action' is invalid (must be one of: trigger, acknowledge, resolve)", pdTrigger(object{"event_action": "open"}, nil)},
		{"'dedup_key' is too long (maximum is 255 characters)", pdTrigger(object{"dedup_key": strings.Repeat("k", 256)}, nil)},
		{"'dedup_key' is missing or blank", pdTrigger(object{"event_action": "resolve", "dedup_key": nil}, nil)},
		{"'payload' is missing or blank", pdTrigger(object{"payload": nil}, nil)},
		{"'payload.summary' is missing or blank", pdTrigger(nil, object{"summary": nil})},
		{"'payload.summary' is too long (maximum is 1024 characters)", pdTrigger(nil, object{"summary": strings.Repeat("é", 1025)})},
		{"'payload.source' is missing or blank", pdTrigger(nil, object{"source": nil})},
		{"'payload.severity' is missing or blank", pdTrigger(nil, object{"severity": nil})},
		{"'payload.severity' is invalid (must be one of: critical, error, warning, info)", pdTrigger(nil, object{"severity": "bad"})},
		{"'payload.timestamp' is not a date in ISO 8601", pdTrigger(nil, object{"timestamp": "now"})},
		{`JSON is invalid: unknown field "colour"`, pdTrigger(object{"colour": "red"}, nil)},
		{"JSON is invalid: invalid character '<' looking for beginning of value", "<event>"},
	} {
		status, answer, _ := enqueue(t, pd, c.event)
		problems, _ := answer["errors"].([]any)
		if status != 400 || answer["status"] != "invalid event" || answer["message"] != "Event object is invalid" || !slices.Contains(problems, any(c.want)) {
			t.Errorf("%q: %d %v", c.want, status, answer)
		}
	}
	if status, answer, _ := enqueue(t, pd, pdTrigger(nil, nil), "text/plain"); status != 400 {
		t.Errorf("as plain text: %d %v", status, answer)
	}
	if status, _, _ := enqueue(t, pd, pdTrigger(nil, object{"custom_details": object{"x": strings.Repeat("x", 600<<10)}})); status != 413 {
		t.Errorf("too large: %d", status)
	}
	if got := pd.Incidents(); len(got) != 0 {
		t.Errorf("refused, and yet there is %+v", got)
	}
}

func TestEventsGoWrong(t *testing.T) {
	t.Parallel()
	pd, _, _, _ := pager(t)
	pd.FailEvents(Fault{Status: 429, RetryAfter: 7 * time.Second, Times: 1})
	pd.FailEvents(Fault{Status: 500, Times: 1})
	pd.FailEvents(Fault{Drop: true, Times: 1})
	pd.FailEvents(Fault{Error: "nonsense", Times: 1})
	for i, want := range []int{429, 500, 0, 200, 202} {
		status, answer, header := enqueue(t, pd, pdTrigger(nil, nil))
		if status != want {
			t.Errorf("event %d: %d %v", i, status, answer)
		}
		if status == 429 && (header.Get("Retry-After") != "7" || answer["status"] != "throttle exceeded") {
			t.Errorf("slowed down by %v %v", slices.Collect(maps.Keys(header)), answer)
		}
	}
	if status, _, _ := pdGet(t, pd, "/oncalls"); status != 200 {
		t.Errorf("who is on call: %d", status)
	}
	pd.Down(true)
	if status, _, _ := enqueue(t, pd, pdTrigger(nil, nil)); status != 0 {
		t.Errorf("down, and answers %d", status)
	}
	pd.Fail(Fault{Status: 500})
	pd.Heal()
	if status, _, _ := enqueue(t, pd, pdTrigger(nil, nil)); status != 202 {
		t.Errorf("healed: %d", status)
	}
	if pd.RoutingKey() != DefaultPagerDutyRoutingKey || len(pd.RoutingKey()) != 32 {
		t.Errorf("the key is %q", pd.RoutingKey())
	}
}
