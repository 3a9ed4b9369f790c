package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// mostSockets is how many connections one app may have.
const mostSockets = 10

// pingEvery is shorter than Slack's, so that a client with a short deadline notices a dead sandbox quickly.
const pingEvery = 5 * time.Second

type socket struct {
	conn     *websocket.Conn
	writing  sync.Mutex
	gone     chan struct{}
	draining bool // told to reconnect; takes no more envelopes while others do
}

func (s *socket) write(v any) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	_ = s.conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
	return s.conn.WriteMessage(websocket.TextMessage, encode(v))
}

// socketPool holds the app's connections and the envelopes that wait for an acknowledgement.
type socketPool struct {
	mu      sync.Mutex
	tickets map[string]bool
	open    []*socket
	turn    int
	waiting map[string]chan []byte
	changed chan struct{}
}

func (p *socketPool) dropAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.open {
		_ = s.conn.Close()
	}
}

// notify wakes who waits for a connection. The caller holds p.mu.
func (p *socketPool) notify() {
	if p.changed != nil {
		close(p.changed)
	}
	p.changed = make(chan struct{})
}

// pick takes the next connection in turn, and a channel that closes when there are other connections.
func (p *socketPool) pick() (*socket, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	var fallback *socket
	for range p.open {
		p.turn++
		s := p.open[p.turn%len(p.open)]
		if !s.draining {
			return s, p.changed
		}
		fallback = s
	}
	return fallback, p.changed
}

func (p *socketPool) remove(s *socket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, other := range p.open {
		if other == s {
			p.open = append(p.open[:i:i], p.open[i+1:]...)
		}
	}
	p.notify()
}

func connectionsOpen(ws *Workspace, _ args) (object, *apiError) {
	ticket := rand.Text()
	ws.sockets.mu.Lock()
	defer ws.sockets.mu.Unlock()
	if ws.sockets.tickets == nil {
		ws.sockets.tickets = map[string]bool{}
	}
	ws.sockets.tickets[ticket] = true
	return object{"url": strings.Replace(ws.URL(), "http://", "ws://", 1) + "/link/?ticket=" + ticket + "&app_id=" + AppID}, nil
}

// serveSocket is one Socket Mode connection, from its ticket to its end.
func (ws *Workspace) serveSocket(w http.ResponseWriter, r *http.Request) {
	p := &ws.sockets
	ticket := r.URL.Query().Get("ticket")
	p.mu.Lock()
	valid := p.tickets[ticket]
	delete(p.tickets, ticket)
	p.mu.Unlock()
	if !valid {
		http.Error(w, "this ticket is not valid", http.StatusForbidden)
		return
	}
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }} // the ticket is the proof; SDKs send Slack's origin
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	done := make(chan struct{})
	defer close(done)
	if !ws.spawn(func() { <-done }) { // Close waits for this handler, which the server no longer knows
		return
	}
	s := &socket{conn: conn, gone: make(chan struct{})}
	number, ok := ws.admit(s)
	if !ok {
		_ = s.write(object{"type": "disconnect", "reason": "too_many_websockets"})
		return
	}
	defer p.remove(s)
	defer close(s.gone)
	ws.spawn(func() { s.keepAlive(ws.ctx) })
	hello := object{
		"type": "hello", "num_connections": number, "connection_info": object{"app_id": AppID},
		"debug_info": object{"host": "sandbox", "build_number": 1, "approximate_connection_time": 18060},
	}
	if s.write(hello) != nil {
		return
	}
	ws.traffic.add(Entry{At: ws.opts.Now(), From: "slack", Kind: "socket", Name: "hello"})
	p.mu.Lock()
	p.open = append(p.open, s) // envelopes follow hello, never overtake it
	p.notify()
	p.mu.Unlock()
	ws.listen(s)
}

func (ws *Workspace) admit(*socket) (number int, ok bool) {
	ws.sockets.mu.Lock()
	defer ws.sockets.mu.Unlock()
	return len(ws.sockets.open) + 1, len(ws.sockets.open) < mostSockets && ws.ctx.Err() == nil
}

func (s *socket) keepAlive(ctx context.Context) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		_ = s.conn.WriteControl(websocket.PingMessage, []byte("Ping from sandbox"), time.Now().Add(time.Second))
		select {
		case <-ticker.C:
		case <-s.gone:
			return
		case <-ctx.Done():
			_ = s.conn.Close()
			return
		}
	}
}

// listen takes acknowledgements until the connection ends.
func (ws *Workspace) listen(s *socket) {
	for {
		_, raw, err := s.conn.ReadMessage()
		if err != nil {
			return
		}
		ws.traffic.add(Entry{At: ws.opts.Now(), From: "app", Kind: "socket", Name: "ack", Body: string(raw)})
		var ack struct {
			EnvelopeID string          `json:"envelope_id"`
			Payload    json.RawMessage `json:"payload"`
		}
		if json.Unmarshal(raw, &ack) != nil {
			continue
		}
		ws.sockets.mu.Lock()
		waiting := ws.sockets.waiting[ack.EnvelopeID]
		delete(ws.sockets.waiting, ack.EnvelopeID)
		ws.sockets.mu.Unlock()
		if waiting != nil {
			waiting <- ack.Payload
		}
	}
}
