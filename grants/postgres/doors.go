package postgres

import (
	"context"

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
	if looking != nil || again == through {
		return out, err
	}
	return do(again)
}

func (d *Driver) tryDoors(context.Context, *pgxpool.Pool) (door, error) {
	var open door = ownRights{}
	d.known.Store(&open)
	return open, nil
}
