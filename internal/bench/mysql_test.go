package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	client "github.com/go-sql-driver/mysql"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/mysql"
	"github.com/prodaccess/prodaccess/internal/localmysql"
	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/internal/stage"
)

// durable are the settings with which a server of localmysql keeps what it acknowledged, and writes no log of statements.
var durable = map[localmysql.Product]map[string]string{
	localmysql.MariaDB: {"innodb-flush-log-at-trx-commit": "1", "general-log": "0"},
	localmysql.MySQL:   {"innodb-flush-log-at-trx-commit": "1", "general-log": "0", "innodb-flush-method": "fsync", "innodb-doublewrite": "ON"},
}

// benchAdmin is the administrator's password on a server that lives for a benchmark.
const benchAdmin = "bench-admin"

// BenchmarkMySQL is BenchmarkLogins and BenchmarkDeadline on the other engine, in short. The goals are those of PostgreSQL alone.
func BenchmarkMySQL(b *testing.B) {
	for _, product := range []localmysql.Product{localmysql.MariaDB, localmysql.MySQL} {
		b.Run(string(product), func(b *testing.B) {
			srv, err := localmysql.Start(b.Context(), localmysql.Options{Product: product, Settings: durable[product]})
			fatal(b, err)
			b.Cleanup(srv.Stop)
			root := openMySQL(b, srv.Root(""))
			l := openLibraryOn(b, mysqlTarget(srv, root))
			reaper := grants.NewReaper(l.grants)
			reaper.Start()
			b.Cleanup(reaper.Stop)
			raw := newRawMySQL(b, srv, root)
			for b.Loop() {
				for _, at := range []struct{ once, round int }{{1, 30}, {16, 120}} {
					var issue, revoke contest
					for i := range rounds {
						raceOne(b, l, raw, at.once, at.round, i%2 == 0, &issue, &revoke)
					}
					where := fmt.Sprintf("%s: %d at a time", product, at.once)
					issue.publish(b, fmt.Sprintf("issues-at-%d", at.once), "issue, "+where, 0)
					revoke.publish(b, fmt.Sprintf("revocations-at-%d", at.once), "lock, kill, drop, prove, "+where, 0)
				}
				l.oneInstant(b, string(product)+": ", 200, 20*time.Second, visitMySQL, 0, 0)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// mysqlTarget stands in for the stage's own target, under its name, so that its policy fits.
func mysqlTarget(srv *localmysql.Server, root *sql.DB) opening {
	return func(b *testing.B, _ *stage.Stage, installation string) place {
		b.Helper()
		for _, statement := range []string{"CREATE DATABASE orders", "CREATE TABLE orders.orders (id INT PRIMARY KEY, status VARCHAR(20))"} {
			_, err := root.ExecContext(b.Context(), statement)
			fatal(b, err)
		}
		target := grants.Target{
			Name: "orders-prod", Engine: "mysql", Environment: "production", Databases: []string{"orders"},
			Connect: grants.Endpoint{Host: "127.0.0.1", Port: srv.Port(), SSLMode: "disable"},
		}
		driver, err := mysql.Open(mysql.Config{
			Target: target, AdminURL: secret.New(srv.URL("prodaccess_admin", benchAdmin)), PrepareURL: secret.New(srv.RootURL()),
			Installation: installation, MaxConns: 16,
		})
		fatal(b, err)
		b.Cleanup(driver.Close)
		plan, err := driver.Plan(b.Context(), []grants.Profile{{
			Name: "read-only", Privileges: []grants.Privilege{{Schema: "public", Tables: []string{"*"}, Privileges: []string{"select"}}},
		}})
		fatal(b, err)
		fatal(b, driver.Apply(b.Context(), plan))
		_, err = root.ExecContext(b.Context(), "ALTER USER prodaccess_admin@'%' IDENTIFIED BY '"+benchAdmin+"' ACCOUNT UNLOCK")
		fatal(b, err)
		var pidFile string
		fatal(b, root.QueryRowContext(b.Context(), "SELECT @@pid_file").Scan(&pidFile))
		pid, err := os.ReadFile(pidFile)
		fatal(b, err)
		return place{target, driver, func(b *testing.B) time.Duration {
			return time.Duration(ticksOf(b, strings.TrimSpace(string(pid)), false)) * 10 * time.Millisecond
		}}
	}
}

func openMySQL(b *testing.B, cfg *client.Config) *sql.DB {
	b.Helper()
	cfg.Logger, cfg.MultiStatements = &client.NopLogger{}, true
	connector, err := client.NewConnector(cfg)
	fatal(b, err)
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(16) // as many as the driver has
	db.SetMaxIdleConns(16)
	b.Cleanup(func() { _ = db.Close() })
	return db
}

// rawMySQL does with bare accounts what the driver does with logins: one message to make one, with its role, and one to
// lock it, look for its sessions and drop it.
type rawMySQL struct {
	db   *sql.DB
	as   string // how it authenticates
	made int
}

func newRawMySQL(b *testing.B, srv *localmysql.Server, root *sql.DB) *rawMySQL {
	b.Helper()
	_, err := root.ExecContext(b.Context(), "CREATE USER bench_verifier@'%' IDENTIFIED BY 'bench-verifier'")
	fatal(b, err)
	as := `CONCAT('VIA mysql_native_password USING ''', authentication_string, '''')`
	if srv.Product() == localmysql.MySQL {
		as = "CONCAT('WITH caching_sha2_password AS 0x', HEX(authentication_string))"
	}
	r := &rawMySQL{db: openMySQL(b, srv.Config("prodaccess_admin", benchAdmin, ""))}
	fatal(b, root.QueryRowContext(b.Context(), "SELECT "+as+" FROM mysql.user WHERE User = 'bench_verifier'").Scan(&r.as))
	return r
}

func (r *rawMySQL) names(many int) []string {
	out := make([]string, many)
	for i := range out {
		r.made++
		out[i] = fmt.Sprintf("bench_raw_%d", r.made)
	}
	return out
}

func (r *rawMySQL) make(ctx context.Context, name string) error {
	_, err := r.db.ExecContext(ctx, "CREATE USER "+name+"@'%' IDENTIFIED "+r.as+"; GRANT pa_read_only TO "+name+"@'%'")
	return err
}

func (r *rawMySQL) drop(ctx context.Context, name string) error {
	_, err := r.db.ExecContext(ctx, "ALTER USER "+name+"@'%' ACCOUNT LOCK; SELECT ID FROM information_schema.PROCESSLIST WHERE USER = '"+name+"'; DROP USER "+name+"@'%'")
	return err
}

// visitMySQL opens a session with a credential and tells when it dies.
func visitMySQL(ctx context.Context, credential grants.Credential) (<-chan time.Time, error) {
	cfg := client.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName = credential.Login, credential.Password.Reveal(), credential.Database
	cfg.Net, cfg.Addr, cfg.Logger = "tcp", fmt.Sprintf("%s:%d", credential.Endpoint.Host, credential.Endpoint.Port), &client.NopLogger{}
	connector, err := client.NewConnector(cfg)
	if err != nil {
		return nil, errors.New("connecting with a credential failed")
	}
	db := sql.OpenDB(connector)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, errors.New("connecting with a credential failed")
	}
	died := make(chan time.Time, 1)
	go func() {
		_, _ = db.ExecContext(ctx, "DO SLEEP(600)")
		died <- time.Now()
		_ = db.Close()
	}()
	return died, nil
}
