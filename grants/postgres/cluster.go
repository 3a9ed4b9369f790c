package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
)

// untouchable are databases that managed services keep for themselves; nobody but the service can change them.
var untouchable = []string{"rdsadmin", "cloudsqladmin", "azure_maintenance", "azure_sys"}

// shared is what all databases of the cluster have in common.
type shared struct {
	version int
	roles   map[string]roleState
	// open lists the databases that PUBLIC may enter.
	open []openDatabase
	// barred lists the databases that the administrator may enter through PUBLIC at most. It must get into all of them,
	// to clean up.
	barred []string
	// members of roles with our prefix that are neither stamped nor the administrator: role, then member.
	strangers [][2]string
	// belongs lists what roles of ours are members of: role, then member, then who made it one.
	belongs [][3]string
	// stamped are roles that look like somebody's login.
	stamped []string
}

type roleState struct {
	attributes bool // any of LOGIN, SUPERUSER, CREATEROLE, CREATEDB, REPLICATION, BYPASSRLS
	superuser  bool
	createRole bool
	canLogin   bool
	comment    string
	// What the administrator may do with it.
	adminHasAdmin, adminInherits, adminSets bool
}

type openDatabase struct {
	name    string
	relying []string // logins that would be shut out if PUBLIC were
}

func readShared(ctx context.Context, conn *pgx.Conn, admin string) (*shared, error) {
	has := func(what string) string {
		return "coalesce(pg_has_role(a.oid, r.oid, '" + what + "'), false)"
	}
	version, err := sendOn(ctx, conn, "SELECT current_setting('server_version_num')::int / 10000")
	if err != nil {
		return nil, err
	}
	s := &shared{roles: map[string]roleState{}}
	if s.version, err = number(version[0]); err != nil {
		return nil, err
	}
	sets := has("SET")
	if s.version < 16 {
		sets = has("MEMBER")
	}
	acl := "aclexplode(coalesce(d.datacl, acldefault('d', d.datdba)))"
	results, err := sendOn(ctx, conn,
		"SELECT r.rolname, r.rolcanlogin OR r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls,"+
			" r.rolsuper, r.rolcreaterole, r.rolcanlogin,"+
			" EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid AND m.member = a.oid AND m.admin_option), "+has("USAGE")+", "+sets+", coalesce(shobj_description(r.oid, 'pg_authid'), '')"+
			" FROM pg_roles r LEFT JOIN pg_roles a ON a.rolname = "+literal(admin)+
			" WHERE r.rolname IN ("+literal(admin)+", 'pg_signal_backend', "+literal(functionsOwner)+") OR (starts_with(r.rolname, "+literal(grants.Prefix)+")"+
			" AND coalesce(shobj_description(r.oid, 'pg_authid'), '') NOT LIKE 'prodaccess installation=%')",
		"SELECT DISTINCT d.datname FROM pg_database d, "+acl+" p WHERE d.datallowconn AND p.grantee = 0"+
			" AND p.privilege_type IN ('CONNECT', 'TEMPORARY') ORDER BY 1",
		"SELECT d.datname, l.rolname FROM pg_database d JOIN pg_roles l ON l.rolcanlogin AND NOT l.rolsuper AND l.rolname <> "+literal(admin)+
			" AND coalesce(shobj_description(l.oid, 'pg_authid'), '') NOT LIKE 'prodaccess installation=%'"+
			" WHERE d.datallowconn AND EXISTS (SELECT FROM "+acl+" p WHERE p.grantee = 0 AND p.privilege_type = 'CONNECT')"+
			" AND has_database_privilege(l.oid, d.oid, 'CONNECT')"+
			" AND NOT EXISTS (SELECT FROM "+acl+" e WHERE e.grantee <> 0 AND e.privilege_type = 'CONNECT' AND pg_has_role(l.oid, e.grantee, 'USAGE')) ORDER BY 1, 2",
		"SELECT d.datname FROM pg_database d LEFT JOIN pg_roles l ON l.rolname = "+literal(admin)+" WHERE d.datallowconn AND NOT coalesce(l.rolsuper, false)"+
			" AND (l.oid IS NULL OR NOT EXISTS (SELECT FROM "+acl+" e WHERE e.grantee <> 0 AND e.privilege_type = 'CONNECT' AND pg_has_role(l.oid, e.grantee, 'USAGE'))) ORDER BY 1",
		"SELECT r.rolname, m.rolname FROM pg_auth_members x JOIN pg_roles r ON r.oid = x.roleid JOIN pg_roles m ON m.oid = x.member"+
			" WHERE starts_with(r.rolname, "+literal(grants.Prefix)+") AND NOT r.rolcanlogin AND m.rolname <> "+literal(admin)+
			" AND coalesce(shobj_description(m.oid, 'pg_authid'), '') NOT LIKE 'prodaccess installation=%' ORDER BY 1, 2",
		"SELECT r.rolname, m.rolname, pg_get_userbyid(x.grantor) FROM pg_auth_members x JOIN pg_roles r ON r.oid = x.roleid JOIN pg_roles m ON m.oid = x.member"+
			" WHERE starts_with(m.rolname, "+literal(grants.Prefix)+") AND NOT m.rolcanlogin"+
			" AND coalesce(shobj_description(m.oid, 'pg_authid'), '') NOT LIKE 'prodaccess installation=%' ORDER BY 1, 2, 3",
		"SELECT r.rolname FROM pg_roles r WHERE "+isStamped+" ORDER BY 1",
	)
	if err != nil {
		return nil, err
	}
	for _, row := range texts(results[0]) {
		is := func(i int) bool { return row[i] == "t" }
		s.roles[row[0]] = roleState{
			attributes: is(1), superuser: is(2), createRole: is(3), canLogin: is(4),
			adminHasAdmin: is(5), adminInherits: is(6), adminSets: is(7),
			comment: row[8],
		}
	}
	relying := map[string][]string{}
	for _, row := range texts(results[2]) {
		relying[row[0]] = append(relying[row[0]], row[1])
	}
	for _, row := range texts(results[1]) {
		if !slices.Contains(untouchable, row[0]) {
			s.open = append(s.open, openDatabase{name: row[0], relying: relying[row[0]]})
		}
	}
	for _, row := range texts(results[3]) {
		if !slices.Contains(untouchable, row[0]) {
			s.barred = append(s.barred, row[0])
		}
	}
	for _, row := range texts(results[4]) {
		s.strangers = append(s.strangers, [2]string{row[0], row[1]})
	}
	for _, row := range texts(results[5]) {
		s.belongs = append(s.belongs, [3]string{row[0], row[1], row[2]})
	}
	for _, row := range texts(results[6]) {
		s.stamped = append(s.stamped, row[0])
	}
	return s, nil
}

// Bootstrap is what a superuser runs once to make the administrator login itself; Plan prints what of it is missing.
// The password is set apart, by psql's \password, so that it is in no file and no log.
func Bootstrap(admin string) []grants.PreparationStep {
	return []grants.PreparationStep{
		{Why: "the administrator login does not exist; give it a password with \\password " + admin, SQL: ifNo(
			"SELECT FROM pg_catalog.pg_roles WHERE rolname = "+literal(admin),
			createAdministrator(admin))},
		{Why: "the administrator must be able to end sessions", SQL: "GRANT pg_signal_backend TO " + ident(admin)},
	}
}

func createAdministrator(admin string) string {
	return "CREATE ROLE " + ident(admin) + " LOGIN CREATEROLE NOSUPERUSER NOCREATEDB NOREPLICATION NOBYPASSRLS"
}

// ifNo is a statement that does nothing when the query finds a row, so that a plan can be run twice.
func ifNo(query, statement string) string {
	return "DO $prodaccess$ BEGIN IF NOT EXISTS (" + query + ") THEN " + statement + "; END IF; END $prodaccess$"
}

// steps mends what the roles lack.
func (s *shared) steps(admin string, profiles []grants.Profile) (steps []grants.PreparationStep, problems []string) {
	add := func(why, sql string) { steps = append(steps, grants.PreparationStep{Why: why, SQL: sql}) }
	bootstrap := Bootstrap(admin)
	me, exists := s.roles[admin]
	switch {
	case !exists:
		steps = append(steps, bootstrap[0])
	case me.superuser:
		problems = append(problems, fmt.Sprintf("the administrator login %s is a superuser; make another that is not", admin))
	case !me.canLogin || !me.createRole:
		add("the administrator makes and drops logins", "ALTER ROLE "+ident(admin)+" LOGIN CREATEROLE")
	}
	if !s.roles["pg_signal_backend"].adminInherits {
		steps = append(steps, bootstrap[1])
	}
	for _, database := range s.barred {
		add("the administrator must be able to clean up in every database, "+database+" too", "GRANT CONNECT ON DATABASE "+ident(database)+" TO "+ident(admin))
	}
	steps = append(steps, s.roleSteps(admin, profiles)...)
	return append(steps, s.memberships(profiles)...), problems
}

// roleSteps mends the roles that are prodaccess's own, and what the role that makes and drops logins may do with them: the
// administrator, or the owner of the functions. s is seen from that role.
func (s *shared) roleSteps(maker string, profiles []grants.Profile) (steps []grants.PreparationStep) {
	add := func(why, sql string) { steps = append(steps, grants.PreparationStep{Why: why, SQL: sql}) }
	called, makes := "the administrator hands", "the administrator makes"
	if maker == functionsOwner {
		called, makes = "the functions hand", "the functions make"
	}
	name := grants.QuarantineRole
	q := s.role(&steps, name, "it owns what visitors left behind, and may do nothing")
	if s.version >= 16 && (!q.adminInherits || !q.adminSets) {
		add(called+" objects over to it", "GRANT "+ident(name)+" TO "+ident(maker)+" WITH INHERIT TRUE, SET TRUE")
	} else if !q.adminInherits {
		add(called+" objects over to it", "GRANT "+ident(name)+" TO "+ident(maker))
	}
	if slices.ContainsFunc(profiles, needsInternal) {
		s.role(&steps, internal, "it owns what prodaccess keeps in databases, and nobody can become it")
	}
	for _, p := range profiles {
		r := s.role(&steps, grants.AccessRole(p.Name), "it holds the privileges of profile "+p.Name)
		s.administer(&steps, maker, makes, grants.AccessRole(p.Name), r)
		if hasViews(p) {
			s.role(&steps, viewOwner(p), "it owns the views of profile "+p.Name+" and may read what they need, and nobody can become it")
		}
		if creates(p) {
			owner := s.role(&steps, durableOwner(p), "it owns what holders of profile "+p.Name+" make, for good")
			s.administer(&steps, maker, makes, durableOwner(p), owner)
		}
		if step, changed := shapeStep(p, r.comment); changed {
			steps = append(steps, step)
		}
	}
	return steps
}

// administer lets whoever makes logins make them members of a role.
func (s *shared) administer(steps *[]grants.PreparationStep, maker, makes, name string, r roleState) {
	// Up to 15 CREATEROLE may make members of any role that is no superuser. The functions refuse to, and go by the option.
	if r.adminHasAdmin || s.version < 16 && maker != functionsOwner {
		return
	}
	options := " WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"
	if s.version < 16 {
		options = " WITH ADMIN OPTION"
	}
	*steps = append(*steps, grants.PreparationStep{Why: makes + " logins members of it, and does not use it itself", SQL: ifNo(
		"SELECT FROM pg_catalog.pg_auth_members WHERE admin_option AND roleid = "+literal(ident(name))+"::regrole AND member = "+literal(ident(maker))+"::regrole",
		"GRANT "+ident(name)+" TO "+ident(maker)+options)})
}

// memberships makes roles of ours members of what their profile says, and of nothing else.
func (s *shared) memberships(profiles []grants.Profile) (steps []grants.PreparationStep) {
	want, ours := map[[2]string]string{}, map[string]bool{grants.QuarantineRole: true, internal: true}
	for _, p := range profiles {
		for _, role := range rolesOf(p) {
			ours[role] = true
		}
		for _, role := range p.MemberOf {
			want[[2]string{role, grants.AccessRole(p.Name)}] = "profile " + p.Name + " says so"
		}
		if creates(p) {
			want[[2]string{grants.AccessRole(p.Name), durableOwner(p)}] = "who acts as the owner may do what the profile says"
		}
	}
	has := map[[2]string]bool{}
	for _, m := range s.belongs {
		at := [2]string{m[0], m[1]}
		has[at] = true
		if _, wanted := want[at]; wanted || !ours[m[1]] {
			continue
		}
		by := ""
		if s.version >= 16 { // where another grantor's membership stays
			by = " GRANTED BY " + ident(m[2])
		}
		steps = append(steps, grants.PreparationStep{
			Why: m[1] + " is a member of " + m[0] + ", and has more than its profile says", SQL: "REVOKE " + ident(m[0]) + " FROM " + ident(m[1]) + by,
		})
	}
	for at, why := range want {
		if !has[at] {
			steps = append(steps, grants.PreparationStep{Why: why, SQL: "GRANT " + ident(at[0]) + " TO " + ident(at[1])})
		}
	}
	slices.SortFunc(steps, func(a, b grants.PreparationStep) int { return strings.Compare(a.SQL, b.SQL) })
	return steps
}

const isStamped = "starts_with(r.rolname, '" + grants.Prefix + "') AND starts_with(coalesce(shobj_description(r.oid, 'pg_authid'), ''), 'prodaccess installation=')"

// vacant are the profiles none of whose roles has the name of somebody's login, which would get their privileges.
func (s *shared) vacant(profiles []grants.Profile) (vacant []grants.Profile, problems []string) {
	say := func(role, needs string) {
		problems = append(problems, fmt.Sprintf("the role %s, which %s needs, is there already and is stamped as a login; find out who made it, drop it (ALTER ROLE %s NOLOGIN, end its sessions, DROP ROLE), and plan again",
			role, needs, ident(role)))
	}
	for _, role := range []string{grants.QuarantineRole, internal} {
		if slices.Contains(s.stamped, role) {
			say(role, "prodaccess itself")
		}
	}
	for _, p := range profiles {
		taken := false
		for _, role := range rolesOf(p) {
			if slices.Contains(s.stamped, role) {
				say(role, "profile "+p.Name)
				taken = true
			}
		}
		if !taken {
			vacant = append(vacant, p)
		}
	}
	return vacant, problems
}

// role adds what makes a role of that name a mere bundle of privileges.
func (s *shared) role(steps *[]grants.PreparationStep, name, why string) roleState {
	r, exists := s.roles[name]
	switch {
	case !exists:
		// A login that came by that name since the plan was made must not get the privileges of the profile. The SQLSTATE is
		// none that Apply passes over.
		*steps = append(*steps, grants.PreparationStep{Why: why, SQL: "DO $prodaccess$ BEGIN" +
			" IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = " + literal(name) + ") THEN CREATE ROLE " + ident(name) + " NOLOGIN;" +
			" ELSIF EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = " + literal(name) + " AND (r.rolcanlogin OR pg_catalog.starts_with(" +
			"COALESCE(pg_catalog.shobj_description(r.oid, 'pg_authid'), ''), 'prodaccess installation='))) THEN RAISE duplicate_object USING MESSAGE = " +
			literal("there is a login of the name "+name+"; find out who made it, drop it, and plan again") + "; END IF; END $prodaccess$"})
	case r.attributes:
		*steps = append(*steps, grants.PreparationStep{Why: name + " must not be able to log in, nor have attributes", SQL: "ALTER ROLE " + ident(name) +
			" NOLOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS"})
	}
	return r
}
