package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

const (
	connectTimeout = 3 * time.Second
	// lockTimeout is how long a statement of ours may wait behind other people's locks.
	lockTimeout = 2 * time.Second
	// statementTimeout ends what takes longer for any other reason (MariaDB only).
	statementTimeout = 5 * time.Second
	// silence is how long a server may say nothing in the middle of an answer, or take nothing in, before the connection is
	// given up: longer than any statement of ours lasts. A server that goes away without a word, as in a failover, would
	// otherwise be waited for as long as the caller has.
	silence = 10 * time.Second
	// drainPatience is how long Secure goes on killing sessions before it reports that some are left.
	drainPatience = 5 * time.Second
	// maxSkew is the difference between clocks beyond which a deadline would not mean what we say.
	maxSkew = 30 * time.Second
	// idleConnection is how long an unused connection is kept.
	idleConnection = time.Minute
	// oldConnection is how long one is used at all.
	oldConnection = 5 * time.Minute
)

// Config is what a driver is made of.
type Config struct {
	Target grants.Target
	// AdminURL is the administrator's connection URL: mysql://USER:PASSWORD@HOST:3306/?tls=true.
	AdminURL secret.String
	// PrepareURL is a login with more rights, a DBA's, used by Plan, Apply and Check alone. Empty: the administrator.
	PrepareURL secret.String
	// Nodes are the replicas on which sessions are looked for and killed as well. Accounts and the schema
	// prodaccess must be replicated to them.
	Nodes []Node
	// Installation identifies the store; logins stamped by another one are left alone.
	Installation string
	// MaxConns bounds the connections of everyday work; half as many again are kept for locking out and killing.
	// 0 means 8.
	MaxConns int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Node is a replica of the target.
type Node struct {
	Name string
	URL  secret.String
}

// Driver implements grants.Driver on one MySQL or MariaDB server and its replicas.
type Driver struct {
	cfg Config
	// everyday and security are apart so that taking access away never queues behind anything else.
	everyday *pool
	security *pool
	// prepare is what Plan, Apply and Check connect with.
	prepare  *pool
	nodes    []*node
	patience time.Duration // drainPatience, but for tests
}

var _ grants.Driver = (*Driver)(nil)

// Open makes a driver. It connects to nothing: the target may be down, and an unused driver costs no connection. The
// error names every fault of the configuration and never quotes a URL.
func Open(cfg Config) (*Driver, error) {
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 8
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
	d := &Driver{cfg: cfg, patience: drainPatience}
	open := func(what string, url secret.String, most int, silence time.Duration) *pool {
		p, err := newPool(url, most, silence)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", what, err))
		}
		return p
	}
	d.everyday = open("the administrator's URL", cfg.AdminURL, cfg.MaxConns, silence)
	if d.everyday != nil {
		d.security = open("the administrator's URL", cfg.AdminURL, max(2, cfg.MaxConns/2), silence)
	}
	// What prepares reads whole catalogs, and may be given as long as that takes.
	switch {
	case !cfg.PrepareURL.Empty():
		d.prepare = open("the URL for preparing", cfg.PrepareURL, 2, 0)
	case d.everyday != nil:
		d.prepare = open("the administrator's URL", cfg.AdminURL, 2, 0)
	}
	for _, n := range cfg.Nodes {
		if n.Name == "" {
			faults = append(faults, errors.New("a node has no name"))
		}
		if p := open("the URL of node "+n.Name, n.URL, max(2, cfg.MaxConns/2), silence); p != nil {
			d.nodes = append(d.nodes, newNode(n.Name, p))
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
	pools := []*pool{d.everyday, d.security, d.prepare}
	for _, n := range d.nodes {
		pools = append(pools, n.pool)
	}
	for _, p := range pools {
		if p != nil {
			_ = p.db.Close() // a second time does nothing
		}
	}
}

// borrow takes a connection of the pool for several messages. The server's flavour is known from then on.
func (p *pool) borrow(ctx context.Context) (*sql.Conn, flavour, error) {
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return nil, "", err
	}
	return conn, p.connector.flavour(), nil
}
