package app

import (
	"context"
	"net/http"
	"sync"
)

// door is where Slack comes in over HTTP. It is shut until everything behind it is up, and shut before anything behind it is
// taken down: what is acknowledged can then be carried out. The zero value is shut.
type door struct {
	mu      sync.Mutex
	handler http.Handler // nil while it is shut
	inside  sync.WaitGroup
}

// open lets requests in.
func (d *door) open(handler http.Handler) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.handler = handler
}

// ServeHTTP implements http.Handler. Whoever is turned away is told by Slack that it did not work, and Slack sends events again.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	handler := d.handler
	if handler != nil {
		d.inside.Add(1)
	}
	d.mu.Unlock()
	if handler == nil {
		// The next one finds another replica, where a proxy has kept a connection to this one.
		w.Header().Set("Connection", "close")
		http.Error(w, "this replica is starting or stopping", http.StatusServiceUnavailable)
		return
	}
	defer d.inside.Done()
	handler.ServeHTTP(w, r)
}

// shut turns away who comes from now on, and waits until ctx ends for those who are inside.
func (d *door) shut(ctx context.Context) error {
	d.mu.Lock()
	d.handler = nil
	d.mu.Unlock()
	return waited(ctx, &d.inside)
}
