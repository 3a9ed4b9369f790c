package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

type caseWish = wish[approvals.Case, approvals.Change]

// ChangeCase implements approvals.Store.
func (s *Store) ChangeCase(ctx context.Context, id string, change func(approvals.Case) (approvals.Change, error)) (approvals.Case, error) {
	w := s.caseChanges.together(ctx, id, change)
	switch {
	case w.alone:
		return s.changeCaseAlone(ctx, id, change)
	case w.failed != nil:
		return approvals.Case{}, fmt.Errorf("changing request %s: %w", id, w.failed)
	}
	return w.out, w.refused
}

// changeCases writes the changes of a batch in one transaction. Requests that somebody else has locked are left out, so
// that one of them holds up nobody.
func (s *Store) changeCases(batch []*caseWish) {
	var place map[string]*approvals.Case
	writeTogether(s, batch, func(b *pgx.Batch, ids []string) {
		place = make(map[string]*approvals.Case, len(ids))
		for _, id := range ids {
			place[id] = &approvals.Case{}
		}
		queueLockedCases(b, ids, place)
	}, func(ctx context.Context, tx pgx.Tx) (bool, error) { return s.decideCases(ctx, tx, batch, place) })
}

// queueLockedCases reads cases and locks their requests. One that is not there, or locked, keeps a request without id.
func queueLockedCases(b *pgx.Batch, ids []string, place map[string]*approvals.Case) {
	b.Queue(`SELECT `+requestColumns+` FROM requests AS r WHERE r.id = ANY ($1) ORDER BY r.id FOR UPDATE SKIP LOCKED`, ids).
		Query(func(rows pgx.Rows) error {
			requests, err := pgx.CollectRows(rows, scanRequest)
			for _, r := range requests {
				place[r.ID].Request = r
			}
			return err
		})
	queueApprovalsOf(b, ids, place)
	queueGrantsOf(b, ids, place)
	queueReviewsOf(b, ids, place)
}

// decideCases lets every change decide on what is locked, and writes what they say: rows, events, jobs, each kind at once.
func (s *Store) decideCases(ctx context.Context, tx pgx.Tx, batch []*caseWish, place map[string]*approvals.Case) (recorded bool, err error) {
	rows := &caseRows{}
	var changes []approvals.Change
	var written []*caseWish
	var after []approvals.Case
	var refusals []audit.Event
	for _, w := range batch {
		row := place[w.id]
		c, decided := w.decide(*row, copyCase(*row), row.Request.ID != "", approvals.ErrNoChange)
		switch {
		case !decided:
		case w.refused != nil:
			refusals = append(refusals, c.Events...)
		default:
			next, err := addCaseChange(rows, *row, c)
			if err != nil {
				return false, err
			}
			changes, written, after = append(changes, c), append(written, w), append(after, next)
		}
		recorded = recorded || len(c.Events) > 0
	}
	if len(refusals) > 0 {
		if err := insertEvents(ctx, tx, refusals); err != nil {
			return false, err
		}
	}
	if len(changes) == 0 {
		return recorded, nil
	}
	if err := s.writeCases(ctx, tx, rows, after, changes); err != nil {
		return false, err
	}
	for i, w := range written {
		w.out = after[i]
	}
	return recorded, nil
}

// writeCases sends the rows with the events and jobs of all changes.
func (s *Store) writeCases(ctx context.Context, tx pgx.Tx, w *caseRows, after []approvals.Case, changes []approvals.Change) error {
	b := w.batch()
	var events []audit.Event
	var wait bool
	for _, c := range changes {
		events = append(events, c.Events...)
		wait = wait || needsEvent(c.Jobs)
	}
	first := make([]int64, len(changes)) // the first event of each change
	queueEventsWith(b, events, func(ids []int64) {
		at := 0
		for i, c := range changes {
			if len(c.Events) > 0 {
				first[i] = ids[at]
			}
			at += len(c.Events)
		}
	})
	if wait {
		if err := send(ctx, tx, b); err != nil {
			return err
		}
		b = nil
	}
	var follow []jobs.Job
	for i, c := range changes {
		follow = append(follow, about(versioned(c.Jobs, after[i].Request.Version), first[i])...)
	}
	return s.insertJobs(ctx, tx, b, follow)
}

// changeCaseAlone changes one case in a transaction of its own, and waits for whoever holds its request.
func (s *Store) changeCaseAlone(ctx context.Context, id string, change func(approvals.Case) (approvals.Change, error)) (approvals.Case, error) {
	var out approvals.Case
	var refused error // what change said no with; its events are committed nevertheless
	var recorded bool
	var found []approvals.Case
	err := s.writeWith(ctx, func(b *pgx.Batch) {
		found = nil
		queueCase(b, id, true, &found)
	}, func(tx pgx.Tx) error {
		refused, recorded = nil, false
		if len(found) == 0 {
			return approvals.ErrNotFound
		}
		before := found[0]
		out = before
		c, err := change(copyCase(before))
		switch {
		case errors.Is(err, approvals.ErrNoChange):
			return nil
		case err != nil:
			refused, recorded = err, len(c.Events) > 0
			return insertEvents(ctx, tx, c.Events)
		}
		recorded = len(c.Events) > 0
		w := &caseRows{}
		if out, err = addCaseChange(w, before, c); err != nil {
			return err
		}
		return s.writeCases(ctx, tx, w, []approvals.Case{out}, []approvals.Change{c})
	})
	if errors.Is(err, approvals.ErrNotFound) {
		return approvals.Case{}, approvals.ErrNotFound
	}
	if err != nil {
		// A refusal whose record could not be written is no refusal: nothing may happen unrecorded.
		return approvals.Case{}, fmt.Errorf("changing request %s: %w", id, err)
	}
	if recorded {
		s.kick()
	}
	return out, refused
}
