package store

import (
	"errors"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
)

// Permanent says whether Open failed for a reason that does not go away by itself: a wrong login, password or database.
// Anything else (refused, timed out, starting up, out of connections) is worth another try.
func Permanent(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains([]string{
		"28000", // invalid_authorization_specification: no such login, or none that may connect
		"28P01", // invalid_password
		"3D000", // invalid_catalog_name: no such database
		"42501", // insufficient_privilege: the login may not connect to the database
	}, pgErr.Code)
}
