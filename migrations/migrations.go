package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/prodaccess/prodaccess/internal/secret"
)

//go:embed sql/*.sql
var files embed.FS

// VersionTable says which of our migrations were applied.
const VersionTable = "schema_migrations"

// lockKey is the advisory lock under which the schema changes; the number means nothing but must stay.
const lockKey = 0x70726f64_6d696772

// Up applies every migration that is missing and gives the service's login its rights. The login must exist; an empty
// name leaves rights as they are. Each step is told to log in one line. A login without the necessary rights gets an
// error that holds the statement somebody with more rights has to run.
func Up(ctx context.Context, url secret.String, serviceLogin string, log func(string)) error {
	return locked(ctx, url, log, func(m *migrator) error {
		if err := m.mayMigrate(ctx); err != nil {
			return err
		}
		if err := m.loginExists(ctx, serviceLogin); err != nil {
			return err
		}
		done := 0
		err := patiently(ctx, log, func() error {
			applied, err := m.ours.Up(ctx)
			if partial, ok := errors.AsType[*goose.PartialError](err); ok {
				applied = partial.Applied
			}
			for _, one := range applied {
				log(fmt.Sprintf("applied %s in %s", one.Source.Path, one.Duration.Round(time.Millisecond)))
			}
			done += len(applied)
			return err
		})
		if err != nil {
			return fmt.Errorf("applying migrations: %w", err)
		}
		err = patiently(ctx, log, func() error {
			result, err := m.rivers.Migrate(ctx, rivermigrate.DirectionUp, nil)
			if err != nil {
				return err
			}
			for _, one := range result.Versions {
				log(fmt.Sprintf("applied job engine %d (%s) in %s", one.Version, one.Name, one.Duration.Round(time.Millisecond)))
			}
			done += len(result.Versions)
			return nil
		})
		if err != nil {
			return fmt.Errorf("applying the job engine's migrations: %w", err)
		}
		var dropped []string
		err = patiently(ctx, log, func() (err error) { dropped, err = m.dropUnused(ctx); return err })
		if err != nil {
			return err
		}
		for _, index := range dropped {
			log("dropped the job engine's index " + index + ", which nothing uses")
		}
		if done+len(dropped) == 0 {
			log("the schema is up to date")
		}
		return m.grantRights(ctx, serviceLogin, log)
	})
}

// dropUnused drops the indexes over the contents of jobs, and names those that were there. Only River's user interface
// looks jobs up by their contents. GIN indexes cost every job more than all other indexes together, and they grow until
// somebody rebuilds them, which River does as the owner of its tables only (riverqueue/river#718).
func (m *migrator) dropUnused(ctx context.Context) ([]string, error) {
	rows, err := m.conn.Query(ctx, `
		SELECT c.relname::text FROM pg_class AS c
		WHERE c.oid IN (to_regclass('river_job_args_index'), to_regclass('river_job_metadata_index')) ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("looking for the job engine's indexes: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("looking for the job engine's indexes: %w", err)
	}
	for _, index := range found {
		if _, err := m.conn.Exec(ctx, `DROP INDEX IF EXISTS `+pgx.Identifier{index}.Sanitize()); err != nil {
			return nil, fmt.Errorf("dropping the job engine's index %s: %w", index, err)
		}
	}
	return found, nil
}

// Down takes our migrations back until the schema is at the given version; what they held is lost. Version 0 empties the
// database, job engine included.
func Down(ctx context.Context, url secret.String, to int64, log func(string)) error {
	return locked(ctx, url, log, func(m *migrator) error {
		if to == 0 {
			// Jobs go first: without the tables they are about they could only fail.
			err := patiently(ctx, log, func() error {
				result, err := m.rivers.Migrate(ctx, rivermigrate.DirectionDown, &rivermigrate.MigrateOpts{TargetVersion: -1})
				if err != nil {
					return err
				}
				for _, one := range result.Versions {
					log(fmt.Sprintf("took back job engine %d (%s)", one.Version, one.Name))
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("taking back the job engine's migrations: %w", err)
			}
		}
		err := patiently(ctx, log, func() error {
			taken, err := m.ours.DownTo(ctx, to)
			if partial, ok := errors.AsType[*goose.PartialError](err); ok {
				taken = partial.Applied
			}
			for _, one := range taken {
				log("took back " + one.Source.Path)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("taking back migrations: %w", err)
		}
		return nil
	})
}

// Applied is one migration and when it was applied; a zero time means that it was not.
type Applied struct {
	Version int64
	Name    string
	At      time.Time
}

// Status lists our migrations in order. It changes nothing.
func Status(ctx context.Context, url secret.String) ([]Applied, error) {
	var out []Applied
	err := locked(ctx, url, func(string) {}, func(m *migrator) error {
		var exists bool
		if err := m.conn.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, VersionTable).Scan(&exists); err != nil {
			return fmt.Errorf("looking for the version table: %w", err)
		}
		if !exists { // goose would make it, and Status must not
			for _, source := range m.ours.ListSources() {
				out = append(out, Applied{Version: source.Version, Name: source.Path})
			}
			return nil
		}
		all, err := m.ours.Status(ctx)
		if err != nil {
			return fmt.Errorf("reading which migrations were applied: %w", err)
		}
		for _, one := range all {
			out = append(out, Applied{Version: one.Source.Version, Name: one.Source.Path, At: one.AppliedAt})
		}
		return nil
	})
	return out, err
}

// Latest is the newest version this binary knows.
func Latest() int64 {
	entries, err := files.ReadDir("sql")
	if err != nil || len(entries) == 0 {
		panic(fmt.Sprintf("migrations: no embedded files: %v", err))
	}
	version, err := goose.NumericComponent(entries[len(entries)-1].Name())
	if err != nil {
		panic(fmt.Sprintf("migrations: embedded file without a number: %v", err))
	}
	return version
}

// LatestOfEngine is the newest version of the job engine's tables that this binary knows.
func LatestOfEngine() (int, error) {
	m, err := rivermigrate.New(riverpgxv5.New(nil), nil)
	if err != nil {
		return 0, fmt.Errorf("reading the job engine's migrations: %w", err)
	}
	latest := 0
	for _, one := range m.AllVersions() {
		latest = max(latest, one.Version)
	}
	return latest, nil
}

// A migrator is one connection that holds the lock, and two that do the work.
type migrator struct {
	conn   *pgx.Conn
	ours   *goose.Provider
	rivers *rivermigrate.Migrator[pgx.Tx]
}

// locked connects, takes the lock, runs do and lets everything go.
func locked(ctx context.Context, url secret.String, log func(string), do func(*migrator) error) (err error) {
	config, err := pgxpool.ParseConfig(url.Reveal())
	if err != nil {
		// The parser quotes what it could not read, which may be part of a password.
		return errors.New("reading the store's URL: it is not a valid postgres:// URL")
	}
	config.MaxConns = 2
	waiting := config.ConnConfig.Copy() // for another migration, which may take its time
	config.ConnConfig.RuntimeParams["lock_timeout"] = lockWait
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connecting to the store: %w", err)
	}
	defer pool.Close()
	conn, err := pgx.ConnectConfig(ctx, waiting)
	if err != nil {
		return fmt.Errorf("connecting to the store: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()

	var free bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, int64(lockKey)).Scan(&free); err != nil {
		return fmt.Errorf("taking the migration lock: %w", err)
	}
	if !free {
		log("waiting for another migration to end")
		if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(lockKey)); err != nil {
			return fmt.Errorf("waiting for another migration to end: %w", err)
		}
	}
	if _, err := conn.Exec(ctx, `SET lock_timeout = '`+lockWait+`'`); err != nil {
		return fmt.Errorf("bounding how long a table is waited for: %w", err)
	}
	db := stdlib.OpenDBFromPool(pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	ours, err := provider(db)
	if err != nil {
		return err
	}
	rivers, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("preparing the job engine's migrations: %w", err)
	}
	return do(&migrator{conn: conn, ours: ours, rivers: rivers})
}

func provider(db *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(files, "sql")
	if err != nil {
		return nil, fmt.Errorf("reading embedded migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir,
		goose.WithTableName(VersionTable), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, fmt.Errorf("reading embedded migrations: %w", err)
	}
	return p, nil
}
