package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/internal/outbox"
)

// HomeOpened remembers that somebody looks at their Home tab, which is out of date by an instant: a change may be on its way that was
// announced before they opened it. It forgets everybody who has not looked since another.
func (s *Store) HomeOpened(ctx context.Context, user string, at, by, since time.Time) error {
	err := s.write(ctx, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(`DELETE FROM slack_homes WHERE opened_at < $1`, since)
		b.Queue(`
			INSERT INTO slack_homes AS h (user_id, opened_at, checked_at, shows, stale_at) VALUES ($1, $2, $2, '', $3)
			ON CONFLICT (user_id) DO UPDATE SET opened_at = greatest(h.opened_at, excluded.opened_at),
				stale_at = greatest(h.stale_at, excluded.stale_at)`, text(user), audit.Cut(at), audit.Cut(by))
		return send(ctx, tx, b)
	})
	if err != nil {
		return fmt.Errorf("remembering that a home was opened: %w", err)
	}
	return nil
}

// HomeShown remembers what a Home tab shows now. Whether it is stale is not touched: something may have changed meanwhile.
func (s *Store) HomeShown(ctx context.Context, user, shows string, at time.Time) error {
	_, err := s.pool.Exec(ctx, `UPDATE slack_homes SET shows = $2, checked_at = greatest(checked_at, $3) WHERE user_id = $1`, user, shows, audit.Cut(at))
	if err != nil {
		return fmt.Errorf("remembering what a home shows: %w", err)
	}
	return nil
}

// HomeChecked ends the staleness that was seen with StaleHomes, unless something changed after that.
func (s *Store) HomeChecked(ctx context.Context, h outbox.Home, at time.Time) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE slack_homes SET checked_at = greatest(checked_at, $3), stale_at = CASE WHEN stale_at = $2 THEN NULL ELSE stale_at END
		WHERE user_id = $1`, h.User, h.StaleAt, audit.Cut(at))
	if err != nil {
		return fmt.Errorf("remembering that a home was checked: %w", err)
	}
	return nil
}

// StaleHomes lists Home tabs that were opened since an instant, are out of date by another, and were not looked at since a third, the
// longest ago first.
func (s *Store) StaleHomes(ctx context.Context, opened, by, checked time.Time, limit int) ([]outbox.Home, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT h.user_id, h.shows, h.stale_at FROM slack_homes AS h
		WHERE h.stale_at <= $2 AND h.opened_at >= $1 AND h.checked_at <= $3 ORDER BY h.checked_at, h.user_id LIMIT $4`, opened, by, checked, limit)
	if err != nil {
		return nil, fmt.Errorf("reading which homes are stale: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h outbox.Home, err error) {
		return h, row.Scan(&h.User, &h.Shows, &h.StaleAt)
	})
	if err != nil {
		return nil, fmt.Errorf("reading which homes are stale: %w", err)
	}
	return found, nil
}

// errNoHomes ends a transaction that has nothing to write.
var errNoHomes = errors.New("nobody looks at their home")

// WantHomes says that something changed, or may have by a later instant: every Home tab opened since another is out of date by then. The
// job that looks at them is filed, unless one waits already, which comes after this. One that runs may be past its last look and does not
// count. So at most one waits, however much changes and however many replicas say so. Where nobody looks, nothing is filed.
func (s *Store) WantHomes(ctx context.Context, opened, by time.Time) error {
	err := s.write(ctx, func(tx pgx.Tx) error {
		// Rows are locked in one order, so that two replicas do not wait for each other.
		done, err := tx.Exec(ctx, `
			UPDATE slack_homes AS h SET stale_at = greatest(h.stale_at, $2) FROM (
				SELECT l.user_id FROM slack_homes AS l WHERE l.opened_at >= $1 ORDER BY l.user_id FOR UPDATE) AS locked
			WHERE h.user_id = locked.user_id`, opened, audit.Cut(by))
		if err != nil {
			return err
		}
		if done.RowsAffected() == 0 {
			return errNoHomes
		}
		if waits, err := homesWait(ctx, tx); err != nil || waits {
			return err
		}
		var running int64
		if err := tx.QueryRow(ctx, `
			SELECT coalesce(max(j.id), 0) FROM river_job AS j WHERE j.state = 'running' AND j.queue = $1`, QueueHomes).Scan(&running); err != nil {
			return err
		}
		// All who ask while the same job runs ask for the same one. It is not put off: the job engine would look at it late, while
		// the job itself puts off what is left of it to the second.
		return s.insertJobs(ctx, tx, nil, []jobs.Job{{Kind: jobs.Homes, Subject: "all", Version: running}})
	})
	if err != nil && !errors.Is(err, errNoHomes) {
		return fmt.Errorf("asking for homes to be drawn: %w", err)
	}
	return nil
}

// HomesWanted says whether a job that looks at Home tabs waits to be run.
func (s *Store) HomesWanted(ctx context.Context) (bool, error) {
	waits := false
	err := s.write(ctx, func(tx pgx.Tx) (err error) {
		waits, err = homesWait(ctx, tx)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("reading whether homes are to be looked at: %w", err)
	}
	return waits, nil
}

// homesWait says whether a job waits, and keeps it from being begun before the transaction ends: what it finds then includes what the
// transaction writes. One that is being begun now is waited for, and counts as begun.
func homesWait(ctx context.Context, tx pgx.Tx) (bool, error) {
	done, err := tx.Exec(ctx, `
		SELECT FROM river_job AS j WHERE j.state IN ('available', 'pending', 'retryable', 'scheduled') AND j.queue = $1 FOR KEY SHARE`, QueueHomes)
	return done.RowsAffected() > 0, err
}
