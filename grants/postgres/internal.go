package postgres

import (
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/grants"
)

// internalPart is something in the internal schema: how to tell that it is there, and how to make it. Everything belongs to
// the internal role, which nobody can become, and the administrator may add and remove values, nothing else.
type internalPart struct {
	why     string
	inPlace func(admin string) string
	make    func(admin string) string
}

const parameterValue = `
SELECT value FROM pa_internal.bound_values WHERE login = session_user AND name = $1`

const parametersBound = `
SELECT count(*) = cardinality($1) FROM pa_internal.bound_values WHERE login = session_user AND name = ANY ($1)`

// internalParts are in the order in which they are made. session_user is who logged in: neither SET ROLE nor a function nor
// a setting of the visitor's changes it, and SET SESSION AUTHORIZATION wants a superuser.
var internalParts = []internalPart{
	{
		why: "what prodaccess keeps in this database",
		inPlace: func(admin string) string {
			return "EXISTS (SELECT FROM pg_namespace n WHERE nspname = " + literal(internal) + " AND pg_get_userbyid(nspowner) = " + literal(internal) +
				" AND has_schema_privilege(" + roleOID(admin) + ", n.oid, 'USAGE') AND NOT has_schema_privilege('public', n.oid, 'USAGE'))"
		},
		make: func(admin string) string {
			return "CREATE SCHEMA IF NOT EXISTS " + ident(internal) + ";\n" +
				"ALTER SCHEMA " + ident(internal) + " OWNER TO " + ident(internal) + ";\n" +
				"REVOKE ALL ON SCHEMA " + ident(internal) + " FROM PUBLIC;\n" +
				"GRANT USAGE ON SCHEMA " + ident(internal) + " TO " + ident(admin)
		},
	},
	{
		why: "the values of a request's parameters, by login",
		inPlace: func(admin string) string {
			holds := func(privilege string) string {
				return "has_table_privilege(" + roleOID(admin) + ", c.oid, '" + privilege + "')"
			}
			return internalTable("bound_values") + " AND " + holds("SELECT") + " AND " + holds("INSERT") + " AND " + holds("DELETE") + ")"
		},
		make: func(admin string) string {
			return "CREATE TABLE IF NOT EXISTS " + boundValues + " (login name, name text, value text, PRIMARY KEY (login, name));\n" +
				"ALTER TABLE " + boundValues + " OWNER TO " + ident(internal) + ";\n" +
				"REVOKE ALL ON " + boundValues + " FROM PUBLIC;\n" +
				"GRANT SELECT, INSERT, DELETE ON " + boundValues + " TO " + ident(admin)
		},
	},
	{
		why: "the key of masks that hash, which only the owners of views can read",
		inPlace: func(string) string {
			return internalTable("hash_key") + ")"
		},
		make: func(string) string {
			table := ident(internal) + ".hash_key"
			return "CREATE TABLE IF NOT EXISTS " + table + " (the_only boolean PRIMARY KEY DEFAULT true CHECK (the_only), key bytea NOT NULL);\n" +
				"REVOKE ALL ON " + table + " FROM PUBLIC;\n" +
				"INSERT INTO " + table + " (key) SELECT sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')) ON CONFLICT DO NOTHING;\n" +
				"ALTER TABLE " + table + " OWNER TO " + ident(internal)
		},
	},
	internalFunction("parameter_value", "text", "text", parameterValue, "the value that the login of a session was given"),
	internalFunction("parameters_bound", "text[]", "boolean", parametersBound, "whether the login of a session was given values"),
}

var boundValues = ident(internal) + ".bound_values"

func roleOID(name string) string {
	return "(SELECT oid FROM pg_roles WHERE rolname = " + literal(name) + ")"
}

// internalTable is a condition left open, for more about c.
func internalTable(name string) string {
	return "EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = " + literal(internal) +
		" AND c.relname = " + literal(name) + " AND c.relkind = 'r' AND pg_get_userbyid(c.relowner) = " + literal(internal) +
		" AND NOT has_table_privilege('public', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')"
}

func internalFunction(name, takes, returns, body, why string) internalPart {
	signature := ident(internal) + "." + name + "(" + takes + ")"
	return internalPart{
		why: why,
		inPlace: func(string) string {
			return "EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = " + literal(internal) +
				" AND p.proname = " + literal(name) + " AND pg_get_function_identity_arguments(p.oid) = " + literal(takes) +
				" AND pg_get_userbyid(p.proowner) = " + literal(internal) + " AND p.prosecdef AND p.provolatile = 's'" +
				" AND p.proconfig = ARRAY['search_path=pg_catalog, pg_temp'] AND p.prosrc = " + literal(body) +
				" AND NOT has_function_privilege('public', p.oid, 'EXECUTE'))"
		},
		make: func(string) string {
			return "CREATE OR REPLACE FUNCTION " + signature + " RETURNS " + returns + "\n" +
				"LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS " + literal(body) + ";\n" +
				"REVOKE ALL ON FUNCTION " + signature + " FROM PUBLIC;\n" +
				"ALTER FUNCTION " + signature + " OWNER TO " + ident(internal)
		},
	}
}

// partsInPlace asks for all parts in one row.
func partsInPlace(admin string) string {
	conditions := make([]string, len(internalParts))
	for i, p := range internalParts {
		conditions[i] = p.inPlace(admin)
	}
	return "SELECT " + strings.Join(conditions, ",\n ")
}

// needsInternal says whether a profile uses any of it.
func needsInternal(p grants.Profile) bool {
	return len(p.Parameters) > 0 || slices.ContainsFunc(p.Privileges, func(g grants.Privilege) bool {
		for _, how := range g.Mask {
			if how == "hash" {
				return true
			}
		}
		return false
	})
}

// internalSteps makes what is missing, or not as it should be.
func (c *catalog) internalSteps(admin string) (steps []grants.PreparationStep) {
	for i, p := range internalParts {
		if !c.parts[i] {
			steps = append(steps, grants.PreparationStep{Why: p.why, SQL: p.make(admin)})
		}
	}
	return steps
}
