package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

const (
	connectTimeout = 3 * time.Second
	// lockTimeout is how long a statement of ours may wait behind other people's locks; behind it, they would wait for us.
	lockTimeout = 2 * time.Second
	// statementTimeout ends what takes longer for any other reason. With the last guard of Issue it bounds how late a
	// login may appear: the guard, then COMMIT.
	statementTimeout = 5 * time.Second
	// idleTimeout ends a transaction of ours whose client is gone.
	idleTimeout = 5 * time.Second
	// drainPatience is how long Secure goes on terminating sessions before it reports that some are left.
	drainPatience = 5 * time.Second
	// replayPatience is how long Issue waits for the nodes to have the login.
	replayPatience = 3 * time.Second
	// maxSkew is the difference between clocks beyond which VALID UNTIL would not mean what we say.
	maxSkew = 30 * time.Second
	// idleConnection is how long an unused connection is kept.
	idleConnection = time.Minute
)

// Config is what a driver is made of.
type Config struct {
	Target grants.Target
	// AdminURL is the administrator's connection URL. Its database is home: where roles are made, and where the driver
	// looks at the catalogs that all databases share.
	AdminURL secret.String
	// PrepareURL is a login with more rights, a DBA's, used by Plan, Apply and Check alone. Empty: the administrator.
	PrepareURL secret.String
	// Nodes are the standbys on which sessions are looked for and terminated as well, by physical replication copies of
	// the target.
	Nodes []Node
	// Installation identifies the store; logins stamped by another one are left alone.
	Installation string
	// MaxConns bounds the connections of everyday work; half as many again are kept for locking out and killing, and
	// two for cleaning up in other databases. 0 means 8.
	MaxConns int
	// ApplicationName is what pg_stat_activity shows; empty means "prodaccess".
	ApplicationName string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Node is a standby of the target.
type Node struct {
	Name string
	URL  secret.String
}

// Driver implements grants.Driver on one PostgreSQL cluster.
type Driver struct {
	cfg   Config
	admin *pgx.ConnConfig
	// prepare is what Plan, Apply and Check connect with.
	prepare *pgx.ConnConfig
	// everyday and security are apart so that taking access away never queues behind anything else.
	everyday *pgxpool.Pool
	security *pgxpool.Pool
	nodes    []node
	patience time.Duration // drainPatience, but for tests
	replay   time.Duration // replayPatience, but for tests
	// rooms bounds the connections that cleaning up opens in other databases.
	rooms chan struct{}
	// locks remembers where in the log logins were locked that a node does not show as locked yet.
	locks positions
	// shapes remembers the shape of each access role, a prepared by name.
	shapes sync.Map
	// known remembers which door is open; nil until somebody looked.
	known atomic.Pointer[door]
}

type node struct {
	name string
	pool *pgxpool.Pool
}

var _ grants.Driver = (*Driver)(nil)

// Open makes a driver. It connects to nothing: the target may be down, and an unused driver costs no connection. The
// error names every fault of the configuration and never quotes a URL.
func Open(cfg Config) (*Driver, error) {
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 8
	}
	if cfg.ApplicationName == "" {
		cfg.ApplicationName = "prodaccess"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	var faults []error
	if cfg.Target.Name == "" {
		faults = append(faults, errors.New("the target has no name"))
	}
	if cfg.MaxConns < 2 {
		faults = append(faults, errors.New("at least two connections are needed"))
	}
	if err := checkStamp(grants.Stamp{Installation: cfg.Installation, Grant: "x"}); err != nil {
		faults = append(faults, fmt.Errorf("the installation's name: %w", err))
	}
	d := &Driver{cfg: cfg, patience: drainPatience, replay: replayPatience, rooms: make(chan struct{}, 2)}
	pool := func(what string, url secret.String, most int) *pgxpool.Pool {
		p, err := newPool(cfg, url, most)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", what, err))
		}
		return p
	}
	d.everyday = pool("the administrator's URL", cfg.AdminURL, cfg.MaxConns)
	if d.everyday != nil {
		d.security = pool("the administrator's URL", cfg.AdminURL, max(2, cfg.MaxConns/2))
		d.admin = d.everyday.Config().ConnConfig
		delete(d.admin.RuntimeParams, "enable_seqscan") // for what reads whole catalogs
		d.prepare = d.admin
	}
	if !cfg.PrepareURL.Empty() {
		parsed, err := parseURL(cfg, cfg.PrepareURL)
		if err != nil {
			faults = append(faults, fmt.Errorf("the URL for preparing: %w", err))
		} else {
			d.prepare = parsed.ConnConfig
		}
	}
	for _, n := range cfg.Nodes {
		if n.Name == "" {
			faults = append(faults, errors.New("a node has no name"))
		}
		if p := pool("the URL of node "+n.Name, n.URL, max(2, cfg.MaxConns/2)); p != nil {
			d.nodes = append(d.nodes, node{name: n.Name, pool: p})
		}
	}
	if len(faults) > 0 {
		d.Close()
		return nil, fmt.Errorf("opening target %q: %w", cfg.Target.Name, errors.Join(faults...))
	}
	return d, nil
}

// Close releases connections.
func (d *Driver) Close() {
	for _, p := range []*pgxpool.Pool{d.everyday, d.security} {
		if p != nil {
			p.Close()
		}
	}
	for _, n := range d.nodes {
		n.pool.Close()
	}
}

func newPool(cfg Config, url secret.String, most int) (*pgxpool.Pool, error) {
	pc, err := parseURL(cfg, url)
	if err != nil {
		return nil, err
	}
	pc.MaxConns = int32(most)
	// Plans of prepared questions are made once, when there may be few roles yet, and must stay right when there are many.
	pc.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	pc.ConnConfig.RuntimeParams["enable_seqscan"] = "off"
	pc.MinConns = 0
	pc.MaxConnIdleTime = idleConnection
	pc.HealthCheckPeriod = idleConnection
	p, err := pgxpool.NewWithConfig(context.Background(), pc)
	if err != nil {
		return nil, errors.New("it cannot be used for a pool of connections")
	}
	return p, nil
}

// parseURL never passes on pgx's own error, which quotes what it could not read.
func parseURL(cfg Config, url secret.String) (*pgxpool.Config, error) {
	if url.Empty() {
		return nil, errors.New("it is missing")
	}
	pc, err := pgxpool.ParseConfig(url.Reveal())
	if err != nil {
		return nil, errors.New("it cannot be read; it should look like postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, with special characters of the password percent-encoded")
	}
	pc.ConnConfig.ConnectTimeout = connectTimeout
	pc.ConnConfig.AfterConnect = pinLater
	maps.Copy(pc.ConnConfig.RuntimeParams, map[string]string{
		"application_name": cfg.ApplicationName,
		// Names and texts of ours must mean what we wrote, whatever is set for the role or the database.
		"search_path":                 "pg_catalog, pg_temp",
		"standard_conforming_strings": "on",
		"client_encoding":             "UTF8",
		// A commit that waited for a dead standby would be done and not seen; and a login could appear late.
		"synchronous_commit": "local",
		// A default of the role or the database must not close the driver's single statements, which open no transaction
		// themselves, nor let them fail beside others.
		"default_transaction_read_only":  "off",
		"default_transaction_isolation":  "read committed",
		"default_transaction_deferrable": "off",
		"role":                           "none",
		"row_security":                   "on",
		"transform_null_equals":          "off",
		// What is read back is compared with what was written.
		"datestyle":             "ISO, MDY",
		"intervalstyle":         "postgres",
		"timezone":              "UTC",
		"bytea_output":          "hex",
		"extra_float_digits":    "1",
		"quote_all_identifiers": "off",
		// A plan that warns has not done what it says.
		"client_min_messages": "notice",
		// A guard that refuses ends a transaction, not the session.
		"exit_on_error":                       "off",
		"idle_session_timeout":                "0",
		"lock_timeout":                        ms(lockTimeout),
		"statement_timeout":                   ms(statementTimeout),
		"idle_in_transaction_session_timeout": ms(idleTimeout),
	})
	return pc, nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }

// in is the administrator's configuration for another database.
func in(c *pgx.ConnConfig, database string) *pgx.ConnConfig {
	c = c.Copy()
	c.Database = database
	return c
}
