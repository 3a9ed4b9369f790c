package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// Issue implements grants.Driver: one message, one transaction, and the catalogs read back after it.
func (d *Driver) Issue(ctx context.Context, order grants.Order) (grants.Issued, error) {
	issued, err := inDoor(ctx, d, func(through door) (grants.Issued, error) { return d.issue(ctx, through, order) })
	if err == nil {
		issued.Lagging = d.awaitReplay(ctx, order.Login, issued.OID)
	}
	return issued, failure(fmt.Sprintf("issuing login %q on %s", order.Login, d.cfg.Target.Name), err)
}

func (d *Driver) issue(ctx context.Context, through door, order grants.Order) (grants.Issued, error) {
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
	shape, err := d.shapeFor(ctx, conn.Conn(), order.AccessRole, len(order.Params) > 0)
	if err != nil {
		return grants.Issued{}, err
	}
	issued, err := d.issueOn(ctx, conn.Conn(), through, order, login, shape, verifier)
	if !errors.Is(err, errShape) {
		return issued, err
	}
	// Somebody ran `targets apply` since this driver last looked.
	if shape, err = d.shapeFor(ctx, conn.Conn(), order.AccessRole, true); err != nil {
		return grants.Issued{}, err
	}
	return d.issueOn(ctx, conn.Conn(), through, order, login, shape, verifier)
}

// issueOn carries out an order on one connection.
func (d *Driver) issueOn(
	ctx context.Context, conn *pgx.Conn, through door, order grants.Order, login grants.Login, shape prepared, verifier secret.String,
) (grants.Issued, error) {
	now := d.cfg.Now() // after the wait for a connection, for the comparison of clocks
	if !now.Before(order.NotAfter) {
		return grants.Issued{}, late(order)
	}
	// The guard comes before the milliseconds that the server spends on the verifier.
	statements := append(plain(begin), sentence{sql: mayIssue, args: []string{
		moment(now), moment(order.NotAfter), order.AccessRole, shape.text, order.Fingerprint,
	}})
	if len(shape.Parameters)+len(order.Params) > 0 {
		if err := d.bindFirst(ctx, conn, statements, order, login, shape); err != nil {
			return grants.Issued{}, err
		}
		statements = nil
	}
	making := append(through.create(order, verifier), shape.statements(through, login)...)
	if order.StatementTimeout > 0 {
		making = append(making, through.set(login, "statement_timeout", order.StatementTimeout.Milliseconds()))
	}
	// From 16 on, issuers of one profile wait for each other from here to COMMIT, so this comes last.
	making = append(making, through.grant(login, order.AccessRole))
	statements = append(append(statements, plain(making...)...), sentence{sql: inTime, args: []string{moment(order.NotAfter)}})
	statements = append(append(statements, plain("COMMIT")...), sentence{sql: readBack, args: []string{order.Login}})
	results, err := exchangeOn(ctx, conn, statements)
	switch {
	case refused(err), duplicate(err):
		return grants.Issued{}, d.explain(ctx, conn, login, order, shape, duplicate(err))
	case err != nil:
		return grants.Issued{}, err
	}
	return checkIssued(results[len(results)-1], order, shape)
}

// bindFirst writes the values of a request before there is a login that could look for them: in other databases at once,
// in this one in the transaction that it opens, which goes on to make the login.
func (d *Driver) bindFirst(
	ctx context.Context, conn *pgx.Conn, opening []sentence, order grants.Order, login grants.Login, shape prepared,
) error {
	if err := shape.accepts(order.Params); err != nil {
		return err
	}
	if err := d.bindElsewhere(ctx, shape, order); err != nil {
		return err
	}
	_, err := exchangeOn(ctx, conn, opening)
	if err == nil && d.homeIsTarget() {
		if err = bind(ctx, conn, order.Login, shape, order.Params); err != nil {
			_, _ = conn.PgConn().Exec(ctx, "ROLLBACK").ReadAll()
		}
	}
	if refused(err) || duplicate(err) {
		return d.explain(ctx, conn, login, order, shape, duplicate(err))
	}
	return err
}

// errShape says that the access role is prepared in another way than the driver remembers.
var errShape = errors.New("the access role is prepared otherwise")

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
	return "'" + moment(t) + "'"
}

// isAccessRole refuses to make anybody a member of a role that is more than a bundle of privileges. The name is a literal
// or a parameter.
func isAccessRole(name string) string {
	return "EXISTS (SELECT FROM pg_roles WHERE rolname = " + name +
		" AND NOT rolcanlogin AND NOT rolsuper AND NOT rolcreaterole AND NOT rolcreatedb AND NOT rolreplication AND NOT rolbypassrls)"
}

// The guards of an issue: our clock, the last moment, the access role, its text and the cluster are the parameters of the
// first, the last moment that of the second, which stands right before COMMIT.
var (
	mayIssue = guard("abs(extract(epoch FROM clock_timestamp() - $1::timestamptz)) <= " + strconv.Itoa(int(maxSkew.Seconds())) +
		" AND clock_timestamp() <= $2::timestamptz AND " + isAccessRole("$3::name") + " AND " + unchanged("$3::name", "$4::text") +
		" AND (SELECT system_identifier::text FROM pg_control_system()) = $5::text")
	inTime = guard("clock_timestamp() <= $1::timestamptz")
)

// readBack selects what the catalogs say about a login, whose name is the parameter.
var readBack = "SELECT r.oid, r.rolcanlogin AND r.rolinherit, r.rolsuper OR r.rolcreatedb OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls," +
	" r.rolconnlimit, (extract(epoch FROM r.rolvaliduntil) * 1000000)::bigint, " + commentOf("r.oid") + "," +
	" (SELECT string_agg(g.rolname || CASE WHEN m.admin_option THEN ' with admin' ELSE '' END, ',' ORDER BY g.rolname::text COLLATE \"C\")" +
	" FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid)" +
	" FROM pg_roles r WHERE r.rolname = $1::name"

func checkIssued(r *pgconn.Result, order grants.Order, shape prepared) (grants.Issued, error) {
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
		{"member of", string(row[6]), shape.memberOf(order.AccessRole)},
	} {
		if c.got != c.want {
			return grants.Issued{}, fail(grants.FailInternal, "", "the catalogs say otherwise than ordered: %s: %q instead of %q", c.what, c.got, c.want)
		}
	}
	return grants.Issued{OID: oid}, nil
}

// explain finds what stopped the transaction by looking again; nothing has been changed.
func (d *Driver) explain(ctx context.Context, conn *pgx.Conn, login grants.Login, order grants.Order, shape prepared, duplicate bool) error {
	sent := d.cfg.Now()
	results, err := sendOn(ctx, conn, factsAbout(order.Login, 0),
		"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = "+literal(order.AccessRole)+")", "SELECT "+isAccessRole(literal(order.AccessRole)),
		"SELECT "+unchanged(literal(order.AccessRole), literal(shape.text)))
	if err != nil {
		return err
	}
	f, err := parseFacts(results[0])
	if err != nil {
		return err
	}
	_, found, err := f.ours(login)
	exists, err1 := first(results[1])
	fits, err2 := first(results[2])
	same, err3 := first(results[3])
	switch {
	case err != nil:
		return err
	case err1 != nil || err2 != nil || err3 != nil:
		return errUnreadable
	case found:
		// Nobody knows its password: an existing role is never taken for the one just ordered.
		return fail(grants.FailInternal, "", "the login exists already, from an earlier order")
	case duplicate:
		return fail(grants.FailBusy, "", "a role of that name was there a moment ago")
	case f.clock.Sub(sent).Abs() > maxSkew:
		return fail(grants.FailSkewed, "set both clocks by NTP",
			"the server's clock and ours differ by %s", f.clock.Sub(sent).Abs().Round(time.Second))
	case exists != "t":
		return fail(grants.FailUnprepared, "run `prodaccess targets apply`", "the access role %q is missing", order.AccessRole)
	case fits != "t":
		return fail(grants.FailUnprepared, "run `prodaccess targets check`",
			"the role %q can log in or has attributes, so it is no access role", order.AccessRole)
	case same != "t":
		return errShape
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
