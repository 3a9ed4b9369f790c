package bot

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/slack-go/slack"
)

// Credentials are how prodaccess speaks to one workspace.
type Credentials struct {
	// BotToken is always needed, AppToken for Socket Mode, SigningSecret for HTTP.
	BotToken, AppToken, SigningSecret secret.String
	// APIURL is Slack's own when empty.
	APIURL string
}

// Slack is a connection to one workspace. It is safe for concurrent use and holds no goroutine.
type Slack struct {
	api    *slack.Client
	client *http.Client
	creds  Credentials

	mu   sync.Mutex
	team string // this workspace's id, once known
	dms  map[string]string
}

// NewSlack checks the credentials' form and touches no network.
func NewSlack(creds Credentials) (*Slack, error) {
	if creds.BotToken.Empty() {
		return nil, errors.New("bot: the Slack bot token is missing")
	}
	if creds.APIURL == "" {
		creds.APIURL = slack.APIURL
	}
	if !strings.HasSuffix(creds.APIURL, "/") {
		creds.APIURL += "/"
	}
	if u, err := url.Parse(creds.APIURL); err != nil || u.Host == "" {
		return nil, errors.New("bot: the Slack API URL is not a URL")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 32
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	return &Slack{
		client: client, creds: creds, dms: map[string]string{},
		api: slack.New(creds.BotToken.Reveal(), slack.OptionAppLevelToken(creds.AppToken.Reveal()),
			slack.OptionAPIURL(creds.APIURL), slack.OptionHTTPClient(client)),
	}, nil
}

// Check asks Slack who we are, each time: a token that worked may have been revoked, and the network may have gone. The error
// says in words what is wrong. Slack takes hundreds of these a minute; one that asks us to slow down is there.
func (s *Slack) Check(ctx context.Context) error {
	_, err := s.whoWeAre(ctx)
	if codeOf(err) == "ratelimited" {
		return nil
	}
	return err
}

// Close releases idle connections.
func (s *Slack) Close() { s.client.CloseIdleConnections() }

func (s *Slack) teamID(ctx context.Context) (string, error) {
	s.mu.Lock()
	team := s.team
	s.mu.Unlock()
	if team != "" {
		return team, nil
	}
	return s.whoWeAre(ctx)
}

// whoWeAre asks Slack for this workspace's id and remembers it.
func (s *Slack) whoWeAre(ctx context.Context) (string, error) {
	me, err := s.api.AuthTestContext(ctx)
	if err != nil {
		return "", fmt.Errorf("asking Slack who we are: %w", safe(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.team = me.TeamID
	return s.team, nil
}

// direct is the conversation with a person, which history can be read of; a user's ID will do for posting only.
func (s *Slack) direct(ctx context.Context, user string) (string, error) {
	if known := s.directKnown(user); known != "" {
		return known, nil
	}
	c, _, _, err := s.api.OpenConversationContext(ctx, &slack.OpenConversationParameters{Users: []string{user}})
	if err != nil {
		return "", err
	}
	s.directIs(user, c.ID)
	return c.ID, nil
}

// directKnown is the conversation with a person if Slack said which it is, and otherwise empty.
func (s *Slack) directKnown(user string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dms[user]
}

func (s *Slack) directIs(user, channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const most = 10_000
	if len(s.dms) >= most {
		clear(s.dms)
	}
	s.dms[user] = channel
}

// respond answers privately through a response URL.
func (s *Slack) respond(ctx context.Context, url, text string) error {
	return safe(slack.PostWebhookCustomHTTPContext(ctx, url, s.client, &slack.WebhookMessage{
		Text: text, ResponseType: slack.ResponseTypeEphemeral,
	}))
}

// replace puts an answer in the place of the private message a button was on.
func (s *Slack) replace(ctx context.Context, url string, said whisper) error {
	m := &slack.WebhookMessage{Text: said.Text, ResponseType: slack.ResponseTypeEphemeral, ReplaceOriginal: true}
	if len(said.Blocks) > 0 {
		m.Blocks = &slack.Blocks{BlockSet: said.Blocks}
	}
	return safe(slack.PostWebhookCustomHTTPContext(ctx, url, s.client, m))
}

// failure is an error of Slack or the way to it, with nothing in it that was sent or received but Slack's error code. URLs are
// left out, because response URLs are secrets and tokens may travel in them.
type failure struct {
	// code is Slack's; empty when the call did not get an answer.
	code string
	// after is Slack's Retry-After, 0 when it gave none.
	after time.Duration
	words string
}

func (f *failure) Error() string { return f.words }

// safe turns an error of the Slack library into one that may be logged.
func safe(err error) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if limited, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		return &failure{code: "ratelimited", after: limited.RetryAfter, words: "slack: ratelimited"}
	}
	if refused, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		return &failure{code: refused.Err, words: "slack: " + line(refused.Err)}
	}
	if status, ok := errors.AsType[slack.StatusCodeError](err); ok {
		return &failure{words: fmt.Sprintf("slack: HTTP status %d", status.Code)}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &failure{words: "slack: no answer in time"}
	}
	if errors.Is(err, context.Canceled) {
		return &failure{words: "slack: cancelled"}
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return &failure{words: "slack: " + wrapped.Err.Error()}
	}
	return &failure{words: fmt.Sprintf("slack: answer not understood (%T)", err)}
}

// codeOf is Slack's error code in err, if it has one.
func codeOf(err error) string {
	if f, ok := errors.AsType[*failure](safe(err)); ok {
		return f.code
	}
	return ""
}
