package postgres

import (
	"context"
	"maps"
	"slices"

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
}

type object struct {
	kind    kind
	name    string
	owner   string
	columns []string
}

func (c *catalog) schemaNames() []string { return slices.Sorted(maps.Keys(c.schemas)) }

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

// owners are those whose future objects a profile should cover: who owns the schema, and who owns something like it now.
func (c *catalog) owners(schema string, k kind) []string {
	owners := []string{}
	// Schema public belongs to pg_database_owner, which makes nothing itself.
	if o := c.schemas[schema]; o != "pg_database_owner" {
		owners = append(owners, o)
	}
	for _, o := range c.objects[schema] {
		if o.kind == k && o.owner != grants.QuarantineRole {
			owners = append(owners, o.owner)
		}
	}
	slices.Sort(owners)
	return slices.Compact(owners)
}

// userSchemas leaves out the system's.
const userSchemas = "n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'"

// readCatalog reads what access roles hold and what there is to hold, in a handful of queries whatever the number of
// tables.
func readCatalog(ctx context.Context, conn *pgx.Conn) (*catalog, error) {
	results, err := sendOn(ctx, conn,
		"SELECT current_database()",
		"SELECT n.nspname, pg_get_userbyid(n.nspowner), coalesce((SELECT bool_or(a.grantee = 0 AND a.privilege_type = 'CREATE') FROM aclexplode(n.nspacl) a), false)"+
			" FROM pg_namespace n WHERE "+userSchemas+" ORDER BY 1",
		"SELECT n.nspname, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.relname, pg_get_userbyid(c.relowner)"+
			" FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r','p','v','m','f','S') AND "+userSchemas+
			" UNION ALL SELECT n.nspname, 'ROUTINE', quote_ident(p.proname) || '(' || pg_get_function_identity_arguments(p.oid) || ')', pg_get_userbyid(p.proowner)"+
			" FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE "+userSchemas+" ORDER BY 1, 2, 3",
		"SELECT n.nspname, c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"+
			" WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r','p','v','m','f') AND "+userSchemas,
		holdings(),
	)
	if err != nil {
		return nil, err
	}
	c := &catalog{schemas: map[string]string{}, objects: map[string][]object{}, has: map[entry]bool{}}
	if c.database, err = first(results[0]); err != nil {
		return nil, err
	}
	for _, row := range texts(results[1]) {
		c.schemas[row[0]] = row[1]
		if row[2] == "t" {
			c.publicCreates = append(c.publicCreates, row[0])
		}
	}
	columns := map[[2]string][]string{}
	for _, row := range texts(results[3]) {
		at := [2]string{row[0], row[1]}
		columns[at] = append(columns[at], row[2])
	}
	for _, row := range texts(results[2]) {
		o := object{kind: kind(row[1]), name: row[2], owner: row[3]}
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
	return c, nil
}

// holdings selects the entries of every access list that name a role with our prefix.
func holdings() string {
	from := func(what, acl, tables string) string {
		return "SELECT r.rolname, " + what + ", a.privilege_type FROM " + tables + " CROSS JOIN LATERAL aclexplode(" + acl + ") a" +
			" JOIN pg_roles r ON r.oid = a.grantee WHERE starts_with(r.rolname, " + literal(grants.Prefix) + ") AND NOT r.rolcanlogin" +
			" AND r.rolname <> " + literal(grants.QuarantineRole)
	}
	return from("'DATABASE', '', d.datname, ''", "d.datacl", "pg_database d") + " AND d.datname = current_database()" +
		" UNION ALL " + from("'SCHEMA', '', n.nspname, ''", "n.nspacl", "pg_namespace n") +
		" UNION ALL " + from("CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname, ''", "c.relacl",
		"pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace") +
		" UNION ALL " + from("'TABLE', n.nspname, c.relname, t.attname", "t.attacl",
		"pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace") + " AND NOT t.attisdropped" +
		" UNION ALL " + from("'ROUTINE', n.nspname, quote_ident(p.proname) || '(' || pg_get_function_identity_arguments(p.oid) || ')', ''", "p.proacl",
		"pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace") +
		" UNION ALL " + from("CASE d.defaclobjtype WHEN 'S' THEN 'DEFAULT SEQUENCES' WHEN 'f' THEN 'DEFAULT ROUTINES' ELSE 'DEFAULT TABLES' END,"+
		" coalesce(n.nspname, ''), pg_get_userbyid(d.defaclrole), ''", "d.defaclacl",
		"pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace") + " AND d.defaclobjtype IN ('r', 'S', 'f')"
}
