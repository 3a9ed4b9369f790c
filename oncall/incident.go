package oncall

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/PagerDuty/go-pagerduty"

	"github.com/prodaccess/prodaccess/internal/secret"
)

const (
	defaultEventsURL     = "https://events.pagerduty.com"
	defaultEventsTimeout = 10 * time.Second
	// longestSummary is the most PagerDuty takes, in characters.
	longestSummary = 1024
)

// IncidentsConfig is what opening incidents needs.
type IncidentsConfig struct {
	// RoutingKey is the integration key of a service's "Events API v2".
	RoutingKey secret.String
	// EventsURL is https://events.pagerduty.com when empty. Plain http is accepted for loopback only, unless AllowPlainText.
	EventsURL      string
	AllowPlainText bool
	// HTTPClient may be nil. A client of one's own should not follow redirects, which would carry the key along.
	HTTPClient *http.Client
	// Timeout bounds one call: 0 means 10 s; at most 30 s.
	Timeout time.Duration
}

// Incident is broken glass, as those who are woken read it.
type Incident struct {
	// Request is the id by which the incident is found again.
	Request string
	// Who has the access, as a name and an address.
	Who, Email string
	// Target is where, Access which profile.
	Target, Access string
	// At is when glass was broken, For how long access lasts once it is taken, Until its deadline, zero while nobody took it.
	At, Until time.Time
	For       time.Duration
	// Reason and Ticket are the person's own words.
	Reason, Ticket string
	// ReviewBy is when the review is due.
	ReviewBy time.Time
}

// Incidents opens and resolves incidents by PagerDuty's Events API v2. It is safe for concurrent use. Both calls may be
// repeated: PagerDuty knows an incident by the request.
type Incidents struct {
	url     string
	key     secret.String
	http    *http.Client
	timeout time.Duration
}

// NewIncidents makes no call: an unreachable PagerDuty must not keep the process from starting.
func NewIncidents(cfg IncidentsConfig) (*Incidents, error) {
	if cfg.RoutingKey.Empty() {
		return nil, errors.New("preparing PagerDuty incidents: they need a routing key")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultEventsTimeout
	}
	if cfg.Timeout < 0 || cfg.Timeout > 30*time.Second {
		return nil, fmt.Errorf("preparing PagerDuty incidents: the timeout must be at most 30 s, not %s", cfg.Timeout)
	}
	if cfg.EventsURL == "" {
		cfg.EventsURL = defaultEventsURL
	}
	base, err := checkBase(cfg.EventsURL, defaultEventsURL, cfg.AllowPlainText)
	if err != nil {
		return nil, fmt.Errorf("preparing PagerDuty incidents: %w", err)
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = newHTTPClient(cfg.Timeout)
	}
	return &Incidents{url: base, key: cfg.RoutingKey, http: cfg.HTTPClient, timeout: cfg.Timeout}, nil
}

// Close drops idle connections.
func (i *Incidents) Close() { i.http.CloseIdleConnections() }

// Open wakes whoever is on call for the service. An error is a *[Failure].
func (i *Incidents) Open(ctx context.Context, in Incident) error {
	details := map[string]string{
		"request": in.Request, "who": in.Who, "email": in.Email, "target": in.Target, "access": in.Access,
		"broken_at": instant(in.At), "lasts": in.For.String(), "until": "not taken yet", "reason": in.Reason, "review_due": instant(in.ReviewBy),
	}
	if !in.Until.IsZero() {
		details["until"] = instant(in.Until)
	}
	if in.Ticket != "" {
		details["ticket"] = in.Ticket
	}
	return i.send(ctx, pagerduty.V2Event{
		Action: "trigger", DedupKey: dedupKey(in.Request), Client: "prodaccess",
		Payload: &pagerduty.V2Payload{
			Summary:  shorten(fmt.Sprintf("%s broke glass: %s on %s. %s", in.Who, in.Access, in.Target, in.Reason), longestSummary),
			Severity: "critical", Source: in.Target, Component: "prodaccess", Class: "break-glass", Timestamp: instant(in.At), Details: details,
		},
	})
}

// Resolve ends the incident of a request. That there is none, or that it is resolved already, is success.
func (i *Incidents) Resolve(ctx context.Context, request string) error {
	return i.send(ctx, pagerduty.V2Event{Action: "resolve", DedupKey: dedupKey(request)})
}

func dedupKey(request string) string { return "prodaccess-break-glass-" + request }

func (i *Incidents) send(ctx context.Context, event pagerduty.V2Event) error {
	ctx, cancel := context.WithTimeout(ctx, i.timeout)
	defer cancel()
	event.RoutingKey = i.key.Reveal()
	// One client for each call, which costs nothing, so that what PagerDuty answered can be told to this call.
	heard := &listener{client: bounded{i.http}}
	api := pagerduty.NewClient("", pagerduty.WithV2EventsAPIEndpoint(i.url))
	api.HTTPClient = heard
	answer, err := api.ManageEventWithContext(ctx, &event)
	if err == nil && heard.status == http.StatusAccepted && answer.Status == "success" {
		return nil
	}
	return heard.failure(ctx)
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// shorten cuts a text to so many characters at most, and drops what is no text.
func shorten(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}
