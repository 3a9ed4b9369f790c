package grants

import (
	"sync"
	"time"
)

// hygienePatience bounds how long one clean-up gives way to security steps, so that a target on which they hang still
// gets cleaned.
const hygienePatience = 2 * time.Second

// lane orders what this replica does to take logins back on one target: at most so many steps at once, and clean-up only
// while nobody waits to be locked out. Of a thousand logins that end together, all are locked before the first is dropped.
type lane struct {
	slots chan struct{}

	mu     sync.Mutex
	urgent int           // security steps that wait for a slot or run
	calm   chan struct{} // closed while there are none
}

func newLane(parallel int) *lane {
	l := &lane{slots: make(chan struct{}, parallel), calm: make(chan struct{})}
	close(l.calm)
	return l
}

// enter takes a slot for one step; false means that stop was closed before. Whoever entered must leave.
func (l *lane) enter(security bool, stop <-chan struct{}) bool {
	if security {
		l.hurry(1)
	} else if !l.giveWay(stop) {
		return false
	}
	select {
	case l.slots <- struct{}{}:
		return true
	case <-stop:
		if security {
			l.hurry(-1)
		}
		return false
	}
}

func (l *lane) leave(security bool) {
	<-l.slots
	if security {
		l.hurry(-1)
	}
}

func (l *lane) hurry(by int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.urgent
	l.urgent += by
	switch {
	case before == 0:
		l.calm = make(chan struct{})
	case l.urgent == 0:
		close(l.calm)
	}
}

// giveWay waits until no security step waits or runs, but not for ever; false means that stop was closed before.
func (l *lane) giveWay(stop <-chan struct{}) bool {
	patience := time.NewTimer(hygienePatience)
	defer patience.Stop()
	for {
		l.mu.Lock()
		calm, urgent := l.calm, l.urgent
		l.mu.Unlock()
		if urgent == 0 {
			return true
		}
		select {
		case <-calm:
		case <-patience.C:
			return true
		case <-stop:
			return false
		}
	}
}
