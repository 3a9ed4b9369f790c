package sandbox

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Fault is one way in which a call goes wrong. Delay comes first and may stand alone; then Drop, Error or Status.
type Fault struct {
	Delay       time.Duration // answer late
	Drop        bool          // break the connection without an answer
	Error       string        // Slack's error code, answered with Status, or 200; "ratelimited" is always a 429
	Status      int           // an HTTP status with a body that is not JSON, unless Error is set
	RetryAfter  time.Duration // the Retry-After header, in whole seconds
	Times       int           // how often it happens; 0 is until Heal
	Probability float64       // of happening; 0 is always
}

type faultList struct {
	mu     sync.Mutex
	down   bool
	active map[string][]*Fault
}

// Fail makes a Web API method go wrong, or every one with method "*", or posts to response URLs with "response_url".
// Faults of one method happen in the order they were given.
func (ws *Workspace) Fail(method string, f Fault) {
	ws.faults.mu.Lock()
	defer ws.faults.mu.Unlock()
	if ws.faults.active == nil {
		ws.faults.active = map[string][]*Fault{}
	}
	ws.faults.active[method] = append(ws.faults.active[method], &f)
}

// Heal ends every fault, and Down.
func (ws *Workspace) Heal() {
	ws.faults.mu.Lock()
	defer ws.faults.mu.Unlock()
	ws.faults.active, ws.faults.down = nil, false
}

// Down makes all of Slack unreachable: sockets break and every request ends without an answer.
func (ws *Workspace) Down(down bool) {
	ws.faults.mu.Lock()
	ws.faults.down = down
	ws.faults.mu.Unlock()
	if down {
		ws.sockets.dropAll()
	}
}

func (l *faultList) isDown() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.down
}

func (l *faultList) take(method string) (Fault, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range []string{method, "*"} {
		for i, f := range l.active[key] {
			if f.Probability > 0 && rand.Float64() >= f.Probability {
				continue
			}
			if f.Times > 0 {
				if f.Times--; f.Times == 0 {
					l.active[key] = append(l.active[key][:i:i], l.active[key][i+1:]...)
				}
			}
			return *f, true
		}
	}
	return Fault{}, false
}

// suffer applies a fault and reports whether the request is over.
func (ws *Workspace) suffer(w http.ResponseWriter, r *http.Request, name string, f Fault) (over bool) {
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done():
			return true
		case <-ws.ctx.Done():
			return true
		}
	}
	switch {
	case f.Drop:
		hangUp(w)
	case f.Error == "ratelimited":
		ws.answer(w, name, nil, &apiError{code: f.Error, retryAfter: f.RetryAfter})
	case f.Error != "" || f.Status != 0:
		f.write(w)
		ws.traffic.add(Entry{At: ws.opts.Now(), From: "slack", Kind: "answer", Name: name, Body: f.Error, Status: f.Status})
	default:
		return false
	}
	return true
}

// write answers with the fault's status and body.
func (f Fault) write(w http.ResponseWriter) {
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(f.RetryAfter/time.Second))))
	}
	if f.Error != "" {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if f.Status != 0 {
			w.WriteHeader(f.Status)
		}
		_, _ = w.Write([]byte(`{"ok":false,"error":` + strconv.Quote(f.Error) + `}`))
		return
	}
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte("<html><body>Something went wrong.</body></html>"))
}
