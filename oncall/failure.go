package oncall

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Why is why PagerDuty was not told something. The list is closed.
type Why string

// The reasons. Each completes "PagerDuty was not told: …".
const (
	// These pass, and it is worth trying again.
	Unreachable Why = "it could not be reached"
	Late        Why = "it did not answer in time"
	Busy        Why = "it asks us to slow down"
	Faulty      Why = "it has a fault of its own"
	Garbled     Why = "its answer could not be understood"
	// These need a person.
	BadKey  Why = "it does not accept the routing key"
	Refused Why = "it refuses what we say"
)

// Failure says why PagerDuty was not told. It holds nothing of what was sent or answered, which could be the key.
type Failure struct {
	Why Why
	// Status is PagerDuty's, 0 when there was no answer.
	Status int
	// After is how long PagerDuty asks to wait; 0 when it does not say.
	After time.Duration
}

// Error implements error.
func (f *Failure) Error() string {
	if f.Status == 0 {
		return "PagerDuty was not told: " + string(f.Why)
	}
	return "PagerDuty was not told: " + string(f.Why) + " (" + strconv.Itoa(f.Status) + ")"
}

// Passing says whether trying again may help.
func (f *Failure) Passing() bool { return f.Why != BadKey && f.Why != Refused }

const (
	// mostSaid is how much of a refusal is read, to find out what it is about.
	mostSaid = 64 << 10
	// longestWait bounds what is believed of how long to wait.
	longestWait = 10 * time.Minute
)

// listener is a client for one call that remembers what came back: the library keeps neither the headers nor, of this API,
// the body of a refusal.
type listener struct {
	client bounded
	status int
	header http.Header
	said   []byte
}

// Do implements pagerduty.HTTPClient.
func (l *listener) Do(request *http.Request) (*http.Response, error) {
	response, err := l.client.Do(request)
	if err != nil {
		return nil, err
	}
	l.status, l.header = response.StatusCode, response.Header
	if l.status >= 300 {
		l.said, _ = io.ReadAll(io.LimitReader(response.Body, mostSaid))
		_ = response.Body.Close()
		response.Body = io.NopCloser(bytes.NewReader(l.said))
	}
	return response, nil
}

// failure judges a call that did not succeed. See "API Response Codes & Retry Logic" in PagerDuty's documentation: 400 is
// for good, 429 and everything from 500 pass.
func (l *listener) failure(ctx context.Context) *Failure {
	out := &Failure{Status: l.status, After: wanted(l.header.Get("Retry-After"), time.Now())}
	switch {
	case l.status == 0 && ctx.Err() != nil:
		out.Why = Late
	case l.status == 0:
		out.Why = Unreachable
	case l.status == http.StatusTooManyRequests:
		out.Why = Busy
	case l.status >= 500:
		out.Why = Faulty
	case l.status == http.StatusRequestTimeout:
		out.Why = Late
	case l.status < 300:
		out.Why = Garbled
	case l.status == http.StatusUnauthorized, l.status == http.StatusForbidden, l.status == http.StatusBadRequest && aboutKey(l.said):
		out.Why = BadKey
	default:
		out.Why = Refused
	}
	return out
}

// aboutKey says whether a refusal is about the routing key: "Length of 'routing_key' is incorrect", "Invalid routing key".
func aboutKey(said []byte) bool {
	return strings.Contains(strings.ReplaceAll(strings.ToLower(string(said)), "_", " "), "routing key")
}

// wanted reads a Retry-After header, in seconds or as an instant.
func wanted(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return min(max(time.Duration(seconds), 0), longestWait/time.Second) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), longestWait)
	}
	return 0
}
