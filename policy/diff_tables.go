package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Grants add up, except where one of them limits a table: the drivers take that table out of what every other grant of the
// profile covers. So a grant of "*" says nothing about a table that its own profile limits elsewhere, and two profiles are
// compared piece by piece: where b limits a table, with b's limit; everywhere else, with b's grants that limit nothing.

// exceedsOn is what grant i of profile a lets one do by a privilege with a table, or with the tables of a pattern, that b
// does not; empty when there is nothing. What it cannot compare, such as two row conditions, counts as more. A table that one
// profile limits twice is refused by the drivers, so each of the limits may be taken for the one that counts.
func exceedsOn(a, b Profile, i int, table, privilege string) string {
	grant, settled := a.Grants[i], false
	if grant.limits() || !slices.Contains([]string{"usage", "execute", "create"}, privilege) { // those are not about tables
		// "*" is also for tables to come, sequences and functions, which no limit takes away.
		pattern := grant.limits() || table != "*"
		if pattern && !grant.limits() && a.limitsAll(grant.Schema, table) {
			return ""
		}
		everywhere := []string{"*"}
		if a.on("mysql") && b.on("mysql") {
			everywhere = append(everywhere, "public") // there it stands for every database
		}
		for _, limit := range b.Grants {
			if !limit.limits() || limit.Schema != grant.Schema && !slices.Contains(everywhere, limit.Schema) && !slices.Contains(everywhere, grant.Schema) {
				continue
			}
			for _, limited := range limit.Tables {
				switch {
				case !meet(table, limited) || a.limitsBoth(i, table, limit, limited) || limit.gives(grant, privilege):
				case table == "*" || strings.Contains(table, "*") && !strings.Contains(limited, "*"):
					return beyondText(grant, limit, limit.Schema, limited, privilege)
				default:
					return beyondText(grant, limit, grant.Schema, table, privilege)
				}
			}
			settled = settled || pattern && limit.Schema == grant.Schema && covered(limit.Tables, table)
		}
	}
	if settled || slices.ContainsFunc(b.Grants, func(other ProfileGrant) bool {
		return !other.limits() && other.Schema == grant.Schema && covered(other.Tables, table) && other.gives(grant, privilege)
	}) {
		return ""
	}
	return fmt.Sprintf("%s on %s.%s", privilege, grant.Schema, table) + narrowed(grant)
}

func beyondText(grant, limit ProfileGrant, schema, table, privilege string) string {
	text := fmt.Sprintf("%s on %s.%s", privilege, schema, table)
	if !grant.limits() && slices.Contains(limit.Privileges, privilege) {
		return text + " without its rows or mask"
	}
	return text + narrowed(grant)
}

// limits says whether the grant narrows rows or masks columns.
func (g ProfileGrant) limits() bool { return g.Rows != "" || len(g.Mask) > 0 }

// limitsAll says whether a limit of the profile takes a table, or all tables of a pattern, out of its other grants.
func (p Profile) limitsAll(schema, table string) bool {
	return slices.ContainsFunc(p.Grants, func(g ProfileGrant) bool {
		return g.limits() && (g.Schema == schema || g.Schema == "*") && covered(g.Tables, table)
	})
}

// limitsBoth says whether another grant of the profile limits all that grant i's table and a table that another profile limits
// have in common. It is then that grant which has to be within the other profile's limit; where grant i is a limit too, it
// must be seen to be, because nothing says which of the two counts.
func (p Profile) limitsBoth(i int, table string, limit ProfileGrant, limited string) bool {
	grant := p.Grants[i]
	for j, other := range p.Grants {
		if j == i || !other.limits() || !slices.Contains([]string{"*", grant.Schema, limit.Schema}, other.Schema) ||
			!covered(other.Tables, table) && !covered(other.Tables, limited) {
			continue
		}
		if !grant.limits() || !slices.ContainsFunc(other.Privileges, func(privilege string) bool { return !limit.gives(other, privilege) }) {
			return true
		}
	}
	return false
}

// gives says whether a grant lets one do what another does by a privilege, wherever both are about the same table.
func (g ProfileGrant) gives(other ProfileGrant, privilege string) bool {
	if !slices.Contains(g.Privileges, privilege) || g.Rows != "" && g.Rows != other.Rows ||
		len(g.Columns) > 0 && (len(other.Columns) == 0 || !covers(g.Columns, other.Columns)) {
		return false
	}
	for column, how := range g.Mask {
		shows := len(other.Columns) == 0 || slices.Contains(other.Columns, column)
		if mask := other.Mask[column]; shows && mask != how && !blank(mask) {
			return false
		}
	}
	return true
}

// blank says whether a mask shows nothing of the value, not even whether two are the same.
func blank(mask string) bool {
	return mask == "hide" || mask == "null" || strings.HasPrefix(mask, "constant:")
}

// covered says whether a list of names and patterns has a name, or the same pattern, or "*".
func covered(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		return n == name || n == "*" || strings.Contains(n, "*") && !strings.Contains(name, "*") && wildcard(n, name)
	})
}

// meet says whether some table fits both of two names or patterns. Two patterns have one in common when their beginnings and
// their ends agree: the stars take in the rest of either.
func meet(a, b string) bool {
	headA, _, starA := strings.Cut(a, "*")
	headB, _, starB := strings.Cut(b, "*")
	switch {
	case !starA:
		return wildcard(b, a)
	case !starB:
		return wildcard(a, b)
	}
	tailA, tailB := a[strings.LastIndex(a, "*")+1:], b[strings.LastIndex(b, "*")+1:]
	return (strings.HasPrefix(headA, headB) || strings.HasPrefix(headB, headA)) &&
		(strings.HasSuffix(tailA, tailB) || strings.HasSuffix(tailB, tailA))
}

func narrowed(g ProfileGrant) string {
	switch {
	case g.Rows != "":
		return " where " + g.Rows
	case len(g.Columns) > 0:
		return fmt.Sprintf(" (columns %s)", join(g.Columns, "and"))
	case len(g.Mask) > 0:
		return fmt.Sprintf(" (masked: %s)", join(sortedKeys(g.Mask), "and"))
	}
	return ""
}
