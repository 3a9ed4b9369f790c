package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// changeAlone changes one grant in a transaction of its own, and waits for whoever holds its row.
func (s *Store) changeAlone(ctx context.Context, id string, change func(grants.Grant) (grants.Change, error)) (grants.Grant, error) {
	var out grants.Grant
	var refused error // what change said no with; its events are committed nevertheless
	var recorded bool
	err := s.write(ctx, func(tx pgx.Tx) error {
		refused, recorded = nil, false
		rows, err := tx.Query(ctx, `SELECT `+grantColumns+` FROM grants AS g WHERE g.id = $1 FOR UPDATE`, id)
		if err != nil {
			return err
		}
		before, err := pgx.CollectExactlyOneRow(rows, scanGrant)
		if errors.Is(err, pgx.ErrNoRows) {
			return grants.ErrNotFound
		}
		if err != nil {
			return err
		}
		out = before
		c, err := change(copyGrant(before))
		switch {
		case errors.Is(err, grants.ErrNoChange):
			return nil
		case err != nil:
			refused, recorded = err, len(c.Events) > 0
			return insertEvents(ctx, tx, c.Events)
		}
		recorded = len(c.Events) > 0
		written, err := s.writeGrants(ctx, tx, []grants.Grant{before}, []grants.Change{c}, nil)
		if err == nil {
			out = written[0]
		}
		return err
	})
	if errors.Is(err, grants.ErrNotFound) {
		return grants.Grant{}, grants.ErrNotFound
	}
	if err != nil {
		// A refusal whose record could not be written is no refusal: nothing may happen unrecorded.
		return grants.Grant{}, fmt.Errorf("changing grant %s: %w", id, err)
	}
	if recorded {
		s.kick()
	}
	return out, refused
}

// TakeDue implements grants.Store. It waits for nobody: a grant is left out whose row, or whose request's row, somebody
// else holds. One whose change cannot be written does not keep the others from ending: they are
// then written one by one, and the failure is logged, or returned when nothing else could be done.
func (s *Store) TakeDue(ctx context.Context, now time.Time, limit int, change func(grants.Grant) grants.Change) ([]grants.Grant, error) {
	out, err := s.takeDue(ctx, now, limit, change, s.writeGrants)
	if err != nil && ctx.Err() == nil {
		if again, second := s.takeDue(ctx, now, limit, change, s.writeEach); second == nil && len(again) > 0 {
			out, err = again, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("taking due grants: %w", err)
	}
	if len(out) > 0 {
		s.kick()
	}
	return out, nil
}

// writer writes the changes of grants whose rows and whose requests' rows are locked; versions are what these requests get.
type writer func(ctx context.Context, tx pgx.Tx, before []grants.Grant, changes []grants.Change, versions map[string]int64) ([]grants.Grant, error)

func (s *Store) takeDue(ctx context.Context, now time.Time, limit int, change func(grants.Grant) grants.Change, write writer) ([]grants.Grant, error) {
	var out []grants.Grant
	err := s.write(ctx, func(tx pgx.Tx) error {
		out = nil
		rows, err := tx.Query(ctx, `
			SELECT r.version, `+grantColumns+` FROM grants AS g JOIN requests AS r ON r.id = g.request_id
			WHERE g.state IN ('provisioning', 'active') AND g.deadline <= $1
			ORDER BY g.deadline LIMIT $2
			FOR UPDATE SKIP LOCKED`, now, limit)
		if err != nil {
			return err
		}
		due, err := pgx.CollectRows(rows, scanLocked)
		if err != nil || len(due) == 0 {
			return err
		}
		before, changes := make([]grants.Grant, len(due)), make([]grants.Change, len(due))
		versions := make(map[string]int64, len(due))
		for i, one := range due {
			before[i], changes[i] = one.grant, change(copyGrant(one.grant))
			versions[one.grant.Request] = one.version + 1
		}
		out, err = write(ctx, tx, before, changes, versions)
		return err
	})
	return out, err
}

// writeEach writes each change behind a savepoint of its own and leaves out those that fail.
func (s *Store) writeEach(ctx context.Context, tx pgx.Tx, before []grants.Grant, changes []grants.Change, versions map[string]int64) ([]grants.Grant, error) {
	var out []grants.Grant
	for i := range changes {
		err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
			written, err := s.writeGrants(ctx, tx, before[i:i+1], changes[i:i+1], versions)
			if err == nil {
				out = append(out, written...)
				versions[before[i].Request]++ // another grant of this request gets the one after it
			}
			return err
		})
		if err != nil && (passing(err) || tx.Conn().IsClosed()) {
			return nil, err
		}
		if err != nil {
			s.log.Error().Err(err).Str("grant", before[i].ID).Msg("a due grant could not be moved to revoking")
		}
	}
	return out, nil
}

// writeGrants writes the changes of grants whose rows are locked, with their events and jobs. versions are those that
// their requests get, where these are locked too: then everything goes in one message. Otherwise it is nil.
func (s *Store) writeGrants(ctx context.Context, tx pgx.Tx, before []grants.Grant, changes []grants.Change, versions map[string]int64) ([]grants.Grant, error) {
	b := &pgx.Batch{}
	var changed rows
	after := make([]grants.Grant, len(before))
	requests := make([]string, len(before))
	first := make([]int64, len(before)) // the first event of each change
	for i, c := range changes {
		g := c.Grant
		if !reflect.DeepEqual(frozen(g), frozen(before[i])) {
			return nil, fmt.Errorf("grant %s: what it was issued against cannot change", before[i].ID)
		}
		receipt, err := settleGrant(&g)
		if err != nil {
			return nil, err
		}
		g.Version = before[i].Version + 1
		changed = append(changed, grantRow(g, receipt))
		after[i], requests[i] = g, g.Request
	}
	changed.queue(b, updateGrants)
	known := versions != nil
	if known {
		b.Queue(`UPDATE requests SET version = version + 1 WHERE id = ANY ($1)`, requests)
	} else {
		versions = make(map[string]int64, len(before))
		queueBump(b, requests, versions)
	}
	queueAllEvents(b, changes, first)
	if !known || slices.ContainsFunc(changes, func(c grants.Change) bool { return needsEvent(c.Jobs) }) {
		if err := send(ctx, tx, b); err != nil {
			return nil, err
		}
		b = nil
	}
	var follow []jobs.Job
	for i, c := range changes {
		follow = append(follow, about(versioned(c.Jobs, versions[requests[i]]), first[i])...)
	}
	return after, s.insertJobs(ctx, tx, b, follow)
}

// queueBump adds one to the version of requests whose grants change, in the order of their ids, so that two who change
// the same requests cannot wait for each other.
func queueBump(b *pgx.Batch, requests []string, versions map[string]int64) {
	b.Queue(`
		UPDATE requests SET version = requests.version + 1
		FROM (SELECT id FROM requests WHERE id = ANY ($1) ORDER BY id FOR UPDATE) AS locked
		WHERE requests.id = locked.id
		RETURNING requests.id, requests.version`, requests,
	).Query(func(rows pgx.Rows) error {
		var id string
		var version int64
		_, err := pgx.ForEachRow(rows, []any{&id, &version}, func() error {
			versions[id] = version
			return nil
		})
		return err
	})
}

// queueAllEvents inserts the events of all changes in one statement and finds the first of each.
func queueAllEvents(b *pgx.Batch, changes []grants.Change, first []int64) {
	var events []audit.Event
	for _, c := range changes {
		events = append(events, c.Events...)
	}
	queueEventsWith(b, events, func(ids []int64) {
		at := 0
		for i, c := range changes {
			if len(c.Events) > 0 {
				first[i] = ids[at]
			}
			at += len(c.Events)
		}
	})
}

func insertEvents(ctx context.Context, tx pgx.Tx, events []audit.Event) error {
	b := &pgx.Batch{}
	queueEvents(b, events, new(int64))
	return send(ctx, tx, b)
}

// copyGrant keeps the store's own copy out of a change function's hands.
func copyGrant(g grants.Grant) grants.Grant {
	g.Params = slices.Clone(g.Params)
	if g.Receipt != nil {
		receipt := *g.Receipt
		g.Receipt = &receipt
	}
	return g
}
