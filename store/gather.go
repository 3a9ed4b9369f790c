package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Changes that are asked for while others are being written share the next transaction: what a commit costs is
// then paid once for all of them. Nobody waits for company: a change that comes alone is written at once. Each change
// keeps its own outcome; one that cannot be written together with the others is written by itself.

const (
	// mostTogether is how many changes share a transaction; it is over in milliseconds.
	mostTogether = 64
	// gatherers is how many such transactions run at a time: one commits while the other is at work.
	gatherers = 2
	// togetherWithin bounds one of them; whoever is not served by then is served by itself.
	togetherWithin = 5 * time.Second
)

// gathering are the changes of rows of one kind that wait.
type gathering[T, C any] struct {
	// write carries out a batch.
	write func(batch []*wish[T, C])

	mu      sync.Mutex
	working int
	waiting []*wish[T, C]
}

// wish is one change of one row.
type wish[T, C any] struct {
	id   string
	done chan struct{}

	mu sync.Mutex // held while change runs, and to give up
	// gone says that whoever asked is not there any more: change must not run.
	gone   bool
	change func(T) (C, error)

	// What came of it, after done. alone asks to do it by itself.
	out     T
	refused error
	failed  error
	alone   bool
}

// together changes a row in one transaction with others that are asked for at the same time.
func (g *gathering[T, C]) together(ctx context.Context, id string, change func(T) (C, error)) *wish[T, C] {
	w := &wish[T, C]{id: id, change: change, done: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, w)
	if g.working < gatherers {
		g.working++
		go g.gather()
	}
	g.mu.Unlock()
	select {
	case <-w.done:
	case <-ctx.Done():
		w.mu.Lock()
		defer w.mu.Unlock()
		w.gone = true
		return &wish[T, C]{failed: ctx.Err()}
	}
	return w
}

// gather writes what waits until nothing does.
func (g *gathering[T, C]) gather() {
	for {
		batch := g.take()
		if len(batch) == 0 {
			return
		}
		g.write(batch)
		for _, w := range batch {
			close(w.done)
		}
	}
}

// take gives the next changes, of different rows; none ends the gatherer.
func (g *gathering[T, C]) take() []*wish[T, C] {
	g.mu.Lock()
	defer g.mu.Unlock()
	var batch, later []*wish[T, C]
	for _, w := range g.waiting {
		again := slices.ContainsFunc(batch, func(other *wish[T, C]) bool { return other.id == w.id })
		if again || len(batch) == mostTogether {
			later = append(later, w)
		} else {
			batch = append(batch, w)
		}
	}
	g.waiting = later
	if len(batch) == 0 {
		g.working--
	}
	return batch
}

// writeTogether writes a batch in one transaction: lock queues what locks and reads the rows, decide lets every change
// decide on them and writes what they say.
func writeTogether[T, C any](s *Store, batch []*wish[T, C], lock func(b *pgx.Batch, ids []string), decide func(ctx context.Context, tx pgx.Tx) (recorded bool, err error)) {
	ctx, cancel := context.WithTimeout(context.Background(), togetherWithin)
	defer cancel()
	ids := make([]string, len(batch))
	for i, w := range batch {
		ids[i] = w.id
	}
	var recorded, decided bool
	err := s.writeWith(ctx, func(b *pgx.Batch) { lock(b, ids) }, func(tx pgx.Tx) (err error) {
		decided = false
		recorded, err = decide(ctx, tx)
		decided = err == nil
		return err
	})
	for _, w := range batch {
		if err == nil || w.alone {
			continue
		}
		// Before COMMIT nothing was done, and each can try by itself, as when the schema refused what one of them did. A
		// COMMIT that failed otherwise may have succeeded.
		w.alone, w.failed = !decided || violates(err), err
	}
	if err == nil && recorded {
		s.kick()
	}
}

// violates says whether the schema refused a transaction; some of its promises are looked at during COMMIT.
func violates(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && strings.HasPrefix(pgErr.Code, "23") // integrity_constraint_violation
}

// decide runs a change on a copy of the row, unless whoever asked has gone. decided is false when there is nothing to
// write: none is the error that says so.
func (w *wish[T, C]) decide(row, its T, found bool, none error) (c C, decided bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out, w.refused, w.alone = row, nil, false
	if w.gone {
		return c, false
	}
	if !found {
		w.alone = true
		return c, false
	}
	defer func() {
		if recover() != nil { // it is to panic where it was asked for
			w.alone = true
			var nothing C
			c, decided = nothing, false
		}
	}()
	c, err := w.change(its)
	if errors.Is(err, none) {
		return c, false
	}
	w.refused = err
	return c, true
}
