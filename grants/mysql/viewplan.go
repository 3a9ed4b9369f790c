package mysql

import (
	"fmt"
	"maps"
	"slices"

	"github.com/prodaccess/prodaccess/grants"
)

// viewsRole is a role of MySQL's that holds nothing, and that the views' owner begins with. Without one, a MySQL (9.7 at
// least) refuses every view with a WHERE to whoever has an active role: it looks for the owner's right to the condition's
// columns only where the owner has roles too.
const viewsRole = ledger + "_views_role"

// places are what profiles with limits need before anything can be granted: their databases, their parameters and the
// views' owner.
func (c *catalog) places(profiles []grants.Profile) (steps []grants.PreparationStep) {
	add := func(why, sql string) { steps = append(steps, grants.PreparationStep{Why: why, SQL: sql}) }
	if slices.ContainsFunc(profiles, hasViews) {
		if _, exists := c.account(viewOwner); !exists {
			add("it owns the views, and nobody can log in as it", "CREATE USER IF NOT EXISTS "+viewOwnerAccount()+" ACCOUNT LOCK")
		} else if k, _ := c.account(viewOwner); !k.locked {
			add("nobody may log in as the views' owner", "ALTER USER "+viewOwnerAccount()+" ACCOUNT LOCK")
		}
		if c.flavour == mysql && !c.viewsRole {
			why := "a server of this kind shows rows through a view only if its owner has a role, be it an empty one"
			add(why, "CREATE ROLE IF NOT EXISTS "+account(viewsRole))
			add(why, "GRANT "+account(viewsRole)+" TO "+viewOwnerAccount())
			add(why, "SET DEFAULT ROLE "+account(viewsRole)+" TO "+viewOwnerAccount())
		}
		for _, table := range []string{"bound_values", "hash_key"} {
			if !c.has[privilege{account: viewOwner, database: ledger, table: table, word: "SELECT"}] {
				add("views look up values and the key of hashes", "GRANT SELECT ON prodaccess."+table+" TO "+viewOwnerAccount())
			}
		}
	}
	for _, p := range profiles {
		role, at := grants.AccessRole(p.Name), home(p)
		if at != "" && !c.schemas[at] {
			add("what profile "+p.Name+" shows is here", "CREATE DATABASE IF NOT EXISTS "+ident(at)+" CHARACTER SET utf8mb4")
		}
		if at != "" && !(c.has[privilege{account: c.admin, database: escape(at), word: "SHOW VIEW"}] && c.has[privilege{account: c.admin, database: escape(at), word: "SELECT"}]) {
			// A view's text is shown to who may read through it. That is nothing new: it may hand out the role as well.
			add("the administrator finds views that somebody changed", "GRANT SELECT, SHOW VIEW ON "+c.everythingIn(escape(at))+" TO "+account(c.admin))
		}
		if is, known := c.profiles[role]; !known || is != at {
			add("where holders of profile "+p.Name+" connect", "REPLACE INTO prodaccess.profiles (access_role, home) VALUES ("+literal(role)+", "+literal(at)+")")
		}
		want := map[string]string{}
		for _, parameter := range p.Parameters {
			want[parameter.Name] = parameter.Type + " " + map[bool]string{true: "1", false: "0"}[parameter.Required]
		}
		if maps.Equal(want, c.parameters[role]) || len(want)+len(c.parameters[role]) == 0 {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(c.parameters[role])) {
			if _, still := want[name]; !still {
				add("profile "+p.Name+" asks for it no more", "DELETE FROM prodaccess.parameters WHERE access_role = "+literal(role)+" AND name = "+text(name))
			}
		}
		for _, parameter := range p.Parameters {
			if c.parameters[role][parameter.Name] != want[parameter.Name] {
				add("profile "+p.Name+" asks for it", fmt.Sprintf("REPLACE INTO prodaccess.parameters (access_role, name, type, required) VALUES (%s, %s, %s, %t)",
					literal(role), text(parameter.Name), literal(parameter.Type), parameter.Required))
			}
		}
	}
	return steps
}

// viewSteps make what is missing or different, and drop what is too much.
func (c *catalog) viewSteps(profiles []grants.Profile, views []view) (steps []grants.PreparationStep) {
	wanted := map[string]bool{}
	for _, v := range views {
		wanted[v.schema()+"."+v.name] = true
		if v.stands(c) {
			continue
		}
		why := "profile " + v.profile.Name + " sees " + v.database + "." + v.name + " through it"
		if _, exists := c.views[v.schema()][v.name]; exists {
			why += "; it is not as it was made, or as the profile wants it now"
		}
		steps = append(steps, grants.PreparationStep{Why: why, SQL: v.create(c.flavour)},
			grants.PreparationStep{Why: "so that a change of it is noticed", SQL: v.record(c.flavour)})
	}
	for _, p := range profiles {
		schema := grants.AccessRole(p.Name)
		for _, name := range slices.Sorted(maps.Keys(c.views[schema])) {
			if !wanted[schema+"."+name] {
				steps = append(steps, grants.PreparationStep{Why: "profile " + p.Name + " does not show it", SQL: "DROP VIEW IF EXISTS " + ident(schema) + "." + ident(name)})
			}
		}
	}
	return steps
}
