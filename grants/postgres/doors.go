package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/prodaccess/prodaccess/grants"
)

// through says which door is open, and remembers it: a DBA who opens or shuts one does so while prodaccess runs.
func (d *Driver) through(ctx context.Context, pool *pgxpool.Pool) (door, error) {
	if known := d.known.Load(); known != nil {
		return *known, nil
	}
	return d.tryDoors(ctx, pool)
}

// inDoor does something through the door that is known to be open. If that is refused, it looks again, and where another
// one is open now, does it through that one.
func inDoor[T any](ctx context.Context, d *Driver, do func(door) (T, error)) (T, error) {
	through, err := d.through(ctx, d.security)
	if err != nil {
		var none T
		return none, err
	}
	out, err := do(through)
	if reason := grants.ReasonOf(failure("", err)); err == nil || reason != grants.FailPrivilege && reason != grants.FailUnprepared {
		return out, err
	}
	again, looking := d.tryDoors(ctx, d.security)
	switch {
	case grants.ReasonOf(failure("", looking)) == grants.FailUnprepared:
		return out, looking
	case looking != nil || again == through:
		return out, err
	}
	return do(again)
}

// tryDoors looks which door is open. The functions go first, for who may call them and has CREATEROLE as well could not
// take back, from 16 on, what they made. They count only where their own owner owns them and their schema: anybody who may
// create a schema could otherwise have his functions called with the administrator's rights. An administrator without
// CREATEROLE on a cluster that has that owner is one of this mode, and where the functions are absent or somebody else's,
// no door is open to it. Each message asks again whose they are, for they may change hands later.
func (d *Driver) tryDoors(ctx context.Context, pool *pgxpool.Pool) (door, error) {
	results, err := send(ctx, pool,
		"SELECT EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles o ON o.oid = p.proowner AND o.oid = n.nspowner"+
			" WHERE n.nspname = "+literal(functionsSchema)+" AND p.proname = 'version' AND o.rolname = "+literal(functionsOwner)+
			" AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE'))",
		"SELECT EXISTS (SELECT FROM pg_roles o, pg_roles me WHERE o.rolname = "+literal(functionsOwner)+
			" AND me.rolname = current_user AND NOT me.rolcreaterole AND NOT me.rolsuper)", "SELECT current_database()")
	if err != nil {
		return nil, err
	}
	there, err1 := first(results[0])
	mode, err2 := first(results[1])
	database, err3 := first(results[2])
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	var open door = ownRights{}
	switch {
	case there == "t":
		open = byFunctions{}
	case mode == "t":
		d.known.Store(nil)
		return nil, functionsMissing(database)
	}
	d.known.Store(&open)
	return open, nil
}
