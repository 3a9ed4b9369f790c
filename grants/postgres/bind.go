package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/grants"
)

// bind writes a login's values. They travel as parameters of the protocol, apart from the statement. A parameter that is
// optional and was not given is written as NULL, so that a view can tell a login without values from one that has none to
// give. Two sets of values for one login are refused by the table's key: an order never changes what another one bound.
func bind(ctx context.Context, conn *pgx.Conn, login string, shape prepared, params []grants.Param) error {
	for _, known := range shape.Parameters {
		var value []byte
		if i := slices.IndexFunc(params, func(p grants.Param) bool { return p.Name == known.Name }); i >= 0 {
			value = []byte(params[i].Value)
		}
		// The cast refuses what is not of the type, before anybody relies on it.
		result := conn.PgConn().ExecParams(ctx, "INSERT INTO "+boundValues+" (login, name, value) SELECT $1::name, $2::text, v.value FROM (SELECT $3::text) v (value)"+
			" WHERE v.value IS NULL OR v.value::"+parameterType(known.Type)+" IS NOT NULL",
			[][]byte{[]byte(login), []byte(known.Name), value}, nil, nil, nil).Read()
		switch state := stateOf(result.Err); {
		case state == "42P01" || state == "3F000": // undefined_table, invalid_schema_name
			return fail(grants.FailUnprepared, "run `prodaccess targets apply`", "there is no place for a request's values")
		case len(state) == 5 && state[:2] == "22": // data exceptions
			return fail(grants.FailInternal, "ask again with another value", "the value of %s is not a %s that the database takes", known.Name, known.Type)
		case result.Err != nil:
			return result.Err
		}
	}
	return nil
}

// parameterTypes are the only types that become part of a statement.
var parameterTypes = []string{"bigint", "integer", "numeric", "text", "uuid", "date", "timestamptz", "boolean"}

func parameterType(name string) string {
	if slices.Contains(parameterTypes, name) {
		return name
	}
	return "text"
}

// bindElsewhere writes a login's values in the target's databases other than home, before there is such a login. Values
// of a login that never comes to be mean nothing to anybody; Clean removes them.
func (d *Driver) bindElsewhere(ctx context.Context, shape prepared, order grants.Order) error {
	return d.elsewhere(ctx, func(conn *pgx.Conn, database string) error {
		_, err := sendOn(ctx, conn, begin, guard("clock_timestamp() <= "+instant(order.NotAfter)+sameCluster(order.Fingerprint)))
		if err != nil {
			if refused(err) {
				return fail(grants.FailLate, "", "the values could not be written in database %s in time", database)
			}
			return err
		}
		if err := bind(ctx, conn, order.Login, shape, order.Params); err != nil {
			return err
		}
		_, err = sendOn(ctx, conn, "COMMIT")
		return err
	})
}

// elsewhere runs f in each of the target's databases but home, one after another.
func (d *Driver) elsewhere(ctx context.Context, f func(conn *pgx.Conn, database string) error) error {
	for _, database := range d.cfg.Target.Databases {
		if database == d.admin.Database {
			continue
		}
		if err := d.inDatabase(ctx, database, f); err != nil {
			return failure("in database "+database, err)
		}
	}
	return nil
}

func (d *Driver) inDatabase(ctx context.Context, database string, f func(conn *pgx.Conn, database string) error) error {
	select {
	case d.rooms <- struct{}{}:
		defer func() { <-d.rooms }()
	case <-ctx.Done():
		return ctx.Err()
	}
	conn, err := pgx.ConnectConfig(ctx, in(d.admin, database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return f(conn, database)
}

// homeIsTarget says whether people connect to the database in which roles are made.
func (d *Driver) homeIsTarget() bool {
	return slices.Contains(d.cfg.Target.Databases, d.admin.Database)
}

// keepsValues is a condition: this database has a place for values.
var keepsValues = "EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = " + literal(internal) + " AND c.relname = 'bound_values')"

// unbind removes a login's values from every database of the target, and proves it.
func (d *Driver) unbind(ctx context.Context, login grants.Login) (checks []grants.Check, err error) {
	results, err := send(ctx, d.everyday, "SELECT "+keepsValues)
	if err != nil {
		return nil, err
	}
	remove := func(send func(...string) ([]*pgconn.Result, error), database string) error {
		results, err := send("DELETE FROM "+boundValues+" WHERE login = "+literal(login.Name),
			"SELECT count(*) FROM "+boundValues+" WHERE login = "+literal(login.Name))
		if err != nil {
			return err
		}
		left, err := number(results[1])
		if err != nil {
			return err
		}
		checks = append(checks, grants.Check{What: "no value of a parameter is kept for " + login.Name + " in database " + database, OK: left == 0})
		if left != 0 {
			return fail(grants.FailInternal, "", "values of %s are left in database %s", login.Name, database)
		}
		return nil
	}
	if keeps, err := first(results[0]); err != nil {
		return nil, err
	} else if keeps == "t" {
		if err := remove(func(s ...string) ([]*pgconn.Result, error) { return send(ctx, d.everyday, s...) }, d.admin.Database); err != nil {
			return checks, err
		}
	}
	err = d.elsewhere(ctx, func(conn *pgx.Conn, database string) error {
		results, err := sendOn(ctx, conn, "SELECT "+keepsValues)
		if err != nil {
			return err
		}
		if keeps, err := first(results[0]); err != nil || keeps != "t" {
			return err
		}
		return remove(func(s ...string) ([]*pgconn.Result, error) { return sendOn(ctx, conn, s...) }, database)
	})
	return checks, err
}
