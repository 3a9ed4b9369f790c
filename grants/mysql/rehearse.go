package mysql

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"database/sql/driver"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	client "github.com/go-sql-driver/mysql"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

var _ grants.Rehearser = (*Driver)(nil)

// rehearsal is one under way.
type rehearsal struct {
	*Driver
	grants.Rehearsal
	order grants.Order
	login grants.Login
	// visit is the throw-away login's own session, nil when it never got in.
	visit driver.Conn
}

// Rehearse implements grants.Rehearser: the very statements of Issue, Secure and Clean, and a session of the login's own in
// between, through the endpoint that people are told.
func (d *Driver) Rehearse(ctx context.Context, accessRole string) grants.Rehearsal {
	r := &rehearsal{Driver: d}
	defer func() {
		if r.visit != nil {
			_ = r.visit.Close()
		}
	}()
	if r.try("the administrator gets in", func() error { return r.meet(ctx) }) &&
		r.try("nothing is left of earlier rehearsals", func() error { return r.tidy(ctx) }) {
		r.play(ctx, accessRole)
	}
	return r.Rehearsal
}

func (r *rehearsal) play(ctx context.Context, accessRole string) {
	id, now := grants.NewID(), r.cfg.Now()
	r.order = grants.Order{
		Login: grants.LoginName("doctor", id), AccessRole: accessRole, Stamp: grants.Stamp{Installation: r.cfg.Installation, Grant: id},
		Fingerprint: r.login.Fingerprint, ValidUntil: now.Add(grants.RehearsalLasts), NotAfter: now.Add(grants.IssueWithin),
		ConnectionLimit: 1, Password: secret.New(rand.Text()),
	}
	var err error
	if r.order.Params, err = r.samples(ctx, accessRole); err != nil {
		r.try("the parameters of "+accessRole+" can be read", func() error { return err })
		return
	}
	r.login = grants.Login{Name: r.order.Login, Stamp: r.order.Stamp, Fingerprint: r.login.Fingerprint}
	if r.try("a login can be made, a member of "+accessRole, func() error { _, err := r.Issue(ctx, r.order); return err }) {
		r.try("it gets in where people are told to connect", func() error { return r.enter(ctx) })
	}
	// Whatever happened, what may have been made is taken back.
	locked := r.try("it can be locked out and its sessions ended on every node", func() error { _, err := r.Secure(ctx, r.login); return err })
	if locked && r.visit != nil {
		r.try("its session is dead", func() error { return r.dead(ctx) })
	}
	cleaned := locked && r.try("it can be dropped, and the catalogs prove it", func() error { _, err := r.Clean(ctx, r.login); return err })
	if !cleaned {
		r.warn("the throw-away login "+r.login.Name+" may be left on the server; the next rehearsal takes it back", "")
	}
}

// samples are values for an access role's parameters.
func (r *rehearsal) samples(ctx context.Context, accessRole string) (params []grants.Param, err error) {
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

// try carries out a step and says whether it worked.
func (r *rehearsal) try(what string, step func() error) bool {
	began := time.Now()
	err := step()
	r.Steps = append(r.Steps, grants.RehearsalStep{What: what, Took: time.Since(began), Err: failure("rehearsing on "+r.cfg.Target.Name, err)})
	return err == nil
}

func (r *rehearsal) warn(what, mend string) {
	r.Warnings = append(r.Warnings, grants.Finding{What: what, Mend: mend})
}

// meet learns who answers, and looks at what needs no login.
func (r *rehearsal) meet(ctx context.Context) error {
	conn, f, err := r.everyday.borrow(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	sent := r.cfg.Now()
	fs, err := lookUp(ctx, conn, f, "pa_doctor")
	if err != nil {
		return err
	}
	rows, err := send(ctx, conn, "SELECT VERSION(), @@GLOBAL.event_scheduler, @@GLOBAL.read_only,"+
		" (SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'SUPER' AND GRANTEE = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), ''''))")
	if err != nil {
		return err
	}
	if len(rows) != 1 {
		return errUnreadable
	}
	version, _, _ := strings.Cut(rows[0][0], "-")
	r.login.Fingerprint, r.Server = fs.cluster, string(f)+" "+version
	skew := fs.clock.Sub(sent)
	switch {
	case skew.Abs() > maxSkew:
		return fail(grants.FailSkewed, "set both clocks by NTP", "the server's clock and ours differ by %s", skew.Abs().Round(time.Second))
	case skew.Abs() > 2*time.Second:
		r.warn(fmt.Sprintf("the server's clock and ours differ by %s; from %s on no login is made", skew.Abs().Round(100*time.Millisecond), maxSkew), "set both clocks by NTP")
	}
	if rows[0][2] != "0" && !strings.EqualFold(rows[0][2], "OFF") {
		return fail(grants.FailUnreachable, "the primary's address in the target's admin_url", "the server is read-only, so it is a replica")
	}
	if !strings.EqualFold(rows[0][1], "ON") {
		r.warn("the event scheduler is off: if prodaccess is gone at a deadline, the server does not lock the login by itself", "SET GLOBAL event_scheduler = ON, and in the server's configuration")
	}
	if rows[0][3] != "0" {
		r.warn("the administrator has SUPER: whoever gets its password owns the server", "make another login as `prodaccess targets plan` says")
	}
	if f == mariadb {
		r.warn("on MariaDB an administrator with CREATE USER may set anybody's password: guard its own like root's", "")
	}
	if host, _, err := net.SplitHostPort(r.everyday.connector.cfg.Addr); err == nil && !local(host) && r.everyday.connector.cfg.TLS == nil {
		r.warn("prodaccess reaches the server without verifying its certificate", "tls=true in the target's admin_url")
	}
	return nil
}

// tidy takes back what earlier rehearsals left when they died.
func (r *rehearsal) tidy(ctx context.Context) error {
	left, err := r.Logins(ctx)
	if err != nil {
		return err
	}
	for _, l := range left {
		l.Fingerprint = r.login.Fingerprint
		if _, err := r.Secure(ctx, l); err != nil {
			return err
		}
		if _, err := r.Clean(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// enter logs in as a person would.
func (r *rehearsal) enter(ctx context.Context) error {
	to := r.cfg.Target.Connect
	home, err := r.Home(ctx, r.login)
	if err != nil {
		return err
	}
	if home == "" && len(r.cfg.Target.Databases) > 0 {
		home = r.cfg.Target.Databases[0]
	}
	cfg := r.everyday.connector.cfg.Clone()
	cfg.User, cfg.Passwd, cfg.DBName = r.login.Name, r.order.Password.Reveal(), home
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
		return fail(grants.FailInternal, "check connect in the target's configuration", "the endpoint cannot be used to connect")
	}
	conn, err := connector.Connect(ctx)
	switch n := number(err); {
	case err == nil:
		r.visit = conn
		return nil
	case n == errDeniedDB:
		return fail(grants.FailUnprepared, "run `prodaccess targets apply`", "the login may not enter %s", home)
	case n == errDenied:
		return fail(grants.FailPrivilege, "drop accounts without a name, and look at what stands between here and the server", "the server refuses the login it just made")
	case n != 0:
		return err
	}
	// People may reach an address that prodaccess does not; that proves nothing.
	r.warn(fmt.Sprintf("prodaccess does not reach %s:%d, where people are told to connect, so whether they get in was not tried: %s", to.Host, to.Port, network(err)),
		"check connect in the target's configuration")
	return nil
}

// dead says whether the server ended the session.
func (r *rehearsal) dead(ctx context.Context) error {
	if ping, ok := r.visit.(driver.Pinger); ok && ping.Ping(ctx) == nil {
		return fail(grants.FailInternal, "", "the session still answers")
	}
	return nil
}

// local says whether an address never leaves the machine.
func local(host string) bool {
	return host == "localhost" || strings.HasPrefix(host, "127.") || host == "::1"
}
