package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// Rotate implements grants.Driver. The proof is a login: nobody but a superuser may read verifiers.
func (d *Driver) Rotate(ctx context.Context, login grants.Login, password secret.String) error {
	doing := fmt.Sprintf("giving login %q on %s a new password", login.Name, d.cfg.Target.Name)
	verifier, err := verifier(password)
	if err != nil {
		return failure(doing, fail(grants.FailInternal, "", "%w", err))
	}
	if _, err := d.alter(ctx, login, func(through door) []string { return through.password(login, verifier) }); err != nil {
		return failure(doing, err)
	}
	return failure(doing, d.proveLogin(ctx, login, password))
}

// Extend implements grants.Driver.
func (d *Driver) Extend(ctx context.Context, login grants.Login, until time.Time) error {
	doing := fmt.Sprintf("extending login %q on %s", login.Name, d.cfg.Target.Name)
	if until.IsZero() {
		return failure(doing, fail(grants.FailInternal, "", "an extension needs an end"))
	}
	after, err := d.alter(ctx, login, func(through door) []string { return through.until(login, until) })
	if err != nil {
		return failure(doing, err)
	}
	if len(after.Rows) != 1 || string(after.Rows[0][4]) != strconv.FormatInt(until.UnixMicro(), 10) {
		return failure(doing, fail(grants.FailInternal, "", "the catalogs do not show the new end"))
	}
	return nil
}

// alter changes a live login of ours and returns what readBack says afterwards.
func (d *Driver) alter(ctx context.Context, login grants.Login, change func(door) []string) (*pgconn.Result, error) {
	return inDoor(ctx, d, func(through door) (*pgconn.Result, error) { return d.alterWith(ctx, login, change(through)) })
}

func (d *Driver) alterWith(ctx context.Context, login grants.Login, change []string) (*pgconn.Result, error) {
	if err := checkLogin(login); err != nil {
		return nil, err
	}
	statements := plain(append([]string{
		begin,
		guard(isOurs(login) + " AND EXISTS (SELECT FROM pg_roles WHERE rolcanlogin AND rolname = " + literal(login.Name) + ")"),
	}, append(change, "COMMIT")...)...)
	results, err := exchange(ctx, d.everyday, append(statements, sentence{sql: readBack, args: []string{login.Name}}))
	if refused(err) {
		r, found, err := lookUp(ctx, d.everyday, login)
		switch {
		case err != nil:
			return nil, err
		case !found:
			return nil, fail(grants.FailForeign, "", "the login does not exist any more")
		case !r.canLogin:
			return nil, fail(grants.FailForeign, "", "the login is locked")
		}
		return nil, fail(grants.FailBusy, "", "the login changed at the same moment")
	}
	if err != nil {
		return nil, err
	}
	return results[len(results)-1], nil
}

// proveLogin opens a session with the password. Being refused for anything that is checked after the password (no such
// database, no CONNECT privilege, too many connections) proves it just as well. When it returns, no session of ours is left
// among the login's: one would count against its connection limit, and in the receipt as one of its holder's.
func (d *Driver) proveLogin(ctx context.Context, login grants.Login, password secret.String) error {
	c := d.admin.Copy()
	c.User, c.Password = login.Name, password.Reveal()
	if len(d.cfg.Target.Databases) > 0 {
		c.Database = d.cfg.Target.Databases[0]
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err == nil {
		hangUp(conn)
		return nil
	}
	switch stateOf(err) {
	case "3D000", "42501", "53300", "55000":
		return nil
	case "28P01":
		return fail(grants.FailInternal, "", "the server refuses the new password")
	case "28000":
		// pg_hba.conf lets people in from elsewhere only, or the login was locked a moment ago: nothing is proven, and
		// nothing is wrong with the password that the server has acknowledged.
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	return err
}

// hangUp ends a session and returns when the server has ended it, which goes on for a while after Close of pgx: the server
// closes the connection last. One that does not within a second is left to itself.
func hangUp(conn *pgx.Conn) {
	hijacked, err := conn.PgConn().Hijack()
	if err != nil { // it is closed
		return
	}
	defer hijacked.Conn.Close()
	_ = hijacked.Conn.SetDeadline(time.Now().Add(time.Second))
	hijacked.Frontend.Send(&pgproto3.Terminate{})
	_ = hijacked.Frontend.Flush()
	_, _ = io.Copy(io.Discard, hijacked.Conn)
}
