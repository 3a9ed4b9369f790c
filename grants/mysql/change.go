package mysql

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	client "github.com/go-sql-driver/mysql"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// Rotate implements grants.Driver. Sessions stay. The proof is a login: the catalogs would show the verifier, not that
// the server lets anybody in with it.
func (d *Driver) Rotate(ctx context.Context, login grants.Login, password secret.String) error {
	return failure(fmt.Sprintf("giving login %q on %s a new password", login.Name, d.cfg.Target.Name), d.rotate(ctx, login, password))
}

func (d *Driver) rotate(ctx context.Context, login grants.Login, password secret.String) error {
	if err := checkLogin(login); err != nil {
		return err
	}
	conn, f, err := d.everyday.borrow(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	plugin, encrypted, err := d.manner()
	if err != nil {
		return err
	}
	verifier, err := plugin.verifier(password)
	if err != nil {
		return fail(grants.FailInternal, "", "%w", err)
	}
	if _, err := mustBeLive(ctx, conn, f, login); err != nil {
		return err
	}
	// ALTER USER leaves the lock as it is, so that a revocation at this moment is not undone.
	back, err := send(ctx, conn, "ALTER USER "+account(login.Name)+plugin.identified(verifier), f.about(login.Name))
	if err != nil {
		return err
	}
	fs, err := readFacts(back)
	if err != nil {
		return err
	}
	if err := fs.ours(login); err != nil {
		return err
	}
	if fs.account == nil || fs.account.mark != markOf(verifier) {
		return fail(grants.FailInternal, "", "the catalogs do not show the new password")
	}
	if fs.account.locked {
		return fail(grants.FailForeign, "", "the login is locked")
	}
	return d.proveLogin(ctx, login, password, encrypted)
}

// mustBeLive refuses a login that is not ours, gone, or being taken back. One that the server ended by itself is over, not
// live: that can be mended, by an extension alone.
func mustBeLive(ctx context.Context, on runner, f flavour, login grants.Login) (facts, error) {
	fs, err := lookUp(ctx, on, f, login.Name)
	if err != nil {
		return fs, err
	}
	if err := fs.ours(login); err != nil {
		return fs, err
	}
	switch {
	case fs.account == nil || fs.row == nil:
		return fs, fail(grants.FailForeign, "", "the login does not exist any more")
	case fs.row.state != live && fs.row.state != over:
		return fs, fail(grants.FailForeign, "", "the login is %s, not live", fs.row.state)
	}
	return fs, nil
}

// proveLogin opens a session with the password. Being refused for anything that is checked after the password (too many
// connections, no such database) proves it just as well.
func (d *Driver) proveLogin(ctx context.Context, login grants.Login, password secret.String, encrypted bool) error {
	cfg := d.everyday.connector.cfg.Clone()
	cfg.User, cfg.Passwd, cfg.DBName = login.Name, password.Reveal(), ""
	if encrypted && cfg.TLS == nil && cfg.TLSConfig == "" {
		// The administrator may do without, on loopback; the login may not. What is proven is the password.
		cfg.TLS = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // see above
	}
	connector, err := client.NewConnector(cfg)
	if err != nil {
		return fail(grants.FailInternal, "", "the connection for the proof cannot be configured")
	}
	conn, err := connector.Connect(ctx)
	if err == nil {
		return closed(conn)
	}
	switch number(err) {
	case errTooMany, errTooManyUser, errUnknownDB, errDeniedDB:
		return nil
	case errDenied, errDeniedNoPw:
		return fail(grants.FailInternal, "", "the server refuses the new password")
	case errLockedMaria, errLockedMySQL:
		// The password was right; the lock is looked at after it.
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	return err
}

func closed(conn driver.Conn) error {
	_ = conn.Close()
	return nil
}

// Extend implements grants.Driver: the end that the ledger keeps, which is what the server's own event goes by. A login
// that the event locked a moment ago is opened again, by the same rules as in Issue: not if it is being taken back. One that
// a person locked stays as it is, and so does its end.
func (d *Driver) Extend(ctx context.Context, login grants.Login, until time.Time) error {
	return failure(fmt.Sprintf("extending login %q on %s", login.Name, d.cfg.Target.Name), d.extend(ctx, login, until))
}

func (d *Driver) extend(ctx context.Context, login grants.Login, until time.Time) (err error) {
	if err := checkLogin(login); err != nil {
		return err
	}
	if until.IsZero() {
		return fail(grants.FailInternal, "", "an extension needs an end")
	}
	conn, f, err := d.everyday.borrow(ctx)
	if err != nil {
		return err
	}
	defer func() { giveBack(conn, err != nil) }()
	if _, err := mustBeLive(ctx, conn, f, login); err != nil {
		return err
	}
	back, err := send(ctx, conn, f.prolong(login, d.everyday.connector.cfg.User, until)...)
	if err != nil {
		return err
	}
	if len(back) != 1 || len(back[0]) != 5 {
		return fail(grants.FailForeign, "", "the login does not exist any more")
	}
	is, moved, shutAgain, was, held := state(back[0][0]), back[0][1] == "1", back[0][2] == "1", state(back[0][3]), back[0][4] == "1"
	switch {
	case is != live && is != over:
		return fail(grants.FailForeign, "", "the login is %s, not live", is)
	case was == "":
		return fail(grants.FailBusy, "", "somebody else is changing the login at this moment")
	case was == live && held:
		return fail(grants.FailForeign, "release or revoke the grant; or, if its holder is to have it again, "+unlock(login.Name),
			"somebody locked the login by hand, so that it is not extended")
	case !moved || shutAgain:
		return fail(grants.FailBusy, "", "somebody else changed the login at the same moment")
	}
	return nil
}

// prolong are the statements of Extend. They may stop anywhere: the end is moved last, so that what is open before is what
// the server ends at the earlier time, and what it has ended can still be seen to be its own doing.
func (f flavour) prolong(login grants.Login, admin string, until time.Time) []string {
	is := " WHERE login = " + literal(login.Name) + " AND stamp = " + literal(login.Stamp.String())
	lives := " AND state IN ('" + string(live) + "', '" + string(over) + "')"
	statements := []string{
		"SET @worker = (SELECT worker FROM prodaccess.logins" + is + ")",
		// Whoever was cut off in the middle of this left a number, which Secure alone would take away. A connection that does
		// nothing is not in the middle of anything: all of this is one message.
		"SET @busy = (SELECT COUNT(*) FROM information_schema.PROCESSLIST p WHERE p.ID = @worker AND p.USER = " + text(admin) +
			" AND p.COMMAND <> 'Sleep' AND p.ID <> CONNECTION_ID())",
		// One worker at a time; whoever takes the login back sees that there is one, and ends it first.
		"UPDATE prodaccess.logins SET worker = CONNECTION_ID(), changed = UTC_TIMESTAMP(6)" + is + lives + " AND worker = @worker AND (@worker = 0 OR @busy = 0)",
		"SET @state = (SELECT state FROM prodaccess.logins" + is + lives + " AND worker = CONNECTION_ID())",
		"SET @locked = (SELECT a.locked FROM " + f.accounts() + " a WHERE a.account = " + literal(login.Name) + " AND a.host = '%')",
	}
	statements = append(statements, f.run(choose("@state = '"+string(over)+"' AND @locked = 1 AND UTC_TIMESTAMP(6) < "+instant(until), text(unlock(login.Name)), text("DO 0")))...)
	return append(statements,
		"SET @byhand = @state = '"+string(live)+"' AND @locked = 1",
		"UPDATE prodaccess.logins SET valid_until = IF(@byhand, valid_until, "+instant(until)+"), state = IF(@byhand OR UTC_TIMESTAMP(6) >= "+instant(until)+", state, '"+string(live)+"'),"+
			" worker = 0"+is+lives+" AND worker = CONNECTION_ID()",
		"SELECT l.state, l.valid_until = "+instant(until)+", a.locked AND UTC_TIMESTAMP(6) < "+instant(until)+", COALESCE(@state, ''), @locked FROM prodaccess.logins l JOIN "+f.accounts()+
			" a ON a.account = l.login AND a.host = '%' WHERE l.login = "+literal(login.Name))
}
