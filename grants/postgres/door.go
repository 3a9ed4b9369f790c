package postgres

import (
	"strconv"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// door is how the administrator does what an unprivileged login may not: by its own CREATEROLE and pg_signal_backend, or
// through functions that check what they are asked for. Every method returns statements, each of which gives one result;
// transactions, what is read back, and the guards around what is done are the same whichever door it is.
type door interface {
	// create makes a login without any privilege, and stamps it. It comes first; set, searchPath, actAs and grant go on with
	// that login in the same transaction.
	create(order grants.Order, verifier secret.String) []string
	// set gives a login a timeout, in milliseconds.
	set(login grants.Login, setting string, value int64) string
	searchPath(login grants.Login, path []string) string
	// actAs lets a login become a durable owner, and makes it do so whenever it connects.
	actAs(login grants.Login, owner string, version int) []string
	// grant makes a login a member of an access role.
	grant(login grants.Login, accessRole string) string
	password(login grants.Login, verifier secret.String) []string
	until(login grants.Login, end time.Time) []string
	// lock makes logins useless for new sessions.
	lock(batch ...grants.Login) []string
	// terminate is the expression that ends the session s.pid of s.oid.
	terminate() string
	// mayTerminate goes on with a UNION ALL of four columns, and fails unless terminate may be asked for.
	mayTerminate() string
	// stranger is the condition that m.member is somebody's, and no membership that prodaccess itself needs.
	stranger() string
	// expel takes back memberships in a login; members are role names as SQL takes them.
	expel(login grants.Login, members string) []string
	// become lets the administrator act for a locked login as far as taking away what it owned needs it.
	become(login grants.Login, version int) []string
	// disown hands what a login owns in this database to the quarantine role, and takes away all else it has there.
	disown(login grants.Login) []string
	drop(batch []grants.Login) []string
	// mark keeps a text in the comment of a role that is there; makeMark makes the role.
	mark(role, prefix, text string) []string
	makeMark(role, prefix, text string) []string
}

// ownRights is the door of an administrator with CREATEROLE and pg_signal_backend.
type ownRights struct{}

func (ownRights) create(order grants.Order, verifier secret.String) []string {
	name := ident(order.Login)
	return []string{
		"CREATE ROLE " + name + " LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT" +
			" CONNECTION LIMIT " + strconv.Itoa(order.ConnectionLimit) +
			" VALID UNTIL " + validUntil(order.ValidUntil) + " PASSWORD " + literal(verifier.Reveal()),
		"COMMENT ON ROLE " + name + " IS " + literal(order.Stamp.String()),
	}
}

func (ownRights) set(login grants.Login, setting string, value int64) string {
	return "ALTER ROLE " + ident(login.Name) + " SET " + setting + " = " + strconv.FormatInt(value, 10)
}

func (ownRights) searchPath(login grants.Login, path []string) string {
	return "ALTER ROLE " + ident(login.Name) + " SET search_path = " + idents(path)
}

func (ownRights) actAs(login grants.Login, owner string, version int) []string {
	grant := "GRANT " + ident(owner) + " TO " + ident(login.Name)
	if version >= 16 {
		grant += " WITH INHERIT FALSE, SET TRUE"
	}
	return []string{grant, "ALTER ROLE " + ident(login.Name) + " SET role = " + literal(owner)}
}

func (ownRights) grant(login grants.Login, accessRole string) string {
	return "GRANT " + ident(accessRole) + " TO " + ident(login.Name)
}

func (ownRights) password(login grants.Login, verifier secret.String) []string {
	return []string{"ALTER ROLE " + ident(login.Name) + " PASSWORD " + literal(verifier.Reveal())}
}

func (ownRights) until(login grants.Login, end time.Time) []string {
	return []string{"ALTER ROLE " + ident(login.Name) + " VALID UNTIL " + validUntil(end)}
}

func (ownRights) lock(batch ...grants.Login) []string {
	locks := make([]string, len(batch))
	for i, login := range batch {
		locks[i] = "ALTER ROLE " + ident(login.Name) + " NOLOGIN CONNECTION LIMIT 0 VALID UNTIL '-infinity'"
	}
	return locks
}

func (ownRights) terminate() string { return "pg_terminate_backend(s.pid)" }

func (ownRights) mayTerminate() string { return "" }

func (ownRights) stranger() string { return "m.member <> quote_ident(current_user)::regrole" }

func (ownRights) expel(login grants.Login, members string) []string {
	return []string{"REVOKE " + ident(login.Name) + " FROM " + members}
}

// become: up to 15 every CREATEROLE may do this, and a membership always inherits; from 16 on it follows from the ADMIN
// OPTION that comes with having created the role.
func (ownRights) become(login grants.Login, version int) []string {
	options := ""
	if version >= 16 {
		options = " WITH INHERIT TRUE, SET TRUE"
	}
	return []string{"GRANT " + ident(login.Name) + " TO CURRENT_USER" + options}
}

func (ownRights) disown(login grants.Login) []string {
	return []string{
		"REASSIGN OWNED BY " + ident(login.Name) + " TO " + ident(grants.QuarantineRole),
		"DROP OWNED BY " + ident(login.Name),
	}
}

func (ownRights) drop(batch []grants.Login) []string {
	quoted := make([]string, len(batch))
	for i, login := range batch {
		quoted[i] = ident(login.Name)
	}
	return []string{"DROP ROLE " + strings.Join(quoted, ", ")}
}

func (ownRights) mark(role, prefix, text string) []string {
	return []string{"COMMENT ON ROLE " + ident(role) + " IS " + literal(prefix+text)}
}

func (o ownRights) makeMark(role, prefix, text string) []string {
	return append([]string{"CREATE ROLE " + ident(role) + " NOLOGIN"}, o.mark(role, prefix, text)...)
}
