package oncall

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/PagerDuty/go-pagerduty"
	"golang.org/x/sync/singleflight"

	"github.com/prodaccess/prodaccess/internal/secret"
)

const (
	// longestCache is the longest an answer may be kept.
	longestCache = time.Minute
	// failureCache is how long a failure is kept, so that a burst does not make a slow source slower.
	failureCache = 3 * time.Second

	defaultTimeout = 2 * time.Second
	defaultBaseURL = "https://api.pagerduty.com"
)

// Config is what a PagerDuty roster needs.
type Config struct {
	// Token is a REST API key; one that may only read is enough.
	Token secret.String
	// BaseURL is https://api.pagerduty.com when empty. Plain http is accepted for loopback only, unless AllowPlainText.
	BaseURL        string
	AllowPlainText bool
	// HTTPClient may be nil. A client of one's own should not follow redirects, which would carry the token along.
	HTTPClient *http.Client
	// Overrides name a PagerDuty user ID for an e-mail address, for people whose addresses differ there.
	Overrides map[string]string
	// Now is the clock; never nil.
	Now func() time.Time
	// CacheFor is how long an answer is kept: 0 means a minute, which is also the most.
	CacheFor time.Duration
	// Timeout bounds one look-up, all its pages included: 0 means 2 s; at most 30 s.
	Timeout time.Duration
}

// PagerDuty is the roster PagerDuty keeps.
type PagerDuty struct {
	client    *client
	http      *http.Client
	overrides map[string]string
	// addresses are the overrides the other way round.
	addresses map[string]string
	now       func() time.Time
	cacheFor  time.Duration

	flight singleflight.Group
	mu     sync.Mutex
	kept   map[string]kept
}

// kept is an answer with when it was asked for.
type kept struct {
	answer
	at time.Time
}

// NewPagerDuty makes a roster. It makes no call: an unreachable PagerDuty must not keep the process from starting.
func NewPagerDuty(cfg Config) (*PagerDuty, error) {
	if cfg.Now == nil {
		return nil, fmt.Errorf("making the PagerDuty roster: it needs a clock")
	}
	if cfg.Token.Empty() {
		return nil, fmt.Errorf("making the PagerDuty roster: it needs a token")
	}
	if cfg.CacheFor == 0 {
		cfg.CacheFor = longestCache
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.CacheFor < 0 || cfg.CacheFor > longestCache {
		return nil, fmt.Errorf("making the PagerDuty roster: an answer may be kept for at most %s, not %s", longestCache, cfg.CacheFor)
	}
	if cfg.Timeout < 0 || cfg.Timeout > 30*time.Second {
		return nil, fmt.Errorf("making the PagerDuty roster: the timeout must be at most 30 s, not %s", cfg.Timeout)
	}
	if cfg.BaseURL == "" {
		cfg.BaseURL = defaultBaseURL
	}
	base, err := checkBase(cfg.BaseURL, defaultBaseURL, cfg.AllowPlainText)
	if err != nil {
		return nil, fmt.Errorf("making the PagerDuty roster: %w", err)
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = newHTTPClient(cfg.Timeout)
	}
	api := pagerduty.NewClient(cfg.Token.Reveal(), pagerduty.WithAPIEndpoint(base))
	api.HTTPClient = bounded{cfg.HTTPClient}
	p := &PagerDuty{
		client: &client{api: api, timeout: cfg.Timeout, ahead: cfg.CacheFor}, http: cfg.HTTPClient, now: cfg.Now,
		overrides: map[string]string{}, addresses: map[string]string{}, cacheFor: cfg.CacheFor, kept: map[string]kept{},
	}
	for _, email := range slices.Sorted(maps.Keys(cfg.Overrides)) {
		p.overrides[lower(email)] = cfg.Overrides[email]
		p.addresses[cfg.Overrides[email]] = lower(email)
	}
	return p, nil
}

// newHTTPClient follows no redirects, which would carry a secret along.
func newHTTPClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 2, IdleConnTimeout: 90 * time.Second,
			TLSHandshakeTimeout: timeout, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// checkBase says what an API's address must be, for example like. The error does not repeat it, since it may hold a password.
func checkBase(text, like string, allowPlainText bool) (string, error) {
	base, err := url.Parse(text)
	if err != nil || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return "", fmt.Errorf("its address must look like %s", like)
	}
	switch ip := net.ParseIP(base.Hostname()); {
	case base.Scheme == "https":
	case base.Scheme == "http" && (allowPlainText || base.Hostname() == "localhost" || ip != nil && ip.IsLoopback()):
	default:
		return "", fmt.Errorf("its address must begin with https://, because a secret travels there")
	}
	for len(text) > 0 && text[len(text)-1] == '/' {
		text = text[:len(text)-1]
	}
	return text, nil
}

// OnCall implements [Roster].
func (p *PagerDuty) OnCall(ctx context.Context, schedule Schedule, email string) Status {
	return p.learn(ctx, schedule.ID).status(schedule, "pagerduty "+schedule.ID, email, p.overrides[lower(email)], p.now())
}

// Rota implements [Roster].
func (p *PagerDuty) Rota(ctx context.Context, schedule Schedule) Rota {
	return p.learn(ctx, schedule.ID).rota(schedule, p.addresses, p.now())
}

// learn gives the answer in memory, or waits for a new one as long as ctx lets it.
func (p *PagerDuty) learn(ctx context.Context, schedule string) answer {
	if found, ok := p.recall(schedule); ok {
		return found
	}
	asked := p.flight.DoChan(schedule, func() (any, error) { return p.ask(schedule), nil })
	select {
	case result := <-asked:
		return result.Val.(answer)
	case <-ctx.Done():
		return answer{unknown: "there was no time left to ask PagerDuty"}
	}
}

// recall gives the answer in memory while it may still be used.
func (p *PagerDuty) recall(schedule string) (answer, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	found, ok := p.kept[schedule]
	age, most := p.now().Sub(found.at), p.cacheFor
	if found.unknown != "" {
		most = min(most, failureCache)
	}
	// A negative age is a clock that was put back; the answer's real age is then not known.
	return found.answer, ok && age >= 0 && age < most
}

// ask makes the call for everybody who is waiting. It does not end with the one who happened to ask first.
func (p *PagerDuty) ask(schedule string) answer {
	// Somebody else may have asked between the look into memory and now.
	if found, ok := p.recall(schedule); ok {
		return found
	}
	at := p.now()
	found := p.client.fetch(context.Background(), schedule, at)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept[schedule] = kept{found, at}
	return found
}

// Close drops idle connections.
func (p *PagerDuty) Close() { p.http.CloseIdleConnections() }
