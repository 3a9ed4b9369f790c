package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"
)

const (
	// A stream says something at least this often, so that a broken one is noticed.
	heartbeat = 15 * time.Second
	// Changes that come together are shown together.
	gathering = 15 * time.Millisecond
	// mostTraffic is how many entries of the conversation a page starts with.
	mostTraffic = 150
	// longestBody is how much of an entry's body a page gets, in bytes.
	longestBody = 16 << 10
)

// servePageStream sends a page everything in front of one person, as server-sent events: "screen" when it changed,
// "traffic" for what Slack and the app say to each other, "pane" for each new reading of a pane.
func (ws *Workspace) servePageStream(w http.ResponseWriter, r *http.Request) {
	a := ws.find(r.PathValue("name"))
	if a == nil || a.p.IsBot {
		http.NotFound(w, r)
		return
	}
	leave, ok := ws.enter()
	if !ok {
		return
	}
	defer leave()
	w.Header().Set("Content-Type", "text/event-stream")
	s := &pageStream{ws: ws, w: w, flush: http.NewResponseController(w).Flush, sent: sentMessages{}, panes: map[int][]byte{}}
	if err := s.run(r.Context(), a.p); err != nil {
		return // the page is gone; it connects again when it wants to
	}
}

// pageStream is one stream to one page.
type pageStream struct {
	ws      *Workspace
	w       http.ResponseWriter
	flush   func() error
	sent    sentMessages
	screen  []byte // the last one sent
	panes   map[int][]byte
	entries int // of the traffic, so far
}

func (s *pageStream) run(ctx context.Context, p *person) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(s.ws.ctx, cancel)
	defer stop()

	said := make(chan struct{}, 1)
	defer s.ws.OnTraffic(func(Entry) {
		select {
		case said <- struct{}{}:
		default:
		}
	})()
	readings := make(chan paneFrame)
	s.ws.mu.Lock()
	panes := s.ws.page.Panes
	s.ws.mu.Unlock()
	reader := make(chan struct{})
	go func() {
		defer close(reader)
		s.ws.readPanes(ctx, panes, func(f paneFrame) {
			select {
			case readings <- f:
			case <-ctx.Done():
			}
		})
	}()
	defer func() { cancel(); <-reader }()

	for {
		changed, err := s.show(p)
		if err == nil {
			err = s.tell()
		}
		if err != nil {
			return err
		}
		select {
		case <-changed:
			if err := pause(ctx, gathering); err != nil {
				return err
			}
		case <-said:
			if err := pause(ctx, gathering); err != nil {
				return err
			}
		case f := <-readings:
			if err := s.paint(f); err != nil {
				return err
			}
		case <-time.After(heartbeat):
			if err := s.send("beat", []byte("{}")); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// show sends the screen when it is another than the one sent last, and returns what tells of the next change.
func (s *pageStream) show(p *person) (changed chan struct{}, err error) {
	s.ws.mu.Lock()
	s.ws.tourMoves()
	frame := encode(s.ws.screen(p, s.sent))
	changed = s.ws.changed
	s.ws.mu.Unlock()
	if bytes.Equal(frame, s.screen) {
		return changed, nil
	}
	s.screen = frame
	return changed, s.send("screen", frame)
}

// tell sends what was said since.
func (s *pageStream) tell() error {
	l := &s.ws.traffic
	l.mu.Lock()
	from := max(s.entries, len(l.entries)-mostTraffic)
	fresh := append([]Entry(nil), l.entries[from:]...)
	s.entries = len(l.entries)
	l.mu.Unlock()
	if len(fresh) == 0 {
		return nil
	}
	out := make([]object, 0, len(fresh))
	for _, e := range fresh {
		out = append(out, object{
			"seq": e.Seq, "at": e.At, "from": e.From, "kind": e.Kind, "name": e.Name, "status": e.Status, "body": cut(e.Body, longestBody),
		})
	}
	return s.send("traffic", encode(out))
}

// paint sends a reading of a pane when it is another than the last.
func (s *pageStream) paint(f paneFrame) error {
	frame := encode(f)
	if bytes.Equal(frame, s.panes[f.Pane]) {
		return nil
	}
	s.panes[f.Pane] = frame
	return s.send("pane", frame)
}

func (s *pageStream) send(event string, data []byte) error {
	if _, err := fmt.Fprintf(s.w, "event: %s\ndata: %s\n\n", event, data); err != nil {
		return err
	}
	return s.flush()
}
