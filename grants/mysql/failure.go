package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"

	client "github.com/go-sql-driver/mysql"

	"github.com/prodaccess/prodaccess/grants"
)

// fail makes a failure of our own finding.
func fail(reason grants.Reason, mend, format string, args ...any) *grants.Failure {
	return &grants.Failure{Reason: reason, Mend: mend, Err: fmt.Errorf(format, args...)}
}

// failure turns any error into a *grants.Failure whose text and chain hold no secret. The doing is a gerund: "locking
// login …". Errors of the client library are described, never wrapped. nil stays nil.
func failure(doing string, err error) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*grants.Failure](err); ok {
		return &grants.Failure{Reason: f.Reason, Mend: f.Mend, Err: fmt.Errorf("%s: %w", doing, f.Err)}
	}
	if my, ok := errors.AsType[*client.MySQLError](err); ok {
		reason, mend := reasonOf(my.Number)
		return &grants.Failure{Reason: reason, Mend: mend, Err: fmt.Errorf("%s: %s", doing, words(my))}
	}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return &grants.Failure{Reason: grants.FailUnreachable, Err: fmt.Errorf("%s: %w", doing, known)}
		}
	}
	_, mend := encryption(err)
	return &grants.Failure{Reason: grants.FailUnreachable, Mend: mend, Err: fmt.Errorf("%s: %s", doing, network(err))}
}

// Numbers of errors that we branch on. Both servers share them where both have them.
const (
	errDuplicate      = 1062 // ER_DUP_ENTRY
	errUnknownThread  = 1094 // ER_NO_SUCH_THREAD
	errNoSuchTable    = 1146 // ER_NO_SUCH_TABLE
	errCannotUser     = 1396 // ER_CANNOT_USER
	errSignalled      = 1644 // ER_SIGNAL_EXCEPTION
	errDenied         = 1045 // ER_ACCESS_DENIED_ERROR
	errDeniedNoPw     = 1698 // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
	errUnknownDB      = 1049 // ER_BAD_DB_ERROR
	errDeniedDB       = 1044 // ER_DBACCESS_DENIED_ERROR
	errTooMany        = 1226 // ER_USER_LIMIT_REACHED
	errTooManyUser    = 1203 // ER_TOO_MANY_USER_CONNECTIONS
	errFull           = 1040 // ER_CON_COUNT_ERROR
	errLockedMaria    = 4151 // ER_ACCOUNT_HAS_BEEN_LOCKED, MariaDB
	errLockedMySQL    = 3118 // ER_ACCOUNT_HAS_BEEN_LOCKED, MySQL
	errInvalidRole    = 1959 // ER_INVALID_ROLE, MariaDB
	errUnknownAuthID  = 3523 // ER_UNKNOWN_AUTHID, MySQL
	errReadOnly       = 1290 // ER_OPTION_PREVENTS_STATEMENT: read_only
	errReadOnlyTx     = 1792 // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
	errMaxStatement   = 1969 // ER_STATEMENT_TIMEOUT, MariaDB
	errIsDefiner      = 4006 // ER_CANNOT_USER_REFERENCED_AS_DEFINER, MySQL without ALLOW_NONEXISTENT_DEFINER
	errXA             = 1401 // ER_XAER_RMERR, which MySQL says to XA RECOVER without XA_RECOVER_ADMIN
	errDenyStatement  = 1142 // ER_TABLEACCESS_DENIED_ERROR
	errSpecificDenied = 1227 // ER_SPECIFIC_ACCESS_DENIED_ERROR
)

// reasonOf maps the servers' numbers to our closed list.
func reasonOf(number uint16) (grants.Reason, string) {
	switch number {
	case errDenyStatement, errSpecificDenied, errDeniedDB, 1143, 1370, 1410, 1095, 1419, errIsDefiner, errDeniedNoPw:
		return grants.FailPrivilege, "`prodaccess targets plan` prints the missing GRANT"
	case errDenied:
		return grants.FailPrivilege, "check the administrator's login and password"
	case 1205, 1213, errMaxStatement, 1317, errFull, errTooMany, errTooManyUser, 1041, 1021: // waiting, deadlock, interrupted, full
		return grants.FailBusy, ""
	case errNoSuchTable, errUnknownDB, errInvalidRole, errUnknownAuthID, 1305:
		return grants.FailUnprepared, "run `prodaccess targets apply`"
	case errReadOnly, errReadOnlyTx, 1836:
		return grants.FailUnreachable, "the administrator's address leads to a replica, or the server is read-only"
	case 1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1927: // shutting down, connection killed, network
		return grants.FailUnreachable, ""
	}
	return grants.FailInternal, ""
}

// verifierLike matches the text form of every kind of password verifier the servers know.
var verifierLike = regexp.MustCompile(`(\*[0-9A-Fa-f]{6,}|\$A\$[0-9A-Fa-f]{3}\$\S*|0x[0-9A-Fa-f]{16,}|(?i:identified|using|password)\s.*)`)

// words are the server's own, cut clear of verifiers. A syntax error quotes the statement from where it stopped
// understanding it, so that nothing after "near" is kept.
func words(my *client.MySQLError) string {
	text := asked.Replace(my.Message)
	if my.Number == 1064 {
		text, _, _ = strings.Cut(text, " near ")
	}
	return fmt.Sprintf("%s (error %d)", verifierLike.ReplaceAllString(text, "[verifier]"), my.Number)
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
	for _, known := range []error{errUnreadable, client.ErrInvalidConn, driver.ErrBadConn, client.ErrCleartextPassword, client.ErrUnknownPlugin} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "the connection could not be made or was lost"
}

var errUnreadable = errors.New("the server's answer could not be read")

// number is that of a server's error, 0 for any other.
func number(err error) uint16 {
	if my, ok := errors.AsType[*client.MySQLError](err); ok {
		return my.Number
	}
	return 0
}

// together makes one failure of several: the reason of the first, the words of all.
func together(failures ...error) error {
	failures = slices.DeleteFunc(failures, func(err error) bool { return err == nil })
	if len(failures) < 2 {
		return errors.Join(failures...)
	}
	var texts []string
	for _, err := range failures {
		texts = append(texts, failure("", err).Error())
	}
	mend := ""
	if f, ok := errors.AsType[*grants.Failure](failures[0]); ok {
		mend = f.Mend
	}
	return fail(grants.ReasonOf(failures[0]), mend, "%s", strings.Join(texts, "; "))
}
