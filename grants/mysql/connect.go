package mysql

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	client "github.com/go-sql-driver/mysql"

	"github.com/prodaccess/prodaccess/internal/secret"
)

// pool is one login's connections to one server.
type pool struct {
	db        *sql.DB
	connector *connector
	killer    *killer
}

// newPool makes one. silence is how long an answer may be waited for, 0 for as long as it takes.
func newPool(from secret.String, most int, silence time.Duration) (*pool, error) {
	cfg, err := parseURL(from)
	if err != nil {
		return nil, err
	}
	cfg.ReadTimeout, cfg.WriteTimeout = silence, silence
	c, err := newConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	db.SetConnMaxIdleTime(idleConnection)
	// A session keeps the global privileges that it began with, so that what is granted later helps new ones alone.
	db.SetConnMaxLifetime(oldConnection)
	return &pool{db: db, connector: c, killer: newKiller()}, nil
}

// connector opens connections on which our statements mean what we wrote, whatever the server's defaults are.
type connector struct {
	inner driver.Connector
	cfg   *client.Config
	seen  atomic.Value // of server
}

// server is what was learned when the last connection was made. It is no state that matters: a server that is given a
// certificate, or a plugin, is believed from the next connection on.
type server struct {
	flavour flavour
	// certified says that it can speak TLS, ed25519 that it has MariaDB's plugin of that name.
	certified, ed25519 bool
}

const greeting = "SELECT VERSION(), (@@GLOBAL.ssl_cert <> '' OR @@GLOBAL.ssl_key <> '') AND @@GLOBAL.tls_version <> ''," +
	" (SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'ed25519' AND PLUGIN_STATUS = 'ACTIVE')"

func newConnector(cfg *client.Config) (*connector, error) {
	inner, err := client.NewConnector(cfg)
	if err != nil {
		return nil, errors.New("it cannot be used to connect")
	}
	return &connector{inner: inner, cfg: cfg}, nil
}

// settings are made on every connection of ours. What stands in /*M! */ is read by MariaDB alone.
var settings = fmt.Sprintf("SET NAMES utf8mb4, SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', autocommit = 1,"+
	" lock_wait_timeout = %d, innodb_lock_wait_timeout = %d, group_concat_max_len = 1000000 /*M!100100 , max_statement_time = %d */",
	int(lockTimeout.Seconds()), int(lockTimeout.Seconds()), int(statementTimeout.Seconds()))

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.inner.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.greet(ctx, conn); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

func (c *connector) greet(ctx context.Context, conn driver.Conn) error {
	execer, ok1 := conn.(driver.ExecerContext)
	queryer, ok2 := conn.(driver.QueryerContext)
	if !ok1 || !ok2 {
		return errors.New("the client library cannot run statements")
	}
	if _, err := execer.ExecContext(ctx, settings, nil); err != nil {
		return err
	}
	rows, err := queryer.QueryContext(ctx, greeting, nil)
	if err != nil {
		return err
	}
	defer rows.Close()
	row := make([]driver.Value, 3)
	if err := rows.Next(row); err != nil {
		return err
	}
	is := func(i int) string {
		if text, ok := row[i].([]byte); ok {
			return string(text)
		}
		return fmt.Sprint(row[i])
	}
	f, err := flavourOf(is(0))
	if err == nil {
		c.seen.Store(server{flavour: f, certified: is(1) == "1", ed25519: is(2) != "0"})
	}
	return err
}

// server is what was last connected to; a plain MariaDB before the first connection.
func (c *connector) server() server {
	if seen, ok := c.seen.Load().(server); ok {
		return seen
	}
	return server{flavour: mariadb}
}

func (c *connector) flavour() flavour { return c.server().flavour }

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return c.inner.Driver() }

const shape = "it cannot be read; it should look like mysql://USER:PASSWORD@HOST:3306/?tls=true, with special characters of the password percent-encoded"

// parseURL never passes on an error of net/url, which quotes what it could not read.
func parseURL(from secret.String) (*client.Config, error) {
	if from.Empty() {
		return nil, errors.New("it is missing")
	}
	u, err := url.Parse(from.Reveal())
	if err != nil || u.Scheme != "mysql" || u.Hostname() == "" || u.User == nil || u.User.Username() == "" || strings.Contains(u.Host, ",") {
		return nil, errors.New(shape)
	}
	cfg := client.NewConfig()
	cfg.User = u.User.Username()
	cfg.Passwd, _ = u.User.Password()
	port := u.Port()
	if port == "" {
		port = "3306"
	}
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(u.Hostname(), port)
	for name, values := range u.Query() {
		if name != "tls" {
			return nil, fmt.Errorf("it has the parameter %q; only tls is known", name)
		}
		mode := values[0]
		switch mode {
		case "true":
			cfg.TLS = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
		case "skip-verify", "preferred", "false":
			cfg.TLSConfig = mode
		default:
			return nil, errors.New("its tls is none of true, skip-verify, preferred and false")
		}
	}
	cfg.Timeout = connectTimeout
	cfg.MultiStatements = true
	cfg.AllowNativePasswords = true
	cfg.CheckConnLiveness = true
	// What the library would write to standard error belongs to nobody: every error is returned as well.
	cfg.Logger = &client.NopLogger{}
	return cfg, nil
}
