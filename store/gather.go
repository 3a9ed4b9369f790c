package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
)

// Changes of grants that are asked for while others are being written share the next transaction: what a commit costs is
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

// gathering are the changes that wait.
type gathering struct {
	mu      sync.Mutex
	working int
	waiting []*wish
}

// wish is one change of one grant.
type wish struct {
	id   string
	done chan struct{}

	mu sync.Mutex // held while change runs, and to give up
	// gone says that whoever asked is not there any more: change must not run.
	gone   bool
	change func(grants.Grant) (grants.Change, error)

	// What came of it, after done. alone asks to do it by itself.
	out     grants.Grant
	refused error
	failed  error
	alone   bool
}

// together changes a grant in one transaction with others that are asked for at the same time.
func (s *Store) together(ctx context.Context, id string, change func(grants.Grant) (grants.Change, error)) *wish {
	w := &wish{id: id, change: change, done: make(chan struct{})}
	g := &s.gathering
	g.mu.Lock()
	g.waiting = append(g.waiting, w)
	if g.working < gatherers {
		g.working++
		go s.gather()
	}
	g.mu.Unlock()
	select {
	case <-w.done:
	case <-ctx.Done():
		w.mu.Lock()
		defer w.mu.Unlock()
		w.gone = true
		return &wish{failed: ctx.Err()}
	}
	return w
}

// gather writes what waits until nothing does.
func (s *Store) gather() {
	for {
		batch := s.gathering.take()
		if len(batch) == 0 {
			return
		}
		s.changeTogether(batch)
		for _, w := range batch {
			close(w.done)
		}
	}
}

// take gives the next changes, of different grants; none ends the gatherer.
func (g *gathering) take() []*wish {
	g.mu.Lock()
	defer g.mu.Unlock()
	var batch, later []*wish
	for _, w := range g.waiting {
		again := slices.ContainsFunc(batch, func(other *wish) bool { return other.id == w.id })
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

// changeTogether writes the changes of a batch in one transaction. Rows that somebody else has locked are left out, so
// that one of them holds up nobody.
func (s *Store) changeTogether(batch []*wish) {
	ctx, cancel := context.WithTimeout(context.Background(), togetherWithin)
	defer cancel()
	ids := make([]string, len(batch))
	for i, w := range batch {
		ids[i] = w.id
	}
	var found map[string]locked
	var recorded, decided bool
	err := s.writeWith(ctx, func(b *pgx.Batch) {
		found = make(map[string]locked, len(batch))
		queueLocked(b, ids, found)
	}, func(tx pgx.Tx) (err error) {
		decided = false
		recorded, err = s.decideTogether(ctx, tx, batch, found)
		decided = err == nil
		return err
	})
	for _, w := range batch {
		if err == nil || w.alone {
			continue
		}
		// Before COMMIT nothing was done, and each can try by itself. A COMMIT that failed may have succeeded.
		w.alone, w.failed = !decided, err
	}
	if err == nil && recorded {
		s.kick()
	}
}

// locked is a grant whose row and whose request's row are locked.
type locked struct {
	grant   grants.Grant
	version int64 // of the request
}

func queueLocked(b *pgx.Batch, ids []string, found map[string]locked) {
	b.Queue(`
		SELECT r.version, `+grantColumns+` FROM grants AS g JOIN requests AS r ON r.id = g.request_id
		WHERE g.id = ANY ($1) ORDER BY g.id FOR UPDATE SKIP LOCKED`, ids,
	).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var one locked
			targets, finish := grantTargets(&one.grant)
			if err := rows.Scan(append([]any{&one.version}, targets...)...); err != nil {
				return err
			}
			if err := finish(); err != nil {
				return err
			}
			found[one.grant.ID] = one
		}
		return rows.Err()
	})
}

// decideTogether lets every change decide on what is locked, and writes what they say.
func (s *Store) decideTogether(ctx context.Context, tx pgx.Tx, batch []*wish, found map[string]locked) (recorded bool, err error) {
	var before []grants.Grant
	var changes []grants.Change
	var written []*wish
	versions := map[string]int64{}
	refusals := grants.Change{}
	for _, w := range batch {
		row, ok := found[w.id]
		c, decided := w.decide(row, ok)
		switch {
		case !decided:
		case w.refused != nil:
			refusals.Events = append(refusals.Events, c.Events...)
		default:
			before, changes, written = append(before, row.grant), append(changes, c), append(written, w)
			versions[row.grant.Request] = row.version + 1
		}
		recorded = recorded || len(c.Events) > 0
	}
	if len(refusals.Events) > 0 {
		if err := insertEvents(ctx, tx, refusals.Events); err != nil {
			return false, err
		}
	}
	if len(changes) == 0 {
		return recorded, nil
	}
	after, err := s.writeGrants(ctx, tx, before, changes, versions)
	if err != nil {
		return false, err
	}
	for i, w := range written {
		w.out = after[i]
	}
	return recorded, nil
}

// decide runs a change, unless whoever asked has gone. decided is false when there is nothing to write.
func (w *wish) decide(row locked, found bool) (c grants.Change, decided bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out, w.refused, w.alone = row.grant, nil, false
	if w.gone {
		return grants.Change{}, false
	}
	if !found {
		w.alone = true
		return grants.Change{}, false
	}
	defer func() {
		if recover() != nil { // it is to panic where it was asked for
			w.alone = true
			c, decided = grants.Change{}, false
		}
	}()
	c, err := w.change(copyGrant(row.grant))
	if errors.Is(err, grants.ErrNoChange) {
		return grants.Change{}, false
	}
	w.refused = err
	return c, true
}

// ChangeGrant implements grants.Store.
func (s *Store) ChangeGrant(ctx context.Context, id string, change func(grants.Grant) (grants.Change, error)) (grants.Grant, error) {
	w := s.together(ctx, id, change)
	switch {
	case w.alone:
		return s.changeAlone(ctx, id, change)
	case w.failed != nil:
		return grants.Grant{}, fmt.Errorf("changing grant %s: %w", id, w.failed)
	}
	return w.out, w.refused
}
