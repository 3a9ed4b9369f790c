package bot

import (
	"sync"
	"time"
)

const (
	// openedLately is for how long after somebody opened their Home it is kept fresh. Slack does not say when it is left.
	openedLately = time.Hour
	// mostHomes bounds how many are kept fresh; the others are drawn when they are opened.
	mostHomes = 2000
	// notedFor is how long a note stays on a Home that is redrawn meanwhile.
	notedFor = time.Minute
	// homeWithin bounds one drawing, so that a slow Slack holds up no job that draws more than this.
	homeWithin = 4 * time.Second

	// homesEvery is how often at most one Home is redrawn without its owner opening it, however much changes meanwhile.
	homesEvery = 3 * time.Second
)

// homes remembers who opened their Home lately, in this replica; what the store knows is of all of them. Forgetting costs nothing but
// freshness: a Home is drawn anew whenever it is opened.
type homes struct {
	mu sync.Mutex
	of map[string]*opened
	// drawn counts drawings.
	drawn int64
	// wanted is the last round of redrawing that was asked for.
	wanted int64
}

type opened struct {
	at    time.Time
	note  string
	noted time.Time
	// drawn is when it was last redrawn because something changed.
	drawn time.Time
	// drawing and again keep two drawings of one Home from overtaking each other.
	drawing, again bool
}

func (h *homes) open(user string, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of == nil {
		h.of = map[string]*opened{}
	}
	if o, ok := h.of[user]; ok {
		o.at, o.note = now, ""
		return
	}
	if len(h.of) >= mostHomes {
		h.forget(now)
	}
	h.of[user] = &opened{at: now}
}

// forget makes room: whoever opened theirs long ago goes, and if that is nobody, the one that was opened first.
func (h *homes) forget(now time.Time) {
	first := ""
	for user, o := range h.of {
		switch {
		case o.drawing:
		case now.Sub(o.at) > openedLately:
			delete(h.of, user)
		case first == "" || o.at.Before(h.of[first].at):
			first = user
		}
	}
	if len(h.of) >= mostHomes {
		delete(h.of, first)
	}
}

func (h *homes) lately(user string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	o, ok := h.of[user]
	return ok && now.Sub(o.at) <= openedLately
}

func (h *homes) tell(user, words string, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o, ok := h.of[user]; ok {
		o.note, o.noted = words, now
	}
}

func (h *homes) note(user string, now time.Time) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o, ok := h.of[user]; ok && now.Sub(o.noted) <= notedFor {
		return o.note
	}
	return ""
}

// begin says whether the caller is to draw. When somebody else draws now, they draw once more afterwards.
func (h *homes) begin(user string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	o, ok := h.of[user]
	if !ok {
		return false
	}
	if o.drawing {
		o.again = true
		return false
	}
	o.drawing = true
	return true
}

// done ends a drawing, unless something changed since it began.
func (h *homes) done(user string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.of[user]
	o.drawing, o.again = o.again, false
	return !o.drawing
}

// turn says whether a Home may be redrawn because something changed, and counts it as drawn then. What its owner does, and opening it,
// takes no turn.
func (h *homes) turn(user string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	o, ok := h.of[user]
	if !ok || now.Sub(o.drawn) < homesEvery {
		return false
	}
	o.drawn = now
	return true
}

func (h *homes) published() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drawn++
}

func (h *homes) drawings() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.drawn
}

// know makes room for somebody who opened their Home in another replica. It does not count as opening it here.
func (h *homes) know(user string, now time.Time) {
	h.mu.Lock()
	_, known := h.of[user]
	h.mu.Unlock()
	if !known {
		h.open(user, now.Add(-openedLately-time.Second))
	}
}

// round is by when what changed is to be drawn: the first change of a few seconds at once, what follows in them together when they are over.
// False when that has been asked for.
func (h *homes) round(now time.Time) (by time.Time, ok bool) {
	by = now
	h.mu.Lock()
	defer h.mu.Unlock()
	every := int64(homesEvery / time.Second)
	round := now.Unix() / every
	switch {
	case h.wanted > round:
		return by, false
	case h.wanted == round:
		round++
		by = time.Unix(round*every, 0)
	}
	h.wanted = round
	return by, true
}
