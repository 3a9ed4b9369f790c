package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// What costs a transaction is less what it does than how often it waits for the server: each statement sent by itself is
// a trip there and back. The functions of this file send several in one message.

// writeWith is write, with BEGIN and the first statements of the transaction in one message.
func (s *Store) writeWith(ctx context.Context, first func(b *pgx.Batch), do func(tx pgx.Tx) error) error {
	return s.again(ctx, func() error { return s.begin(ctx, first, do) })
}

func (s *Store) begin(ctx context.Context, first func(b *pgx.Batch), do func(tx pgx.Tx) error) (err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	b := &pgx.Batch{}
	b.BeginTx(pgx.TxOptions{})
	first(b)
	results := conn.SendBatch(ctx, b)
	tx := results.Tx()
	defer func() {
		if tx != nil {
			_ = tx.Rollback(ctx) // does nothing after Commit
		}
	}()
	if err := results.Close(); err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// readAtOnce asks several questions of one snapshot in one message.
func (s *Store) readAtOnce(ctx context.Context, ask func(b *pgx.Batch)) error {
	b := &pgx.Batch{}
	b.Queue(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`)
	ask(b)
	b.Queue(`COMMIT`)
	return s.pool.SendBatch(ctx, b).Close() // a failure leaves the connection in a transaction, and the pool closes it
}

// carrier is a transaction whose first query takes statements along that were queued before it, in one message. River
// inserts jobs by a query of its own.
type carrier struct {
	pgx.Tx
	queued *pgx.Batch
	failed error // what the queued statements said
}

// Query implements pgx.Tx.
func (t *carrier) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	b := t.queued
	if b == nil || b.Len() == 0 {
		return t.Tx.Query(ctx, sql, args...)
	}
	t.queued = nil
	mine := b.QueuedQueries
	b.Queue(sql, args...)
	results := t.SendBatch(ctx, b)
	for _, q := range mine {
		var err error
		if q.Fn != nil {
			err = q.Fn(results)
		} else {
			_, err = results.Exec()
		}
		if err != nil {
			t.failed = err
			_ = results.Close()
			return nil, fmt.Errorf("writing what the jobs follow from: %w", err)
		}
	}
	rows, err := results.Query()
	if err != nil {
		_ = results.Close()
		return nil, err
	}
	return &lastRows{Rows: rows, results: results}, nil
}

// carried fails when the queued statements were never sent: whoever was to send them along no longer asks by Query, and the
// transaction would commit jobs without what they follow from.
func (t *carrier) carried() error {
	if t.queued != nil && t.queued.Len() > 0 {
		return errors.New("writing what the jobs follow from: it was not sent along with them")
	}
	return nil
}

// lastRows are the rows of the last query of a batch, and end the batch when they are closed.
type lastRows struct {
	pgx.Rows
	results pgx.BatchResults
	failed  error
}

// Next implements pgx.Rows. Like pgx's own, it closes the rows after the last one.
func (r *lastRows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

// Close implements pgx.Rows.
func (r *lastRows) Close() {
	r.Rows.Close()
	if err := r.results.Close(); r.failed == nil {
		r.failed = err
	}
}

// Err implements pgx.Rows.
func (r *lastRows) Err() error {
	if err := r.Rows.Err(); err != nil {
		return err
	}
	return r.failed
}
