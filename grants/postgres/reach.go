package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
)

// reached is what access roles can do in a database, whoever gave it to them: PUBLIC, membership, ownership. It asks the
// server's own has_…_privilege, in a handful of queries whatever the number of tables.
type reached struct {
	relations   [][]string // role, kind, schema, name, privilege, whether PUBLIC has it
	columns     [][]string // schema, table, column, privilege of PUBLIC
	definers    [][]string // role, schema, signature, owner, whether PUBLIC may call it
	largeObject [][]string // signature
	unseen      [][]string // role, schema, table
	owners      [][]string // role, owner, how many tables
	backDoors   [][]string // owner, schema, signature
	opened      [][]string // owner, grantee, privilege, kind
	strangers   [][]string // schema, what
}

func readReach(ctx context.Context, conn *pgx.Conn, profiles []grants.Profile) (*reached, error) {
	var access, readers, durable, all []string
	for _, p := range profiles {
		access = append(access, grants.AccessRole(p.Name))
		readers = append(readers, grants.AccessRole(p.Name))
		if hasViews(p) {
			readers = append(readers, viewOwner(p))
		}
		if creates(p) {
			durable = append(durable, durableOwner(p))
		}
		all = append(all, rolesOf(p)...)
	}
	roles := func(names []string) string {
		texts := make([]string, len(names))
		for i, n := range names {
			texts[i] = literal(n)
		}
		return "(SELECT oid, rolname FROM pg_roles WHERE rolname = ANY (ARRAY[" + strings.Join(texts, ", ") + "]::name[]) AND NOT rolcanlogin) r"
	}
	signature := "quote_ident(p.proname) || '(' || pg_get_function_identity_arguments(p.oid) || ')'"
	kept := "pg_get_userbyid(c.relowner) <> " + literal(grants.QuarantineRole)
	results, err := sendOn(ctx, conn,
		"SELECT r.rolname, 'TABLE', n.nspname, c.relname, v.privilege, has_table_privilege('public', c.oid, v.privilege)"+
			" FROM "+roles(access)+" CROSS JOIN pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"+
			" CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE'), ('REFERENCES'), ('TRIGGER')) v (privilege)"+
			" WHERE c.relkind IN ('r','p','v','m','f') AND "+userSchemas+" AND "+kept+" AND has_schema_privilege(r.oid, n.oid, 'USAGE')"+
			" AND has_table_privilege(r.oid, c.oid, v.privilege)"+
			" UNION ALL SELECT r.rolname, 'SEQUENCE', n.nspname, c.relname, v.privilege, has_sequence_privilege('public', c.oid, v.privilege)"+
			" FROM "+roles(access)+" CROSS JOIN pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN (VALUES ('USAGE'), ('SELECT'), ('UPDATE')) v (privilege)"+
			" WHERE c.relkind = 'S' AND "+userSchemas+" AND "+kept+" AND has_schema_privilege(r.oid, n.oid, 'USAGE') AND has_sequence_privilege(r.oid, c.oid, v.privilege)",
		"SELECT n.nspname, c.relname, t.attname, a.privilege_type FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"+
			" CROSS JOIN LATERAL aclexplode(t.attacl) a WHERE t.attacl IS NOT NULL AND NOT t.attisdropped AND a.grantee = 0 AND "+userSchemas+" ORDER BY 1, 2, 3, 4",
		"SELECT r.rolname, n.nspname, "+signature+", pg_get_userbyid(p.proowner), has_function_privilege('public', p.oid, 'EXECUTE')"+
			" FROM "+roles(access)+" CROSS JOIN pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prosecdef AND "+userSchemas+
			" AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AND pg_get_userbyid(p.proowner) <> "+literal(grants.QuarantineRole)+
			" AND has_schema_privilege(r.oid, n.oid, 'USAGE') AND has_function_privilege(r.oid, p.oid, 'EXECUTE') ORDER BY 2, 3, 1",
		"SELECT 'pg_catalog.' || "+signature+" FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace"+
			" AND p.proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_import', 'lo_export', 'lo_put', 'lowrite') AND has_function_privilege('public', p.oid, 'EXECUTE') ORDER BY 1",
		"SELECT r.rolname, n.nspname, c.relname FROM "+roles(readers)+" CROSS JOIN pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"+
			" WHERE c.relrowsecurity AND "+userSchemas+" AND has_any_column_privilege(r.oid, c.oid, 'SELECT') AND NOT pg_has_role(r.oid, c.relowner, 'USAGE')"+
			" AND NOT EXISTS (SELECT FROM pg_policy y WHERE y.polrelid = c.oid AND y.polcmd IN ('*', 'r')"+
			" AND EXISTS (SELECT FROM unnest(y.polroles) o WHERE o = 0 OR pg_has_role(r.oid, o, 'USAGE'))) ORDER BY 1, 2, 3",
		"SELECT r.rolname, pg_get_userbyid(c.relowner), count(*) FROM "+roles(readers)+" CROSS JOIN pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"+
			" WHERE c.relkind IN ('r','p','v','m','f') AND "+userSchemas+" AND pg_has_role(r.oid, c.relowner, 'USAGE') GROUP BY 1, 2 ORDER BY 1, 2",
		"SELECT r.rolname, n.nspname, "+signature+" FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN "+roles(durable)+
			" ON r.oid = p.proowner WHERE p.prosecdef ORDER BY 1, 2, 3",
		"SELECT DISTINCT r.rolname, CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee) END, a.privilege_type,"+
			" CASE d.defaclobjtype WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'TABLES' END, coalesce(n.nspname, '')"+
			" FROM pg_default_acl d JOIN "+roles(durable)+" ON r.oid = d.defaclrole LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace"+
			" CROSS JOIN LATERAL aclexplode(d.defaclacl) a WHERE a.grantee <> d.defaclrole AND NOT (a.grantee = 0 AND d.defaclobjtype IN ('f', 'T') AND d.defaclnamespace = 0)"+
			" AND (a.grantee = 0 OR NOT starts_with(pg_get_userbyid(a.grantee), "+literal(grants.Prefix)+")) ORDER BY 1, 2, 3, 4",
		"SELECT n.nspname, pg_describe_object('pg_class'::regclass, c.oid, 0) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"+
			" WHERE n.nspname IN (SELECT rolname FROM "+roles(all)+") AND c.relkind <> 'v'"+
			" UNION ALL SELECT n.nspname, pg_describe_object('pg_proc'::regclass, p.oid, 0) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"+
			" WHERE n.nspname IN (SELECT rolname FROM "+roles(all)+") ORDER BY 1, 2",
	)
	if err != nil {
		return nil, err
	}
	r := &reached{}
	for i, into := range []*[][]string{
		&r.relations, &r.columns, &r.definers, &r.largeObject, &r.unseen, &r.owners, &r.backDoors, &r.opened, &r.strangers,
	} {
		*into = texts(results[i])
	}
	return r, nil
}

// findings are what goes beyond the profiles. What an access role holds itself is not among them: the plan takes that back.
func (r *reached) findings(c *catalog, profiles []grants.Profile, want map[entry]bool) (findings []grants.Finding) {
	add := func(advice bool, mend, what string, args ...any) {
		findings = append(findings, grants.Finding{Database: c.database, What: fmt.Sprintf(what, args...), Mend: mend, Advice: advice})
	}
	profileOf := map[string]grants.Profile{}
	for _, p := range profiles {
		for _, role := range rolesOf(p) {
			profileOf[role] = p
		}
	}
	through := map[string][]string{} // role → what it reaches by membership
	public := map[entry][]string{}   // privilege of PUBLIC → profiles that reach further by it
	for _, row := range r.relations {
		e := entry{role: row[0], kind: kind(row[1]), schema: row[2], object: row[3], privilege: row[4]}
		switch p := profileOf[row[0]]; {
		case want[e] || c.has[e]:
		case row[4] == "SELECT" && slices.Contains(p.MemberOf, "pg_read_all_data"):
		case row[5] == "t":
			e.role = ""
			public[e] = append(public[e], p.Name)
		default:
			through[row[0]] = append(through[row[0]], row[4]+" on "+row[2]+"."+row[3])
		}
	}
	for _, row := range r.columns {
		e := entry{kind: onTable, schema: row[0], object: row[1], column: row[2], privilege: row[3]}
		public[e] = []string{"all of them"}
	}
	entries := make([]entry, 0, len(public))
	names := map[[2]string][]string{}
	for e, by := range public {
		entries = append(entries, e)
		at := [2]string{string(e.kind), e.schema}
		names[at] = append(names[at], by...)
	}
	for _, s := range group(entries) {
		by := names[[2]string{string(s.kind), s.schema}]
		slices.Sort(by)
		add(false, s.sql("REVOKE", "FROM", false), "everybody may %s %s in schema %s, so holders of these profiles can, whatever the profiles say: %s",
			strings.ToLower(strings.Join(s.privileges, ", ")), abridged(s.objects), s.schema, strings.Join(slices.Compact(by), ", "))
	}
	for _, row := range r.owners {
		add(false, "REVOKE "+ident(row[1])+" FROM "+ident(row[0]),
			"%s acts for %s, which owns %s tables: it may do anything with them, and row-level security does not hold it back", row[0], row[1], row[2])
	}
	for role, what := range through {
		slices.Sort(what)
		add(false, "take back the membership it comes from", "%s reaches more than its profile says, through membership in another role: %s", role, abridged(what))
	}
	callers := map[[4]string][]string{}
	for _, row := range r.definers {
		if want[entry{role: row[0], kind: onFunction, schema: row[1], object: row[2], privilege: "EXECUTE"}] {
			continue
		}
		at := [4]string{row[1], row[2], row[3], row[4]}
		callers[at] = append(callers[at], profileOf[row[0]].Name)
	}
	for at, by := range callers {
		from := "PUBLIC"
		if at[3] != "t" {
			from = idents(roleNames(by))
		}
		add(false, "REVOKE EXECUTE ON ROUTINE "+ident(at[0])+"."+at[1]+" FROM "+from+", or name it among the profile's functions",
			"the SECURITY DEFINER function %s.%s acts as %s for whoever calls it, and holders of these profiles can: %s", at[0], at[1], at[2], strings.Join(by, ", "))
	}
	for _, row := range r.backDoors {
		add(false, "ALTER ROUTINE "+ident(row[1])+"."+row[2]+" SECURITY INVOKER",
			"a visitor made the SECURITY DEFINER function %s.%s: it gives what %s may do to whoever calls it, for good", row[1], row[2], row[0])
	}
	for _, row := range r.opened {
		to, in := "PUBLIC", ""
		if row[1] != "" {
			to = ident(row[1])
		}
		if row[4] != "" {
			in = " IN SCHEMA " + ident(row[4])
		}
		add(false, "ALTER DEFAULT PRIVILEGES FOR ROLE "+ident(row[0])+in+" REVOKE "+row[2]+" ON "+row[3]+" FROM "+to,
			"a visitor opened what holders of the same profile will make: %s on %s of %s goes to %s", row[2], strings.ToLower(row[3]), row[0], to)
	}
	for _, row := range r.strangers {
		add(false, "find out who put it there, and drop it", "schema %s is prodaccess's own, and holds something that is not: %s", row[0], row[1])
	}
	for _, row := range r.unseen {
		add(true, "CREATE POLICY "+ident(row[0])+" ON "+ident(row[1])+"."+ident(row[2])+" FOR SELECT TO "+ident(row[0])+" USING (true)",
			"row-level security of %s.%s has no policy for %s, so its holders see no rows of it", row[1], row[2], row[0])
	}
	if len(r.largeObject) > 0 {
		var all []string
		for _, row := range r.largeObject {
			all = append(all, row[0])
		}
		add(true, "if no application uses large objects: REVOKE EXECUTE ON FUNCTION "+strings.Join(all, ", ")+" FROM PUBLIC",
			"everybody can make large objects, which is the server's default; a visitor's end with the quarantine role, and are reported")
	}
	slices.SortFunc(findings, func(a, b grants.Finding) int { return strings.Compare(a.What, b.What) })
	return findings
}

func roleNames(profiles []string) (roles []string) {
	for _, p := range profiles {
		roles = append(roles, grants.AccessRole(p))
	}
	return roles
}

// abridged lists the first few.
func abridged(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
