package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Counts are how many requests and grants are in each state, for metrics. Final states are left out: their number only
// grows, and counting them would cost more each day.
type Counts struct {
	Requests, Grants map[string]int
	// Overdue is how many grants are past their end and not locked out.
	Overdue int
}

// Counts counts what is open now.
func (s *Store) Counts(ctx context.Context, now time.Time) (Counts, error) {
	out := Counts{Requests: map[string]int{"pending": 0, "approved": 0}, Grants: map[string]int{}}
	for _, state := range []string{"provisioning", "active", "revoking", "cleanup"} {
		out.Grants[state] = 0
	}
	err := s.read(ctx, func(tx pgx.Tx) error {
		count := func(into map[string]int, sql string) error {
			rows, err := tx.Query(ctx, sql)
			if err != nil {
				return err
			}
			var state string
			var n int
			_, err = pgx.ForEachRow(rows, []any{&state, &n}, func() error { into[state] = n; return nil })
			return err
		}
		if err := count(out.Requests, `SELECT state, count(*) FROM requests WHERE state IN ('pending', 'approved') GROUP BY state`); err != nil {
			return err
		}
		if err := count(out.Grants, `SELECT state, count(*) FROM grants WHERE state <> 'revoked' GROUP BY state`); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT count(*) FROM grants
			WHERE state IN ('provisioning', 'active', 'revoking') AND least(deadline, coalesce(ending_at, deadline)) < $1`, now).Scan(&out.Overdue)
	})
	if err != nil {
		return Counts{}, fmt.Errorf("counting what is open: %w", err)
	}
	return out, nil
}
