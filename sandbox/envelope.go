package sandbox

import (
	"context"
	"crypto/rand"
	"errors"
)

// deliverSocket sends an envelope over any connection. When that one breaks before the acknowledgement, the envelope
// goes out again over the next.
func (ws *Workspace) deliverSocket(ctx context.Context, d delivery) acknowledgement {
	sent := false
	for {
		s, changed := ws.sockets.pick()
		if s == nil && !sent {
			return acknowledgement{failure: FailureDispatch, cause: errors.New("the app has no connection")}
		}
		if s == nil {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return acknowledgement{failure: FailureTimeout, cause: ctx.Err()}
			}
		}
		if sent {
			d.retry, d.reason = d.retry+1, "connection_closed"
		}
		sent = true
		body, again := ws.sendEnvelope(ctx, s, d)
		switch {
		case ctx.Err() != nil && body == nil:
			return acknowledgement{failure: FailureTimeout, cause: ctx.Err()}
		case !again:
			return acknowledgement{body: body}
		}
	}
}

// sendEnvelope waits for the acknowledgement of one envelope on one connection. again says that the connection broke.
func (ws *Workspace) sendEnvelope(ctx context.Context, s *socket, d delivery) (body []byte, again bool) {
	id, acknowledged := rand.Text(), make(chan []byte, 1)
	p := &ws.sockets
	p.mu.Lock()
	if p.waiting == nil {
		p.waiting = map[string]chan []byte{}
	}
	p.waiting[id] = acknowledged
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.waiting, id)
		p.mu.Unlock()
	}()
	envelope := object{"envelope_id": id, "type": d.kind, "payload": d.payload, "accepts_response_payload": d.answers}
	if d.retry > 0 || d.kind == kindEvent {
		envelope["retry_attempt"], envelope["retry_reason"] = d.retry, d.reason
	}
	ws.traffic.add(Entry{At: ws.opts.Now(), From: "slack", Kind: "socket", Name: d.kind, Body: string(encode(envelope))})
	if s.write(envelope) != nil {
		_ = s.conn.Close()
		<-s.gone
		p.remove(s)
		return nil, true
	}
	select {
	case body = <-acknowledged:
		if body == nil {
			body = []byte{}
		}
		return body, false
	case <-ctx.Done():
		return nil, false
	case <-s.gone:
		select {
		case body = <-acknowledged: // it came just before the end
			return append([]byte{}, body...), false
		default:
		}
		p.remove(s)
		return nil, true
	}
}
