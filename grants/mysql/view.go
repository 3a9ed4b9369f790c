package mysql

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/rowlimit"
)

// viewOwner is the definer of every view of ours: an account that is locked, has no password, and may read what the views
// need and nothing else. It is no name of a login, which all begin with the prefix.
const viewOwner = ledger + "_views"

func viewOwnerAccount() string { return "'" + viewOwner + "'@'localhost'" }

// barrier keeps a query's own conditions out of the view: the server has to find the view's rows first. Without it a
// condition that fails, or takes long, on a row outside the limit would tell of that row.
const barrier = " LIMIT 18446744073709551615"

// view is a table as a profile with masks or row limits shows it. It is in a database that is called like the access role,
// which is where the profile's holders are told to connect, so that a table's plain name means the view.
type view struct {
	profile  grants.Profile
	database string // of the base table
	name     string // of the base table, and of the view
	columns  []viewColumn
	base     []column
	rows     rowlimit.Limit
	limits   bool     // rows has a text
	writes   []string // insert, update, delete
	// plain is a table that the profile does not narrow: the view is there so that its name is found as well, and works
	// with the privileges of whoever asks.
	plain bool
}

type viewColumn struct {
	name       string
	expression string
	mask       string
}

func hasViews(p grants.Profile) bool { return slices.ContainsFunc(p.Privileges, limited) }

// home is the database that holders of a profile connect to, "" for the target's own.
func home(p grants.Profile) string {
	if hasViews(p) {
		return grants.AccessRole(p.Name)
	}
	return ""
}

// viewsOf compiles what a profile limits.
func viewsOf(p grants.Profile, c *catalog, databases []string) (views []view, problems []string) {
	if !hasViews(p) {
		return nil, nil
	}
	taken := map[string]string{}
	for _, narrow := range []bool{true, false} {
		for _, g := range p.Privileges {
			if limited(g) != narrow || len(g.Tables) == 0 {
				continue
			}
			in, problem := databasesOf(p, g, c, databases)
			if narrow {
				problems = append(problems, problem...)
			}
			for _, database := range in {
				made, bad := viewsIn(p, g, c, database, taken, len(in) > 1)
				views = append(views, made...)
				problems = append(problems, bad...)
			}
		}
	}
	return views, problems
}

func viewsIn(p grants.Profile, g grants.Privilege, c *catalog, database string, taken map[string]string, several bool) (views []view, problems []string) {
	rows, err := rowlimit.Parse(g.Rows, p.Parameters, dialect)
	if err != nil {
		return nil, nil // refusals has said so
	}
	for _, pattern := range g.Tables {
		found := c.matching(database, pattern)
		if len(found) == 0 && limited(g) && !several {
			problems = append(problems, fmt.Sprintf("profile %s: database %s has no table %s", p.Name, database, pattern))
		}
		for _, name := range found {
			other, twice := taken[name]
			if !limited(g) && twice {
				continue // its privileges are those on the table itself
			}
			if twice {
				problems = append(problems, fmt.Sprintf("profile %s: tables %s.%s and %s.%s would be the same view; limit them in one entry, or in two profiles", p.Name, other, name, database, name))
				continue
			}
			taken[name] = database
			v := view{profile: p, database: database, name: name, base: c.tables[database][name], rows: rows, limits: g.Rows != "", plain: !limited(g)}
			problems = append(problems, v.fill(g)...)
			views = append(views, v)
		}
	}
	return views, problems
}

// fill adds the columns a visitor sees, and what may be written.
func (v *view) fill(g grants.Privilege) (problems []string) {
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf("profile %s: table %s.%s: ", v.profile.Name, v.database, v.name)+fmt.Sprintf(format, args...))
	}
	for _, name := range g.Columns {
		if !slices.ContainsFunc(v.base, named(name)) {
			problem("it has no column %s", name)
		}
	}
	for name := range g.Mask {
		if !slices.ContainsFunc(v.base, named(name)) {
			problem("it has no column %s to mask", name)
		}
	}
	hashes := false
	for _, c := range v.base {
		if len(g.Columns) > 0 && !slices.Contains(g.Columns, c.name) {
			if g.Mask[c.name] != "" {
				problem("the mask is for column %s, which columns leaves out", c.name)
			}
			continue
		}
		shows := viewColumn{name: c.name, expression: ident(c.name)}
		if how := g.Mask[c.name]; how != "" {
			expression, err := masked(how, c)
			if err != nil {
				problem("column %s: %v", c.name, err)
				continue
			}
			shows = viewColumn{name: c.name, expression: expression, mask: how}
			hashes = hashes || how == "hash"
		}
		v.columns = append(v.columns, shows)
	}
	if len(v.columns) == 0 {
		problem("no column is left to see")
	}
	for _, word := range g.Privileges {
		if slices.Contains([]string{"insert", "update", "delete"}, word) {
			v.writes = append(v.writes, word)
		}
	}
	if hashes && len(v.writes) > 0 {
		problem("a view with a hash cannot be written through on MySQL; use another mask")
	}
	v.clocks(problem)
	return problems
}

// clocks refuses limits that the session's time zone, which its holder sets, would move.
func (v *view) clocks(problem func(string, ...any)) {
	takes := func(kind string) bool {
		return slices.ContainsFunc(v.rows.Uses, func(p grants.Parameter) bool { return p.Type == kind })
	}
	for _, c := range v.base {
		if !slices.Contains(v.rows.Words, strings.ToLower(c.name)) {
			continue
		}
		switch {
		case c.kind == "timestamp" && (!takes("timestamptz") || takes("date")):
			problem("rows compare %s, a TIMESTAMP, with something that the session's time zone moves; compare it with a parameter of type timestamptz", c.name)
		case (c.kind == "datetime" || c.kind == "date") && takes("timestamptz"):
			problem("rows compare %s, which knows no time zone, with a timestamptz; use a date", c.name)
		}
	}
}

func (v *view) schema() string    { return grants.AccessRole(v.profile.Name) }
func (v *view) qualified() string { return ident(v.schema()) + "." + ident(v.name) }

// create is the statement that makes the view.
func (v *view) create(f flavour) string {
	columns := make([]string, len(v.columns))
	for i, c := range v.columns {
		columns[i] = c.expression
		if c.mask != "" {
			columns[i] += " AS " + ident(c.name)
		}
	}
	security, algorithm := "DEFINER", "UNDEFINED"
	if v.plain {
		security, algorithm = "INVOKER", "MERGE"
	}
	sql := "CREATE OR REPLACE ALGORITHM = " + algorithm + " DEFINER = " + viewOwnerAccount() + " SQL SECURITY " + security + " VIEW " + v.qualified() +
		" AS SELECT " + strings.Join(columns, ", ") + " FROM " + ident(v.database) + "." + ident(v.name)
	if !v.limits {
		return sql
	}
	sql += " WHERE (" + v.rows.SQL(f.value) + ")"
	if len(v.rows.Uses) > 0 {
		sql += " AND " + bound(v.rows.Uses)
	}
	if len(v.writes) > 0 {
		return sql + " WITH CASCADED CHECK OPTION" // what is written must be among what is seen
	}
	return sql + barrier
}

// record writes down what was made, and what the server makes of it, so that a change by anybody is found.
func (v *view) record(f flavour) string {
	return "REPLACE INTO prodaccess.views (schema_name, view_name, ours, theirs) SELECT TABLE_SCHEMA, TABLE_NAME, " + literal(v.digest(f)) +
		", SHA2(VIEW_DEFINITION, 256) FROM information_schema.VIEWS WHERE TABLE_SCHEMA = " + literal(v.schema()) + " AND TABLE_NAME = " + text(v.name)
}

func (v *view) digest(f flavour) string {
	sum := sha256.Sum256([]byte(v.create(f)))
	return hex.EncodeToString(sum[:])
}

// stands says whether the view is there as it was made, and as it would be made today.
func (v *view) stands(c *catalog) bool {
	is, exists := c.views[v.schema()][v.name]
	was, known := c.recorded[v.schema()+"."+v.name]
	security := "DEFINER"
	if v.plain {
		security = "INVOKER"
	}
	return exists && known && was == [2]string{v.digest(c.flavour), is.digest} && is.definer == viewOwner+"@localhost" && is.security == security
}

// wants adds what visitors may do with the view, and what its owner needs of the base table for that.
func (v *view) wants(add func(privilege)) {
	role := grants.AccessRole(v.profile.Name)
	onView := func(word string, columns ...string) {
		for _, c := range columns {
			add(privilege{account: role, database: escape(v.schema()), table: v.name, column: c, word: word})
		}
	}
	onBase := func(word string, columns ...string) {
		for _, c := range columns {
			add(privilege{account: viewOwner, database: escape(v.database), table: v.name, column: c, word: word})
		}
	}
	onView("SELECT", "")
	for _, word := range v.writes {
		switch {
		case word == "delete", v.plain:
			onView(strings.ToUpper(word), "")
		default:
			onView(strings.ToUpper(word), v.written()...)
		}
	}
	if v.plain {
		return
	}
	onBase("SELECT", v.reads()...)
	for _, word := range v.writes {
		if word == "delete" {
			onBase("DELETE", "")
			continue
		}
		onBase(strings.ToUpper(word), v.written()...)
	}
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

// reads are the base columns the view's owner must be able to read.
func (v *view) reads() (names []string) {
	for _, c := range v.base {
		shows := slices.ContainsFunc(v.columns, func(x viewColumn) bool { return strings.Contains(x.expression, ident(c.name)) })
		if shows || slices.Contains(v.rows.Words, strings.ToLower(c.name)) {
			names = append(names, c.name)
		}
	}
	if len(names) == 0 {
		names = []string{v.base[0].name}
	}
	return names
}
