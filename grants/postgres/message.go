package postgres

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/prodaccess/prodaccess/grants"
)

// begin opens a transaction whose guards see what is committed at their moment.
const begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

// guard refuses the transaction it stands in, on the server, unless the condition holds.
func guard(condition string) string {
	return "SELECT 1 / (CASE WHEN " + condition + " THEN 1 ELSE 0 END)"
}

// refused says whether a guard stopped the transaction (division_by_zero; nothing else of ours divides).
func refused(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "22012"
}

// send runs statements in one message, that is in one round trip, by the simple protocol: DDL takes no parameters, and
// names and literals come from quote.go alone. The results of the statements before the first failing one are returned
// with the error.
func send(ctx context.Context, pool *pgxpool.Pool, statements ...string) ([]*pgconn.Result, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	return sendOn(ctx, conn.Conn(), statements...)
}

func sendOn(ctx context.Context, conn *pgx.Conn, statements ...string) ([]*pgconn.Result, error) {
	results, err := conn.PgConn().Exec(ctx, strings.Join(statements, ";\n")).ReadAll()
	if err != nil && !conn.PgConn().IsClosed() && conn.PgConn().TxStatus() != 'I' {
		// A failed transaction is ended, so that the connection can be used again.
		_, _ = conn.PgConn().Exec(ctx, "ROLLBACK").ReadAll()
	}
	if err != nil {
		return results, err
	}
	if len(results) != len(statements) {
		return results, errLost
	}
	return results, nil
}

// facts are what the server says when a guard has refused, or a login's OID is not known.
type facts struct {
	fingerprint string
	clock       time.Time
	version     int
	// roles are those that carry the login's name or its OID: none, one, or, when somebody renamed, two.
	roles []role
}

type role struct {
	oid      uint32
	name     string
	canLogin bool
	comment  string
}

// factsAbout asks for facts about a login's name and, unless it is 0, its OID. The two lookups are separate so that each
// uses its index.
func factsAbout(name string, oid uint32) string {
	lookup := func(where string) string {
		return "SELECT r.oid, r.rolname, r.rolcanlogin, coalesce(" + commentOf("r.oid") + ", '') FROM pg_roles r WHERE " + where
	}
	roles := lookup("r.rolname = " + literal(name))
	if oid != 0 {
		roles += " UNION ALL " + lookup("r.oid = "+oidText(oid)+" AND r.rolname <> "+literal(name))
	}
	return "SELECT c.system_identifier, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint," +
		" current_setting('server_version_num'), r.* FROM pg_control_system() c LEFT JOIN (" + roles +
		") r (oid, name, can_login, comment) ON true"
}

func parseFacts(r *pgconn.Result) (facts, error) {
	var f facts
	for _, row := range r.Rows {
		if len(row) != 7 {
			return f, errUnreadable
		}
		micros, err1 := strconv.ParseInt(string(row[1]), 10, 64)
		version, err2 := strconv.Atoi(string(row[2]))
		if err1 != nil || err2 != nil {
			return f, errUnreadable
		}
		f.fingerprint, f.clock, f.version = string(row[0]), time.UnixMicro(micros), version/10000
		if row[3] != nil {
			oid, err := parseOID(row[3])
			if err != nil {
				return f, err
			}
			f.roles = append(f.roles, role{oid: oid, name: string(row[4]), canLogin: isTrue(row[5]), comment: string(row[6])})
		}
	}
	if f.fingerprint == "" {
		return f, errUnreadable
	}
	return f, nil
}

// lookUp asks for facts and picks the role that is the login's.
func lookUp(ctx context.Context, pool *pgxpool.Pool, login grants.Login) (r role, found bool, err error) {
	results, err := send(ctx, pool, factsAbout(login.Name, login.OID))
	if err != nil {
		return role{}, false, err
	}
	f, err := parseFacts(results[0])
	if err != nil {
		return role{}, false, err
	}
	return f.ours(login)
}

// ours picks the role that name, stamp and OID agree on. No role at all is found=false without an error.
func (f facts) ours(login grants.Login) (r role, found bool, err error) {
	if login.Fingerprint != "" && f.fingerprint != login.Fingerprint {
		return role{}, false, fail(grants.FailSwapped, "point the target at the cluster the login was issued on",
			"another cluster answers: its system identifier is %s, the login was issued on %s", f.fingerprint, login.Fingerprint)
	}
	for _, r := range f.roles {
		if r.name != login.Name {
			if r.comment == login.Stamp.String() {
				return role{}, false, fail(grants.FailForeign, "rename it back",
					"the role with OID %d carries our stamp and is now called %q", r.oid, r.name)
			}
			continue // the OID was used again for somebody else's role
		}
		if r.comment != login.Stamp.String() {
			return role{}, false, fail(grants.FailForeign, "find out who made it; prodaccess leaves it alone",
				"the role %q does not carry the stamp of this grant", r.name)
		}
		if login.OID != 0 && r.oid != login.OID {
			return role{}, false, fail(grants.FailForeign, "find out who made it; prodaccess leaves it alone",
				"the role %q has OID %d, the one issued had %d", r.name, r.oid, login.OID)
		}
		return r, true, nil
	}
	return role{}, false, nil
}

// commentOf is the expression of a role's comment, NULL where there is none. It is what shobj_description does, which the
// server plans anew in every statement that calls it: that took it longer than all else in a guard.
func commentOf(oid string) string {
	return "(SELECT d.description FROM pg_shdescription d WHERE d.classoid = 'pg_authid'::regclass AND d.objoid = " + oid + ")"
}

// isOurs is the condition of the guard that goes with ours.
func isOurs(login grants.Login) string {
	c := "EXISTS (SELECT FROM pg_roles r WHERE r.rolname = " + literal(login.Name) +
		" AND " + commentOf("r.oid") + " = " + literal(login.Stamp.String())
	if login.OID != 0 {
		c += " AND r.oid = " + oidText(login.OID)
	}
	return c + ")" + sameCluster(login.Fingerprint)
}

// sameCluster continues a condition; an empty fingerprint is the sweep's, which names what it has just listed.
func sameCluster(fingerprint string) string {
	if fingerprint == "" {
		return ""
	}
	return " AND (SELECT system_identifier::text FROM pg_control_system()) = " + literal(fingerprint)
}

func checkLogin(login grants.Login) error {
	if err := checkName("login", login.Name); err != nil {
		return fail(grants.FailInternal, "", "%w", err)
	}
	if err := checkStamp(login.Stamp); err != nil {
		return fail(grants.FailInternal, "", "%w", err)
	}
	return nil
}

// first reads the only value of the result of a query.
func first(r *pgconn.Result) (string, error) {
	if len(r.Rows) != 1 || len(r.Rows[0]) != 1 {
		return "", errUnreadable
	}
	return string(r.Rows[0][0]), nil
}

func number(r *pgconn.Result) (int, error) {
	text, err := first(r)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, errUnreadable
	}
	return n, nil
}

func parseOID(text []byte) (uint32, error) {
	n, err := strconv.ParseUint(string(text), 10, 32)
	if err != nil {
		return 0, errUnreadable
	}
	return uint32(n), nil
}

func isTrue(text []byte) bool { return string(text) == "t" }

// texts reads a result row by row; NULL is the empty text.
func texts(r *pgconn.Result) [][]string {
	rows := make([][]string, len(r.Rows))
	for i, row := range r.Rows {
		rows[i] = make([]string, len(row))
		for j, v := range row {
			rows[i][j] = string(v)
		}
	}
	return rows
}
