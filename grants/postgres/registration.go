package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/grants"
)

// The functions accept the stamps of installations that a plan registered, and no others': whoever stole the administrator's
// password could otherwise make logins that no sweep looks at. What is registered is the comment of the functions' owner. It
// is the same in every database, so that it cannot differ between them; every installation of the cluster adds itself and
// takes nobody away; and who can write it (a superuser; up to 15 also CREATEROLE, which can become the owner) could as well
// change the functions.

// registeredMark begins the comment; the installations follow, with a space between them. is_registered reads it.
const registeredMark = "prodaccess installations="

// readRegistered reads such a comment. Anybody's own comment registers nobody.
func readRegistered(comment string) []string {
	list, ok := strings.CutPrefix(comment, registeredMark)
	if !ok {
		return nil
	}
	return strings.Fields(list)
}

// register adds an installation. The list is read when the statement runs, so that what was registered since the plan was made
// stays.
func register(installation string) grants.PreparationStep {
	mark, id := literal(registeredMark), literal(installation)
	comment := "COALESCE(pg_catalog.shobj_description('" + functionsOwner + "'::pg_catalog.regrole, 'pg_authid'), '')"
	return grants.PreparationStep{
		Why: "the functions accept the logins of this installation, " + installation + ", and of those that are registered already",
		SQL: "DO $prodaccess$ DECLARE listed text[] := CASE WHEN pg_catalog.starts_with(" + comment + ", " + mark + ")" +
			" THEN pg_catalog.string_to_array(pg_catalog.substr(" + comment + fmt.Sprintf(", %d), ' ') ELSE '{}' END; BEGIN\n", len(registeredMark)+1) +
			"  IF NOT " + id + " = ANY (listed) THEN\n" +
			"    EXECUTE pg_catalog.format('COMMENT ON ROLE " + functionsOwner + " IS %L', " + mark +
			" || pg_catalog.array_to_string(listed || " + id + "::text, ' '));\n" +
			"  END IF;\nEND $prodaccess$",
	}
}

// registration is what a plan does about an installation.
func (l *leastPrivilege) registration(installation string) (steps []grants.PreparationStep) {
	if installation != grants.UnknownInstallation && !slices.Contains(l.registered, installation) {
		steps = append(steps, register(installation))
	}
	return steps
}

// unsure says that nobody knows whether this installation is registered.
func (l *leastPrivilege) unsure(installation string) string {
	if l == nil || installation != grants.UnknownInstallation {
		return ""
	}
	return "the store does not say which installation this is, so whether the functions accept its logins is not known; look again when the store answers"
}

// registrationFindings are what check says about who is registered, as advice: that nobody knows, and who else is.
func (l *leastPrivilege) registrationFindings(installation string) (findings []grants.Finding) {
	if unsure := l.unsure(installation); unsure != "" {
		return []grants.Finding{{What: unsure, Mend: "store.url in the configuration, and whether the server runs", Advice: true}}
	}
	for i, other := range l.registered {
		if other == installation {
			continue
		}
		without := slices.Concat(l.registered[:i], l.registered[i+1:])
		findings = append(findings, grants.Finding{
			What: "the functions accept logins of installation " + other + ", which no sweep of this one looks at", Advice: true,
			Mend: "unless that is another prodaccess of yours on this cluster: COMMENT ON ROLE " + functionsOwner + " IS " +
				literal(registeredMark+strings.Join(without, " ")),
		})
	}
	return findings
}
