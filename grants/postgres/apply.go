package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/grants"
)

// Apply runs a plan's statements, those of one database in one transaction. What the login in use may not do is left
// out, and the error, FailPrivilege, lists those statements for somebody who may; all others are done.
func (d *Driver) Apply(ctx context.Context, plan grants.Preparation) error {
	doing := "preparing " + d.cfg.Target.Name
	var left []string
	for steps := range chunks(plan.Steps) {
		undone, err := d.applyIn(ctx, steps[0].Database, steps)
		if err != nil {
			return failure(doing, err)
		}
		left = append(left, undone...)
	}
	if len(left) > 0 {
		return failure(doing, fail(grants.FailPrivilege, "have somebody with more rights run:\n"+strings.Join(left, "\n"),
			"%d of %d statements need rights that %s does not have", len(left), len(plan.Steps), d.prepare.User))
	}
	return nil
}

// chunks yields runs of steps in the same database, in order.
func chunks(steps []grants.PreparationStep) func(yield func([]grants.PreparationStep) bool) {
	return func(yield func([]grants.PreparationStep) bool) {
		for len(steps) > 0 {
			n := slices.IndexFunc(steps, func(s grants.PreparationStep) bool { return s.Database != steps[0].Database })
			if n < 0 {
				n = len(steps)
			}
			if !yield(steps[:n]) {
				return
			}
			steps = steps[n:]
		}
	}
}

func (d *Driver) applyIn(ctx context.Context, database string, steps []grants.PreparationStep) (undone []string, err error) {
	// GRANT and REVOKE by somebody without the right to are a warning only, when they do nothing at all.
	futile := false
	c := in(d.prepare, database)
	c.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		futile = futile || n.Code == "01006" || n.Code == "01007" // privilege_not_revoked, privilege_not_granted
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		if stateOf(err) != "42501" {
			return nil, err
		}
		for _, s := range steps {
			undone = append(undone, line(s))
		}
		return undone, nil
	}
	defer conn.Close(ctx)
	if _, err := sendOn(ctx, conn, begin); err != nil {
		return nil, err
	}
	for _, s := range steps {
		futile = false
		_, err := conn.PgConn().Exec(ctx, "SAVEPOINT step; "+s.SQL).ReadAll()
		if err == nil && !futile {
			continue
		}
		// What builds on a statement that was left out is left out as well.
		follows := len(undone) > 0 && slices.Contains(missing, stateOf(err))
		if err != nil && stateOf(err) != "42501" && stateOf(err) != "0LP01" && !follows {
			return nil, failure(fmt.Sprintf("running %q in database %s", s.SQL, database), err)
		}
		if _, err := conn.PgConn().Exec(ctx, "ROLLBACK TO SAVEPOINT step").ReadAll(); err != nil {
			return nil, err
		}
		undone = append(undone, line(s))
	}
	_, err = sendOn(ctx, conn, "COMMIT")
	return undone, err
}

// missing are the SQLSTATEs of schemas, tables, functions, columns and roles that are not there.
var missing = []string{"3F000", "42P01", "42883", "42703", "42704"}

// line is a step as psql takes it.
func line(s grants.PreparationStep) string {
	return s.SQL + "; -- in database " + s.Database
}
