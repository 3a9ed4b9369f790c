package sandbox

import (
	"context"
	"errors"
)

// Connections is the number of Socket Mode connections the app has.
func (ws *Workspace) Connections() int {
	ws.sockets.mu.Lock()
	defer ws.sockets.mu.Unlock()
	return len(ws.sockets.open)
}

// WaitsForApp returns once the app has a Socket Mode connection.
func (ws *Workspace) WaitsForApp(ctx context.Context) error {
	for {
		s, changed := ws.sockets.pick()
		if s != nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errors.New("the app did not connect to Socket Mode")
		}
	}
}

// DropSockets breaks every connection without a word.
func (ws *Workspace) DropSockets() { ws.sockets.dropAll() }

// RefreshSockets tells every connection that it ends and should be opened again, as Slack does every few hours. The old
// connection stays until the app leaves it.
func (ws *Workspace) RefreshSockets() { ws.disconnect("refresh_requested") }

// WarnSockets says that a refresh is about to come.
func (ws *Workspace) WarnSockets() { ws.disconnect("warning") }

func (ws *Workspace) disconnect(reason string) {
	ws.sockets.mu.Lock()
	open := append([]*socket(nil), ws.sockets.open...)
	for _, s := range open {
		s.draining = true
	}
	ws.sockets.mu.Unlock()
	ws.traffic.add(Entry{At: ws.opts.Now(), From: "slack", Kind: "socket", Name: "disconnect", Body: reason})
	for _, s := range open {
		_ = s.write(object{"type": "disconnect", "reason": reason, "debug_info": object{"host": "sandbox"}})
	}
}
