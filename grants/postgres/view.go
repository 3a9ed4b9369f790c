package postgres

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/rowlimit"
)

// view is a table as a profile with masks or a row limit shows it.
type view struct {
	profile grants.Profile
	schema  string   // of the base table
	name    string   // of the base table, and of the view
	base    []string // the base table's columns
	columns []viewColumn
	rows    rowlimit.Limit
	limits  bool     // rows has a text
	writes  []string // insert, update, delete
	hashes  bool
}

type viewColumn struct {
	name string
	// expression shows the column; it is the column itself unless mask is set.
	expression string
	mask       string
	sqlType    string
}

// internalKey is the expression of the hash key. As part of a view it is read with the view owner's privileges: a function
// would be called with the visitor's, who could then try a list of likely values.
var internalKey = "(SELECT key FROM " + ident(internal) + ".hash_key)"

// viewsOf compiles what a profile limits in a database.
func viewsOf(p grants.Profile, c *catalog) (views []view, problems []string) {
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf("profile %s: ", p.Name)+fmt.Sprintf(format, args...))
	}
	limitedBy, named := map[[2]string]int{}, map[string]string{}
	for i, g := range p.Privileges {
		if !limited(g) {
			continue
		}
		rows, err := rowlimit.Parse(g.Rows, p.Parameters, dialect)
		if err != nil {
			continue // refusals has said so
		}
		found := false
		masks := map[string]bool{}
		for _, at := range c.tablesOf(g) {
			found = true
			if other, twice := limitedBy[at]; twice && other != i {
				problem("table %s.%s is limited twice; put its rows and mask into one entry", at[0], at[1])
				continue
			}
			limitedBy[at] = i
			if schema, taken := named[at[1]]; taken && schema != at[0] {
				problem("tables %s.%s and %s.%s would be the same view in schema %s; limit them in two profiles", schema, at[1], at[0], at[1], viewSchema(p))
				continue
			}
			named[at[1]] = at[0]
			o, _ := c.table(at[0], at[1])
			v := view{profile: p, schema: at[0], name: at[1], rows: rows, limits: g.Rows != ""}
			problems = append(problems, v.fill(g, o, c.database)...)
			for _, column := range o.columns {
				masks[column.name] = masks[column.name] || g.Mask[column.name] != ""
			}
			views = append(views, v)
		}
		for _, column := range slices.Sorted(maps.Keys(g.Mask)) {
			if found && !masks[column] {
				problem("no table it masks in database %s has a column %s", c.database, column)
			}
		}
	}
	for _, g := range p.Privileges {
		if limited(g) {
			continue
		}
		for _, name := range g.Tables {
			if _, both := limitedBy[[2]string{g.Schema, name}]; both {
				problem("table %s.%s is there with a limit and without; leave it out of one entry", g.Schema, name)
			}
		}
	}
	return views, problems
}

// fill adds the columns a visitor sees, and what may be written.
func (v *view) fill(g grants.Privilege, o object, database string) (problems []string) {
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf("profile %s: table %s.%s in database %s: ", v.profile.Name, v.schema, v.name, database)+
			fmt.Sprintf(format, args...))
	}
	for _, name := range g.Columns {
		if !slices.ContainsFunc(o.columns, func(c column) bool { return c.name == name }) {
			problem("it has no column %s", name)
		}
	}
	for _, c := range o.columns {
		v.base = append(v.base, c.name)
		if len(g.Columns) > 0 && !slices.Contains(g.Columns, c.name) {
			if g.Mask[c.name] != "" {
				problem("the mask is for column %s, which columns leaves out", c.name)
			}
			continue
		}
		shows := viewColumn{name: c.name, expression: ident(c.name), sqlType: c.sqlType}
		if how := g.Mask[c.name]; how != "" {
			expression, err := masked(how, ident(c.name), c.masks, internalKey)
			if err != nil {
				problem("column %s: %v", c.name, err)
				continue
			}
			shows = viewColumn{name: c.name, expression: expression, mask: how, sqlType: c.masks.sql}
			v.hashes = v.hashes || how == "hash"
		}
		v.columns = append(v.columns, shows)
	}
	if len(v.columns) == 0 {
		problem("no column is left to see")
	}
	for _, word := range g.Privileges {
		if word == "select" {
			continue
		}
		v.writes = append(v.writes, word)
		if o.relkind != "r" && o.relkind != "p" {
			problem("%s through a limit needs a plain table", word)
		}
		if word != "delete" && len(v.written()) == 0 {
			problem("%s: every column is masked", word)
		}
	}
	return problems
}

// written are the columns that may be written: a masked one cannot, or writing would undo the mask for everybody.
func (v *view) written() (names []string) {
	for _, c := range v.columns {
		if c.mask == "" {
			names = append(names, c.name)
		}
	}
	return names
}

// query is what the view selects. stand writes a parameter, key the hash key.
func (v *view) query(stand func(grants.Parameter) string, bound bool, key string) string {
	columns := make([]string, len(v.columns))
	for i, c := range v.columns {
		columns[i] = strings.ReplaceAll(c.expression, internalKey, key)
		if c.mask != "" {
			columns[i] += " AS " + ident(c.name)
		}
	}
	sql := "SELECT " + strings.Join(columns, ",\n       ") + "\n  FROM " + ident(v.schema) + "." + ident(v.name)
	if v.limits {
		sql += "\n WHERE (" + v.rows.SQL(stand) + ")"
		if bound && len(v.rows.Uses) > 0 {
			// A login without values sees nothing, whatever the condition makes of NULL.
			names := make([]string, len(v.rows.Uses))
			for i, p := range v.rows.Uses {
				names[i] = literal(p.Name)
			}
			sql += "\n   AND (SELECT " + ident(internal) + ".parameters_bound(ARRAY[" + strings.Join(names, ", ") + "]))"
		}
	}
	return sql
}

// create is the statement that makes the view.
func (v *view) create() string {
	options := "security_barrier = true"
	if len(v.writes) > 0 && v.limits {
		options += ", check_option = cascaded" // what is written must be among what is seen
	}
	return "CREATE OR REPLACE VIEW " + v.qualified() + " WITH (" + options + ") AS\n" + v.query(func(p grants.Parameter) string {
		// A sub-select is evaluated once for a query; the function alone would be for every row.
		return "(SELECT " + ident(internal) + ".parameter_value(" + literal(p.Name) + ")::" + p.Type + ")"
	}, true, internalKey)
}

// probe is a query the server can check without anything of ours being there yet.
func (v *view) probe() string {
	return v.query(func(p grants.Parameter) string { return "NULL::" + p.Type }, false, `'\x00'::bytea`)
}

func (v *view) qualified() string { return ident(viewSchema(v.profile)) + "." + ident(v.name) }

// wants adds what visitors may do with the view, and what its owner needs of the base table for that.
func (v *view) wants(add func(entry)) {
	role, owner := grants.AccessRole(v.profile.Name), viewOwner(v.profile)
	onView := func(privilege string, columns ...string) {
		for _, c := range columns {
			add(entry{role: role, kind: onTable, schema: viewSchema(v.profile), object: v.name, column: c, privilege: privilege})
		}
	}
	onBase := func(privilege string, columns ...string) {
		for _, c := range columns {
			add(entry{role: owner, kind: onTable, schema: v.schema, object: v.name, column: c, privilege: privilege})
		}
	}
	onView("SELECT", "")
	onBase("SELECT", v.reads()...)
	for _, word := range v.writes {
		if word == "delete" {
			onView("DELETE", "")
			onBase("DELETE", "")
			continue
		}
		onView(strings.ToUpper(word), v.written()...)
		onBase(strings.ToUpper(word), v.written()...)
	}
	if len(v.rows.Uses) > 0 {
		add(entry{role: role, kind: onFunction, schema: internal, object: "parameter_value(text)", privilege: "EXECUTE"})
		add(entry{role: role, kind: onFunction, schema: internal, object: "parameters_bound(text[])", privilege: "EXECUTE"})
	}
	if v.hashes {
		add(entry{role: owner, kind: onTable, schema: internal, object: "hash_key", privilege: "SELECT"})
	}
}

// reads are the base columns the view's owner must be able to read.
func (v *view) reads() (names []string) {
	for _, c := range v.columns {
		if c.mask == "" || strings.Contains(c.expression, ident(c.name)) {
			names = append(names, c.name)
		}
	}
	for _, word := range v.rows.Words {
		if slices.Contains(v.base, word) && !slices.Contains(names, word) {
			names = append(names, word)
		}
	}
	if len(names) == 0 { // PostgreSQL wants a privilege on some column even for a query that reads none
		names = v.base[:1]
	}
	return names
}
