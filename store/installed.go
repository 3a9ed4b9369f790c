package store

import (
	"context"
	"fmt"
	"time"
)

// InstalledAt is when the store was set up: nothing was asked or done before it.
func (s *Store) InstalledAt(ctx context.Context) (time.Time, error) {
	var at time.Time
	if err := s.pool.QueryRow(ctx, `SELECT made_at FROM installation`).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("reading when the store was set up: %w", err)
	}
	return at, nil
}
