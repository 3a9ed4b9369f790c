package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

var (
	_ approvals.Store = (*Store)(nil)
	_ grants.Store    = (*Store)(nil)
)

// Config says where the store is.
type Config struct {
	// URL names the service's login, never the owner of the tables.
	URL secret.String
	// Now is the clock; nil is the real one.
	Now func() time.Time
	Log zerolog.Logger
	// MaxConns bounds the connections of this replica; 0 is 10. The job engine needs up to four of them.
	MaxConns int
}

// Store is safe for concurrent use.
type Store struct {
	pool *pgxpool.Pool
	jobs *river.Client[pgx.Tx]
	now  func() time.Time
	log  zerolog.Logger
	// recorded has a value after a commit with events, for the sealer.
	recorded chan struct{}
	// Changes of the same kind that will share a transaction.
	grantChanges gathering[grants.Grant, grants.Change]
	caseChanges  gathering[approvals.Case, approvals.Change]
}

// Open connects to the store and pings it. It does not look at the schema; CheckSchema does.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	pool, err := openPool(ctx, cfg)
	if err != nil {
		return nil, err
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("preparing the job engine: %w", err)
	}
	now := cfg.Now
	if now == nil {
		now = time.Now
	}
	s := &Store{pool: pool, jobs: client, now: now, log: cfg.Log, recorded: make(chan struct{}, 1)}
	s.grantChanges.write, s.caseChanges.write = s.changeGrants, s.changeCases
	return s, nil
}

func openPool(ctx context.Context, cfg Config) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(cfg.URL.Reveal())
	if err != nil {
		// The parser quotes what it could not read, which may be part of a password.
		return nil, errors.New("reading the store's URL: it is not a valid postgres:// URL")
	}
	config.MaxConns = 10
	if cfg.MaxConns > 0 {
		config.MaxConns = int32(min(cfg.MaxConns, 1000))
	}
	config.MaxConnIdleTime = 5 * time.Minute
	config.HealthCheckPeriod = 30 * time.Second
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	// A connection that died unseen must not use up the time that somebody who cannot wait has for an answer.
	config.PingTimeout = time.Second
	// The server ends what a lost or stuck replica would otherwise hold: a lock on a grant delays its revocation.
	for name, value := range map[string]string{
		"application_name":                    "prodaccess",
		"statement_timeout":                   "15s",
		"lock_timeout":                        "10s",
		"idle_in_transaction_session_timeout": "15s",
		// Nearly all of ours finds rows by key, so that planning again for each value finds the same plan. It cost as much
		// as carrying the statements out.
		"plan_cache_mode": "force_generic_plan",
		// A plan made while a table was small is kept until the server counts its rows again, a minute later at best: by then a
		// busy hour reads each table from its beginning with every statement. Whatever we ask for often has an index.
		"enable_seqscan": "off",
		// What has no index after all, such as a table of one row, then looks expensive enough to servers before 18 to be compiled.
		"jit": "off",
	} {
		if _, chosen := config.ConnConfig.RuntimeParams[name]; !chosen {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		conn.TypeMap().RegisterType(&pgtype.Type{
			Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
		})
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the store: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connecting to the store: %w", err)
	}
	return pool, nil
}

// Close waits for what is running and closes every connection.
func (s *Store) Close() { s.pool.Close() }

// Pool is the pool of connections, for the job engine that works what the store enqueues.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Ping says whether the store answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
		return fmt.Errorf("reaching the store: %w", err)
	}
	return nil
}

// Installation is the identity that is stamped on logins. It never changes.
func (s *Store) Installation(ctx context.Context) (string, error) {
	var id string
	if err := s.pool.QueryRow(ctx, `SELECT id FROM installation`).Scan(&id); err != nil {
		return "", fmt.Errorf("reading the installation's identity: %w", err)
	}
	return id, nil
}

// mostTries is how often a transaction is run before its serialization failure or deadlock is passed on.
const mostTries = 5

// write runs do in one transaction, again after a serialization failure or a deadlock.
func (s *Store) write(ctx context.Context, do func(tx pgx.Tx) error) error {
	return s.again(ctx, func() error { return pgx.BeginFunc(ctx, s.pool, do) })
}

// again runs a transaction until it meets no serialization failure and no deadlock.
func (s *Store) again(ctx context.Context, transaction func() error) error {
	for try := 1; ; try++ {
		err := transaction()
		if err == nil || try == mostTries || !passing(err) {
			return delivered(err)
		}
		pause := time.NewTimer(time.Duration(try) * time.Duration(1+rand.IntN(5)) * time.Millisecond)
		select {
		case <-ctx.Done():
			pause.Stop()
			return err
		case <-pause.C:
		}
	}
}

// read runs do on one snapshot.
func (s *Store) read(ctx context.Context, do func(tx pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, do)
}

// passing says whether running the transaction again may help.
func passing(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pgErr.Code == "40001" || pgErr.Code == "40P01") // serialization_failure, deadlock_detected
}

// kick tells the sealer that events were committed. It never blocks.
func (s *Store) kick() {
	select {
	case s.recorded <- struct{}{}:
	default:
	}
}
