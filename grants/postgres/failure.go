package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/grants"
)

// fail makes a failure of our own finding.
func fail(reason grants.Reason, mend, format string, args ...any) *grants.Failure {
	return &grants.Failure{Reason: reason, Mend: mend, Err: fmt.Errorf(format, args...)}
}

// failure turns any error into a *grants.Failure whose text and chain hold no secret. The doing is a gerund: "locking
// login …". Errors of pgx are described, never wrapped. nil stays nil.
func failure(doing string, err error) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*grants.Failure](err); ok {
		return &grants.Failure{Reason: f.Reason, Mend: f.Mend, Err: fmt.Errorf("%s: %w", doing, f.Err)}
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		reason, mend := reasonOfState(pg.Code)
		return &grants.Failure{Reason: reason, Mend: mend, Err: fmt.Errorf("%s: %s", doing, words(pg))}
	}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return &grants.Failure{Reason: grants.FailUnreachable, Err: fmt.Errorf("%s: %w", doing, known)}
		}
	}
	_, mend := encryption(err)
	return &grants.Failure{Reason: grants.FailUnreachable, Mend: mend, Err: fmt.Errorf("%s: %s", doing, network(err))}
}

// reasonOfState maps SQLSTATEs (PostgreSQL documentation, appendix A) to our closed list.
func reasonOfState(code string) (grants.Reason, string) {
	switch code {
	case "42501", // insufficient_privilege
		"0LP01", "0L000": // invalid_grant_operation
		return grants.FailPrivilege, "`prodaccess targets plan` prints what is missing"
	case "28P01", "28000": // invalid_password, invalid_authorization_specification
		return grants.FailPrivilege, "check the administrator's login and password and pg_hba.conf"
	case "55P03", "57014", "55006", // lock_not_available, query_canceled, object_in_use
		"40001", "40P01", // serialization_failure, deadlock_detected
		"2BP01",                            // dependent_objects_still_exist
		"53300", "53000", "53100", "53200", // too_many_connections and other lack of resources
		"XX000": // what "tuple concurrently updated" comes as
		return grants.FailBusy, ""
	case "25006": // read_only_sql_transaction
		return grants.FailUnreachable, "the administrator's address leads to a standby; add target_session_attrs=read-write to it"
	case "42883", "3F000": // undefined_function, invalid_schema_name: the functions of the least-privilege mode
		return grants.FailUnprepared, "`prodaccess targets plan` prints what is missing"
	case "3D000": // invalid_catalog_name
		return grants.FailUnprepared, "check the database's name"
	case "42710", "23505": // duplicate_object, unique_violation
		return grants.FailForeign, ""
	case "57P01", "57P02", "57P03", "57P05", "25P03": // shutting down, crashed, starting up, timeouts of the session
		return grants.FailUnreachable, ""
	}
	if len(code) == 5 && code[:2] == "08" { // connection exceptions
		return grants.FailUnreachable, ""
	}
	return grants.FailInternal, ""
}

// verifierLike matches the text form of every kind of password verifier PostgreSQL knows.
var verifierLike = regexp.MustCompile(`(SCRAM-SHA-256\$|md5[0-9a-f]{16})[^\s'"]*`)

// words are the server's own, cut clear of verifiers. The detail is for those who must see what depends on what; it
// quotes catalog entries, never statements.
func words(pg *pgconn.PgError) string {
	text := pg.Message
	if pg.Detail != "" && (pg.Code == "42501" || pg.Code == "2BP01") {
		text += ": " + pg.Detail
	}
	return verifierLike.ReplaceAllString(text, "[verifier]") + " (SQLSTATE " + pg.Code + ")"
}

// network says what went wrong on the way, from the parts of the error that cannot hold a secret.
func network(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "looking up " + dns.Name + ": " + dns.Err
	}
	if what, _ := encryption(err); what != "" {
		return what
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		text := op.Op
		if op.Addr != nil {
			text += " " + op.Addr.String()
		}
		return text + ": " + op.Err.Error()
	}
	if pgconn.Timeout(err) {
		return "no answer in time"
	}
	if errors.Is(err, errLost) {
		return errLost.Error()
	}
	if errors.Is(err, errUnreadable) {
		return errUnreadable.Error()
	}
	return "the connection could not be made or was lost"
}

var (
	errLost       = errors.New("the connection was lost before the answer came")
	errUnreadable = errors.New("the server's answer could not be read")
)

// stateOf is the SQLSTATE of a server's error, empty for any other.
func stateOf(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// stateWords is a server's error in its own words, free of secrets.
func stateWords(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return words(pg)
	}
	return network(err)
}
