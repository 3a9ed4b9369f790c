package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/grants"
)

// everything stands for all tables, or all schemas, those to come included.
const everything = "*"

// tableWords are the privileges of a profile that tables have, as SQL writes them.
var tableWords = []string{"select", "insert", "update", "delete"}

// refusals says why a profile cannot be compiled into an access role as it stands. A profile is never prepared, nor
// issued, without the narrowing it asks for.
func refusals(p grants.Profile) []string {
	var problems []string
	refuse := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf("profile %s: ", p.Name)+fmt.Sprintf(format, args...))
	}
	if err := checkName("access role", grants.AccessRole(p.Name)); err != nil {
		refuse("%v", err)
	}
	if grants.AccessRole(p.Name) == grants.QuarantineRole {
		refuse("its access role would be the quarantine role; choose another name")
	}
	for _, g := range p.Privileges {
		if g.Rows != "" {
			refuse("row limits (rows: %q) are not supported yet", g.Rows)
		}
		if len(g.Mask) > 0 {
			refuse("masks are not supported yet")
		}
		if g.Schema == "" || len(g.Tables) == 0 || len(g.Privileges) == 0 {
			refuse("each entry needs a schema, tables and privileges")
		}
		if len(g.Tables) > 1 && slices.Contains(g.Tables, everything) {
			refuse(`"*" stands alone in a list of tables`)
		}
		for _, word := range g.Privileges {
			switch {
			case slices.Contains(tableWords, word):
			case word != "usage" && word != "execute":
				refuse("the privilege %q is not supported; there are select, insert, update, delete, usage, execute", word)
			case !slices.Equal(g.Tables, []string{everything}):
				refuse(`%s is for all sequences or functions of a schema: write tables: "*"`, word)
			}
			if len(g.Columns) > 0 && !slices.Contains([]string{"select", "insert", "update"}, word) {
				refuse("%s cannot be limited to columns", word)
			}
		}
		if len(g.Columns) > 0 && slices.Contains(g.Tables, everything) {
			refuse("columns can be named for named tables only")
		}
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

// wanted compiles a profile against what a database holds.
func wanted(p grants.Profile, c *catalog) (want map[entry]bool, problems []string) {
	want = map[entry]bool{}
	role := grants.AccessRole(p.Name)
	add := func(e entry) { e.role = role; want[e] = true }
	add(entry{kind: onDatabase, object: c.database, privilege: "CONNECT"})
	for _, g := range p.Privileges {
		schemas := []string{g.Schema}
		if g.Schema == everything {
			schemas = c.schemaNames()
		}
		for _, schema := range schemas {
			if _, ok := c.schemas[schema]; !ok {
				problems = append(problems, fmt.Sprintf("profile %s: database %s has no schema %s", p.Name, c.database, schema))
				continue
			}
			add(entry{kind: onSchema, object: schema, privilege: "USAGE"})
			for _, word := range g.Privileges {
				problems = append(problems, wantIn(c, p, g, schema, word, add)...)
			}
		}
	}
	return want, problems
}

func wantIn(c *catalog, p grants.Profile, g grants.Privilege, schema, word string, add func(entry)) (problems []string) {
	k, privilege := onTable, strings.ToUpper(word)
	switch word {
	case "usage":
		k = onSequence
	case "execute":
		k = onFunction
	}
	if slices.Equal(g.Tables, []string{everything}) {
		for _, o := range c.objects[schema] {
			if o.kind == k && o.owner != grants.QuarantineRole {
				add(entry{kind: k, schema: schema, object: o.name, privilege: privilege})
			}
		}
		for _, owner := range c.owners(schema, k) {
			add(entry{kind: defaults[k], schema: schema, object: owner, privilege: privilege})
		}
		if word == "insert" { // a serial column's default calls nextval
			problems = wantIn(c, p, g, schema, "usage", add)
		}
		return problems
	}
	for _, table := range g.Tables {
		o, ok := c.table(schema, table)
		if !ok {
			if g.Schema != everything {
				problems = append(problems, fmt.Sprintf("profile %s: database %s has no table %s.%s", p.Name, c.database, schema, table))
			}
			continue
		}
		if len(g.Columns) == 0 {
			add(entry{kind: onTable, schema: schema, object: table, privilege: privilege})
		}
		for _, column := range g.Columns {
			if !slices.Contains(o.columns, column) {
				problems = append(problems, fmt.Sprintf("profile %s: table %s.%s in database %s has no column %s", p.Name, schema, table, c.database, column))
				continue
			}
			add(entry{kind: onTable, schema: schema, object: table, column: column, privilege: privilege})
		}
	}
	return problems
}
