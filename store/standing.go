package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

// KeepStanding remembers what a survey of one target found: what is new, what changed, what is gone since the one before.
// A survey older than one that is known changes nothing.
func (s *Store) KeepStanding(ctx context.Context, target string, found []grants.Standing, at time.Time) error {
	at = audit.Cut(at)
	err := s.write(ctx, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		logins := make([]string, 0, len(found))
		for _, login := range found {
			name := text(login.Login)
			logins = append(logins, name)
			why := make([]string, 0, len(login.Why))
			for _, clause := range login.Why {
				why = append(why, text(clause))
			}
			var connected time.Time
			if login.Sessions > 0 {
				connected = at
			}
			b.Queue(`
				INSERT INTO standing_logins AS l (target, login, power, why, since, surveyed, changed, connected)
				VALUES ($1, $2, $3, $4, $5, $5, $5, $6)
				ON CONFLICT (target, login) DO UPDATE SET power = excluded.power, why = excluded.why, surveyed = excluded.surveyed,
					since = CASE WHEN l.gone IS NULL THEN l.since ELSE excluded.since END,
					changed = CASE WHEN l.gone IS NULL AND (l.power, l.why) = (excluded.power, excluded.why) THEN l.changed ELSE excluded.changed END,
					connected = coalesce(excluded.connected, l.connected), gone = NULL
				WHERE l.surveyed < excluded.surveyed AND (l.gone IS NULL OR l.gone < excluded.surveyed)`,
				target, name, string(login.Power), why, at, moment(connected))
		}
		b.Queue(`UPDATE standing_logins SET gone = $3 WHERE target = $1 AND NOT login = ANY ($2) AND gone IS NULL AND surveyed < $3`, target, logins, at)
		return send(ctx, tx, b)
	})
	if err != nil {
		return fmt.Errorf("remembering the standing logins of %s: %w", target, err)
	}
	return nil
}

// Known is what is remembered of a standing login.
type Known struct {
	Since, Connected time.Time
}

// StandingOf is what is remembered of a target's standing logins, by name, those that are gone left out.
func (s *Store) StandingOf(ctx context.Context, target string) (map[string]Known, error) {
	rows, err := s.pool.Query(ctx, `SELECT l.login, l.since, l.connected FROM standing_logins AS l WHERE l.target = $1 AND l.gone IS NULL`, target)
	if err != nil {
		return nil, fmt.Errorf("reading the standing logins of %s: %w", target, err)
	}
	out := map[string]Known{}
	var login string
	var k Known
	if _, err = pgx.ForEachRow(rows, []any{&login, (*moment)(&k.Since), (*moment)(&k.Connected)}, func() error {
		out[login] = k
		return nil
	}); err != nil {
		return nil, fmt.Errorf("reading the standing logins of %s: %w", target, err)
	}
	return out, nil
}

// queueStanding reads what a digest says of standing access. A target surveyed for the first time in the period has nothing
// new: everything on it is.
func queueStanding(b *pgx.Batch, d *audit.Digest) {
	b.Queue(`SELECT count(*), count(DISTINCT l.target), count(*) FILTER (WHERE l.power = 'superuser') FROM standing_logins AS l WHERE l.gone IS NULL`).
		QueryRow(func(row pgx.Row) error {
			return row.Scan(&d.Standing.Logins, &d.Standing.Targets, &d.Standing.Superusers)
		})
	changes := func(list *[]audit.StandingChange, sql string) {
		b.Queue(sql, d.From, d.To).Query(func(rows pgx.Rows) error {
			found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[audit.StandingChange])
			if len(found) > 0 {
				*list = found
			}
			return err
		})
	}
	changes(&d.Standing.New, `
		SELECT l.target, l.login, l.power, l.why FROM standing_logins AS l
		WHERE l.since >= $1 AND l.since < $2 AND l.gone IS NULL
		  AND l.since > (SELECT min(f.since) FROM standing_logins AS f WHERE f.target = l.target)
		ORDER BY l.target, l.login`)
	changes(&d.Standing.Changed, `
		SELECT l.target, l.login, l.power, l.why FROM standing_logins AS l
		WHERE l.changed >= $1 AND l.changed < $2 AND l.changed > l.since AND l.gone IS NULL AND l.since < $1 ORDER BY l.target, l.login`)
	changes(&d.Standing.Gone, `
		SELECT l.target, l.login, l.power, l.why FROM standing_logins AS l WHERE l.gone >= $1 AND l.gone < $2 ORDER BY l.target, l.login`)
}
