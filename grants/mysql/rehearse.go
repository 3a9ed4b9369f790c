package mysql

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	client "github.com/go-sql-driver/mysql"

	"github.com/prodaccess/prodaccess/grants"
)

var _ grants.Rehearser = (*Driver)(nil)

// rehearsal is one under way.
type rehearsal struct{ *Driver }

// Rehearse implements grants.Rehearser.
func (d *Driver) Rehearse(ctx context.Context, accessRole string) grants.Rehearsal {
	return grants.Rehearse(ctx, rehearsal{d}, accessRole, d.cfg.Now())
}

// Failure implements grants.Stage.
func (r rehearsal) Failure(err error) error { return failure("rehearsing on "+r.cfg.Target.Name, err) }

// Samples implements grants.Stage: no login is made without a value for each parameter.
func (r rehearsal) Samples(ctx context.Context, accessRole string) (params []grants.Param, err error) {
	values := map[string]string{
		"bigint": "1", "integer": "1", "numeric": "1", "text": "x", "uuid": "00000000-0000-0000-0000-000000000000",
		"date": "2026-01-01", "timestamptz": "2026-01-01T00:00:00Z", "boolean": "true",
	}
	rows, err := send(ctx, r.everyday.db, "SELECT name, type FROM prodaccess.parameters WHERE access_role = "+text(accessRole))
	for _, row := range rows {
		params = append(params, grants.Param{Name: row[0], Type: row[1], Value: values[row[1]]})
	}
	return params, err
}

// Meet implements grants.Stage.
func (r rehearsal) Meet(ctx context.Context, seen *grants.Rehearsal) (fingerprint string, err error) {
	conn, f, err := r.everyday.borrow(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	sent := r.cfg.Now()
	fs, err := lookUp(ctx, conn, f, "pa_doctor")
	if err != nil {
		return "", err
	}
	rows, err := send(ctx, conn, "SELECT VERSION(), @@GLOBAL.event_scheduler, @@GLOBAL.read_only,"+
		" (SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'SUPER' AND GRANTEE = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), ''''))")
	if err != nil {
		return "", err
	}
	if len(rows) != 1 {
		return "", errUnreadable
	}
	version, _, _ := strings.Cut(rows[0][0], "-")
	seen.Server = string(f) + " " + version
	skew := fs.clock.Sub(sent)
	switch {
	case skew.Abs() > maxSkew:
		return "", fail(grants.FailSkewed, "set both clocks by NTP", "the server's clock and ours differ by %s", skew.Abs().Round(time.Second))
	case skew.Abs() > 2*time.Second:
		seen.Warn(fmt.Sprintf("the server's clock and ours differ by %s; from %s on no login is made", skew.Abs().Round(100*time.Millisecond), maxSkew), "set both clocks by NTP")
	}
	if rows[0][2] != "0" && !strings.EqualFold(rows[0][2], "OFF") {
		return "", fail(grants.FailUnreachable, "the primary's address in the target's admin_url", "the server is read-only, so it is a replica")
	}
	if !strings.EqualFold(rows[0][1], "ON") {
		seen.Warn("the event scheduler is off: if prodaccess is gone at a deadline, the server does not lock the login by itself", "SET GLOBAL event_scheduler = ON, and in the server's configuration")
	}
	if rows[0][3] != "0" {
		seen.Warn("the administrator has SUPER: whoever gets its password owns the server", "make another login as `prodaccess targets plan` says")
	}
	if f == mariadb {
		seen.Warn("on MariaDB an administrator with CREATE USER may set anybody's password: guard its own like root's", "")
	}
	if host, _, err := net.SplitHostPort(r.everyday.connector.cfg.Addr); err == nil && !local(host) && r.everyday.connector.cfg.TLS == nil {
		seen.Warn("prodaccess reaches the server without verifying its certificate", "tls=true in the target's admin_url")
	}
	return fs.cluster, nil
}

// Enter implements grants.Stage.
func (r rehearsal) Enter(ctx context.Context, o grants.Order, seen *grants.Rehearsal) (grants.Visit, error) {
	to := r.cfg.Target.Connect
	home, err := r.Home(ctx, grants.Login{Name: o.Login, Stamp: o.Stamp, Fingerprint: o.Fingerprint})
	if err != nil {
		return nil, err
	}
	if home == "" && len(r.cfg.Target.Databases) > 0 {
		home = r.cfg.Target.Databases[0]
	}
	cfg := r.everyday.connector.cfg.Clone()
	cfg.User, cfg.Passwd, cfg.DBName = o.Login, o.Password.Reveal(), home
	cfg.Addr, cfg.TLS, cfg.TLSConfig = net.JoinHostPort(to.Host, strconv.Itoa(to.Port)), nil, ""
	switch to.SSLMode {
	case "verify-full":
		cfg.TLS = &tls.Config{ServerName: to.Host, MinVersion: tls.VersionTLS12}
	case "require", "verify-ca":
		cfg.TLSConfig = "skip-verify"
	case "allow", "prefer":
		cfg.TLSConfig = "preferred"
	}
	connector, err := client.NewConnector(cfg)
	if err != nil {
		return nil, fail(grants.FailInternal, "check connect in the target's configuration", "the endpoint cannot be used to connect")
	}
	conn, err := connector.Connect(ctx)
	switch n := number(err); {
	case err == nil:
		return rehearsedSession{conn}, nil
	case n == errDeniedDB:
		return nil, fail(grants.FailUnprepared, "run `prodaccess targets apply`", "the login may not enter %s", home)
	case n == errDenied:
		return nil, fail(grants.FailPrivilege, "drop accounts without a name, and look at what stands between here and the server", "the server refuses the login it just made")
	case n != 0:
		return nil, err
	}
	// People may reach an address that prodaccess does not; that proves nothing.
	seen.Warn(fmt.Sprintf("prodaccess does not reach %s:%d, where people are told to connect, so whether they get in was not tried: %s", to.Host, to.Port, network(err)),
		"check connect in the target's configuration")
	return nil, nil
}

// rehearsedSession is the session of a rehearsal's login.
type rehearsedSession struct{ driver.Conn }

// Alive implements grants.Visit.
func (s rehearsedSession) Alive(ctx context.Context) bool {
	ping, ok := s.Conn.(driver.Pinger)
	return ok && ping.Ping(ctx) == nil
}

// Close implements grants.Visit.
func (s rehearsedSession) Close() { _ = s.Conn.Close() }

// local says whether an address never leaves the machine.
func local(host string) bool {
	return host == "localhost" || strings.HasPrefix(host, "127.") || host == "::1"
}
