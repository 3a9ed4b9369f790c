package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

// mostUnended is how many of each list an operator is shown: with more, something else is wrong.
const mostUnended = 50

// Unended implements approvals.Store.
func (s *Store) Unended(ctx context.Context, now, before time.Time) (overdue, stuck []grants.Grant, err error) {
	read := func(b *pgx.Batch, into *[]grants.Grant, sql string, args ...any) {
		b.Queue(`SELECT `+grantColumns+` FROM grants AS g `+sql+` LIMIT `+strconv.Itoa(mostUnended), args...).Query(func(rows pgx.Rows) (err error) {
			*into, err = pgx.CollectRows(rows, scanGrant)
			return err
		})
	}
	err = s.readAtOnce(ctx, func(b *pgx.Batch) {
		read(b, &overdue, `
			WHERE g.state IN ('provisioning', 'active', 'revoking') AND LEAST(g.deadline, g.ending_at) < $1
			  AND (g.alarmed_at IS NOT NULL OR LEAST(g.deadline, g.ending_at) < $2)
			ORDER BY LEAST(g.deadline, g.ending_at)`, now, before)
		// The first tries of a clean-up fail on a busy day; what fails again and again waits for somebody.
		read(b, &stuck, `WHERE g.state = 'cleanup' AND g.attempts > 0 AND g.secured_at < $1 ORDER BY g.secured_at`, before)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading grants that do not end: %w", err)
	}
	return overdue, stuck, nil
}

// LeftBehind implements approvals.Store.
func (s *Store) LeftBehind(ctx context.Context, limit int) (found []grants.Grant, more int, err error) {
	const open = `
		WHERE g.receipt -> 'leftovers' IS NOT NULL AND NOT EXISTS (
			SELECT FROM audit_events AS e WHERE e.grant_id = g.id AND e.kind = $1 AND NOT e.refused)`
	err = s.readAtOnce(ctx, func(b *pgx.Batch) {
		b.Queue(`SELECT `+grantColumns+` FROM grants AS g `+open+` ORDER BY g.ended_at DESC LIMIT `+strconv.Itoa(limit), string(audit.LeftoversSettled)).
			Query(func(rows pgx.Rows) (err error) {
				found, err = pgx.CollectRows(rows, scanGrant)
				return err
			})
		b.Queue(`SELECT count(*) FROM grants AS g `+open, string(audit.LeftoversSettled)).QueryRow(func(row pgx.Row) error { return row.Scan(&more) })
	})
	if err != nil {
		return nil, 0, fmt.Errorf("reading what visitors left behind: %w", err)
	}
	return found, max(0, more-len(found)), nil
}
