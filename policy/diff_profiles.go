package policy

import (
	"fmt"
	"slices"
	"strings"
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
		if a.on(engine) && !b.on(engine) {
			return "the engine " + engine
		}
	}
	for _, parameter := range b.Parameters {
		if parameter.Required && !slices.ContainsFunc(a.Parameters, func(p Parameter) bool { return p.Name == parameter.Name && p.Required }) {
			return "requests without " + parameter.Name
		}
	}
	return exceeds(a, b)
}

// exceeds is the first thing a login with a can do that one with b cannot; empty when there is none.
func exceeds(a, b Profile) string {
	// 0 leaves a limit to the driver or the server, which may be anything.
	if b.ConnectionLimit > 0 && (a.ConnectionLimit == 0 || a.ConnectionLimit > b.ConnectionLimit) {
		return fmt.Sprintf("connections beyond %d", b.ConnectionLimit)
	}
	if b.StatementTimeout > 0 && (a.StatementTimeout == 0 || a.StatementTimeout > b.StatementTimeout) {
		return "statements longer than " + FormatDuration(b.StatementTimeout)
	}
	if b.LockTimeout > 0 && (a.LockTimeout == 0 || a.LockTimeout > b.LockTimeout) {
		return "waits for locks longer than " + FormatDuration(b.LockTimeout)
	}
	if b.IdleInTransactionTimeout > 0 && (a.IdleInTransactionTimeout == 0 || a.IdleInTransactionTimeout > b.IdleInTransactionTimeout) {
		return "idle transactions longer than " + FormatDuration(b.IdleInTransactionTimeout)
	}
	for _, role := range a.MemberOf {
		if !slices.Contains(b.MemberOf, role) {
			return "membership in " + role
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
		if gained := grant.beyondNames(b.Grants); gained != "" {
			return gained
		}
	}
	// A limit of its own takes a table out of what "*" or a pattern covers, so b reaches less of it than its other grants say.
	for _, limited := range b.Grants {
		for _, table := range limited.Tables {
			if limited.limits() && !a.limitsTable(limited.Schema, table) && a.reaches(limited.Schema, table) {
				return fmt.Sprintf("%s.%s without its rows or mask", limited.Schema, table)
			}
		}
	}
	return ""
}

// covered says whether a list of names and patterns has a name, or the same pattern, or "*".
func covered(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		return n == name || n == "*" || strings.Contains(n, "*") && !strings.Contains(name, "*") && wildcard(n, name)
	})
}

// limits says whether the grant narrows rows or masks columns.
func (g ProfileGrant) limits() bool { return g.Rows != "" || len(g.Mask) > 0 }

func (p Profile) limitsTable(schema, table string) bool {
	return slices.ContainsFunc(p.Grants, func(g ProfileGrant) bool {
		return g.limits() && g.Schema == schema && covered(g.Tables, table)
	})
}

// reaches says whether any grant may cover the table; of two patterns it takes the worst.
func (p Profile) reaches(schema, table string) bool {
	return slices.ContainsFunc(p.Grants, func(g ProfileGrant) bool {
		return (g.Schema == schema || g.Schema == "*" || schema == "*") && slices.ContainsFunc(g.Tables, func(name string) bool {
			return name == table || strings.Contains(name, "*") || strings.Contains(table, "*")
		})
	})
}

// beyondNames is the first sequence or function of a grant that none of the others names.
func (g ProfileGrant) beyondNames(others []ProfileGrant) string {
	for _, privilege := range g.Privileges {
		for _, of := range []struct {
			kind  string
			names func(ProfileGrant) []string
		}{
			{"sequence", func(g ProfileGrant) []string { return g.Sequences }},
			{"function", func(g ProfileGrant) []string { return g.Functions }},
		} {
			for _, name := range of.names(g) {
				if !slices.ContainsFunc(others, func(other ProfileGrant) bool {
					return other.Schema == g.Schema && slices.Contains(other.Privileges, privilege) &&
						(slices.Contains(other.Tables, "*") || covered(of.names(other), name))
				}) {
					return fmt.Sprintf("%s on the %s %s.%s", privilege, of.kind, g.Schema, name)
				}
			}
		}
	}
	return ""
}

// includes says whether a grant alone lets one do what another does with one table and privilege.
func (g ProfileGrant) includes(other ProfileGrant, table, privilege string) bool {
	if g.Schema != other.Schema || !covered(g.Tables, table) || !slices.Contains(g.Privileges, privilege) {
		return false
	}
	if g.Rows != "" && g.Rows != other.Rows || len(g.Columns) > 0 && (len(other.Columns) == 0 || !covers(g.Columns, other.Columns)) {
		return false
	}
	for column, how := range g.Mask {
		if mask := other.Mask[column]; mask != how && !blank(mask) {
			return false
		}
	}
	return true
}

// blank says whether a mask shows nothing of the value, not even whether two are the same.
func blank(mask string) bool {
	return mask == "hide" || mask == "null" || strings.HasPrefix(mask, "constant:")
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
