package postgres

import (
	"context"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// pinLater pins what cannot be asked for when connecting, since a server that does not have a setting refuses a connection
// that names it. It is the first message of every connection of ours, where there is anything to pin: a transaction_timeout
// of a millisecond or so may end a connection before that has been read, and the next try then finds it in time.
func pinLater(ctx context.Context, conn *pgconn.PgConn) error {
	if pins := pinsOf(majorOf(conn.ParameterStatus("server_version"))); len(pins) > 0 {
		_, err := conn.Exec(ctx, strings.Join(pins, "; ")).ReadAll()
		return err
	}
	return nil
}

// pinsOf are the statements that do so on a version.
func pinsOf(major int) (pins []string) {
	if major >= 17 {
		// statement_timeout and idle_in_transaction_session_timeout bound what a transaction of ours may take.
		pins = append(pins, "SET transaction_timeout = 0")
	}
	if major >= 16 {
		pins = append(pins, "SET createrole_self_grant = ''")
	}
	return pins
}

// majorOf reads what a server reports of itself, such as "17.10 (Debian 17.10-1)" and "18beta1"; 0 when it says something else.
func majorOf(version string) int {
	digits := version
	if end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		digits = version[:end]
	}
	major, _ := strconv.Atoi(digits)
	return major
}
