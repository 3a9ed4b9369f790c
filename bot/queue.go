package bot

import (
	"slices"
	"time"
)

// urgency says who goes first where Slack takes less than there is.
type urgency int

const (
	// waitedFor is what somebody needs for acting, or waits to be told. It is what a message is unless it says otherwise.
	waitedFor urgency = iota
	// record is what is there to be looked up.
	record
	// countdown is what was true already, and is said more exactly.
	countdown

	urgencies
)

// queue are the messages that wait for their turn on one lane. Those of each urgency stand in the order in which they came.
// A message is asked back when its turn is near; between that it costs nothing but its place here.
type queue struct {
	waiting map[string]*place
	order   [urgencies][]*place
	// left counts the places of order that were given up.
	left [urgencies]int
}

// place is a place in a queue.
type place struct {
	who     string
	urgency urgency
	number  int       // rises by one with each place of an urgency
	back    time.Time // when the message was asked back
	left    bool
}

func (q *queue) place(who string) *place { return q.waiting[who] }

// join gives the last place of an urgency. Where there are too many the place is not kept.
func (q *queue) join(who string, u urgency, now time.Time) *place {
	p := &place{who: who, urgency: u, back: now}
	if n := len(q.order[u]); n > 0 {
		p.number = q.order[u][n-1].number + 1
	}
	if len(q.waiting) >= mostWaiting {
		return p
	}
	if q.waiting == nil {
		q.waiting = map[string]*place{}
	}
	q.waiting[who] = p
	q.order[u] = append(q.order[u], p)
	return p
}

func (q *queue) leave(who string) {
	p := q.waiting[who]
	if p == nil {
		return
	}
	p.left = true
	delete(q.waiting, who)
	u := p.urgency
	// Gaps would make those behind them think that more are ahead.
	if q.left[u]++; q.left[u] > len(q.order[u])/2 {
		q.order[u] = slices.DeleteFunc(slices.Clone(q.order[u]), func(p *place) bool { return p.left })
		for i, p := range q.order[u] {
			p.number = i
		}
		q.left[u] = 0
	}
}

// first is the first in line of an urgency, or nil. Who did not come back when asked to is not waited for any longer.
func (q *queue) first(u urgency, now time.Time) *place {
	for len(q.order[u]) > 0 {
		p := q.order[u][0]
		if !p.left && now.Sub(p.back) <= forgottenAfter {
			return p
		}
		if !p.left { // who left may have joined again since
			q.leave(p.who)
		}
		if len(q.order[u]) > 0 && q.order[u][0] == p {
			q.order[u][0] = nil
			q.order[u] = q.order[u][1:]
			q.left[u]--
		}
	}
	return nil
}

// ahead is how many go before a place.
func (q *queue) ahead(p *place, now time.Time) int {
	n := 0
	if first := q.first(p.urgency, now); first != nil {
		n = max(p.number-first.number, 0)
	}
	for u := range p.urgency {
		q.first(u, now)
		n += len(q.order[u]) - q.left[u]
	}
	return n
}

// before says whether somebody is there, or should be in a moment, who goes before a newcomer of an urgency.
func (q *queue) before(u urgency, now time.Time) bool {
	for ahead := range u + 1 {
		if first := q.first(ahead, now); first != nil && !now.Add(patience).Before(first.back) {
			return true
		}
	}
	return false
}

func (q *queue) empty(now time.Time) bool {
	for u := range urgencies {
		q.first(u, now)
	}
	return len(q.waiting) == 0
}
