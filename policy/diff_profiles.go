package policy

import (
	"fmt"
	"slices"
)

// diffProfiles compares what profiles let one do, whoever may have them. Profiles that only one policy has are left to
// the rules: what is not offered reaches nobody.
func diffProfiles(old, new *Policy) []ProfileDifference {
	var out []ProfileDifference
	for _, after := range new.profiles {
		before, ok := old.Profile(after.Name)
		if !ok || before.Version() == after.Version() {
			continue
		}
		d := ProfileDifference{Profile: after.Name}
		if gained := beyond(after, before); gained != "" {
			d.Wider, d.What = true, "gains "+gained
		}
		if lost := beyond(before, after); lost != "" {
			d.Narrower = true
			if d.What != "" {
				d.What += "; "
			}
			d.What += "loses " + lost
		}
		if d.What == "" {
			d.What = "is written otherwise and reaches the same"
		}
		out = append(out, d)
	}
	return out
}

// beyond is the first thing a lets one do that b does not; empty when there is none. It takes texts it cannot compare,
// such as row conditions, for different reach.
func beyond(a, b Profile) string {
	for _, engine := range engineNames {
		in := func(p Profile) bool { return len(p.Engines) == 0 || slices.Contains(p.Engines, engine) }
		if in(a) && !in(b) {
			return "the engine " + engine
		}
	}
	// 0 leaves a limit to the driver or the server, which may be anything.
	if b.ConnectionLimit > 0 && (a.ConnectionLimit == 0 || a.ConnectionLimit > b.ConnectionLimit) {
		return fmt.Sprintf("connections beyond %d", b.ConnectionLimit)
	}
	if b.StatementTimeout > 0 && (a.StatementTimeout == 0 || a.StatementTimeout > b.StatementTimeout) {
		return "statements longer than " + FormatDuration(b.StatementTimeout)
	}
	for _, parameter := range b.Parameters {
		if parameter.Required && !slices.ContainsFunc(a.Parameters, func(p Parameter) bool { return p.Name == parameter.Name && p.Required }) {
			return "requests without " + parameter.Name
		}
	}
	for _, grant := range a.Grants {
		for _, table := range grant.Tables {
			for _, privilege := range grant.Privileges {
				if !slices.ContainsFunc(b.Grants, func(other ProfileGrant) bool { return other.includes(grant, table, privilege) }) {
					return fmt.Sprintf("%s on %s.%s", privilege, grant.Schema, table) + narrowed(grant)
				}
			}
		}
	}
	return ""
}

// includes says whether a grant alone lets one do what another does with one table and privilege.
func (g ProfileGrant) includes(other ProfileGrant, table, privilege string) bool {
	if g.Schema != other.Schema || !slices.Contains(g.Tables, table) && !slices.Contains(g.Tables, "*") || !slices.Contains(g.Privileges, privilege) {
		return false
	}
	if g.Rows != "" && g.Rows != other.Rows || len(g.Columns) > 0 && (len(other.Columns) == 0 || !covers(g.Columns, other.Columns)) {
		return false
	}
	for column, how := range g.Mask {
		if other.Mask[column] != how {
			return false
		}
	}
	return true
}

func narrowed(g ProfileGrant) string {
	switch {
	case g.Rows != "":
		return " where " + g.Rows
	case len(g.Columns) > 0:
		return fmt.Sprintf(" (columns %s)", join(g.Columns, "and"))
	}
	return ""
}
