package postgres

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
)

// catalog is what one database holds, as far as preparing it needs to know.
type catalog struct {
	database string
	schemas  map[string]string // name → owner
	objects  map[string][]object
	// has are the privileges that access roles hold straight.
	has map[entry]bool
	// publicCreates lists schemas in which everybody can make objects.
	publicCreates []string
	// creators are roles that may make objects in a schema without owning it, by schema.
	creators map[string][]string
	// ours are the views in schemas of ours, by schema and name; mine says which of those schemas there are, and their owners.
	ours map[[2]string]madeView
	mine map[string]string
	// parts says which parts of the internal schema are as they should be.
	parts []bool
}

type object struct {
	kind    kind
	name    string
	owner   string
	relkind string // of tables
	plain   string // of functions: the name without quotes and arguments
	columns []column
}

type column struct {
	name    string
	sqlType string
	masks   columnType
}

// schemaNames lists the schemas that "*" stands for: all but the system's and ours.
func (c *catalog) schemaNames() []string { return slices.Sorted(maps.Keys(c.schemas)) }

// expand lists the schemas a profile's word stands for.
func (c *catalog) expand(schema string) []string {
	if schema == everything {
		return c.schemaNames()
	}
	return []string{schema}
}

// tablesOf lists the schema and name of each table that a privilege names, one by one or by pattern. What a visitor left
// behind is not among what a pattern fits.
func (c *catalog) tablesOf(g grants.Privilege) (found [][2]string) {
	for _, schema := range c.expand(g.Schema) {
		for _, o := range c.objects[schema] {
			if o.kind == onTable && slices.ContainsFunc(g.Tables, func(name string) bool {
				return name == o.name || isPattern(name) && matches(name, o.name) && o.owner != grants.QuarantineRole
			}) {
				found = append(found, [2]string{schema, o.name})
			}
		}
	}
	return found
}

func (c *catalog) table(schema, name string) (object, bool) {
	i := slices.IndexFunc(c.objects[schema], func(o object) bool { return o.kind == onTable && o.name == name })
	if i < 0 {
		return object{}, false
	}
	return c.objects[schema][i], true
}

// quarantined says whether an object was left by a visitor. Profiles do not cover such objects, and it is no matter who
// may read them.
func (c *catalog) quarantined(schema string, k kind, name string) bool {
	return slices.ContainsFunc(c.objects[schema], func(o object) bool {
		return o.kind == k && o.name == name && o.owner == grants.QuarantineRole
	})
}

// owners are those whose future objects a profile should cover: who owns the schema, who may make things in it, and who
// owns something like it now.
func (c *catalog) owners(schema string, k kind) []string {
	owners := []string{}
	// Schema public belongs to pg_database_owner, which makes nothing itself.
	if o := c.schemas[schema]; o != "pg_database_owner" {
		owners = append(owners, o)
	}
	owners = append(owners, c.creators[schema]...)
	for _, o := range c.objects[schema] {
		if o.kind == k && o.owner != grants.QuarantineRole {
			owners = append(owners, o.owner)
		}
	}
	slices.Sort(owners)
	return slices.Compact(owners)
}

// userSchemas leaves out the system's, and ours.
const userSchemas = "n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT LIKE 'pa\\_%' AND n.nspname <> 'information_schema'"

// readCatalog reads what access roles hold and what there is to hold, in a handful of queries whatever the number of
// tables.
func readCatalog(ctx context.Context, conn *pgx.Conn, admin string) (*catalog, error) {
	results, err := sendOn(ctx, conn,
		"SELECT current_database()",
		"SELECT n.nspname, pg_get_userbyid(n.nspowner), coalesce((SELECT bool_or(a.grantee = 0 AND a.privilege_type = 'CREATE') FROM aclexplode(n.nspacl) a), false)"+
			" FROM pg_namespace n WHERE "+userSchemas+" ORDER BY 1",
		"SELECT n.nspname, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.relname, pg_get_userbyid(c.relowner), c.relkind::text"+
			" FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r','p','v','m','f','S') AND "+userSchemas+
			" UNION ALL SELECT n.nspname, 'ROUTINE', quote_ident(p.proname) || '(' || pg_get_function_identity_arguments(p.oid) || ')', pg_get_userbyid(p.proowner), p.proname"+
			" FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE "+userSchemas+" ORDER BY 1, 2, 3",
		"SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), format_type(b.oid, m.typmod),"+
			" CASE WHEN b.typnamespace = 'pg_catalog'::regnamespace THEN b.typname ELSE '' END, b.typcategory,"+
			" CASE WHEN b.typname IN ('varchar', 'bpchar') AND m.typmod > 4 THEN m.typmod - 4 ELSE 0 END, b.typname = 'numeric' AND m.typmod <> -1"+
			" FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid"+
			" CROSS JOIN LATERAL (SELECT CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS typmod) m"+
			" JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END"+
			" WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r','p','v','m','f') AND "+userSchemas+" ORDER BY c.oid, a.attnum",
		holdings(),
		"SELECT DISTINCT n.nspname, pg_get_userbyid(a.grantee) FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a JOIN pg_roles r ON r.oid = a.grantee"+
			" WHERE a.privilege_type = 'CREATE' AND NOT r.rolsuper AND r.rolname <> 'pg_database_owner'"+
			" AND (NOT starts_with(r.rolname, "+literal(grants.Prefix)+") OR r.rolname LIKE '%\\_\\_owner') AND "+userSchemas+" ORDER BY 1, 2",
		"SELECT nspname, pg_get_userbyid(nspowner) FROM pg_namespace WHERE starts_with(nspname, "+literal(grants.Prefix)+")",
		madeViews,
		partsInPlace(admin),
	)
	if err != nil {
		return nil, err
	}
	c := &catalog{
		schemas: map[string]string{}, objects: map[string][]object{}, has: map[entry]bool{},
		creators: map[string][]string{}, ours: map[[2]string]madeView{}, mine: map[string]string{},
	}
	if c.database, err = first(results[0]); err != nil {
		return nil, err
	}
	for _, row := range texts(results[1]) {
		c.schemas[row[0]] = row[1]
		if row[2] == "t" {
			c.publicCreates = append(c.publicCreates, row[0])
		}
	}
	columns := map[[2]string][]column{}
	for _, row := range texts(results[3]) {
		at := [2]string{row[0], row[1]}
		length, err := strconv.Atoi(row[7])
		if err != nil {
			return nil, errUnreadable
		}
		columns[at] = append(columns[at], column{name: row[2], sqlType: row[3], masks: columnType{
			sql: row[4], base: row[5], category: row[6], length: length, exact: row[8] == "t",
		}})
	}
	for _, row := range texts(results[2]) {
		o := object{kind: kind(row[1]), name: row[2], owner: row[3], relkind: row[4]}
		if o.kind == onFunction {
			o.relkind, o.plain = "", row[4]
		}
		if o.kind == onTable {
			o.columns = columns[[2]string{row[0], row[2]}]
		}
		c.objects[row[0]] = append(c.objects[row[0]], o)
	}
	for _, row := range texts(results[4]) {
		if c.quarantined(row[2], kind(row[1]), row[3]) {
			continue
		}
		c.has[entry{role: row[0], kind: kind(row[1]), schema: row[2], object: row[3], column: row[4], privilege: row[5]}] = true
	}
	for _, row := range texts(results[5]) {
		c.creators[row[0]] = append(c.creators[row[0]], row[1])
	}
	for _, row := range texts(results[6]) {
		c.mine[row[0]] = row[1]
	}
	for _, row := range texts(results[7]) {
		c.ours[[2]string{row[0], row[1]}] = readMadeView(row)
	}
	if len(results[8].Rows) != 1 {
		return nil, errUnreadable
	}
	for _, part := range results[8].Rows[0] {
		c.parts = append(c.parts, isTrue(part))
	}
	return c, nil
}

// holdings selects the entries of every access list that name a role with our prefix.
func holdings() string {
	from := func(what, acl, owner, tables string) string {
		return "SELECT r.rolname, " + what + ", a.privilege_type FROM " + tables + " CROSS JOIN LATERAL aclexplode(" + acl + ") a" +
			" JOIN pg_roles r ON r.oid = a.grantee WHERE starts_with(r.rolname, " + literal(grants.Prefix) + ") AND NOT r.rolcanlogin" +
			" AND r.rolname <> " + literal(grants.QuarantineRole) + " AND a.grantee <> " + owner // an owner's own entry is no grant
	}
	return from("'DATABASE', '', d.datname, ''", "d.datacl", "d.datdba", "pg_database d") + " AND d.datname = current_database()" +
		" UNION ALL " + from("'SCHEMA', '', n.nspname, ''", "n.nspacl", "n.nspowner", "pg_namespace n") +
		" UNION ALL " + from("CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname, ''", "c.relacl", "c.relowner",
		"pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace") +
		" UNION ALL " + from("'TABLE', n.nspname, c.relname, t.attname", "t.attacl", "c.relowner",
		"pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace") + " AND NOT t.attisdropped" +
		" UNION ALL " + from("'ROUTINE', n.nspname, quote_ident(p.proname) || '(' || pg_get_function_identity_arguments(p.oid) || ')', ''", "p.proacl", "p.proowner",
		"pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace") +
		" UNION ALL " + from("CASE d.defaclobjtype WHEN 'S' THEN 'DEFAULT SEQUENCES' WHEN 'f' THEN 'DEFAULT ROUTINES' ELSE 'DEFAULT TABLES' END,"+
		" coalesce(n.nspname, ''), pg_get_userbyid(d.defaclrole), ''", "d.defaclacl", "d.defaclrole",
		"pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace") + " AND d.defaclobjtype IN ('r', 'S', 'f')"
}
