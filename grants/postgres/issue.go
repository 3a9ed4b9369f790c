package postgres

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/grants"
)

// Issue implements grants.Driver: one message, one transaction, and the catalogs read back after it.
func (d *Driver) Issue(ctx context.Context, order grants.Order) (grants.Issued, error) {
	issued, err := d.issue(ctx, order)
	return issued, failure(fmt.Sprintf("issuing login %q on %s", order.Login, d.cfg.Target.Name), err)
}

func (d *Driver) issue(ctx context.Context, order grants.Order) (grants.Issued, error) {
	login := grants.Login{Name: order.Login, Stamp: order.Stamp, Fingerprint: order.Fingerprint}
	if err := checkOrder(order); err != nil {
		return grants.Issued{}, err
	}
	verifier, err := verifier(order.Password)
	if err != nil {
		return grants.Issued{}, fail(grants.FailInternal, "", "%w", err)
	}
	conn, err := d.everyday.Acquire(ctx)
	if err != nil {
		return grants.Issued{}, err
	}
	defer conn.Release()

	now := d.cfg.Now() // after the wait for a connection, for the comparison of clocks
	if !now.Before(order.NotAfter) {
		return grants.Issued{}, late(order)
	}
	name := ident(order.Login)
	inTime := guard("clock_timestamp() <= " + instant(order.NotAfter))
	statements := []string{
		begin,
		factsAbout(order.Login, 0),
		accessRoleFacts(order.AccessRole),
		guard("abs(extract(epoch FROM clock_timestamp() - " + instant(now) + ")) <= " + strconv.Itoa(int(maxSkew.Seconds())) +
			" AND " + isAccessRole(order.AccessRole) + sameCluster(order.Fingerprint)),
		inTime, // before the 4 ms that the server spends on the verifier
		"CREATE ROLE " + name + " LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT" +
			" CONNECTION LIMIT " + strconv.Itoa(order.ConnectionLimit) +
			" VALID UNTIL " + validUntil(order.ValidUntil) + " PASSWORD " + literal(verifier.Reveal()),
		"COMMENT ON ROLE " + name + " IS " + literal(order.Stamp.String()),
	}
	if order.StatementTimeout > 0 {
		statements = append(statements, "ALTER ROLE "+name+" SET statement_timeout = "+literal(ms(order.StatementTimeout)))
	}
	statements = append(statements,
		// From 16 on, issuers of one profile wait for each other from here to COMMIT, so this comes last.
		"GRANT "+ident(order.AccessRole)+" TO "+name,
		inTime,
		"COMMIT",
		readBack(order.Login),
	)
	results, err := sendOn(ctx, conn.Conn(), statements...)
	if refused(err) {
		return grants.Issued{}, explainRefusal(results, login, order, now)
	}
	if err != nil {
		if duplicate(err) {
			return grants.Issued{}, explainDuplicate(results, login)
		}
		return grants.Issued{}, err
	}
	return checkIssued(results[len(results)-1], order)
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
	}
	return nil
}

func validUntil(t time.Time) string {
	return "'" + t.UTC().Truncate(time.Microsecond).Format("2006-01-02 15:04:05.000000") + "+00'"
}

// isAccessRole refuses to make anybody a member of a role that is more than a bundle of privileges.
func isAccessRole(name string) string {
	return "EXISTS (SELECT FROM pg_roles WHERE rolname = " + literal(name) +
		" AND NOT rolcanlogin AND NOT rolsuper AND NOT rolcreaterole AND NOT rolcreatedb AND NOT rolreplication AND NOT rolbypassrls)"
}

func accessRoleFacts(name string) string {
	return "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = " + literal(name) + "), " + isAccessRole(name)
}

// readBack selects what the catalogs say about a login that was just made.
func readBack(name string) string {
	return "SELECT r.oid, r.rolcanlogin AND r.rolinherit, r.rolsuper OR r.rolcreatedb OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls," +
		" r.rolconnlimit, (extract(epoch FROM r.rolvaliduntil) * 1000000)::bigint, shobj_description(r.oid, 'pg_authid')," +
		" (SELECT string_agg(g.rolname || CASE WHEN m.admin_option THEN ' with admin' ELSE '' END, ',')" +
		" FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid)" +
		" FROM pg_roles r WHERE r.rolname = " + literal(name)
}

func checkIssued(r *pgconn.Result, order grants.Order) (grants.Issued, error) {
	if len(r.Rows) != 1 || len(r.Rows[0]) != 7 {
		return grants.Issued{}, fail(grants.FailInternal, "", "the login is not in the catalogs after COMMIT")
	}
	row := r.Rows[0]
	oid, err := parseOID(row[0])
	if err != nil {
		return grants.Issued{}, err
	}
	for _, c := range []struct{ what, got, want string }{
		{"may log in and inherits", string(row[1]), "t"},
		{"has attributes beyond LOGIN", string(row[2]), "f"},
		{"connection limit", string(row[3]), strconv.Itoa(order.ConnectionLimit)},
		{"valid until", string(row[4]), strconv.FormatInt(order.ValidUntil.UnixMicro(), 10)},
		{"stamp", string(row[5]), order.Stamp.String()},
		{"member of", string(row[6]), order.AccessRole},
	} {
		if c.got != c.want {
			return grants.Issued{}, fail(grants.FailInternal, "", "the catalogs say otherwise than ordered: %s: %q instead of %q", c.what, c.got, c.want)
		}
	}
	return grants.Issued{OID: oid}, nil
}

// explainRefusal finds the guard that stopped the transaction from the facts that came with it.
func explainRefusal(results []*pgconn.Result, login grants.Login, order grants.Order, sent time.Time) error {
	if len(results) < 3 || len(results[2].Rows) != 1 {
		return errUnreadable
	}
	f, err := parseFacts(results[1])
	if err != nil {
		return err
	}
	if f.fingerprint != order.Fingerprint {
		_, _, err := f.ours(login)
		return err
	}
	if skew := f.clock.Sub(sent).Abs(); skew > maxSkew {
		return fail(grants.FailSkewed, "set both clocks by NTP",
			"the server's clock and ours differ by %s", skew.Round(time.Second))
	}
	switch row := results[2].Rows[0]; {
	case !isTrue(row[0]):
		return fail(grants.FailUnprepared, "run `prodaccess targets apply`", "the access role %q is missing", order.AccessRole)
	case !isTrue(row[1]):
		return fail(grants.FailUnprepared, "run `prodaccess targets check`",
			"the role %q can log in or has attributes, so it is no access role", order.AccessRole)
	}
	return late(order)
}

func late(order grants.Order) error {
	return fail(grants.FailLate, "", "the order was to be carried out before %s", order.NotAfter.UTC().Format(time.RFC3339))
}

func duplicate(err error) bool {
	reason, _ := reasonOfState(stateOf(err))
	return reason == grants.FailForeign
}

// explainDuplicate never takes an existing role for the one just ordered: nobody knows its password.
func explainDuplicate(results []*pgconn.Result, login grants.Login) error {
	if len(results) < 2 {
		return errUnreadable
	}
	f, err := parseFacts(results[1])
	if err != nil {
		return err
	}
	_, found, err := f.ours(login)
	switch {
	case err != nil:
		return err
	case found:
		return fail(grants.FailInternal, "", "the login exists already, from an earlier order")
	}
	return fail(grants.FailBusy, "", "a role of that name was made at the same moment")
}
