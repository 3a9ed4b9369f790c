package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
)

// onePerDelivery is the index that keeps a delivery from having a second effect.
const onePerDelivery = "audit_events_once"

// delivered adds audit.ErrDelivered to an error where that is why a transaction could not be written.
func delivered(err error) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.ConstraintName == onePerDelivery {
		return fmt.Errorf("%w: %w", audit.ErrDelivered, err)
	}
	return err
}

// Delivered implements approvals.Store.
func (s *Store) Delivered(ctx context.Context, delivery string) (audit.Event, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+eventColumns+` FROM audit_events AS e WHERE e.detail ->> 'delivery' = $1`, delivery)
	if err != nil {
		return audit.Event{}, fmt.Errorf("reading what a delivery did: %w", err)
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEvent)
	if errors.Is(err, pgx.ErrNoRows) {
		return audit.Event{}, approvals.ErrNotFound
	}
	if err != nil {
		return audit.Event{}, fmt.Errorf("reading what a delivery did: %w", err)
	}
	return e, nil
}
