package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/internal/jobs"
)

// Redraw asks once more for every drawing that a worker has begun before an instant, and not ended, and says how many there are: the
// worker may have been in a replica that was killed, and the job engine takes a job from a dead worker only after a while, in which
// a card says what is no longer so. What a live worker draws is drawn twice, which shows the same.
//
// What was asked for by Redraw itself is asked for by no later look: while Slack hangs every drawing takes too long, and each would
// beget the next. A drawing that is interrupted a second time, by the death of another replica, is therefore left to the job engine, or
// to a replica that starts, which asks for all of them; no instant is all.
func (s *Store) Redraw(ctx context.Context, begun time.Time) (int, error) {
	var asked int
	err := s.write(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT j.args ->> 'work', j.args ->> 'subject', -j.id FROM river_job AS j
			WHERE j.state = 'running' AND j.queue = $1 AND j.kind = $2 AND j.args ->> 'work' = ANY ($3)
				AND ($4::timestamptz IS NULL OR j.attempted_at < $4 AND coalesce((j.args ->> 'version')::bigint, 0) >= 0) ORDER BY j.id`,
			QueueSlack, JobArgs{}.Kind(), []string{string(jobs.Draw), string(jobs.Alarm)}, moment(begun))
		if err != nil {
			return err
		}
		// The version is that of no change, and the same however often one interrupted job is met.
		again, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (j jobs.Job, err error) {
			return j, row.Scan(&j.Kind, &j.Subject, &j.Version)
		})
		if err != nil {
			return err
		}
		asked = len(again)
		return s.insertJobs(ctx, tx, nil, again)
	})
	if err != nil {
		return 0, fmt.Errorf("asking again for drawings that were begun: %w", err)
	}
	return asked, nil
}
