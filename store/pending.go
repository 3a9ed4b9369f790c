package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/approvals"
)

// pendingLock is the first half of the advisory lock under which somebody's pending requests are counted; the second half is a hash
// of who it is. The number means nothing but must stay.
const pendingLock = 0x70656e64

// pendingQuery counts somebody's pending requests. What should have lapsed does not count.
const pendingQuery = `SELECT count(*) FROM requests AS r WHERE r.requester_id = $1 AND r.state = 'pending' AND r.lapses_at > $2`

// PendingOf implements approvals.Store.
func (s *Store) PendingOf(ctx context.Context, requester string, now time.Time) (int, error) {
	var n int
	if err := s.pool.QueryRow(ctx, pendingQuery, requester, now).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting what somebody waits for: %w", err)
	}
	return n, nil
}

// room refuses a request that is written already, and not committed, where its requester then has more pending ones than most, 0
// being as many as they like. They are counted under a lock, so that of two at the same instant only one gets the last place.
func room(ctx context.Context, tx pgx.Tx, r approvals.Request, most int) error {
	if r.State != approvals.Pending || most <= 0 {
		return nil
	}
	var pending int
	b := &pgx.Batch{}
	b.Queue(`SELECT pg_advisory_xact_lock($1, hashtext($2))`, int32(pendingLock), r.Requester.ID)
	// A statement of its own, so that it sees what the last holder of the lock committed.
	b.Queue(pendingQuery, r.Requester.ID, r.FiledAt).
		QueryRow(func(row pgx.Row) error { return row.Scan(&pending) })
	if err := send(ctx, tx, b); err != nil {
		return fmt.Errorf("counting what else somebody waits for: %w", err)
	}
	if pending > most {
		return approvals.ErrCrowded
	}
	return nil
}
