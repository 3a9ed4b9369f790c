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
	for i, grant := range a.Grants {
		for _, table := range grant.Tables {
			for _, privilege := range grant.Privileges {
				if gained := exceedsOn(a, b, i, table, privilege); gained != "" {
					return gained
				}
			}
		}
		if gained := grant.beyondNames(b.Grants); gained != "" {
			return gained
		}
	}
	return ""
}

// beyondNames is the first sequence or function of a grant that none of the others names. A grant that limits tables gives
// neither.
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
					return other.Schema == g.Schema && (g.limits() || !other.limits()) && slices.Contains(other.Privileges, privilege) &&
						(slices.Contains(other.Tables, "*") || covered(of.names(other), name))
				}) {
					return fmt.Sprintf("%s on the %s %s.%s", privilege, of.kind, g.Schema, name)
				}
			}
		}
	}
	return ""
}
