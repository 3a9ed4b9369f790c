package postgres

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

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

// Samples implements grants.Stage: a login without values is made as well; it sees no rows.
func (r rehearsal) Samples(context.Context, string) ([]grants.Param, error) { return nil, nil }

// Meet implements grants.Stage.
func (r rehearsal) Meet(ctx context.Context, seen *grants.Rehearsal) (fingerprint string, err error) {
	sent := r.cfg.Now()
	results, err := send(ctx, r.everyday, factsAbout("pa_doctor", 0),
		"SELECT split_part(current_setting('server_version'), ' ', 1), rolsuper, (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), rolcreaterole"+
			" FROM pg_roles WHERE rolname = current_user")
	if err != nil {
		return "", err
	}
	f, err := parseFacts(results[0])
	if err != nil {
		return "", err
	}
	row := texts(results[1])
	if len(row) != 1 {
		return "", errUnreadable
	}
	seen.Server = "PostgreSQL " + row[0][0]
	skew := f.clock.Sub(sent)
	switch {
	case skew.Abs() > maxSkew:
		return "", fail(grants.FailSkewed, "set both clocks by NTP", "the server's clock and ours differ by %s", skew.Abs().Round(time.Second))
	case skew.Abs() > 2*time.Second:
		seen.Warn(fmt.Sprintf("the server's clock and ours differ by %s; from %s on no login is made", skew.Abs().Round(100*time.Millisecond), maxSkew),
			"set both clocks by NTP")
	}
	if row[0][1] == "t" {
		seen.Warn("the administrator "+r.admin.User+" is a superuser: whoever gets its password owns the cluster", "ALTER ROLE "+ident(r.admin.User)+" NOSUPERUSER CREATEROLE")
	}
	if row[0][2] == "f" && !local(r.admin.Host) {
		seen.Warn("prodaccess reaches the server in plain text", "sslmode=verify-full in the target's admin_url")
	}
	if f.version < 16 && row[0][3] == "t" {
		seen.Warn("up to PostgreSQL 15 an administrator with CREATEROLE may grant itself any role that is no superuser, pg_execute_server_program too: "+
			"guard its password like a superuser's, or let it act through functions only",
			"`prodaccess targets plan --least-privilege "+r.cfg.Target.Name+"` prints them, for a superuser to run in psql; or upgrade to PostgreSQL 16")
	}
	if !local(r.cfg.Target.Connect.Host) {
		switch mode := r.cfg.Target.Connect.SSLMode; mode {
		case "disable", "allow", "prefer", "":
			seen.Warn(fmt.Sprintf("people are told sslmode=%s, which lets passwords and rows travel in plain text", mode), "connect: { sslmode: verify-full }")
		}
	}
	return f.fingerprint, nil
}

// Enter implements grants.Stage.
func (r rehearsal) Enter(ctx context.Context, o grants.Order, seen *grants.Rehearsal) (grants.Visit, error) {
	to := r.cfg.Target.Connect
	query := url.Values{"connect_timeout": {strconv.Itoa(int(connectTimeout.Seconds()))}}
	if to.SSLMode != "" {
		query.Set("sslmode", to.SSLMode)
	}
	database := r.admin.Database
	if len(r.cfg.Target.Databases) > 0 {
		database = r.cfg.Target.Databases[0]
	}
	u := url.URL{
		Scheme: "postgresql", User: url.UserPassword(o.Login, o.Password.Reveal()),
		Host: to.Host + ":" + strconv.Itoa(to.Port), Path: "/" + database, RawQuery: query.Encode(),
	}
	conn, err := pgx.Connect(ctx, u.String())
	switch state := stateOf(err); {
	case err == nil:
	case state == "42501":
		return nil, fail(grants.FailPrivilege, "GRANT CONNECT ON DATABASE "+ident(database)+" TO "+ident(o.AccessRole), "%s", stateWords(err))
	case state == "28000" || state == "28P01":
		return nil, fail(grants.FailPrivilege, "a line in pg_hba.conf that lets "+grants.Prefix+" logins in with scram-sha-256 from where people connect", "%s", stateWords(err))
	case state == "":
		// People may reach an address that prodaccess does not; that proves nothing.
		seen.Warn(fmt.Sprintf("prodaccess does not reach %s:%d, where people are told to connect, so whether they get in was not tried: %s", to.Host, to.Port, network(err)),
			"check connect in the target's configuration")
		return nil, nil
	default:
		return nil, err
	}
	visit := rehearsedSession{conn}
	var pid uint32
	var fingerprint string
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid(), (SELECT system_identifier::text FROM pg_control_system())").Scan(&pid, &fingerprint); err != nil {
		return visit, err
	}
	if fingerprint != o.Fingerprint {
		return visit, fail(grants.FailSwapped, "check connect in the target's configuration", "another cluster answers there than the administrator's")
	}
	if pid != conn.PgConn().PID() {
		seen.Warn(fmt.Sprintf("a connection pooler answers at %s:%d: it keeps server sessions of its own alive, and may show one person's settings to the next", to.Host, to.Port),
			"tell people the server's own address in connect")
	}
	return visit, nil
}

// rehearsedSession is the session of a rehearsal's login.
type rehearsedSession struct{ *pgx.Conn }

// Alive implements grants.Visit.
func (s rehearsedSession) Alive(ctx context.Context) bool {
	_, err := s.Exec(ctx, "SELECT 1")
	return stateOf(err) != "57P01" && (err == nil || !s.IsClosed()) // admin_shutdown
}

// Close implements grants.Visit.
func (s rehearsedSession) Close() { _ = s.Conn.Close(context.Background()) }

// local says whether an address never leaves the machine.
func local(host string) bool {
	return strings.HasPrefix(host, "/") || host == "localhost" || strings.HasPrefix(host, "127.") || host == "::1"
}
