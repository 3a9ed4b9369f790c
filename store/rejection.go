package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// policyLock is the advisory lock of whoever records what became of the policy file; the number means nothing but must stay.
const policyLock = 0x70617266

// RecordRejection records that a policy file does not load, and the jobs that follow, once for all replicas: not when the
// newest event about the file is already the rejection of the same bytes, whose hash is Detail "rejected". Once another
// policy was loaded, the same bytes are news again.
func (s *Store) RecordRejection(ctx context.Context, event audit.Event, follow []jobs.Job) (recorded bool, err error) {
	err = s.write(ctx, func(tx pgx.Tx) error {
		recorded = false
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(policyLock)); err != nil {
			return err
		}
		// The lock was waited for in a statement of its own, so this one sees what its last holder committed.
		var known bool
		err := tx.QueryRow(ctx, `
			SELECT r.detail ->> 'rejected' = $3
				AND r.id > coalesce((SELECT l.id FROM audit_events AS l WHERE l.kind = $2 ORDER BY l.id DESC LIMIT 1), 0)
			FROM audit_events AS r WHERE r.kind = $1 ORDER BY r.id DESC LIMIT 1`,
			string(audit.PolicyRejected), string(audit.PolicyLoaded), event.Detail["rejected"]).Scan(&known)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) || known {
			return err
		}
		b := &pgx.Batch{}
		var first int64
		queueEvents(b, []audit.Event{event}, &first)
		if err := send(ctx, tx, b); err != nil {
			return err
		}
		recorded = true
		return s.insertJobs(ctx, tx, nil, about(follow, first))
	})
	if err != nil {
		return false, fmt.Errorf("recording that a policy was rejected: %w", err)
	}
	if recorded {
		s.kick()
	}
	return recorded, nil
}
