package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
)

type grantWish = wish[grants.Grant, grants.Change]

// ChangeGrant implements grants.Store.
func (s *Store) ChangeGrant(ctx context.Context, id string, change func(grants.Grant) (grants.Change, error)) (grants.Grant, error) {
	w := s.grantChanges.together(ctx, id, change)
	switch {
	case w.alone:
		return s.changeAlone(ctx, id, change)
	case w.failed != nil:
		return grants.Grant{}, fmt.Errorf("changing grant %s: %w", id, w.failed)
	}
	return w.out, w.refused
}

// changeGrants writes the changes of a batch in one transaction. Rows that somebody else has locked are left out, so
// that one of them holds up nobody.
func (s *Store) changeGrants(batch []*grantWish) {
	var found map[string]locked
	writeTogether(s, batch, func(b *pgx.Batch, ids []string) {
		found = make(map[string]locked, len(batch))
		queueLocked(b, ids, found)
	}, func(ctx context.Context, tx pgx.Tx) (bool, error) { return s.decideGrants(ctx, tx, batch, found) })
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
		all, err := pgx.CollectRows(rows, scanLocked)
		for _, one := range all {
			found[one.grant.ID] = one
		}
		return err
	})
}

func scanLocked(row pgx.CollectableRow) (one locked, err error) {
	targets, finish := grantTargets(&one.grant)
	if err := row.Scan(append([]any{&one.version}, targets...)...); err != nil {
		return one, err
	}
	return one, finish()
}

// decideGrants lets every change decide on what is locked, and writes what they say.
func (s *Store) decideGrants(ctx context.Context, tx pgx.Tx, batch []*grantWish, found map[string]locked) (recorded bool, err error) {
	var before []grants.Grant
	var changes []grants.Change
	var written []*grantWish
	versions := map[string]int64{}
	refusals := grants.Change{}
	for _, w := range batch {
		row, ok := found[w.id]
		c, decided := w.decide(row.grant, copyGrant(row.grant), ok, grants.ErrNoChange)
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
