package sandbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Sign makes the headers Slack signs a request body with (scheme v0: HMAC-SHA256 of "v0:timestamp:body").
func (ws *Workspace) Sign(body []byte, at time.Time) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(ws.opts.SigningSecret))
	_, _ = fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
	h := http.Header{}
	h.Set("X-Slack-Request-Timestamp", stamp)
	h.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	return h
}

func (ws *Workspace) deliverHTTP(ctx context.Context, target string, d delivery) acknowledgement {
	body, kind := []byte(d.form().Encode()), "application/x-www-form-urlencoded"
	if d.kind == kindEvent {
		body, kind = encode(d.payload), "application/json"
	}
	ws.traffic.add(Entry{At: ws.opts.Now(), From: "slack", Kind: "http", Name: d.kind, Body: string(encode(d.payload))})
	answer, status, err := ws.send(ctx, target, kind, body, d)
	ws.traffic.add(Entry{At: ws.opts.Now(), From: "app", Kind: "http", Name: "ack", Body: string(answer), Status: status})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return acknowledgement{failure: FailureTimeout, cause: err}
	case err != nil:
		return acknowledgement{failure: FailureDispatch, cause: err}
	case status != http.StatusOK:
		return acknowledgement{failure: FailureDispatch, cause: fmt.Errorf("the app answered %d", status)}
	}
	return acknowledgement{body: answer}
}

func (ws *Workspace) send(ctx context.Context, target, kind string, body []byte, d delivery) ([]byte, int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	req.Header = ws.Sign(body, ws.opts.Now())
	req.Header.Set("Content-Type", kind)
	req.Header.Set("User-Agent", "Slackbot 1.0 (+https://api.slack.com/robots)")
	if d.retry > 0 {
		req.Header.Set("X-Slack-Retry-Num", strconv.Itoa(d.retry))
		req.Header.Set("X-Slack-Retry-Reason", map[string]string{"timeout": "http_timeout"}[d.reason])
		if d.reason != "timeout" {
			req.Header.Set("X-Slack-Retry-Reason", d.reason)
		}
	}
	resp, err := ws.http.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return answer, resp.StatusCode, err
}

// VerifyURL does what Slack does when somebody enters a request URL for events: it sends a challenge that the app must
// give back.
func (ws *Workspace) VerifyURL(ctx context.Context) error {
	ws.mu.Lock()
	target := ws.urls.events
	ws.mu.Unlock()
	challenge := object{"type": "url_verification", "token": "sandbox-verification", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}
	answer, status, err := ws.send(ctx, target, "application/json", encode(challenge), delivery{})
	switch {
	case err != nil:
		return fmt.Errorf("verifying the request URL: %w", err)
	case status != http.StatusOK || !bytes.Contains(answer, []byte(challenge["challenge"].(string))):
		return fmt.Errorf("verifying the request URL: it answered %d without the challenge", status)
	}
	return nil
}
