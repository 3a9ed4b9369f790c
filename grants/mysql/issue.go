package mysql

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// Issue implements grants.Driver: the row, the account (locked), its role, what the catalogs say of it, and the lock off
// as the last thing. Each is three messages on one connection; wherever they stop, nobody can log in.
func (d *Driver) Issue(ctx context.Context, order grants.Order) (grants.Issued, error) {
	issued, err := d.issue(ctx, order)
	return issued, failure(fmt.Sprintf("issuing login %q on %s", order.Login, d.cfg.Target.Name), err)
}

func (d *Driver) issue(ctx context.Context, order grants.Order) (issued grants.Issued, err error) {
	if err := checkOrder(order); err != nil {
		return issued, err
	}
	conn, f, err := d.everyday.borrow(ctx)
	if err != nil {
		return issued, err
	}
	// A connection on which an order failed half way is not used for another one: whoever takes the login back kills it.
	defer func() { giveBack(conn, err != nil) }()

	plugin, tls, err := d.manner()
	if err != nil {
		return issued, err
	}
	verifier, err := plugin.verifier(order.Password)
	if err != nil {
		return issued, fail(grants.FailInternal, "", "%w", err)
	}
	values, err := d.bind(ctx, conn, order)
	if err != nil {
		return issued, err
	}
	now := d.cfg.Now() // after the wait for a connection, for the comparison of clocks
	if !now.Before(order.NotAfter) {
		return issued, late(order)
	}
	written, err := change(ctx, conn, f.writeDown(order, verifier, now))
	if err == nil && written != 1 || number(err) == errDuplicate {
		return issued, d.explain(ctx, conn, f, order)
	}
	if err != nil {
		return issued, err
	}
	making := f.make(order, plugin, verifier, tls)
	if values != "" {
		making = append([]string{values}, making...)
	}
	back, err := send(ctx, conn, making...)
	switch number(err) {
	case errCannotUser:
		// Somebody made an account of that name at this moment, after the look: the row must not claim it.
		_, _ = change(ctx, conn, "DELETE FROM prodaccess.logins WHERE made = 0 AND login = "+literal(order.Login))
		return issued, fail(grants.FailForeign, "", "an account of that name was there a moment ago")
	case errInvalidRole, errUnknownAuthID:
		return issued, fail(grants.FailUnprepared, "run `prodaccess targets apply`", "the access role %q is missing", order.AccessRole)
	}
	if err != nil {
		return issued, err
	}
	if issued, err = checkMade(back, order); err != nil {
		return issued, err
	}
	back, err = send(ctx, conn, f.open(order)...)
	if err != nil {
		if n := number(err); n == errSignalled || n == errNoSuchTable {
			return grants.Issued{}, late(order)
		}
		return grants.Issued{}, err
	}
	if len(back) != 1 || back[0][0] != string(live) && back[0][0] != string(over) {
		return grants.Issued{}, fail(grants.FailInternal, "", "the login is not live after it was unlocked")
	}
	if order.ValidUntil.After(d.cfg.Now()) {
		issued.Lagging = d.lagging(ctx, order.Login)
	}
	return issued, nil
}

// giveBack returns a connection to its pool, or closes it.
func giveBack(conn *sql.Conn, spoilt bool) {
	if spoilt {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	_ = conn.Close()
}

// manner is how logins of this target authenticate, and whether they must use TLS.
func (d *Driver) manner() (p plugin, tls bool, err error) {
	switch d.cfg.Target.Connect.SSLMode {
	case "require", "verify-ca", "verify-full":
		tls = true
	}
	at := d.everyday.connector.server()
	if tls && !at.certified {
		return "", tls, fail(grants.FailUnprepared, "give the server a certificate (ssl_cert, ssl_key), or set connect.sslmode to what it can do",
			"people are told to connect with TLS, and the server has none")
	}
	switch {
	case at.flavour == mysql:
		return cachingSHA2, tls, nil
	case at.ed25519:
		return ed25519, tls, nil
	}
	return nativePassword, tls, nil
}

func checkOrder(order grants.Order) error {
	if err := checkLogin(grants.Login{Name: order.Login, Stamp: order.Stamp}); err != nil {
		return err
	}
	if err := checkName("access role", order.AccessRole); err != nil {
		return fail(grants.FailInternal, "", "%w", err)
	}
	switch {
	case order.Fingerprint == "":
		return fail(grants.FailInternal, "", "the order names no fingerprint")
	case order.ConnectionLimit < 1:
		return fail(grants.FailInternal, "", "the connection limit %d is below 1", order.ConnectionLimit)
	case order.ValidUntil.IsZero() || order.NotAfter.IsZero():
		return fail(grants.FailInternal, "", "the order has no end")
	case order.Password.Empty():
		return fail(grants.FailInternal, "", "the order has no password")
	}
	return nil
}

// markOf is what the row keeps of a verifier, and what about computes of the account's.
func markOf(verifier secret.String) string {
	sum := sha256.Sum256([]byte(verifier.Reveal()))
	return hex.EncodeToString(sum[:])
}

// writeDown is the row that comes before the account, if the facts are as they must be: this cluster, clocks that agree,
// in time, a role that is one, and nobody of that name.
func (f flavour) writeDown(order grants.Order, verifier secret.String, now time.Time) string {
	return "INSERT INTO prodaccess.logins (login, stamp, state, made, mark, access_role, valid_until, worker, changed)" +
		" SELECT " + literal(order.Login) + ", " + literal(order.Stamp.String()) + ", '" + string(making) + "', 0," +
		" " + literal(markOf(verifier)) + ", " + literal(order.AccessRole) + ", " + instant(order.ValidUntil) + ", CONNECTION_ID(), UTC_TIMESTAMP(6)" +
		" FROM prodaccess.cluster c WHERE c.one = 1 AND c.id = " + literal(order.Fingerprint) +
		" AND ABS(TIMESTAMPDIFF(MICROSECOND, " + instant(now) + ", UTC_TIMESTAMP(6))) <= " + strconv.FormatInt(maxSkew.Microseconds(), 10) +
		" AND UTC_TIMESTAMP(6) <= " + instant(order.NotAfter) +
		" AND EXISTS (SELECT 1 FROM " + f.accounts() + " r WHERE r.account = " + literal(order.AccessRole) + " AND r.role)" +
		" AND NOT EXISTS (SELECT 1 FROM " + f.accounts() + " a WHERE a.account = " + literal(order.Login) + ")"
}

// make is the account: locked, with a verifier, its role and nothing else; and what the catalogs then say.
func (f flavour) make(order grants.Order, p plugin, verifier secret.String, tls bool) []string {
	require := " REQUIRE NONE"
	if tls {
		require = " REQUIRE SSL"
	}
	limits := " WITH MAX_USER_CONNECTIONS " + strconv.Itoa(order.ConnectionLimit)
	if f == mariadb && order.StatementTimeout > 0 {
		limits += " MAX_STATEMENT_TIME " + strconv.FormatFloat(order.StatementTimeout.Seconds(), 'f', 3, 64)
	}
	return []string{
		"CREATE USER " + account(order.Login) + p.identified(verifier) + require + limits + " ACCOUNT LOCK",
		"UPDATE prodaccess.logins SET made = 1 WHERE login = " + literal(order.Login),
		"GRANT " + f.roleName(order.AccessRole) + " TO " + account(order.Login),
		f.setDefaultRole(order.AccessRole, order.Login),
		f.readBack(order.Login),
	}
}

// readBack selects what the catalogs say about a login that was just made.
func (f flavour) readBack(login string) string {
	return "SELECT l.id, a.locked, SHA2(a.auth, 256) = l.mark, " + f.limit(login) + ", " + f.private(login) +
		", (SELECT COALESCE(GROUP_CONCAT(CONCAT(m.role, IF(m.admin = 'Y', ' with admin', ''))), '') FROM " + f.memberships() + " m WHERE m.account = " + literal(login) + "), " +
		f.defaultRole(login) +
		" FROM prodaccess.logins l JOIN " + f.accounts() + " a ON a.account = l.login AND a.host = '%' WHERE l.login = " + literal(login)
}

func checkMade(rows [][]string, order grants.Order) (grants.Issued, error) {
	if len(rows) != 1 || len(rows[0]) != 7 {
		return grants.Issued{}, fail(grants.FailInternal, "", "the login is not in the catalogs after it was made")
	}
	r := rows[0]
	oid, err := strconv.ParseUint(r[0], 10, 32)
	if err != nil {
		return grants.Issued{}, errUnreadable
	}
	for _, c := range []struct{ what, got, want string }{
		{"locked", r[1], "1"},
		{"has the verifier", r[2], "1"},
		{"connection limit", r[3], strconv.Itoa(order.ConnectionLimit)},
		{"privileges beside its role", r[4], "0"},
		{"member of", r[5], order.AccessRole},
		{"begins with role", r[6], order.AccessRole},
	} {
		if c.got != c.want {
			return grants.Issued{}, fail(grants.FailInternal, "", "the catalogs say otherwise than ordered: %s: %q instead of %q", c.what, c.got, c.want)
		}
	}
	return grants.Issued{OID: uint32(oid)}, nil
}

// open takes the lock off, if the order is still in time and nobody has begun to take the login back; then the row is live.
// If the login's end has come already it stays locked, and is over.
func (f flavour) open(order grants.Order) []string {
	mine := " AND worker = CONNECTION_ID() AND state = '" + string(making) + "'"
	statements := []string{"SET @mine = (SELECT COUNT(*) FROM prodaccess.logins WHERE login = " + literal(order.Login) + mine + ")," +
		" @late = UTC_TIMESTAMP(6) >= " + instant(order.ValidUntil)}
	statements = append(statements, f.run(choose("@mine = 1 AND UTC_TIMESTAMP(6) <= "+instant(order.NotAfter),
		choose("@late", text("DO 0"), text(unlock(order.Login))), text(f.refuse())))...)
	return append(statements,
		"UPDATE prodaccess.logins SET state = IF(@late, '"+string(over)+"', '"+string(live)+"'), worker = 0, changed = UTC_TIMESTAMP(6) WHERE login = "+literal(order.Login)+mine,
		"SELECT state FROM prodaccess.logins WHERE login = "+literal(order.Login))
}

func unlock(login string) string { return "ALTER USER " + account(login) + " ACCOUNT UNLOCK" }

func lock(login string) string { return "ALTER USER " + account(login) + " ACCOUNT LOCK" }

// explain finds what stopped the row from being written; nothing has been changed.
func (d *Driver) explain(ctx context.Context, on runner, f flavour, order grants.Order) error {
	sent := d.cfg.Now()
	fs, err := lookUp(ctx, on, f, order.Login)
	if err != nil {
		return err
	}
	if err := fs.ours(grants.Login{Name: order.Login, Stamp: order.Stamp, Fingerprint: order.Fingerprint}); err != nil {
		return err
	}
	if fs.row != nil {
		// Nobody knows its password: an existing login is never taken for the one just ordered.
		return fail(grants.FailInternal, "", "the login exists already, from an earlier order")
	}
	if fs.clock.Sub(sent).Abs() > maxSkew {
		return fail(grants.FailSkewed, "set both clocks by NTP", "the server's clock and ours differ by %s", fs.clock.Sub(sent).Abs().Round(time.Second))
	}
	rows, err := send(ctx, on, "SELECT COUNT(*) FROM "+f.accounts()+" r WHERE r.account = "+literal(order.AccessRole)+" AND r.role")
	if err != nil {
		return err
	}
	if len(rows) != 1 || rows[0][0] == "0" {
		return fail(grants.FailUnprepared, "run `prodaccess targets apply`", "the access role %q is missing", order.AccessRole)
	}
	return late(order)
}

func late(order grants.Order) error {
	return fail(grants.FailLate, "", "the order was to be carried out before %s", order.NotAfter.UTC().Format(time.RFC3339))
}
