package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
)

// functionsIn is what one database has of the functions.
type functionsIn struct {
	schema bool
	// shut says that the schema is its owner's, and the administrator's to use, and nobody else's.
	shut bool
	have map[string]functionState // by signature
	// strangers are other things in the schema; functions by their signature.
	extra, strangers []string
}

func readFunctions(ctx context.Context, conn *pgx.Conn, admin string) (functionsIn, error) {
	in := functionsIn{have: map[string]functionState{}}
	schema := literal(functionsSchema)
	results, err := sendOn(ctx, conn,
		"SELECT pg_get_userbyid(n.nspowner), "+holders("n.nspacl", "n.nspowner")+" FROM pg_namespace n WHERE n.nspname = "+schema,
		"SELECT p.proname, pg_get_function_identity_arguments(p.oid), coalesce(pg_get_function_result(p.oid), ''), l.lanname, p.provolatile, pg_get_userbyid(p.proowner),"+
			" lower(coalesce(array_to_string(p.proconfig, '; '), '')), p.prosrc, p.prosecdef, p.proisstrict,"+
			" "+holders("coalesce(p.proacl, acldefault('f', p.proowner))", "p.proowner")+
			" FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang WHERE n.nspname = "+schema+" AND p.prokind = 'f'",
		"SELECT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend d JOIN pg_namespace n ON n.oid = d.refobjid WHERE d.refclassid = 'pg_namespace'::regclass AND n.nspname = "+schema+
			" AND d.deptype = 'n' AND NOT EXISTS (SELECT FROM pg_proc p WHERE d.classid = 'pg_proc'::regclass AND p.oid = d.objid AND p.prokind = 'f') ORDER BY 1",
	)
	if err != nil {
		return in, err
	}
	if rows := texts(results[0]); len(rows) == 1 {
		in.schema, in.shut = true, rows[0][0] == functionsOwner && rows[0][1] == admin+" USAGE"
	}
	known := map[string]bool{}
	for _, f := range functions {
		known[f.signature()] = true
	}
	for _, row := range texts(results[1]) {
		signature := functionsSchema + "." + row[0] + "(" + row[1] + ")"
		if !known[signature] {
			in.extra = append(in.extra, functionsSchema+"."+ident(row[0])+"("+row[1]+")")
			continue
		}
		in.have[signature] = functionState{
			returns: row[2], language: row[3], volatility: row[4], owner: row[5], settings: row[6], body: row[7], callers: row[10],
			definer: row[8] == "t", strict: row[9] == "t",
		}
	}
	for _, row := range texts(results[2]) {
		in.strangers = append(in.strangers, row[0])
	}
	return in, nil
}

// holders is the expression of who has which privilege of an ACL, but for its owner, as a text.
func holders(acl, owner string) string {
	return "coalesce((SELECT string_agg(h.who, ', ' ORDER BY h.who COLLATE \"C\") FROM (SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END ||" +
		" ' ' || a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END AS who FROM aclexplode(" + acl + ") a WHERE a.grantee <> " + owner + ") h), '')"
}

// steps makes what is missing of the functions, and mends what differs.
func (in functionsIn) steps(m making) (steps []grants.PreparationStep) {
	add := func(why, sql string) { steps = append(steps, grants.PreparationStep{Why: why, SQL: sql}) }
	if !in.schema || !in.shut {
		add("the functions are nobody's to change, and the administrator's alone to find", "CREATE SCHEMA IF NOT EXISTS "+functionsSchema+";\n"+
			"ALTER SCHEMA "+functionsSchema+" OWNER TO "+functionsOwner+";\n"+
			schemaShut()+
			"GRANT USAGE ON SCHEMA "+functionsSchema+" TO "+ident(m.admin))
	}
	for _, signature := range in.extra {
		add("it is none of the functions of this version", "DROP FUNCTION "+signature)
	}
	for _, f := range functions {
		have, there := in.have[f.signature()]
		want := f.state(m)
		switch {
		case !there:
			add(f.why(), f.make(m))
		case f.name == "longest" && have.body != want.body:
			add("the longest that the policy lets any login last is "+m.longest.String()+", and the functions say otherwise", f.make(m))
		case have != want:
			add("the function "+f.signature()+" is not as prodaccess made it: "+have.differs(want), f.make(m))
		}
	}
	return steps
}

// schemaShut takes every privilege on the schema from whoever has one.
func schemaShut() string {
	return "DO $prodaccess$ DECLARE x record; BEGIN\n" +
		"  FOR x IN SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::pg_catalog.text END AS who\n" +
		"    FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a WHERE n.nspname = " + literal(functionsSchema) + " AND a.grantee <> n.nspowner LOOP\n" +
		"    EXECUTE 'REVOKE ALL ON SCHEMA " + functionsSchema + " FROM ' || x.who;\n" +
		"  END LOOP;\nEND $prodaccess$;\n"
}

func (f function) why() string {
	if f.within {
		return "only the other functions call it"
	}
	return "the administrator calls it"
}

// findings are what no statement of a plan may decide.
func (in functionsIn) findings(database string) (findings []grants.Finding) {
	for _, what := range in.strangers {
		findings = append(findings, grants.Finding{
			Database: database, What: fmt.Sprintf("schema %s is prodaccess's own, and holds something that is not: %s", functionsSchema, what),
			Mend: "find out who put it there, and drop it",
		})
	}
	return findings
}

// surveyFunctions visits every database that functions belong in.
func (d *Driver) surveyFunctions(ctx context.Context, s *survey, longest time.Duration) error {
	m := making{admin: d.admin.User, longest: longest, major: s.shared.version}
	s.functions = map[string]functionsIn{}
	for _, database := range s.least.databases {
		var in functionsIn
		_, err := d.visit(ctx, database, func(conn *pgx.Conn) (err error) {
			in, err = readFunctions(ctx, conn, d.admin.User)
			return err
		})
		if stateOf(err) == "42501" && slices.Contains(s.shared.barred, database) {
			s.prepared.Problems = append(s.prepared.Problems, "the functions in database "+database+" cannot be looked at before the administrator may connect to it")
			continue
		}
		if err != nil {
			return failure("reading the functions in database "+database, err)
		}
		s.functions[database] = in
		s.add(database, in.steps(m), nil)
	}
	return nil
}

// functionsMissing says that a database lacks the functions, or has somebody else's under their name.
func functionsMissing(database string) error {
	return fail(grants.FailUnprepared, "`prodaccess targets plan` prints them, for a superuser to run", "the functions of prodaccess are absent from database %s, somebody else's, or not to be called by the administrator", strings.TrimSpace(database))
}
