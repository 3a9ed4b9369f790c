package postgres

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
)

// Plan compares the live catalogs with what the profiles say and returns the statements that are missing, and no others:
// nothing when all is well. Statements may be run twice, and piped into psql. Privileges that an access role has beyond
// its profile are revoked. Existing logins keep their way into databases that are closed to PUBLIC.
//
// A profile that cannot be compiled is a problem, and gets no step.
func (d *Driver) Plan(ctx context.Context, profiles []grants.Profile) (grants.Preparation, error) {
	s, err := d.survey(ctx, profiles, false)
	s.unsure(d.cfg.Installation)
	return s.prepared, failure("planning "+d.cfg.Target.Name, err)
}

// durable adds the roles that will own what holders of profiles make, so that other profiles cover it from the beginning.
func (c *catalog) durable(profiles []grants.Profile) {
	for _, p := range profiles {
		for _, g := range p.Privileges {
			if owner := durableOwner(p); slices.Contains(g.Privileges, "create") && !slices.Contains(c.creators[g.Schema], owner) {
				c.creators[g.Schema] = append(c.creators[g.Schema], owner)
			}
		}
	}
}

// survey is what Plan and Check look at.
type survey struct {
	prepared grants.Preparation
	shared   *shared
	catalogs []*catalog
	// sound are the profiles that are prepared; views those compiled for each catalog, in the same order.
	sound []grants.Profile
	views [][]view
	// least is nil unless the administrator acts through functions, which are there by database.
	least     *leastPrivilege
	functions map[string]functionsIn
	// foreigners are logins that look like ours and that no grant explains.
	foreigners []foreigner
}

// survey looks at everything. least says that the administrator is to act through functions from now on.
func (d *Driver) survey(ctx context.Context, profiles []grants.Profile, least bool) (survey, error) {
	s := survey{prepared: grants.Preparation{Target: d.cfg.Target.Name}}
	var sound []grants.Profile
	for _, p := range profiles {
		if !applies(p) {
			continue
		}
		if refused := refusals(p); len(refused) > 0 {
			s.prepared.Problems = append(s.prepared.Problems, refused...)
			continue
		}
		sound = append(sound, p)
	}
	home, err := d.visit(ctx, d.admin.Database, func(conn *pgx.Conn) (err error) {
		if s.shared, err = readShared(ctx, conn, d.admin.User); err != nil {
			return err
		}
		if s.foreigners, err = d.readForeigners(ctx, conn); err != nil {
			return err
		}
		if _, installed := s.shared.roles[functionsOwner]; installed || least {
			s.least, err = readLeastPrivilege(ctx, conn, d.admin.User)
		}
		return err
	})
	if err != nil {
		return s, err
	}
	sound, squatted := s.shared.vacant(sound)
	s.prepared.Problems = append(s.prepared.Problems, squatted...)
	s.sound = sound
	if s.least == nil {
		steps, problems := s.shared.steps(d.admin.User, sound)
		s.add(home, steps, problems)
	} else {
		steps, problems := s.least.steps(s.shared, d.admin.User, d.cfg.Installation, sound)
		s.add(home, steps, problems)
		if err := d.surveyFunctions(ctx, &s, longestOf(sound)); err != nil {
			return s, err
		}
	}
	for _, database := range d.cfg.Target.Databases {
		var (
			c     *catalog
			views []view
		)
		_, err := d.visit(ctx, database, func(conn *pgx.Conn) (err error) {
			if c, err = readCatalog(ctx, conn, d.admin.User); err != nil {
				return err
			}
			c.durable(sound)
			for _, p := range sound {
				compiled, problems := viewsOf(p, c)
				tried, untried, err := c.try(ctx, conn, compiled)
				if err != nil {
					return err
				}
				views = append(views, tried...)
				s.prepared.Problems = append(s.prepared.Problems, append(problems, untried...)...)
			}
			return nil
		})
		if stateOf(err) == "3D000" {
			s.prepared.Problems = append(s.prepared.Problems, fmt.Sprintf("the target has no database %s", database))
			continue
		}
		if err != nil {
			return s, failure("reading the catalogs of database "+database, err)
		}
		s.catalogs, s.views = append(s.catalogs, c), append(s.views, views)
		if slices.ContainsFunc(sound, needsInternal) {
			s.add(database, c.internalSteps(d.admin.User), nil)
		}
		s.add(database, c.viewSteps(sound, views), nil)
		steps, problems := c.steps(sound, views)
		s.add(database, steps, problems)
	}
	for _, open := range s.shared.open {
		s.add(open.name, []grants.PreparationStep{open.close()}, nil)
	}
	return s, nil
}

func (s *survey) add(database string, steps []grants.PreparationStep, problems []string) {
	for _, step := range steps {
		step.Database = database
		s.prepared.Steps = append(s.prepared.Steps, step)
	}
	s.prepared.Problems = append(s.prepared.Problems, problems...)
}

// unsure tells of a plan that may lack something because nobody knows whose it is.
func (s *survey) unsure(installation string) {
	if why := s.least.unsure(installation); why != "" {
		s.prepared.Problems = append(s.prepared.Problems, why)
	}
}

// visit runs f on a connection that may prepare. It returns the database's name.
func (d *Driver) visit(ctx context.Context, database string, f func(*pgx.Conn) error) (string, error) {
	conn, err := pgx.ConnectConfig(ctx, in(d.prepare, database))
	if err != nil {
		if state := stateOf(err); state == "28P01" || state == "28000" {
			return database, fail(grants.FailPrivilege, d.gettingIn(), "the login %s is refused: %s", d.prepare.User, stateWords(err))
		}
		return database, err
	}
	defer conn.Close(ctx)
	return database, f(conn)
}

// close keeps everybody out of a database who was not let in by name. A visitor could otherwise leave large objects in
// databases that have nothing to do with the grant.
func (o openDatabase) close() grants.PreparationStep {
	sql := "REVOKE CONNECT, TEMPORARY ON DATABASE " + ident(o.name) + " FROM PUBLIC"
	why := "everybody may enter the database, visitors included"
	if len(o.relying) > 0 {
		sql = "GRANT CONNECT, TEMPORARY ON DATABASE " + ident(o.name) + " TO " + idents(o.relying) + "; " + sql
		why += "; the logins that rely on it keep their access by name"
	}
	return grants.PreparationStep{Why: why, SQL: sql}
}

// steps is the difference between what profiles want of a database and what their roles have.
func (c *catalog) steps(profiles []grants.Profile, views []view) (steps []grants.PreparationStep, problems []string) {
	want := map[entry]bool{}
	for _, p := range profiles {
		w, bad := wanted(p, c, views)
		maps.Copy(want, w)
		problems = append(problems, bad...)
	}
	ours := func(e entry) bool {
		return slices.ContainsFunc(profiles, func(p grants.Profile) bool { return slices.Contains(rolesOf(p), e.role) })
	}
	// ALL TABLES IN SCHEMA would cover those that a profile limits as well.
	reserves := func(role, schema string) bool {
		return slices.ContainsFunc(profiles, func(p grants.Profile) bool {
			return grants.AccessRole(p.Name) == role && slices.ContainsFunc(c.objects[schema], func(o object) bool {
				return o.kind == onTable && limits(p, schema, o.name)
			})
		})
	}
	var missing, extra []entry
	for e := range want {
		if !c.has[e] {
			missing = append(missing, e)
		}
	}
	for e := range c.has {
		if !want[e] && ours(e) {
			extra = append(extra, e)
		}
	}
	for _, g := range group(missing) {
		_, toCome := want[entry{role: g.role, kind: defaults[g.kind], schema: g.schema, object: firstOwner(c, g), privilege: g.privileges[0]}]
		steps = append(steps, grants.PreparationStep{Why: g.role + " needs this for its profile", SQL: g.sql("GRANT", "TO", toCome && (g.kind != onTable || !reserves(g.role, g.schema)))})
	}
	for _, g := range group(extra) {
		steps = append(steps, grants.PreparationStep{Why: g.role + " has more than its profile says", SQL: g.sql("REVOKE", "FROM", false)})
	}
	return steps, problems
}

func firstOwner(c *catalog, g statement) string {
	if owners := c.owners(g.schema, g.kind); len(owners) > 0 && defaults[g.kind] != "" {
		return owners[0]
	}
	return ""
}

// statement is several entries that one GRANT or REVOKE covers.
type statement struct {
	role, schema string
	kind         kind
	objects      []string
	columns      []string
	privileges   []string
}

// group puts entries together: first the privileges of one object, then the objects with the same privileges.
func group(entries []entry) []statement {
	perObject := map[entry][]string{}
	for _, e := range entries {
		privilege := e.privilege
		e.privilege = ""
		perObject[e] = append(perObject[e], privilege)
	}
	type key struct {
		role, schema, privileges string
		kind                     kind
		object, column           string // set where a statement names one only
	}
	groups := map[key]*statement{}
	for e, privileges := range perObject {
		slices.Sort(privileges)
		k := key{role: e.role, schema: e.schema, kind: e.kind, privileges: strings.Join(privileges, ", ")}
		if e.column != "" {
			k.object = e.object
		}
		k.column = map[bool]string{true: "column"}[e.column != ""]
		g := groups[k]
		if g == nil {
			g = &statement{role: e.role, schema: e.schema, kind: e.kind, privileges: privileges}
			groups[k] = g
		}
		if !slices.Contains(g.objects, e.object) {
			g.objects = append(g.objects, e.object)
		}
		if e.column != "" {
			g.columns = append(g.columns, e.column)
		}
	}
	var all []statement
	for _, g := range groups {
		slices.Sort(g.objects)
		slices.Sort(g.columns)
		all = append(all, *g)
	}
	order := []kind{onDatabase, onSchema, onTable, onSequence, onFunction, byDefault, byDefaultSq, byDefaultFn}
	slices.SortFunc(all, func(a, b statement) int {
		return cmp.Or(cmp.Compare(a.role, b.role), cmp.Compare(slices.Index(order, a.kind), slices.Index(order, b.kind)),
			cmp.Compare(a.schema, b.schema), cmp.Compare(strings.Join(a.objects, ","), strings.Join(b.objects, ",")),
			cmp.Compare(strings.Join(a.privileges, ","), strings.Join(b.privileges, ",")))
	})
	return all
}

// sql writes the statement; all says that it is for every object of the schema.
func (s statement) sql(verb, preposition string, all bool) string {
	var privileges []string
	for _, p := range s.privileges {
		if len(s.columns) > 0 {
			p += " (" + idents(s.columns) + ")"
		}
		privileges = append(privileges, p)
	}
	does := verb + " " + strings.Join(privileges, ", ") + " ON "
	to := " " + preposition + " " + ident(s.role)
	if s.role == "" {
		to = " " + preposition + " PUBLIC"
	}
	switch s.kind {
	case onDatabase, onSchema:
		return does + string(s.kind) + " " + idents(s.objects) + to
	case byDefault, byDefaultSq, byDefaultFn:
		in := ""
		if s.schema != "" {
			in = " IN SCHEMA " + ident(s.schema)
		}
		return "ALTER DEFAULT PRIVILEGES FOR ROLE " + idents(s.objects) + in + " " + does + plural[s.kind] + to
	}
	if all {
		return does + "ALL " + plural[s.kind] + " IN SCHEMA " + ident(s.schema) + to
	}
	var objects []string
	for _, o := range s.objects {
		if s.kind != onFunction {
			o = ident(o)
		}
		objects = append(objects, ident(s.schema)+"."+o)
	}
	return does + string(s.kind) + " " + strings.Join(objects, ", ") + to
}

func idents(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = ident(n)
	}
	return strings.Join(quoted, ", ")
}
