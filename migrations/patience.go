package migrations

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// lockWait is how long a migration waits for a table. Behind it everything waits that a running prodaccess does with that
	// table, endings included.
	lockWait = "2s"
	// lockPause is how long what waited behind it has afterwards.
	lockPause = 2 * time.Second
	// mostTries is how often it is tried: for two minutes, if somebody holds a table all the while.
	mostTries = 30
)

// patiently runs one step until nobody is in its way. A migration locks whole tables, and others hold them: a running service
// rows, in its own order, so that the server may have to end one of the two; a backup a whole table, for hours. A step is one
// transaction, or several of which each is skipped once it is done.
func patiently(ctx context.Context, log func(string), step func() error) error {
	said := false
	for try := 1; ; try++ {
		err := step()
		pgErr, ok := errors.AsType[*pgconn.PgError](err)
		if !ok || try == mostTries {
			return err
		}
		pause := lockPause
		switch pgErr.Code {
		case "40P01": // deadlock_detected
			log("a running prodaccess was in the way of a migration; it begins again")
		case "55P03": // lock_not_available
			if !said {
				said = true
				log("somebody holds a table that a migration needs, a backup for instance (pg_stat_activity says who); it is tried again for two minutes, and whoever else wants the table waits two seconds at a time")
			}
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
