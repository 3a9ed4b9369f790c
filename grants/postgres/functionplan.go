package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
)

// longestByDefault is how long a login may last at most where the profiles do not say.
const longestByDefault = 24 * time.Hour

// longestOf is how long a login of any of the profiles may last from now on; the functions make none that lasts longer.
func longestOf(profiles []grants.Profile) time.Duration {
	var longest time.Duration
	for _, p := range profiles {
		longest = max(longest, p.Longest)
	}
	if longest == 0 {
		return longestByDefault
	}
	return longest
}

// PlanLeastPrivilege is Plan for an administrator login that has no rights of its own but to call functions: it prints
// what is missing of the functions, and takes away the rights that the administrator then no longer needs. Once it is
// applied, Plan and Check go on with it.
func (d *Driver) PlanLeastPrivilege(ctx context.Context, profiles []grants.Profile) (grants.Preparation, error) {
	s, err := d.survey(ctx, profiles, true)
	s.unsure(d.cfg.Installation)
	return s.prepared, failure("planning "+d.cfg.Target.Name, err)
}

// leastPrivilege is what the survey knows of the mode; nil where the cluster is not in it, and nobody wants it to be.
type leastPrivilege struct {
	// owner is what all databases have in common, seen from the owner of the functions: the roles it administers.
	owner *shared
	// sound says that the owner exists as it should: NOLOGIN, CREATEROLE, nothing else.
	exists, sound bool
	// holders are members of the owner, beyond lists what the owner is a member of and has no need of.
	holders, beyond []string
	// rights are what the administrator has and does not need.
	rights []string
	// handed says that all logins there are belong to the owner to administer.
	handed bool
	// registered are the installations whose logins the functions accept.
	registered []string
	// databases are those that functions belong in.
	databases []string
}

// readLeastPrivilege looks from home.
func readLeastPrivilege(ctx context.Context, conn *pgx.Conn, admin string) (*leastPrivilege, error) {
	l := &leastPrivilege{}
	var err error
	if l.owner, err = readShared(ctx, conn, functionsOwner); err != nil {
		return nil, err
	}
	owner, me := literal(functionsOwner), literal(admin)
	stamped := "(starts_with(r.rolname, " + literal(grants.Prefix) + ") AND coalesce(shobj_description(r.oid, 'pg_authid'), '') LIKE 'prodaccess installation=%')"
	results, err := sendOn(ctx, conn,
		"SELECT rolcreaterole AND rolinherit AND NOT rolcanlogin AND NOT rolsuper AND NOT rolcreatedb AND NOT rolreplication AND NOT rolbypassrls FROM pg_roles WHERE rolname = "+owner,
		"SELECT DISTINCT m.member::regrole::text FROM pg_auth_members m JOIN pg_roles o ON o.oid = m.roleid WHERE o.rolname = "+owner+" ORDER BY 1",
		"SELECT DISTINCT r.rolname FROM pg_auth_members m JOIN pg_roles o ON o.oid = m.member JOIN pg_roles r ON r.oid = m.roleid WHERE o.rolname = "+owner+
			" AND NOT "+stamped+" AND r.rolname <> 'pg_signal_backend' AND (NOT starts_with(r.rolname, "+literal(grants.Prefix)+") OR r.rolname = "+literal(internal)+
			" OR r.rolname LIKE '%\\_\\_views' OR r.rolname = "+literal(grants.QuarantineRole)+" AND m.admin_option) ORDER BY 1",
		"SELECT 'CREATEROLE' FROM pg_roles WHERE rolcreaterole AND rolname = "+me+
			" UNION ALL SELECT 'CREATEDB' FROM pg_roles WHERE rolcreatedb AND rolname = "+me+
			" UNION ALL SELECT 'REPLICATION' FROM pg_roles WHERE rolreplication AND rolname = "+me+
			" UNION ALL SELECT 'BYPASSRLS' FROM pg_roles WHERE rolbypassrls AND rolname = "+me+
			// A locked login with prepared transactions may be lent to the administrator for a moment.
			" UNION ALL (SELECT DISTINCT 'membership in ' || r.rolname FROM pg_auth_members m JOIN pg_roles a ON a.oid = m.member JOIN pg_roles r ON r.oid = m.roleid"+
			" WHERE a.rolname = "+me+" AND (m.admin_option OR r.rolcanlogin OR NOT "+stamped+") ORDER BY 1)",
		"SELECT count(*) FROM pg_roles r WHERE "+stamped+" AND NOT EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles o ON o.oid = m.member"+
			" WHERE m.roleid = r.oid AND m.admin_option AND o.rolname = "+owner+")",
		"SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname <> current_database(), 1",
		"SELECT coalesce(max(shobj_description(oid, 'pg_authid')), '') FROM pg_roles WHERE rolname = "+owner,
	)
	if err != nil {
		return nil, err
	}
	column := func(i int) (out []string) {
		for _, row := range texts(results[i]) {
			out = append(out, row[0])
		}
		return out
	}
	l.exists = len(results[0].Rows) == 1
	l.sound = l.exists && isTrue(results[0].Rows[0][0])
	l.holders, l.beyond, l.rights = column(1), column(2), column(3)
	left, err := number(results[4])
	if err != nil {
		return nil, err
	}
	// Up to 15 CREATEROLE administers every login.
	l.handed = l.owner.version < 16 || left == 0
	l.databases = slices.DeleteFunc(column(5), func(name string) bool { return slices.Contains(untouchable, name) })
	comment, err := first(results[6])
	if err != nil {
		return nil, err
	}
	l.registered = readRegistered(comment)
	return l, nil
}

// steps mends the roles. s is seen from the administrator.
func (l *leastPrivilege) steps(s *shared, admin, installation string, profiles []grants.Profile) (steps []grants.PreparationStep, problems []string) {
	add := func(why, sql string) { steps = append(steps, grants.PreparationStep{Why: why, SQL: sql}) }
	const attributes = " NOLOGIN CREATEROLE INHERIT NOSUPERUSER NOCREATEDB NOREPLICATION NOBYPASSRLS"
	switch {
	case !l.exists:
		add("it owns the functions through which the administrator makes logins; nobody can become it", ifNo(
			"SELECT FROM pg_catalog.pg_roles WHERE rolname = "+literal(functionsOwner), "CREATE ROLE "+functionsOwner+attributes))
	case !l.sound:
		add("the owner of the functions may make roles, and nothing else", "ALTER ROLE "+functionsOwner+attributes)
	}
	steps = append(steps, l.registration(installation)...)
	me, exists := s.roles[admin]
	switch {
	case !exists:
		add("the administrator login does not exist; give it a password with \\password "+admin, ifNo(
			"SELECT FROM pg_catalog.pg_roles WHERE rolname = "+literal(admin),
			"CREATE ROLE "+ident(admin)+" LOGIN NOCREATEROLE NOSUPERUSER NOCREATEDB NOREPLICATION NOBYPASSRLS"))
	case me.superuser:
		problems = append(problems, fmt.Sprintf("the administrator login %s is a superuser; make another that is not", admin))
	case !me.canLogin:
		add("the administrator calls the functions", "ALTER ROLE "+ident(admin)+" LOGIN")
	}
	for _, name := range l.holders {
		add(name+" can become the owner of the functions, and change them", "REVOKE "+functionsOwner+" FROM "+name)
	}
	for _, name := range l.beyond {
		add("the owner of the functions does not need it", "REVOKE "+ident(name)+" FROM "+functionsOwner)
	}
	if !l.owner.roles["pg_signal_backend"].adminInherits {
		add("the functions end sessions", "GRANT pg_signal_backend TO "+functionsOwner)
	}
	for _, database := range s.barred {
		add("the administrator must be able to clean up in every database, "+database+" too", "GRANT CONNECT ON DATABASE "+ident(database)+" TO "+ident(admin))
	}
	steps = append(steps, l.owner.roleSteps(functionsOwner, profiles)...)
	if !l.handed || len(l.rights) > 0 && exists && !me.superuser {
		add("the logins that exist pass to the functions, and the administrator keeps no right of its own ("+strings.Join(l.rights, ", ")+")", l.handOver(admin))
	}
	return append(steps, l.owner.memberships(profiles)...), problems
}

// handOver lets the functions administer what the administrator made, and takes from it all that it does not need now. From
// 16 on a membership belongs to whoever granted it: what the administrator granted is granted again before it is revoked,
// so that nobody who is working loses anything for a moment.
func (l *leastPrivilege) handOver(admin string) string {
	me, owner := literal(admin), literal(functionsOwner)
	mine := "starts_with(r.rolname, " + literal(grants.Prefix) + ") AND pg_catalog.shobj_description(r.oid, 'pg_authid') LIKE 'prodaccess installation=%'"
	var sql strings.Builder
	sql.WriteString("DO $prodaccess$ DECLARE x record; BEGIN\n")
	if l.owner.version >= 16 {
		sql.WriteString("  FOR x IN SELECT r.rolname FROM pg_catalog.pg_roles r WHERE " + mine + " LOOP\n" +
			"    EXECUTE pg_catalog.format('GRANT %I TO " + functionsOwner + " WITH ADMIN TRUE, INHERIT FALSE, SET FALSE', x.rolname);\n" +
			"  END LOOP;\n" +
			"  FOR x IN SELECT r.rolname, g.rolname AS access, m.inherit_option::text, m.set_option::text FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid = m.member\n" +
			"    JOIN pg_catalog.pg_roles g ON g.oid = m.roleid JOIN pg_catalog.pg_roles a ON a.oid = m.grantor WHERE a.rolname = " + me + " AND " + mine + "\n" +
			"    AND EXISTS (SELECT FROM pg_catalog.pg_auth_members o JOIN pg_catalog.pg_roles f ON f.oid = o.member WHERE o.roleid = g.oid AND o.admin_option AND f.rolname = " + owner + ") LOOP\n" +
			"    EXECUTE pg_catalog.format('GRANT %I TO %I WITH INHERIT %s, SET %s GRANTED BY " + functionsOwner + "', x.access, x.rolname, x.inherit_option, x.set_option);\n" +
			"  END LOOP;\n" +
			"  FOR x IN SELECT r.rolname, b.rolname AS grantor FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid = m.roleid\n" +
			"    JOIN pg_catalog.pg_roles a ON a.oid = m.member JOIN pg_catalog.pg_roles b ON b.oid = m.grantor WHERE a.rolname = " + me + " LOOP\n" +
			"    EXECUTE pg_catalog.format('REVOKE %I FROM %I GRANTED BY %I CASCADE', x.rolname, " + me + ", x.grantor);\n" +
			"  END LOOP;\n")
	} else {
		sql.WriteString("  FOR x IN SELECT r.rolname FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid = m.roleid\n" +
			"    JOIN pg_catalog.pg_roles a ON a.oid = m.member WHERE a.rolname = " + me + " LOOP\n" +
			"    EXECUTE pg_catalog.format('REVOKE %I FROM %I CASCADE', x.rolname, " + me + ");\n" +
			"  END LOOP;\n")
	}
	sql.WriteString("  ALTER ROLE " + ident(admin) + " NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS;\nEND $prodaccess$")
	return sql.String()
}
