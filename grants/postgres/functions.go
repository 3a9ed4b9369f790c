package postgres

import (
	"embed"
	"fmt"
	"strings"
	"time"
)

// functionsVersion is what prodaccess.version() says. It goes up with every change of a function, so that two binaries and
// a DBA can say which functions are meant. A function keeps its name and arguments for as long as a supported binary calls
// it: on the way up the functions come first, then the binary, and either works with the other.
const functionsVersion = 5

const (
	// functionsOwner owns the functions and has what they need, CREATEROLE above all. Nobody can become it.
	functionsOwner = "prodaccess_functions"
	// functionsSchema holds the functions, in every database of the cluster.
	functionsSchema = "prodaccess"
)

// function is one of the least-privilege mode. Its body is a file.
type function struct {
	name, args, returns string
	// within marks those that only the other functions call.
	within bool
	// fixed marks those that return a constant.
	fixed bool
}

var functions = []function{
	{name: "version", returns: "integer", fixed: true},
	{name: "longest", returns: "interval", fixed: true},
	{name: "ours", args: "login text, stamp text, login_oid oid", returns: "oid", within: true},
	{name: "is_registered", args: "installation text", returns: "boolean", within: true},
	{name: "is_accepted", args: "stamp text", returns: "boolean", within: true},
	{name: "is_access_role", args: "role_oid oid", returns: "boolean", within: true},
	{name: "ours_alive", args: "login text, stamp text, login_oid oid", returns: "oid", within: true},
	{name: "is_alone", args: "role_oid oid", returns: "boolean", within: true},
	{name: "is_new", args: "role_oid oid", returns: "boolean", within: true},
	{name: "is_verifier", args: "verifier text", returns: "boolean", within: true},
	{name: "may_last_until", args: "stamp text, valid_until timestamp with time zone", returns: "boolean", within: true},
	{name: "create_login", args: "login text, stamp text, verifier text, valid_until timestamp with time zone, connections integer", returns: "void"},
	{name: "set_timeout", args: "login text, stamp text, setting text, milliseconds bigint", returns: "void"},
	{name: "set_search_path", args: "login text, stamp text, path text[]", returns: "void"},
	{name: "act_as", args: "login text, stamp text, durable_owner text", returns: "void"},
	{name: "grant_access", args: "login text, stamp text, access_role text", returns: "void"},
	{name: "set_verifier", args: "login text, stamp text, login_oid oid, verifier text", returns: "void"},
	{name: "set_valid_until", args: "login text, stamp text, login_oid oid, valid_until timestamp with time zone", returns: "void"},
	{name: "lock_login", args: "login text, stamp text, login_oid oid", returns: "void"},
	{name: "end_session", args: "process integer, session_oid oid", returns: "boolean"},
	{name: "expel", args: "login text, stamp text, login_oid oid", returns: "void"},
	{name: "lend", args: "login text, stamp text, login_oid oid", returns: "void"},
	{name: "disown", args: "login text, stamp text, login_oid oid", returns: "void"},
	{name: "drop_logins", args: "logins text[], stamps text[], login_oids oid[]", returns: "void"},
	{name: "remember", args: "installation text, note text", returns: "void"},
}

//go:embed functions/*.sql
var functionFiles embed.FS

// pin is what the caller of a function may not choose for it. Versions differ in how they spell what they store.
type pin struct{ setting, value, stored string }

// pinned is where names are looked up, how texts and times are written and read, and what the owner of the functions gets of
// a role that it makes besides ADMIN OPTION, which on 15 nobody can choose.
func pinned(major int) []pin {
	pins := []pin{
		{"search_path", "pg_catalog, pg_temp", "search_path=pg_catalog, pg_temp"},
		{"standard_conforming_strings", "on", "standard_conforming_strings=on"},
		{"DateStyle", "ISO, YMD", "datestyle=iso, ymd"},
		{"TimeZone", "'UTC'", "timezone=utc"},
	}
	if major >= 16 {
		pins = append(pins, pin{"createrole_self_grant", "''", "createrole_self_grant="})
	}
	return pins
}

// making is what the functions of a cluster are made for.
type making struct {
	admin   string
	longest time.Duration
	major   int // the server's
}

// body is what stands between the quotes.
func (f function) body(longest time.Duration) string {
	switch f.name {
	case "version":
		return fmt.Sprintf("\nSELECT %d\n", functionsVersion)
	case "longest":
		return fmt.Sprintf("\nSELECT interval '%d seconds'\n", int64(longest.Seconds()))
	}
	text, err := functionFiles.ReadFile("functions/" + f.name + ".sql")
	if err != nil {
		panic(err) // a file that is not in the binary
	}
	return "\n" + string(text)
}

func (f function) language() string {
	if f.fixed {
		return "sql"
	}
	return "plpgsql"
}

// types is the signature without the names of the arguments.
func (f function) types() string {
	var types []string
	for arg := range strings.SplitSeq(f.args, ", ") {
		_, kind, _ := strings.Cut(arg, " ")
		types = append(types, kind)
	}
	return functionsSchema + "." + f.name + "(" + strings.Join(types, ", ") + ")"
}

func (f function) signature() string {
	return functionsSchema + "." + f.name + "(" + f.args + ")"
}

// make replaces the function, whatever stands there under its name and arguments, with its owner and privileges.
func (f function) make(m making) string {
	var sql strings.Builder
	fmt.Fprintf(&sql, "DROP FUNCTION IF EXISTS %s;\nCREATE FUNCTION %s RETURNS %s\nLANGUAGE %s", f.signature(), f.signature(), f.returns, f.language())
	switch {
	case f.fixed:
		sql.WriteString(" IMMUTABLE")
	case !f.within:
		sql.WriteString(" SECURITY DEFINER")
		for _, p := range pinned(m.major) {
			fmt.Fprintf(&sql, "\nSET %s = %s", p.setting, p.value)
		}
	}
	fmt.Fprintf(&sql, "\nAS $prodaccess$%s$prodaccess$;\n", f.body(m.longest))
	fmt.Fprintf(&sql, "ALTER FUNCTION %s OWNER TO %s;\n", f.signature(), functionsOwner)
	// Default privileges of whoever made it may have given it to anybody.
	fmt.Fprintf(&sql, "DO $prodaccess$ DECLARE x record; BEGIN\n"+
		"  FOR x IN SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::pg_catalog.text END AS who\n"+
		"    FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a\n"+
		"    WHERE p.oid = %[2]s::pg_catalog.regprocedure AND a.grantee <> p.proowner LOOP\n"+
		"    EXECUTE 'REVOKE ALL ON FUNCTION %[1]s FROM ' || x.who;\n"+
		"  END LOOP;\nEND $prodaccess$", f.signature(), literal(f.types()))
	if !f.within {
		fmt.Fprintf(&sql, ";\nGRANT EXECUTE ON FUNCTION %s TO %s", f.signature(), ident(m.admin))
	}
	return sql.String()
}

// state is how the catalogs describe the function as it should be: see readFunctions.
func (f function) state(m making) functionState {
	s := functionState{
		returns: f.returns, language: f.language(), volatility: "v", owner: functionsOwner,
		body: f.body(m.longest), definer: !f.fixed && !f.within,
	}
	if f.fixed {
		s.volatility = "i"
	}
	if s.definer {
		var stored []string
		for _, p := range pinned(m.major) {
			stored = append(stored, p.stored)
		}
		s.settings = strings.Join(stored, "; ")
	}
	if !f.within {
		s.callers = m.admin + " EXECUTE"
	}
	return s
}

// functionState is what can differ about a function.
type functionState struct {
	returns, language, volatility, owner, settings, body, callers string
	definer, strict                                               bool
}

// differs says in what a function is not as it should be, empty when in nothing.
func (s functionState) differs(want functionState) string {
	var in []string
	for _, c := range []struct {
		what string
		same bool
	}{
		{"its body was changed", s.body == want.body},
		{"it belongs to " + s.owner, s.owner == want.owner},
		{"it may be executed by others than it should: " + orNobody(s.callers), s.callers == want.callers},
		{"its settings are not pinned", s.settings == want.settings},
		{"it has another kind", s.returns == want.returns && s.language == want.language && s.volatility == want.volatility &&
			s.definer == want.definer && s.strict == want.strict},
	} {
		if !c.same {
			in = append(in, c.what)
		}
	}
	return strings.Join(in, ", ")
}

func orNobody(callers string) string {
	if callers == "" {
		return "nobody"
	}
	return callers
}
