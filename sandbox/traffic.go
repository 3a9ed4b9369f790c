package sandbox

import (
	"strings"
	"sync"
	"time"
)

// Entry is one thing said between Slack and the app. Tokens and the signing secret are replaced by "[redacted]";
// everything else is as it was said.
type Entry struct {
	Seq    int
	At     time.Time
	From   string // "app" or "slack"
	Kind   string // api, answer, socket, http, response_url
	Name   string // the method, the envelope's type, or "ack"
	Status int    // of HTTP answers
	Body   string
}

type trafficLog struct {
	mu        sync.Mutex
	secrets   []string
	entries   []Entry
	listeners map[int]func(Entry)
	next      int
}

func (l *trafficLog) add(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.secrets {
		e.Body = strings.ReplaceAll(e.Body, s, "[redacted]")
	}
	e.Seq = len(l.entries) + 1
	l.entries = append(l.entries, e)
	for _, listen := range l.listeners {
		listen(e)
	}
}

// Traffic is everything said so far, in order.
func (ws *Workspace) Traffic() []Entry {
	ws.traffic.mu.Lock()
	defer ws.traffic.mu.Unlock()
	return append([]Entry(nil), ws.traffic.entries...)
}

// OnTraffic calls listen with everything said from now on, in order, one at a time, until stop is called. The
// conversation waits for listen, which must not call the workspace.
func (ws *Workspace) OnTraffic(listen func(Entry)) (stop func()) {
	l := &ws.traffic
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listeners == nil {
		l.listeners = map[int]func(Entry){}
	}
	l.next++
	id := l.next
	l.listeners[id] = listen
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.listeners, id)
	}
}
