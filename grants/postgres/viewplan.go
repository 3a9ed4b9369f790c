package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
)

// madeView is a view in a schema of ours, as the catalogs have it.
type madeView struct {
	owner   string
	options string
	// mark is our comment, which says what the view was made from and what the server made of it.
	mark string
	// digest is of what the server has now, and tells a view that somebody replaced from one of ours.
	digest  string
	columns []string // name and type
}

const viewMark = "prodaccess view "

// viewDigest is of the view's definition as the server writes it, under the search_path of our connections.
const viewDigest = "encode(sha256(convert_to(pg_get_viewdef(%s), 'UTF8')), 'hex')"

var madeViews = "SELECT n.nspname, c.relname, pg_get_userbyid(c.relowner), coalesce(array_to_string(c.reloptions, ','), '')," +
	" coalesce(obj_description(c.oid, 'pg_class'), ''), " + fmt.Sprintf(viewDigest, "c.oid") + "," +
	" (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), chr(10) ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0)" +
	" FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'v' AND starts_with(n.nspname, " + literal(grants.Prefix) + ")"

func readMadeView(row []string) madeView {
	return madeView{owner: row[2], options: row[3], mark: row[4], digest: row[5], columns: strings.Split(row[6], "\n")}
}

// viewSteps makes, replaces and drops views. A view is replaced in place where PostgreSQL can: sessions that use it go on,
// and see the new one from their next statement on. Where a column goes or changes its type the view is dropped first, in
// the transaction that makes it again; whoever reads it meanwhile waits. Privileges on a dropped view are forgotten, so
// that they are planned anew.
func (c *catalog) viewSteps(profiles []grants.Profile, views []view) (steps []grants.PreparationStep) {
	add := func(why, sql string) { steps = append(steps, grants.PreparationStep{Why: why, SQL: sql}) }
	for _, p := range profiles {
		schema := viewSchema(p)
		owner, exists := c.mine[schema]
		switch {
		case !hasViews(p):
		case !exists:
			add("the views of profile "+p.Name, "CREATE SCHEMA IF NOT EXISTS "+ident(schema)+";\nALTER SCHEMA "+ident(schema)+" OWNER TO "+ident(viewOwner(p)))
		case owner != viewOwner(p):
			add("the schema belongs to whoever may do nothing else", "ALTER SCHEMA "+ident(schema)+" OWNER TO "+ident(viewOwner(p)))
		}
		for _, at := range c.madeIn(schema) {
			if !slices.ContainsFunc(views, func(v view) bool { return viewSchema(v.profile) == schema && v.name == at[1] }) {
				add("profile "+p.Name+" does not show this table through a view any more", "DROP VIEW IF EXISTS "+ident(at[0])+"."+ident(at[1]))
				c.forget(at)
			}
		}
		if exists && !hasViews(p) {
			add("profile "+p.Name+" has no views any more", "DROP SCHEMA IF EXISTS "+ident(schema))
			delete(c.has, entry{role: grants.AccessRole(p.Name), kind: onSchema, object: schema, privilege: "USAGE"})
		}
	}
	for _, v := range views {
		at := [2]string{viewSchema(v.profile), v.name}
		made, exists := c.ours[at]
		mark := v.mark()
		if exists && made.owner == viewOwner(v.profile) && made.mark == mark+" "+made.digest && strings.Contains(made.options, "security_barrier=true") {
			continue
		}
		why := "profile " + v.profile.Name + " sees " + v.schema + "." + v.name + " through this view"
		sql := ""
		if exists && !extends(v.signature(), made.columns) {
			sql = "DROP VIEW IF EXISTS " + v.qualified() + ";\n"
			c.forget(at)
		}
		sql += v.create() + ";\nALTER VIEW " + v.qualified() + " OWNER TO " + ident(viewOwner(v.profile)) + ";\n"
		comment := "BEGIN PERFORM set_config('search_path', 'pg_catalog, pg_temp', true); EXECUTE format('COMMENT ON VIEW %s IS %L', " +
			literal(v.qualified()) + ", " + literal(mark+" ") + " || " + fmt.Sprintf(viewDigest, literal(v.qualified())+"::regclass") + "); END"
		add(why, sql+"DO "+literal(comment))
	}
	return steps
}

// mark says what a view is made from.
func (v *view) mark() string {
	sum := sha256.Sum256([]byte(v.create()))
	return viewMark + hex.EncodeToString(sum[:])
}

func (v *view) signature() (columns []string) {
	for _, c := range v.columns {
		columns = append(columns, c.name+" "+c.sqlType)
	}
	return columns
}

// extends says whether CREATE OR REPLACE VIEW can make the one of the other: the same columns, then perhaps more.
func extends(columns, existing []string) bool {
	return len(columns) >= len(existing) && slices.Equal(columns[:len(existing)], existing)
}

// madeIn lists the views in a schema of ours.
func (c *catalog) madeIn(schema string) (at [][2]string) {
	for key := range c.ours {
		if key[0] == schema {
			at = append(at, key)
		}
	}
	slices.SortFunc(at, func(a, b [2]string) int { return strings.Compare(a[1], b[1]) })
	return at
}

// forget takes away what is known of privileges on a view that will be dropped.
func (c *catalog) forget(at [2]string) {
	for e := range c.has {
		if e.kind == onTable && e.schema == at[0] && e.object == at[1] {
			delete(c.has, e)
		}
	}
}

// try has the server check each view that is new or changed, without running it: names, operators, types and constants.
func (c *catalog) try(ctx context.Context, conn *pgx.Conn, views []view) (sound []view, problems []string, err error) {
	for _, v := range views {
		if made, exists := c.ours[[2]string{viewSchema(v.profile), v.name}]; !exists || !strings.HasPrefix(made.mark, v.mark()) {
			_, err := conn.Prepare(ctx, "", v.probe())
			switch {
			case stateOf(err) == "" && err != nil:
				return nil, nil, err
			case stateOf(err) == "42501":
				// Whoever plans may not look into the schema; the statement is for somebody who may.
			case err != nil:
				problems = append(problems, fmt.Sprintf("profile %s: the view of %s.%s in database %s cannot be made: %s",
					v.profile.Name, v.schema, v.name, c.database, stateWords(err)))
				continue
			}
		}
		sound = append(sound, v)
	}
	return sound, problems, nil
}
