package postgres

import (
	"path"
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/grants"
)

// internal is the schema of ours in each database, and the role that owns it: the values of parameters, the key of hash
// masks. Nobody can become that role.
const internal = grants.Prefix + "internal"

// viewOwner owns a profile's views. It may read the base columns they need, and is nobody's role: no login is a member.
func viewOwner(p grants.Profile) string { return grants.AccessRole(p.Name) + "__views" }

// durableOwner owns what holders of a profile with CREATE make, and goes on owning it after them.
func durableOwner(p grants.Profile) string { return grants.AccessRole(p.Name) + "__owner" }

// viewSchema holds a profile's views. It is called like the access role.
func viewSchema(p grants.Profile) string { return grants.AccessRole(p.Name) }

// limited says whether a privilege narrows what is seen.
func limited(g grants.Privilege) bool { return g.Rows != "" || len(g.Mask) > 0 }

func hasViews(p grants.Profile) bool { return slices.ContainsFunc(p.Privileges, limited) }

func creates(p grants.Profile) bool {
	return slices.ContainsFunc(p.Privileges, func(g grants.Privilege) bool { return slices.Contains(g.Privileges, "create") })
}

// rolesOf lists every role that exists for a profile, the access role first.
func rolesOf(p grants.Profile) []string {
	roles := []string{grants.AccessRole(p.Name)}
	if hasViews(p) {
		roles = append(roles, viewOwner(p))
	}
	if creates(p) {
		roles = append(roles, durableOwner(p))
	}
	return roles
}

// isPattern says whether a name of a profile stands for several.
func isPattern(name string) bool { return strings.Contains(name, "*") }

// matches says whether a name fits a profile's name or pattern, in which * stands for any text and nothing else is special.
func matches(pattern, name string) bool {
	if !isPattern(pattern) {
		return pattern == name
	}
	// path.Match stops at slashes, which names in databases may have.
	escape := strings.NewReplacer(`\`, `\\`, `?`, `\?`, `[`, `\[`)
	ok, err := path.Match(strings.ReplaceAll(escape.Replace(pattern), "/", "\x01"), strings.ReplaceAll(name, "/", "\x01"))
	return err == nil && ok
}
