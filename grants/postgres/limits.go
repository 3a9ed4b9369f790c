package postgres

import (
	"fmt"
	"slices"

	"github.com/prodaccess/prodaccess/grants"
)

// limits says whether a table of a profile is limited, and so not covered by privileges without a limit.
func limits(p grants.Profile, schema, table string) bool {
	return slices.ContainsFunc(p.Privileges, func(g grants.Privilege) bool {
		return limited(g) && (g.Schema == schema || g.Schema == everything) &&
			slices.ContainsFunc(g.Tables, func(name string) bool { return matches(name, table) })
	})
}

// limitsIn says whether a profile limits tables of a schema. What is made there later may be one of them, under whatever
// name it has at first.
func limitsIn(p grants.Profile, schema string) bool {
	return slices.ContainsFunc(p.Privileges, func(g grants.Privilege) bool {
		return limited(g) && (g.Schema == schema || g.Schema == everything)
	})
}

// unseen is advice about schemas in which a profile has all tables but those it limits, and so not those to come.
func (c *catalog) unseen(profiles []grants.Profile) (findings []grants.Finding) {
	for _, p := range profiles {
		for _, schema := range c.schemaNames() {
			all := slices.ContainsFunc(p.Privileges, func(g grants.Privilege) bool {
				return !limited(g) && slices.Equal(g.Tables, []string{everything}) && (g.Schema == schema || g.Schema == everything) &&
					slices.ContainsFunc(g.Privileges, func(word string) bool { return slices.Contains(tableWords, word) })
			})
			if all && limitsIn(p, schema) {
				findings = append(findings, grants.Finding{
					Advice: true, Database: c.database,
					What: fmt.Sprintf("profile %s limits tables of schema %s: it does not see tables that are made there, one that takes a limited "+
						"table's place included, before the next apply", p.Name, schema),
					Mend: "`prodaccess targets apply` after each migration",
				})
			}
		}
	}
	return findings
}
