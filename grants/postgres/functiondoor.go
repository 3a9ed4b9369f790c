package postgres

import (
	"strconv"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// byFunctions is the door of an administrator that has no right but to call the functions.
type byFunctions struct{}

// call is a statement that calls a function. The types are written out, so that no other function can be meant.
func call(function string, args ...string) string {
	return "SELECT " + functionsSchema + "." + function + "(" + strings.Join(args, ", ") + ")"
}

// guarded is a call behind the guard that the function is ours.
func guarded(function string, args ...string) []string {
	return []string{functionsAreOurs(function), call(function, args...)}
}

// functionsAreOurs refuses the transaction it stands in unless the functions of these names, and their schema, are their
// own owner's. Where they are absent, anybody who may create a schema could have put others in their place, to be called
// with the administrator's rights. It is a statement of its own: what a planner may work out beforehand, it works out
// before any condition of the same statement is looked at.
func functionsAreOurs(names ...string) string { return "SELECT " + oursOrFail(names...) }

// oursOrFail fails with invalid_schema_name, which no other guard does.
func oursOrFail(names ...string) string {
	return "(CASE WHEN (SELECT count(DISTINCT p.proname) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles o ON o.oid = p.proowner AND o.oid = n.nspowner" +
		" WHERE n.nspname = " + literal(functionsSchema) + " AND p.proname = ANY (" + literal(array(names)) + "::name[]) AND o.rolname = " + literal(functionsOwner) + ") = " + strconv.Itoa(len(names)) +
		" THEN 'pg_catalog' ELSE '\"" + functionsSchema + " of " + functionsOwner + "\"' END)::regnamespace"
}

func textArg(text string) string { return literal(text) + "::text" }

// who are the arguments that say which login is meant.
func who(login grants.Login) []string {
	return []string{textArg(login.Name), textArg(login.Stamp.String()), oidText(login.OID) + "::oid"}
}

func (byFunctions) create(order grants.Order, verifier secret.String) []string {
	return []string{
		functionsAreOurs("create_login", "set_timeout", "set_search_path", "lend", "act_as", "grant_access"),
		call("create_login", textArg(order.Login), textArg(order.Stamp.String()), textArg(verifier.Reveal()),
			instant(order.ValidUntil), strconv.Itoa(order.ConnectionLimit)+"::integer"),
	}
}

func (byFunctions) set(login grants.Login, setting string, value int64) string {
	return call("set_timeout", append(who(login)[:2], textArg(setting), strconv.FormatInt(value, 10)+"::bigint")...)
}

func (byFunctions) searchPath(login grants.Login, path []string) string {
	return call("set_search_path", append(who(login)[:2], literal(array(path))+"::text[]")...)
}

// actAs: what a login becomes when it connects is a setting that no SECURITY DEFINER function may touch. The login, which
// has no access yet, sets it for itself; the membership comes afterwards, and act_as ends the loan.
func (byFunctions) actAs(login grants.Login, owner string, _ int) []string {
	return []string{
		call("lend", who(login)...),
		"SET LOCAL ROLE " + ident(login.Name),
		"ALTER ROLE " + ident(login.Name) + " SET role = " + literal(owner),
		"SET LOCAL ROLE NONE",
		call("act_as", append(who(login)[:2], textArg(owner))...),
	}
}

func (byFunctions) grant(login grants.Login, accessRole string) string {
	return call("grant_access", append(who(login)[:2], textArg(accessRole))...)
}

func (byFunctions) password(login grants.Login, verifier secret.String) []string {
	return guarded("set_verifier", append(who(login), textArg(verifier.Reveal()))...)
}

func (byFunctions) until(login grants.Login, end time.Time) []string {
	return guarded("set_valid_until", append(who(login), instant(end))...)
}

func (byFunctions) lock(batch ...grants.Login) []string {
	locks := []string{functionsAreOurs("lock_login")}
	for _, login := range batch {
		locks = append(locks, call("lock_login", who(login)...))
	}
	return locks
}

func (byFunctions) terminate() string { return functionsSchema + ".end_session(s.pid, s.oid)" }

func (byFunctions) mayTerminate() string {
	return " UNION ALL SELECT 'functions', 0::oid, '', " + oursOrFail("end_session") + "::text"
}

func (byFunctions) stranger() string {
	return "m.member NOT IN (SELECT oid FROM pg_roles WHERE rolname IN (current_user, " + literal(functionsOwner) + "))"
}

func (byFunctions) expel(login grants.Login, _ string) []string {
	return guarded("expel", who(login)...)
}

func (byFunctions) become(login grants.Login, _ int) []string { return guarded("lend", who(login)...) }

func (byFunctions) disown(login grants.Login) []string { return guarded("disown", who(login)...) }

func (byFunctions) drop(batch []grants.Login) []string {
	names, stamps, oids := make([]string, len(batch)), make([]string, len(batch)), make([]string, len(batch))
	for i, login := range batch {
		names[i], stamps[i], oids[i] = login.Name, login.Stamp.String(), oidText(login.OID)
	}
	return guarded("drop_logins", literal(array(names))+"::text[]", literal(array(stamps))+"::text[]", literal(array(oids))+"::oid[]")
}

// mark: the function finds the role, and makes it where there is none.
func (b byFunctions) mark(_, prefix, text string) []string {
	installation := strings.TrimSuffix(strings.TrimPrefix(prefix, "prodaccess installation="), " mark=")
	return guarded("remember", textArg(installation), textArg(text))
}

func (b byFunctions) makeMark(role, prefix, text string) []string {
	return b.mark(role, prefix, text)
}
