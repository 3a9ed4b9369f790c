package mysql

import (
	"context"
	"sync"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// node is a replica of the target. When many logins are taken back at once, a node that does not answer, or stands still,
// must not hold each of them up in turn: those that wait for their turn are not even locked on the primary meanwhile. What
// one finds out about a node holds for the others, for a moment.
type node struct {
	name string
	pool *pool

	mu sync.Mutex
	// away is why it did not answer, and until when it is not asked again.
	away      error
	awayUntil time.Time
	lateUntil time.Time
	// reach ends when somebody finds that the node does not answer; whoever is just connecting to it need not try longer.
	reach context.Context
	fell  context.CancelFunc
}

const (
	// nodeMoment is how long it is believed that a node does not answer, or stands still.
	nodeMoment = 3 * time.Second
	// lateMoment is how long a node that stood still a moment ago is given: long enough for one that follows again.
	lateMoment = 500 * time.Millisecond
)

func newNode(name string, p *pool) *node {
	n := &node{name: name, pool: p}
	n.reach, n.fell = context.WithCancel(context.Background())
	return n
}

// approach says how long the node may take, or why it is not asked at all. When a moment is over one caller tries, and the
// others believe what was until that one knows.
func (n *node) approach(patience time.Duration) (reach context.Context, most time.Duration, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now() // measures how long ago it was; nothing of it is stored
	if n.away != nil {
		if now.Before(n.awayUntil) {
			return nil, 0, failure("a moment ago", n.away)
		}
		n.awayUntil = now.Add(connectTimeout)
	}
	if now.Before(n.lateUntil) {
		patience = min(patience, lateMoment)
	}
	return n.reach, patience, nil
}

// learn takes down what was found.
func (n *node) learn(out outcome) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case out.cut:
		return // that was somebody else's finding, or the caller's impatience
	case grants.ReasonOf(out.err) == grants.FailUnreachable:
		n.away, n.awayUntil = out.err, time.Now().Add(nodeMoment)
		n.fell()
		n.reach, n.fell = context.WithCancel(context.Background())
		return
	case out.late:
		n.lateUntil = time.Now().Add(nodeMoment)
	case out.err == nil:
		n.lateUntil = time.Time{}
	}
	n.away = nil
}

// drain empties the node of a login's sessions.
func (n *node) drain(ctx context.Context, login grants.Login, patience time.Duration) outcome {
	reach, patience, err := n.approach(patience)
	if err != nil {
		return outcome{node: n.name, err: err}
	}
	out := drain(ctx, reach, site{pool: n.pool, name: n.name, patience: patience}, login)
	n.learn(out)
	return out
}
