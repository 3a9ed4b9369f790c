package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/audit"
)

const (
	// sealBatch is how many events one transaction seals: enough to keep up, few enough to be over in milliseconds.
	sealBatch = 1000
	// sealLock is the advisory lock of the one sealer; the number means nothing but must stay.
	sealLock = 0x70726f64_7365616c
)

// SealPending seals the events that no seal covers yet, in the order of their ids, and says how many it sealed. When
// another sealer is at work it returns 0 at once. Any number of replicas may call it at any time.
func (s *Store) SealPending(ctx context.Context, now time.Time) (int, error) {
	total := 0
	for {
		sealed, err := s.sealSome(ctx, now)
		total += sealed
		if err != nil {
			return total, fmt.Errorf("sealing audit events: %w", err)
		}
		if sealed < sealBatch {
			return total, nil
		}
	}
}

// SealAll seals until none of the events waits that are there when it is called, for whoever records no more and leaves perhaps nobody
// behind who seals; what others go on recording is theirs. It waits for a sealer that is at work, which may have looked before the
// last event was there.
func (s *Store) SealAll(ctx context.Context) error {
	var last, next *int64
	if err := s.pool.QueryRow(ctx, `SELECT max(event_id) FROM audit_unsealed`).Scan(&last); err != nil {
		return fmt.Errorf("looking for audit events without a seal: %w", err)
	}
	for last != nil {
		if _, err := s.SealPending(ctx, s.now()); err != nil {
			return err
		}
		// They are sealed in the order of their ids.
		if err := s.pool.QueryRow(ctx, `SELECT min(event_id) FROM audit_unsealed`).Scan(&next); err != nil {
			return fmt.Errorf("looking for audit events without a seal: %w", err)
		}
		if next == nil || *next > *last {
			return nil
		}
		pause := time.NewTimer(sealGather)
		select {
		case <-ctx.Done():
			pause.Stop()
			return fmt.Errorf("sealing audit events: %w", ctx.Err())
		case <-pause.C:
		}
	}
	return nil
}

func (s *Store) sealSome(ctx context.Context, now time.Time) (int, error) {
	sealed := 0
	err := s.write(ctx, func(tx pgx.Tx) error {
		sealed = 0
		// The lock comes in a statement of its own: what the next ones see must include the seals of whoever had it before.
		var ours bool
		if err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock($1)`, int64(sealLock)).Scan(&ours); err != nil || !ours {
			return err
		}
		head, events, err := unsealed(ctx, tx)
		if err != nil || len(events) == 0 {
			return err
		}
		b := &pgx.Batch{}
		queueSeals(b, audit.Append(head, events, now))
		sealed = len(events)
		return send(ctx, tx, b)
	})
	return sealed, err
}

func unsealed(ctx context.Context, tx pgx.Tx) (head audit.Head, events []audit.Event, err error) {
	b := &pgx.Batch{}
	b.Queue(headQuery).QueryRow(func(row pgx.Row) error { return scanHead(row, &head) })
	// Not a join: one that the planner merges reads the log from its beginning.
	b.Queue(`
		SELECT `+eventColumns+` FROM audit_events AS e
		WHERE e.id = ANY (ARRAY(SELECT u.event_id FROM audit_unsealed AS u ORDER BY u.event_id LIMIT $1))
		ORDER BY e.id`, sealBatch,
	).Query(func(rows pgx.Rows) error {
		var err error
		events, err = pgx.CollectRows(rows, scanEvent)
		return err
	})
	return head, events, send(ctx, tx, b)
}

func queueSeals(b *pgx.Batch, seals []audit.Seal) {
	var seqs, events []int64
	var prevs, hashes []string
	for _, seal := range seals {
		seqs, events = append(seqs, seal.Seq), append(events, seal.Event)
		prevs, hashes = append(prevs, seal.Prev), append(hashes, seal.Hash)
	}
	b.Queue(`
		INSERT INTO audit_seals (seq, event_id, prev, hash, at)
		SELECT seq, event_id, prev, hash, $5
		FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) AS s (seq, event_id, prev, hash)
		ORDER BY seq`, seqs, events, prevs, hashes, seals[0].At)
	b.Queue(`DELETE FROM audit_unsealed WHERE event_id = ANY ($1)`, events)
}

const headQuery = `SELECT s.seq, s.hash FROM audit_seals AS s ORDER BY s.seq DESC LIMIT 1`

// scanHead reads headQuery's row; without one the chain is empty.
func scanHead(row pgx.Row, head *audit.Head) error {
	err := row.Scan(&head.Seq, &head.Hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}

// Head is the end of the chain now.
func (s *Store) Head(ctx context.Context) (audit.Head, error) {
	var head audit.Head
	if err := scanHead(s.pool.QueryRow(ctx, headQuery), &head); err != nil {
		return head, fmt.Errorf("reading the head of the audit chain: %w", err)
	}
	return head, nil
}

// Chain implements audit.Source. It sees one snapshot; rows are streamed, however many.
func (s *Store) Chain(ctx context.Context) iter.Seq2[audit.Link, error] {
	return func(yield func(audit.Link, error) bool) {
		err := s.read(ctx, func(tx pgx.Tx) error {
			// Reading ten years takes longer than any other statement of ours may.
			if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0`); err != nil {
				return err
			}
			for _, query := range []string{sealedQuery, unsealedQuery} {
				if err := yieldLinks(ctx, tx, query, yield); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(audit.Link{}, err)
		}
	}
}

const (
	sealedQuery = `
		SELECT s.seq, s.event_id, s.prev, s.hash, s.at, ` + eventColumns + `
		FROM audit_seals AS s LEFT JOIN audit_events AS e ON e.id = s.event_id
		ORDER BY s.seq, s.event_id`
	unsealedQuery = `
		SELECT 0, 0, NULL, NULL, NULL, ` + eventColumns + `
		FROM audit_events AS e
		WHERE NOT EXISTS (SELECT FROM audit_seals AS s WHERE s.event_id = e.id)
		ORDER BY e.id`
)

// errEnough ends a walk along the chain that its reader broke off.
var errEnough = errors.New("the reader has enough")

func yieldLinks(ctx context.Context, tx pgx.Tx, query string, yield func(audit.Link, error) bool) error {
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var seal audit.Seal
		var event audit.Event
		targets, finish := eventTargets(&event)
		err := rows.Scan(append([]any{
			&seal.Seq, &seal.Event, (*word)(&seal.Prev), (*word)(&seal.Hash), (*moment)(&seal.At),
		}, targets...)...)
		if err != nil {
			return err
		}
		if err := finish(); err != nil {
			return err
		}
		var link audit.Link
		if seal.Hash != "" {
			link.Seal = &seal
		}
		if event.ID != 0 {
			link.Event = &event
		}
		if !yield(link, nil) {
			return errEnough
		}
	}
	return rows.Err()
}
