package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/audit"
)

// TargetIdentity implements grants.Store.
func (s *Store) TargetIdentity(ctx context.Context, target string) (string, error) {
	var fingerprint string
	err := s.pool.QueryRow(ctx, `SELECT t.fingerprint FROM target_identities AS t WHERE t.target = $1`, target).Scan(&fingerprint)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("reading which cluster %s is: %w", target, err)
	}
	return fingerprint, nil
}

// TrustTarget implements grants.Store.
func (s *Store) TrustTarget(ctx context.Context, target, before, fingerprint string, event audit.Event) (string, error) {
	var now string
	var changed bool
	err := s.write(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			INSERT INTO target_identities AS t (target, fingerprint, since) VALUES ($1, $2, $3)
			ON CONFLICT (target) DO UPDATE SET fingerprint = excluded.fingerprint, since = excluded.since
			WHERE t.fingerprint = $4`, target, fingerprint, audit.Cut(event.At), before)
		if err != nil {
			return err
		}
		if changed = tag.RowsAffected() == 1; changed {
			now = fingerprint
			return insertEvents(ctx, tx, []audit.Event{event})
		}
		return tx.QueryRow(ctx, `SELECT t.fingerprint FROM target_identities AS t WHERE t.target = $1`, target).Scan(&now)
	})
	if err != nil {
		return "", fmt.Errorf("remembering which cluster %s is: %w", target, err)
	}
	if changed {
		s.kick()
	}
	return now, nil
}

// Holds implements grants.Store.
func (s *Store) Holds(ctx context.Context, head audit.Head) (bool, error) {
	var holds bool
	err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM audit_seals AS s WHERE s.seq = $1 AND s.hash = $2)`, head.Seq, head.Hash).Scan(&holds)
	if err != nil {
		return false, fmt.Errorf("looking for a link of the audit chain: %w", err)
	}
	return holds, nil
}
