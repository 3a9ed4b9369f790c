package mysql

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/grants"
)

// Plan compares the server with what the profiles say and returns the statements that are missing, and no others: nothing
// when all is well. Statements may be run twice. Privileges that an access role has beyond its profile are revoked.
//
// A profile that cannot be compiled is a problem, and gets no step.
func (d *Driver) Plan(ctx context.Context, profiles []grants.Profile) (grants.Preparation, error) {
	s, err := d.survey(ctx, profiles)
	return s.prepared, failure("planning "+d.cfg.Target.Name, err)
}

// survey is what Plan and Check look at.
type survey struct {
	prepared grants.Preparation
	catalog  *catalog
	sound    []grants.Profile
}

func (d *Driver) survey(ctx context.Context, profiles []grants.Profile) (survey, error) {
	s := survey{prepared: grants.Preparation{Target: d.cfg.Target.Name}}
	for _, p := range profiles {
		if !applies(p) {
			continue
		}
		if refused := refusals(p); len(refused) > 0 {
			s.prepared.Problems = append(s.prepared.Problems, refused...)
			continue
		}
		s.sound = append(s.sound, p)
	}
	var err error
	if s.catalog, err = readCatalog(ctx, d.prepare, d.everyday.connector.cfg.User); err != nil {
		if n := number(err); n == errDenied || n == errDeniedNoPw {
			err = fail(grants.FailPrivilege, d.gettingIn(), "the login %s is refused", d.prepare.connector.cfg.User)
		}
		return s, err
	}
	s.add(s.catalog.base())
	c, databases := s.catalog, d.cfg.Target.Databases
	s.add(c.sight(databases), nil)
	s.add(c.roles(s.sound), nil)
	s.add(c.places(s.sound), nil)
	var views []view
	for _, p := range s.sound {
		made, problems := viewsOf(p, c, databases)
		views = append(views, made...)
		s.add(nil, problems)
	}
	// The views' owner must see the tables before there can be views, and views be there before anybody may see them.
	give, take, problems := c.privileges(s.sound, databases, views)
	s.add(c.statements("GRANT", "TO", slices.DeleteFunc(slices.Clone(give), func(p privilege) bool { return p.account != viewOwner })), problems)
	s.add(c.viewSteps(s.sound, views), nil)
	s.add(c.statements("GRANT", "TO", slices.DeleteFunc(slices.Clone(give), func(p privilege) bool { return p.account == viewOwner })), nil)
	s.add(c.statements("REVOKE", "FROM", take), nil)
	return s, nil
}

func (s *survey) add(steps []grants.PreparationStep, problems []string) {
	s.prepared.Steps = append(s.prepared.Steps, steps...)
	s.prepared.Problems = append(s.prepared.Problems, problems...)
}

// base is what every target needs, whatever the profiles: the ledger, the administrator, the dead man's switch.
func (c *catalog) base() (steps []grants.PreparationStep, problems []string) {
	wants := schema()
	for i, there := range []bool{
		c.schemas[ledger], c.ledger["cluster"], c.cluster == 1, c.ledger["logins"], c.ledger["profiles"], c.ledger["parameters"], c.ledger["bound_values"],
		c.ledger["views"], c.ledger["memory"], c.ledger["hash_key"], c.hashKey,
	} {
		if !there {
			steps = append(steps, wants[i])
		}
	}
	if c.ledger["logins"] && c.states != states {
		steps = append(steps, grants.PreparationStep{Why: "a row says how far its login has come, in the words of this version", SQL: "ALTER TABLE prodaccess.logins MODIFY state " + states + " NOT NULL"})
	}
	boot := c.flavour.bootstrap(c.admin)
	if _, exists := c.account(c.admin); !exists {
		steps = append(steps, boot[0])
	}
	if c.has[privilege{account: c.admin, word: "SUPER"}] {
		problems = append(problems, fmt.Sprintf("the administrator login %s has SUPER; make another that has not", c.admin))
	}
	needs := slices.Concat(c.flavour.adminGlobal(), c.flavour.adminOn())
	for i, n := range needs {
		missing := func(word string) bool {
			on := ""
			if n.database != "" {
				on = escape(strings.Trim(n.database, "`"))
			}
			return !c.has[privilege{account: c.admin, database: on, table: n.table, word: word}] && !c.has[privilege{account: c.admin, database: on, word: word}] && !c.has[privilege{account: c.admin, word: word}]
		}
		if slices.ContainsFunc(strings.Split(n.privilege, ", "), missing) {
			steps = append(steps, boot[1+i])
		}
	}
	return append(steps, c.deadmanSteps()...), problems
}

// roles are the access roles themselves, and the administrator's right to hand them out.
func (c *catalog) roles(profiles []grants.Profile) (steps []grants.PreparationStep) {
	for _, p := range profiles {
		name := grants.AccessRole(p.Name)
		if k, exists := c.account(name); !exists {
			sql := "CREATE ROLE IF NOT EXISTS " + c.flavour.roleName(name)
			if c.flavour == mariadb {
				sql += " WITH ADMIN " + account(c.admin) // or whoever runs it becomes a member
			}
			steps = append(steps, grants.PreparationStep{Why: "it holds the privileges of profile " + p.Name + "; the administrator makes logins members of it", SQL: sql})
			if c.flavour == mariadb {
				continue
			}
		} else if !k.role {
			steps = append(steps, grants.PreparationStep{Why: name + " must not be able to log in", SQL: lock(name)})
		}
		if !c.hasMember(name, c.admin, true) {
			steps = append(steps, grants.PreparationStep{
				Why: "the administrator makes logins members of it",
				SQL: "GRANT " + c.flavour.roleName(name) + " TO " + account(c.admin) + " WITH ADMIN OPTION",
			})
		}
	}
	return steps
}

// sight lets the administrator see what there is in the target's databases, so that it can check and clean up, without
// reading a row.
func (c *catalog) sight(databases []string) (steps []grants.PreparationStep) {
	for _, database := range databases {
		if !c.schemas[database] {
			continue
		}
		for _, word := range []string{"REFERENCES", "SHOW VIEW"} {
			if !c.has[privilege{account: c.admin, database: escape(database), word: word}] && !c.has[privilege{account: c.admin, word: word}] {
				steps = append(steps, grants.PreparationStep{
					Why: "the administrator sees which tables there are, and no row of them",
					SQL: "GRANT REFERENCES, SHOW VIEW ON " + c.everythingIn(escape(database)) + " TO " + account(c.admin),
				})
				break
			}
		}
	}
	return steps
}

// privileges is the difference between what profiles want and what their roles, and the views' owner, have.
func (c *catalog) privileges(profiles []grants.Profile, databases []string, views []view) (give, take []privilege, problems []string) {
	want := map[privilege]bool{}
	for _, p := range profiles {
		w, bad := wanted(p, c, databases)
		maps.Copy(want, w)
		problems = append(problems, bad...)
	}
	for _, v := range views {
		v.wants(func(p privilege) { want[p] = true })
	}
	for p := range want {
		if !c.has[p] {
			give = append(give, p)
		}
	}
	ours := func(p privilege) bool {
		return p.account == viewOwner && unescape(p.database) != ledger ||
			slices.ContainsFunc(profiles, func(x grants.Profile) bool { return grants.AccessRole(x.Name) == p.account })
	}
	for p := range c.has {
		if ours(p) && (!want[p] || c.grantable[p]) {
			take = append(take, p)
		}
	}
	return give, take, problems
}

// statements are the GRANTs, or REVOKEs, for privileges.
func (c *catalog) statements(verb, preposition string, all []privilege) (steps []grants.PreparationStep) {
	for _, s := range group(all) {
		why := s.account + " needs this for its profile"
		switch {
		case verb == "REVOKE":
			why = s.account + " has more than its profile says"
		case s.account == viewOwner:
			why = "a view needs it"
		}
		steps = append(steps, grants.PreparationStep{Why: why, SQL: c.grant(verb, preposition, s)})
	}
	return steps
}

// statement is several privileges on one object.
type statement struct {
	privilege
	words []string
}

// group puts the privileges of one object together.
func group(all []privilege) []statement {
	by := map[privilege]*statement{}
	for _, p := range all {
		key := p
		key.word, key.column = "", ""
		s := by[key]
		if s == nil {
			s = &statement{privilege: key}
			by[key] = s
		}
		word := p.word
		if p.column != "" {
			word += " (" + ident(p.column) + ")"
		}
		s.words = append(s.words, word)
	}
	var out []statement
	for _, s := range by {
		slices.Sort(s.words)
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b statement) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.privilege.database, b.privilege.database),
			cmp.Compare(a.table, b.table), cmp.Compare(a.routine, b.routine))
	})
	return out
}

// grant writes the statement.
func (c *catalog) grant(verb, preposition string, s statement) string {
	return verb + " " + strings.Join(s.words, ", ") + " ON " + c.object(s.privilege) + " " + preposition + " " + c.flavour.grantee(s.account)
}

func (f flavour) grantee(name string) string {
	if name == viewOwner {
		return viewOwnerAccount()
	}
	return f.roleName(name)
}

// object is what a privilege is on, as GRANT takes it.
func (c *catalog) object(p privilege) string {
	switch {
	case p.routine != "":
		kind, name, _ := strings.Cut(p.routine, " ")
		return strings.ToUpper(kind) + " " + ident(unescape(p.database)) + "." + ident(name)
	case p.table != "":
		return ident(unescape(p.database)) + "." + ident(p.table)
	case p.database != "":
		return c.everythingIn(p.database)
	}
	return "*.*"
}

// everythingIn is all of what a pattern of escape's stands for, as this server's GRANT takes it.
func (c *catalog) everythingIn(pattern string) string {
	if c.literalNames {
		pattern = unescape(pattern)
	}
	return ident(pattern) + ".*"
}

// Apply runs a plan's statements, one after the other: neither server can undo one that changes accounts. What the login
// in use may not do is left out, and the error, FailPrivilege, lists those statements for somebody who may.
func (d *Driver) Apply(ctx context.Context, plan grants.Preparation) error {
	doing := "preparing " + d.cfg.Target.Name
	var left []string
	for _, s := range plan.Steps {
		_, err := change(ctx, d.prepare.db, s.SQL)
		if err == nil {
			continue
		}
		if reason, _ := reasonOf(number(err)); reason != grants.FailPrivilege {
			return failure(doing, failure(fmt.Sprintf("running %.200q", s.SQL), err))
		}
		left = append(left, s.SQL+";")
	}
	if len(left) > 0 {
		return failure(doing, fail(grants.FailPrivilege, "have somebody with more rights run:\n"+strings.Join(left, "\n"),
			"%d of %d statements need rights that %s does not have", len(left), len(plan.Steps), d.prepare.connector.cfg.User))
	}
	return nil
}
