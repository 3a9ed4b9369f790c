package mysql

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/rowlimit"
)

// everything stands for all tables of a database, those to come included, and for all databases of the target.
const everything = "*"

// inEach is Postgres' usual schema, which every database has there. Here it means every database of the target, so that
// one profile can serve both engines.
const inEach = "public"

// tableWords are the privileges of a profile that tables have.
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
	if len(p.MemberOf) > 0 {
		refuse("MySQL and MariaDB bring no roles along; leave member_of out, or name the engine postgres")
	}
	for _, problem := range rowlimit.Problems(p, dialect) {
		refuse("%s", problem)
	}
	for _, g := range p.Privileges {
		if g.Schema == "" || len(g.Tables)+len(g.Functions)+len(g.Sequences) == 0 || len(g.Privileges) == 0 {
			refuse("each entry needs a schema (here: a database), tables or functions, and privileges")
		}
		if len(g.Tables) > 1 && slices.Contains(g.Tables, everything) {
			refuse(`"*" stands alone in a list of tables`)
		}
		if limited(g) && !slices.Contains(g.Privileges, "select") {
			refuse("an entry with rows or a mask needs select")
		}
		for _, word := range g.Privileges {
			switch {
			case slices.Contains(tableWords, word), word == "execute", word == "usage":
			case word == "create":
				refuse("create is not given out on MySQL: what a visitor makes there has no owner, so nobody could tell afterwards what is whose")
			default:
				refuse("the privilege %q is not supported; there are select, insert, update, delete, execute", word)
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
	return len(p.Engines) == 0 || slices.Contains(p.Engines, "mysql")
}

// wanted compiles a profile against what the server holds.
func wanted(p grants.Profile, c *catalog, databases []string) (want map[privilege]bool, problems []string) {
	want = map[privilege]bool{}
	role := grants.AccessRole(p.Name)
	for _, g := range p.Privileges {
		if limited(g) {
			continue // by views
		}
		in, problem := databasesOf(p, g, c, databases)
		problems = append(problems, problem...)
		for _, database := range in {
			add := func(e privilege) {
				e.account, e.database = role, escape(database)
				want[e] = true
			}
			for _, word := range g.Privileges {
				problems = append(problems, wantIn(c, p, g, database, word, len(in) > 1, add)...)
			}
		}
	}
	return want, problems
}

// databasesOf is where an entry holds: a database of the target by name, or all of them.
func databasesOf(p grants.Profile, g grants.Privilege, c *catalog, databases []string) (in, problems []string) {
	in = databases
	if g.Schema != everything && g.Schema != inEach {
		if !slices.Contains(databases, g.Schema) {
			return nil, []string{fmt.Sprintf("profile %s: the target's list of databases has no %s", p.Name, g.Schema)}
		}
		in = []string{g.Schema}
	}
	for _, database := range in {
		if !c.schemas[database] {
			problems = append(problems, fmt.Sprintf("profile %s: there is no database %s", p.Name, database))
		}
	}
	return in, problems
}

func wantIn(c *catalog, p grants.Profile, g grants.Privilege, database, word string, several bool, add func(privilege)) (problems []string) {
	upper := strings.ToUpper(word)
	switch word {
	case "usage": // sequences are Postgres'
		return nil
	case "execute":
		if slices.Equal(g.Tables, []string{everything}) || slices.Equal(g.Functions, []string{everything}) {
			add(privilege{word: upper})
			return nil
		}
		for _, name := range g.Functions {
			add(privilege{word: upper, routine: "function " + name})
		}
		return nil
	}
	hidden := limitedIn(c, p, database)
	if slices.Equal(g.Tables, []string{everything}) && !mayLimit(p, database) {
		add(privilege{word: upper})
		return nil
	}
	for _, name := range g.Tables {
		found := slices.DeleteFunc(c.matching(database, name), func(table string) bool { return hidden[table] })
		if len(found) == 0 && !several && name != everything {
			problems = append(problems, fmt.Sprintf("profile %s: database %s has no table %s", p.Name, database, name))
		}
		for _, table := range found {
			if len(g.Columns) == 0 {
				add(privilege{word: upper, table: table})
			}
			for _, column := range g.Columns {
				if !slices.ContainsFunc(c.tables[database][table], named(column)) {
					problems = append(problems, fmt.Sprintf("profile %s: table %s.%s has no column %s", p.Name, database, table, column))
					continue
				}
				add(privilege{word: upper, table: table, column: column})
			}
		}
	}
	return problems
}

// limited says whether a privilege narrows what is seen.
func limited(g grants.Privilege) bool { return g.Rows != "" || len(g.Mask) > 0 }

// mayLimit says whether a profile narrows tables of a database, those included that are yet to come. Then nothing is granted
// on the database as a whole: a narrowed table that is made after the last `targets apply` would be reached past its limit.
func mayLimit(p grants.Profile, database string) bool {
	return slices.ContainsFunc(p.Privileges, func(g grants.Privilege) bool { return limitsIn(g, database) })
}

func limitsIn(g grants.Privilege, database string) bool {
	return limited(g) && slices.Contains([]string{database, everything, inEach}, g.Schema)
}

// limitedIn are the tables of a database that a profile narrows: no other entry of it reaches them.
func limitedIn(c *catalog, p grants.Profile, database string) map[string]bool {
	hidden := map[string]bool{}
	for _, g := range p.Privileges {
		if limitsIn(g, database) {
			for _, name := range g.Tables {
				for _, table := range c.matching(database, name) {
					hidden[table] = true
				}
			}
		}
	}
	return hidden
}

func named(name string) func(column) bool {
	return func(c column) bool { return c.name == name }
}

// matching are the tables of a database that a name or a pattern means, in order.
func (c *catalog) matching(database, name string) (found []string) {
	for table := range c.tables[database] {
		if table == name {
			return []string{table}
		}
		if ok, err := path.Match(name, table); err == nil && ok && strings.Contains(name, "*") {
			found = append(found, table)
		}
	}
	slices.Sort(found)
	return found
}
