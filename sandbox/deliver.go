package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// What a person reads when the app did not do its part. Slack shows these codes in its sentence.
const (
	FailureTimeout  = "operation_timeout" // no answer in three seconds
	FailureDispatch = "dispatch_failed"   // nobody to deliver to, or an answer that makes no sense
)

// The kinds of deliveries, named as the envelopes of Socket Mode are.
const (
	kindCommand     = "slash_commands"
	kindInteraction = "interactive"
	kindEvent       = "events_api"
)

// delivery is one thing to tell the app.
type delivery struct {
	kind    string
	payload object
	answers bool // the acknowledgement may say something
	retry   int
	reason  string
}

// acknowledgement is how the app took a delivery.
type acknowledgement struct {
	body    []byte // what it said, JSON or plain text; may be empty
	latency time.Duration
	failure string // one of the Failure constants, or empty
	cause   error
}

// deliver tells the app something over the transport it has, and waits for its acknowledgement.
func (ws *Workspace) deliver(d delivery) acknowledgement {
	ws.mu.Lock()
	urls := ws.urls
	if d.kind == kindCommand || d.kind == kindInteraction {
		last := d
		ws.last = &last
	}
	ws.mu.Unlock()
	target := map[string]string{kindCommand: urls.commands, kindInteraction: urls.interactivity, kindEvent: urls.events}[d.kind]
	ctx, cancel := context.WithTimeout(ws.ctx, ws.opts.AckWithin)
	defer cancel()
	start := time.Now()
	var ack acknowledgement
	switch {
	case ws.faults.isDown():
		ack = acknowledgement{failure: FailureDispatch, cause: errors.New("slack is down")}
	case target != "":
		ack = ws.deliverHTTP(ctx, target, d)
	default:
		ack = ws.deliverSocket(ctx, d)
	}
	ack.latency = time.Since(start)
	return ack
}

// announce sends an event, and sends it again later when it is not acknowledged.
func (ws *Workspace) announce(event object) acknowledgement {
	ws.mu.Lock()
	d := delivery{kind: kindEvent, payload: object{
		"token": "sandbox-verification", "team_id": ws.opts.TeamID, "api_app_id": AppID, "type": "event_callback",
		"event": event, "event_id": ws.newID("Ev"), "event_time": ws.opts.Now().Unix(),
		"authorizations":        []any{object{"enterprise_id": nil, "team_id": ws.opts.TeamID, "user_id": BotUserID, "is_bot": true, "is_enterprise_install": false}},
		"is_ext_shared_channel": false, "event_context": "4-" + ws.newID("Ec"),
	}}
	ws.mu.Unlock()
	ack := ws.deliver(d)
	if ack.failure != "" {
		ws.spawn(func() { ws.insist(d, ack.failure) })
	}
	return ack
}

func (ws *Workspace) insist(d delivery, failure string) {
	for i, pause := range ws.opts.EventRetries {
		select {
		case <-time.After(pause):
		case <-ws.ctx.Done():
			return
		}
		d.retry = i + 1
		d.reason = map[string]string{FailureTimeout: "timeout", FailureDispatch: "http_error"}[failure]
		ack := ws.deliver(d)
		if ack.failure == "" {
			return
		}
		failure = ack.failure
	}
}

// Event sends an event of the given content ({"type": "user_change", …}) to the app.
func (ws *Workspace) Event(event map[string]any) Reply {
	return ws.reply(ws.announce(event), nil)
}

// Redeliver sends the last command or press again, the very same payload, as Slack does when it is not sure that the
// app got it.
func (ws *Workspace) Redeliver() Reply { return ws.Last()() }

// Last sends what was last when it was called, whatever has come after it: some retries are late.
func (ws *Workspace) Last() (again func() Reply) {
	ws.mu.Lock()
	last := ws.last
	ws.mu.Unlock()
	return func() Reply {
		if last == nil {
			return Reply{err: errors.New("nothing was sent yet")}
		}
		again := *last
		again.retry++
		again.reason = "timeout"
		return ws.reply(ws.deliver(again), nil)
	}
}

// form writes a command as the form Slack posts.
func (d delivery) form() url.Values {
	form := url.Values{}
	if d.kind == kindCommand {
		for k, v := range d.payload {
			form.Set(k, fmt.Sprint(v))
		}
		return form
	}
	form.Set("payload", string(encode(d.payload)))
	return form
}

// encode writes JSON without escaping <, > and &, as Slack does.
func encode(v any) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return bytes.TrimSpace(out.Bytes())
}
