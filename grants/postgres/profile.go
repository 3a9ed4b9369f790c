package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/rowlimit"
)

// everything stands for all tables, or all schemas, those to come included.
const everything = "*"

// tableWords are the privileges of a profile that tables have, as SQL writes them.
var tableWords = []string{"select", "insert", "update", "delete"}

// predefined are roles of the server's own that only look. The others read and write files, run programs or end sessions;
// whoever has one can get any other privilege, or undo what prodaccess does.
var predefined = []string{
	"pg_monitor", "pg_read_all_settings", "pg_read_all_stats", "pg_stat_scan_tables", "pg_checkpoint", "pg_read_all_data",
}

// refusals says why a profile cannot be compiled into an access role as it stands. A profile is never prepared, nor
// issued, without the narrowing it asks for.
func refusals(p grants.Profile) []string {
	var problems []string
	refuse := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf("profile %s: ", p.Name)+fmt.Sprintf(format, args...))
	}
	for _, role := range rolesOf(p) {
		if err := checkName("access role", role); err != nil {
			refuse("%v", err)
		}
	}
	switch role := grants.AccessRole(p.Name); {
	case role == grants.QuarantineRole:
		refuse("its access role would be the quarantine role; choose another name")
	case role == internal:
		refuse("its access role would be the one that prodaccess keeps for itself; choose another name")
	case strings.HasSuffix(role, "__views") || strings.HasSuffix(role, "__owner"):
		refuse("names that end in --views or --owner are kept for what belongs to a profile; choose another")
	}
	for _, role := range p.MemberOf {
		if !slices.Contains(predefined, role) {
			refuse("it cannot be a member of %s; there are %s", role, strings.Join(predefined, ", "))
		}
	}
	for _, g := range p.Privileges {
		for _, problem := range unfit(g) {
			refuse("%s", problem)
		}
	}
	for _, problem := range rowlimit.Problems(p, dialect) {
		refuse("%s", problem)
	}
	if hasViews(p) {
		if creates(p) {
			refuse("create does not go together with rows or mask; make two profiles")
		}
		if slices.Contains(p.MemberOf, "pg_read_all_data") {
			refuse("pg_read_all_data reads past rows and mask")
		}
	}
	return problems
}

// unfit says what is wrong with one privilege on its own.
func unfit(g grants.Privilege) (problems []string) {
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if g.Schema == "" || len(g.Tables)+len(g.Sequences)+len(g.Functions) == 0 && !slices.Contains(g.Privileges, "create") || len(g.Privileges) == 0 {
		refuse("each entry needs a schema, tables and privileges")
	}
	if len(g.Tables) > 1 && slices.Contains(g.Tables, everything) {
		refuse(`"*" stands alone in a list of tables`)
	}
	all := slices.Equal(g.Tables, []string{everything})
	for _, word := range g.Privileges {
		switch {
		case slices.Contains(tableWords, word):
			if len(g.Tables) == 0 {
				refuse("%s needs tables", word)
			}
		case word == "create":
			if g.Schema == everything {
				refuse("create needs the name of a schema")
			}
		case word != "usage" && word != "execute":
			refuse("the privilege %q is not supported; there are select, insert, update, delete, usage, execute, create", word)
		case word == "usage" && !all && len(g.Sequences) == 0, word == "execute" && !all && len(g.Functions) == 0:
			refuse(`%s is for sequences or functions: name them, or write tables: "*" for all of the schema`, word)
		}
		if len(g.Columns) > 0 && !slices.Contains([]string{"select", "insert", "update"}, word) && !(limited(g) && word == "delete") {
			refuse("%s cannot be limited to columns", word)
		}
		if limited(g) && !slices.Contains(tableWords, word) {
			refuse("%s has nothing to do with rows or masks; put it into an entry of its own", word)
		}
	}
	if len(g.Columns) > 0 && slices.ContainsFunc(g.Tables, isPattern) {
		refuse("columns can be named for named tables only")
	}
	if limited(g) && !slices.Contains(g.Privileges, "select") {
		refuse("rows and masks limit what is seen, so they need select")
	}
	return problems
}

// applies says whether a profile is for this engine.
func applies(p grants.Profile) bool {
	return len(p.Engines) == 0 || slices.Contains(p.Engines, "postgres")
}

// entry is one privilege an access role holds, or should hold, on one object of a database. It is comparable, so that
// what is wanted and what is there are sets.
type entry struct {
	role      string
	kind      kind
	schema    string
	object    string // the owner for default privileges; quoted and with argument types for functions
	column    string
	privilege string // upper-case SQL
}

type kind string

const (
	onDatabase  kind = "DATABASE"
	onSchema    kind = "SCHEMA"
	onTable     kind = "TABLE"
	onSequence  kind = "SEQUENCE"
	onFunction  kind = "ROUTINE"
	byDefault   kind = "DEFAULT TABLES"
	byDefaultSq kind = "DEFAULT SEQUENCES"
	byDefaultFn kind = "DEFAULT ROUTINES"
)

// defaults says which kind of default privilege belongs to objects of a kind.
var defaults = map[kind]kind{onTable: byDefault, onSequence: byDefaultSq, onFunction: byDefaultFn}

// plural is the word that GRANT … ON ALL … IN SCHEMA and ALTER DEFAULT PRIVILEGES use.
var plural = map[kind]string{
	onTable: "TABLES", onSequence: "SEQUENCES", onFunction: "ROUTINES",
	byDefault: "TABLES", byDefaultSq: "SEQUENCES", byDefaultFn: "ROUTINES",
}

// wanted compiles a profile against what a database holds. views are those that could be compiled.
func wanted(p grants.Profile, c *catalog, views []view) (want map[entry]bool, problems []string) {
	want = map[entry]bool{}
	role := grants.AccessRole(p.Name)
	add := func(e entry) {
		if e.role == "" {
			e.role = role
		}
		want[e] = true
	}
	add(entry{kind: onDatabase, object: c.database, privilege: "CONNECT"})
	for _, g := range p.Privileges {
		if limited(g) {
			problems = append(problems, c.missing(p, g)...)
			continue
		}
		for _, schema := range c.expand(g.Schema) {
			if _, ok := c.schemas[schema]; !ok {
				problems = append(problems, fmt.Sprintf("profile %s: database %s has no schema %s", p.Name, c.database, schema))
				continue
			}
			add(entry{kind: onSchema, object: schema, privilege: "USAGE"})
			for _, word := range g.Privileges {
				problems = append(problems, wantIn(c, p, g, schema, word, add)...)
			}
		}
		problems = append(problems, c.missing(p, g)...)
	}
	for _, v := range views {
		if v.profile.Name == p.Name {
			add(entry{kind: onSchema, object: viewSchema(p), privilege: "USAGE"})
			v.wants(add)
		}
	}
	return want, problems
}

// missing lists tables and columns that a privilege names one by one and the database does not have.
func (c *catalog) missing(p grants.Profile, g grants.Privilege) (problems []string) {
	if g.Schema == everything {
		return nil
	}
	if _, ok := c.schemas[g.Schema]; !ok {
		if limited(g) {
			return []string{fmt.Sprintf("profile %s: database %s has no schema %s", p.Name, c.database, g.Schema)}
		}
		return nil // said before
	}
	for _, name := range g.Tables {
		if _, ok := c.table(g.Schema, name); !ok && !isPattern(name) {
			problems = append(problems, fmt.Sprintf("profile %s: database %s has no table %s.%s", p.Name, c.database, g.Schema, name))
		}
	}
	for k, names := range map[kind][]string{onSequence: g.Sequences, onFunction: g.Functions} {
		for _, name := range names {
			if !isPattern(name) && !slices.ContainsFunc(c.objects[g.Schema], func(o object) bool { return o.kind == k && o.called(name) }) {
				problems = append(problems, fmt.Sprintf("profile %s: database %s has no %s %s.%s", p.Name, c.database, strings.ToLower(string(k)), g.Schema, name))
			}
		}
	}
	slices.Sort(problems)
	return problems
}

// called says whether a profile's name or pattern means the object. A function is meant by its name alone, whatever it
// takes, or with the types of its arguments as the catalogs write them.
func (o object) called(name string) bool {
	if o.kind != onFunction {
		return matches(name, o.name)
	}
	return matches(name, o.name) || matches(name, o.plain)
}

func wantIn(c *catalog, p grants.Profile, g grants.Privilege, schema, word string, add func(entry)) (problems []string) {
	k, names, privilege := onTable, g.Tables, strings.ToUpper(word)
	switch word {
	case "create":
		add(entry{role: durableOwner(p), kind: onSchema, object: schema, privilege: privilege})
		return nil
	case "usage":
		k, names = onSequence, g.Sequences
	case "execute":
		k, names = onFunction, g.Functions
	}
	if slices.Equal(g.Tables, []string{everything}) {
		names = g.Tables
		owners := c.owners(schema, k)
		if k == onTable && limitsIn(p, schema) {
			owners = nil // a migration that makes a limited table anew would show it whole until the next apply
		}
		for _, owner := range owners {
			add(entry{kind: defaults[k], schema: schema, object: owner, privilege: privilege})
		}
	}
	for _, o := range c.objects[schema] {
		named := slices.ContainsFunc(names, func(name string) bool { return !isPattern(name) && o.called(name) })
		fits := named || o.owner != grants.QuarantineRole && slices.ContainsFunc(names, o.called)
		if o.kind != k || !fits || k == onTable && limits(p, schema, o.name) {
			continue
		}
		if len(g.Columns) == 0 || k != onTable {
			add(entry{kind: k, schema: schema, object: o.name, privilege: privilege})
			continue
		}
		for _, name := range g.Columns {
			if !slices.ContainsFunc(o.columns, func(c column) bool { return c.name == name }) {
				problems = append(problems, fmt.Sprintf("profile %s: table %s.%s in database %s has no column %s", p.Name, schema, o.name, c.database, name))
				continue
			}
			add(entry{kind: k, schema: schema, object: o.name, column: name, privilege: privilege})
		}
	}
	if word == "insert" && slices.Equal(g.Tables, []string{everything}) { // a serial column's default calls nextval
		problems = append(problems, wantIn(c, p, g, schema, "usage", add)...)
	}
	return problems
}
