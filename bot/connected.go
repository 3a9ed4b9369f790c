package bot

import "sync"

// connected is which of the connections of Socket Mode are up. One of them is enough to work: Slack sends to those that are
// there. What one says is passed on at once, so that the last that is heard is how things are.
type connected struct {
	mu   sync.Mutex
	up   [sockets]bool
	down [sockets]error // why a connection is not up; nil before anything is known of it
	tell func(error)    // hears nil when one is up, and why when none is; nil for nobody
}

// is records that a connection is up, or why it is not.
func (c *connected) is(socket int, wrong error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up[socket], c.down[socket] = wrong == nil, wrong
	if c.tell == nil {
		return
	}
	for i := range sockets {
		if c.up[i] {
			c.tell(nil)
			return
		}
	}
	for i := range sockets {
		if c.down[i] == nil {
			return // it may yet come up
		}
	}
	c.tell(wrong)
}
