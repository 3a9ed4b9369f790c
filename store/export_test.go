package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// SealLock is the lock of the one sealer.
const SealLock = int64(sealLock)

// Waiting is how many changes wait for the next transaction.
func (s *Store) Waiting() int { return s.grantChanges.count() + s.caseChanges.count() }

func (g *gathering[T, C]) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

// Carry queues statements on a carrier and lets the caller send what should take them along.
func Carry(ctx context.Context, tx pgx.Tx, queued *pgx.Batch, send func(pgx.Tx) error) error {
	t := &carrier{Tx: tx, queued: queued}
	if err := send(t); err != nil {
		return err
	}
	return t.carried()
}
