package bot

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"
)

// longestBody is more than Slack sends: a view of 250 kB and its state, encoded as a form.
const longestBody = 2 << 20

// signedWithin is how far a signature's time may be from ours.
const signedWithin = 5 * time.Minute

// Handler serves /slack/commands, /slack/interactions and /slack/events. Every request must carry Slack's signature over its raw
// body, at most five minutes old; a signature seen before gets the answer it got then, and nothing happens again.
func (b *Bot) Handler() (http.Handler, error) {
	if b.slack.creds.SigningSecret.Empty() {
		return nil, errors.New("bot: Slack over HTTP needs a signing secret")
	}
	seen := newReplays(b.now)
	mux := http.NewServeMux()
	for path, handle := range map[string]func(*http.Request, []byte) (reply, error){
		"/slack/commands": b.httpCommand, "/slack/interactions": b.httpInteraction, "/slack/events": b.httpEvent,
	} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) { b.serve(w, r, seen, handle) })
	}
	return mux, nil
}

// reply is what goes back over HTTP.
type reply struct {
	status int
	kind   string
	body   []byte
	after  answer
}

func (b *Bot) serve(w http.ResponseWriter, r *http.Request, seen *replays, handle func(*http.Request, []byte) (reply, error)) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, longestBody))
	if err != nil {
		http.Error(w, "body too long or cut off", http.StatusRequestEntityTooLarge)
		return
	}
	signature := r.Header.Get("X-Slack-Signature")
	if why := b.unsigned(signature, r.Header.Get("X-Slack-Request-Timestamp"), body); why != "" {
		b.log.Warn().Str("path", r.URL.Path).Str("why", why).Msg("a request was not signed by slack")
		http.Error(w, "not signed by Slack: "+why, http.StatusUnauthorized)
		return
	}
	// The same signature may be written in capitals.
	first, slot := seen.take(r.URL.Path + " " + strings.ToLower(signature))
	var answered reply
	if first {
		answered = b.carryOut(r, body, handle)
		slot.fill(answered)
		// What was committed is carried on with, whether or not anybody is left to read the answer.
		if after := answered.after.after; after != nil {
			defer b.later(after)
		}
	} else if answered, err = slot.wait(r.Context()); err != nil {
		return
	}
	if answered.kind != "" {
		w.Header().Set("Content-Type", answered.kind)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(answered.body)))
	w.WriteHeader(answered.status)
	_, _ = w.Write(answered.body)
	_ = http.NewResponseController(w).Flush()
}

func (b *Bot) carryOut(r *http.Request, body []byte, handle func(*http.Request, []byte) (reply, error)) (out reply) {
	out = reply{status: http.StatusInternalServerError}
	defer b.survive("http delivery")
	answered, err := handle(r, body)
	if err != nil {
		return reply{status: http.StatusBadRequest, body: []byte(err.Error())}
	}
	return answered
}

// unsigned says why a request is not Slack's; empty when it is. The comparison takes the same time for every wrong signature.
func (b *Bot) unsigned(signature, timestamp string, body []byte) string {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return "no timestamp"
	}
	if age := b.now().Sub(time.Unix(seconds, 0)).Abs(); age > signedWithin {
		return "the timestamp is too far off"
	}
	given, err := hex.DecodeString(strings.TrimPrefix(signature, "v0="))
	if err != nil || !strings.HasPrefix(signature, "v0=") {
		return "no signature"
	}
	mac := hmac.New(sha256.New, []byte(b.slack.creds.SigningSecret.Reveal()))
	mac.Write([]byte("v0:" + timestamp + ":"))
	mac.Write(body)
	if !hmac.Equal(given, mac.Sum(nil)) {
		return "the signature is wrong"
	}
	return ""
}

func (b *Bot) httpCommand(r *http.Request, body []byte) (reply, error) {
	form, err := formOf(r, body)
	if err != nil {
		return reply{}, err
	}
	// Slack asks from time to time whether the certificate is good.
	if form.Get("ssl_check") == "1" {
		return reply{status: http.StatusOK}, nil
	}
	a := b.onCommand(r.Context(), slack.SlashCommand{
		TeamID: form.Get("team_id"), ChannelID: form.Get("channel_id"), UserID: form.Get("user_id"), Command: form.Get("command"),
		Text: form.Get("text"), ResponseURL: form.Get("response_url"), TriggerID: form.Get("trigger_id"),
	}, sourceHTTP)
	return replyTo(a)
}

func (b *Bot) httpInteraction(r *http.Request, body []byte) (reply, error) {
	form, err := formOf(r, body)
	if err != nil {
		return reply{}, err
	}
	var cb slack.InteractionCallback
	if err := json.Unmarshal([]byte(form.Get("payload")), &cb); err != nil {
		return reply{}, errors.New("the payload is not an interaction")
	}
	return replyTo(b.onInteraction(r.Context(), cb, sourceHTTP))
}

func (b *Bot) httpEvent(r *http.Request, body []byte) (reply, error) {
	var event struct {
		Type      string `json:"type"`
		Challenge string `json:"challenge"`
		Event     struct {
			Type string `json:"type"`
			User string `json:"user"`
			Tab  string `json:"tab"`
		} `json:"event"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		return reply{}, errors.New("the body is not an event")
	}
	if event.Type == "url_verification" {
		return reply{status: http.StatusOK, kind: "text/plain; charset=utf-8", body: []byte(event.Challenge)}, nil
	}
	if event.Type == "event_callback" && event.Event.Type == "app_home_opened" {
		return replyTo(b.onHomeOpened(r.Context(), event.Event.User, event.Event.Tab))
	}
	return reply{status: http.StatusOK}, nil
}

// formOf reads the signed body and never the query, which nobody signed.
func formOf(r *http.Request, body []byte) (url.Values, error) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" {
		return nil, errors.New("the body is not a form")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errors.New("the body is not a form")
	}
	return form, nil
}

func replyTo(a answer) (reply, error) {
	out := reply{status: http.StatusOK, after: a}
	if a.payload != nil {
		var body bytes.Buffer
		if err := json.NewEncoder(&body).Encode(a.payload); err != nil {
			return reply{}, errors.New("the answer could not be written")
		}
		out.kind, out.body = "application/json; charset=utf-8", body.Bytes()
	}
	return out, nil
}
