package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
)

// settleLess makes a yes to less what a later read will give; less of nothing is nil.
func settleLess(less *approvals.Less) *approvals.Less {
	if less == nil {
		return nil
	}
	out := approvals.Less{Duration: less.Duration.Truncate(time.Microsecond), Profile: text(less.Profile)}
	if out == (approvals.Less{}) {
		return nil
	}
	return &out
}

// lessColumns are what was agreed to instead of everything, each NULL where it is what was asked for.
func lessColumns(less *approvals.Less) []any {
	if less == nil {
		return []any{nil, nil}
	}
	var duration *time.Duration
	if less.Duration != 0 {
		duration = &less.Duration
	}
	return []any{duration, word(less.Profile)}
}

// queueWithdrawals takes standing answers back, in the database and in the case.
func queueWithdrawals(b *pgx.Batch, c *approvals.Case, change approvals.Change) error {
	if len(change.Withdrawn) > 0 && change.WithdrawnAt.IsZero() {
		return errors.New("an answer is taken back, but nobody says when")
	}
	at := audit.Cut(change.WithdrawnAt)
	for _, id := range change.Withdrawn {
		found := false
		for i := range c.Approvals {
			if a := &c.Approvals[i]; a.By.ID == id && a.WithdrawnAt.IsZero() {
				a.WithdrawnAt, found = at, true
			}
		}
		if !found {
			return fmt.Errorf("%s has no answer that stands and could be taken back", id)
		}
		b.Queue(`UPDATE approvals SET withdrawn_at = $3 WHERE request_id = $1 AND by_id = $2 AND withdrawn_at IS NULL RETURNING by_id`,
			c.Request.ID, id, at).QueryRow(onlyOne)
	}
	return nil
}

// onlyOne reads the key of the one row that a statement changed. None means that the row is not what it was under its lock.
func onlyOne(row pgx.Row) error {
	err := row.Scan(nil)
	if errors.Is(err, pgx.ErrNoRows) {
		return errStale
	}
	return err
}
