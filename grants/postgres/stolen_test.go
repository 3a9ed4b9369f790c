package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/localpg"
	"github.com/prodaccess/prodaccess/internal/secret"
)

const aVerifier = "SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

// theft is what somebody tries who holds the administrator's password.
type theft struct {
	name string
	// first are statements that may work; sql is what must be refused. {ana} is a live login, {ana_stamp} and {ana_oid} are
	// its own; {cleo} is one that a DBA gave a role, {dora} one that a DBA gave a
	// privilege, {dead} a locked one; {ledger_pid} and {ledger_oid} belong to an
	// application's session, {super_pid} to a superuser's.
	first []string
	sql   string
	// old says that the ordinary administrator can do it up to 15, all that it can on every version.
	old, all bool
	// states are the SQLSTATEs of the refusal; nil means 42501. The empty one is a warning: nothing may have changed.
	states []string
}

var thefts = []theft{
	// Straight at the roles.
	{name: "the password of a superuser", sql: "ALTER ROLE postgres PASSWORD 'mine'"},
	{name: "the password of an application", sql: "ALTER ROLE ledger PASSWORD 'mine'", old: true},
	{name: "pg_execute_server_program", sql: "GRANT pg_execute_server_program TO prodaccess_admin", old: true},
	{name: "pg_read_server_files", sql: "GRANT pg_read_server_files TO prodaccess_admin", old: true},
	{name: "pg_write_server_files", sql: "GRANT pg_write_server_files TO prodaccess_admin", old: true},
	{name: "pg_read_all_data", sql: "GRANT pg_read_all_data TO prodaccess_admin", old: true},
	{name: "pg_read_all_data for a visitor", sql: "GRANT pg_read_all_data TO {ana}", old: true},
	{name: "an application's role", sql: "GRANT ledger TO prodaccess_admin", old: true},
	{name: "an access role", sql: "GRANT pa_read_only TO prodaccess_admin", all: true},
	{name: "a login that lasts", sql: "CREATE ROLE lasting LOGIN PASSWORD 'mine'", all: true},
	{name: "a superuser", sql: "CREATE ROLE lasting SUPERUSER"},
	{name: "a visitor's end", sql: "ALTER ROLE {ana} VALID UNTIL 'infinity'", all: true},
	{name: "a visitor's attributes", sql: "ALTER ROLE {ana} CREATEROLE", all: true},
	{name: "its own attributes", sql: "ALTER ROLE prodaccess_admin CREATEROLE", old: true},
	{name: "a stamp on a role of somebody else's", sql: "COMMENT ON ROLE pa_ledger IS 'prodaccess installation=test grant=x'", old: true},
	{name: "dropping a role of somebody else's", sql: "DROP ROLE pa_ledger", old: true},
	{name: "an application's session", sql: "SELECT pg_terminate_backend({ledger_pid})", all: true},
	{name: "the catalog", sql: "UPDATE pg_authid SET rolsuper = true WHERE rolname = 'prodaccess_admin'"},
	{name: "a program", sql: "COPY (SELECT 1) TO PROGRAM 'true'"},
	{name: "a table", sql: "SELECT * FROM sc.orders"},
	{name: "an application's objects", sql: "REASSIGN OWNED BY ledger TO prodaccess_admin"},

	// At the functions themselves.
	{name: "SET ROLE to the functions' owner", sql: "SET ROLE prodaccess_functions"},
	{name: "the functions' owner as a role", sql: "GRANT prodaccess_functions TO prodaccess_admin"},
	{name: "SET SESSION AUTHORIZATION", sql: "SET SESSION AUTHORIZATION prodaccess_functions"},
	{name: "another body", sql: "CREATE OR REPLACE FUNCTION prodaccess.is_verifier(verifier text) RETURNS boolean LANGUAGE sql AS 'SELECT true'"},
	{name: "another function", sql: "CREATE FUNCTION prodaccess.create_login(name, name) RETURNS void LANGUAGE sql AS ''"},
	{name: "another owner", sql: "ALTER FUNCTION prodaccess.version() OWNER TO prodaccess_admin"},
	{name: "another setting", sql: "ALTER FUNCTION prodaccess.lock_login(text, text, oid) SET search_path = public"},
	{name: "another caller", sql: "GRANT EXECUTE ON FUNCTION prodaccess.create_login(text, text, text, timestamptz, integer) TO PUBLIC", states: []string{""}},
	{name: "the schema", sql: "GRANT USAGE ON SCHEMA prodaccess TO PUBLIC", states: []string{""}},
	{name: "what only functions call", sql: "SELECT prodaccess.ours('{ana}', '{ana_stamp}', 0)"},

	// At their arguments.
	{name: "a name with quotes", sql: `SELECT prodaccess.create_login('pa_x" SUPERUSER PASSWORD ''x', 'prodaccess installation=test grant=x', '` + aVerifier + `', now() + '1h', 1)`},
	{name: "a name with a newline", sql: `SELECT prodaccess.create_login(E'pa_x\nSUPERUSER', 'prodaccess installation=test grant=x', '` + aVerifier + `', now() + '1h', 1)`},
	{name: "a name that ends in a newline", sql: `SELECT prodaccess.create_login(E'pa_x\n', 'prodaccess installation=test grant=x', '` + aVerifier + `', now() + '1h', 1)`},
	{name: "a name without the prefix", sql: `SELECT prodaccess.create_login('mine', 'prodaccess installation=test grant=x', '` + aVerifier + `', now() + '1h', 1)`},
	{name: "a name that is cut off", sql: `SELECT prodaccess.create_login('pa_' || repeat('x', 61), 'prodaccess installation=test grant=x', '` + aVerifier + `', now() + '1h', 1)`},
	{name: "the name of a profile's view owner", sql: `SELECT prodaccess.create_login('pa_support__views', 'prodaccess installation=test grant=x', '` + aVerifier + `', now() + '1h', 1)`},
	{name: "the name of a profile's durable owner", sql: `SELECT prodaccess.create_login('pa_ddl__owner', 'prodaccess installation=test grant=x', '` + aVerifier + `', now() + '1h', 1)`},
	{name: "the name of what prodaccess keeps", sql: `SELECT prodaccess.create_login('pa_internal', 'prodaccess installation=test grant=x', '` + aVerifier + `', now() + '1h', 1)`},
	{name: "an access role's name", states: []string{"42710"}, sql: `SELECT prodaccess.create_login('pa_read_only', 'prodaccess installation=test grant=x', '` + aVerifier + `', now() + '1h', 1)`},
	{name: "a stamp with a quote and a newline", sql: `SELECT prodaccess.create_login('pa_mine', E'prodaccess installation=test grant=x''\n; ALTER ROLE prodaccess_admin SUPERUSER', '` + aVerifier + `', now() + '1h', 1)`},
	{name: "no stamp", sql: `SELECT prodaccess.create_login('pa_mine', '', '` + aVerifier + `', now() + '1h', 1)`},
	{name: "another installation's stamp", sql: `SELECT prodaccess.create_login('pa_mine', 'prodaccess installation=nobodys grant=x', '` + aVerifier + `', now() + '1h', 1)`},
	{name: "a part of a registered installation's stamp", sql: `SELECT prodaccess.create_login('pa_mine', 'prodaccess installation=tes grant=x', '` + aVerifier + `', now() + '1h', 1)`},
	{name: "a rehearsal that lasts", sql: `SELECT prodaccess.create_login('pa_mine', 'prodaccess installation=doctor grant=x', '` + aVerifier + `', now() + '6min', 1)`},
	{
		name: "more time for a rehearsal", sql: `DO $$ BEGIN PERFORM prodaccess.create_login('pa_mine', 'prodaccess installation=doctor grant=x', '` + aVerifier + `', now() + '1min', 1);
			PERFORM prodaccess.set_valid_until('pa_mine', 'prodaccess installation=doctor grant=x', 0, now() + '6min'); END $$`,
	},
	{name: "the list of installations", sql: "COMMENT ON ROLE prodaccess_functions IS 'prodaccess installations=test nobodys'"},
	{name: "another word on the list", sql: "SELECT prodaccess.is_registered('test')"},
	{name: "a note for another installation", sql: "SELECT prodaccess.remember('nobodys', 'x')"},
	{name: "a note for rehearsals", sql: "SELECT prodaccess.remember('doctor', 'x')"},
	{name: "a plain password", sql: `SELECT prodaccess.create_login('pa_mine', 'prodaccess installation=test grant=x', 'mine', now() + '1h', 1)`},
	{name: "an MD5 password", sql: `SELECT prodaccess.create_login('pa_mine', 'prodaccess installation=test grant=x', 'md5' || md5('x'), now() + '1h', 1)`},
	{name: "a verifier with more behind it", sql: `SELECT prodaccess.create_login('pa_mine', 'prodaccess installation=test grant=x', '` + aVerifier + `'' SUPERUSER', now() + '1h', 1)`},
	{name: "a verifier that ends in a newline", sql: `SELECT prodaccess.create_login('pa_mine', 'prodaccess installation=test grant=x', E'` + aVerifier + `\n', now() + '1h', 1)`},
	{name: "a login for ever", sql: `SELECT prodaccess.create_login('pa_mine', 'prodaccess installation=test grant=x', '` + aVerifier + `', 'infinity', 1)`},
	{name: "a login for years", sql: `SELECT prodaccess.create_login('pa_mine', 'prodaccess installation=test grant=x', '` + aVerifier + `', now() + '10 years', 1)`},
	{name: "a login without an end", sql: `SELECT prodaccess.create_login('pa_mine', 'prodaccess installation=test grant=x', '` + aVerifier + `', NULL, 1)`},
	{name: "connections without number", sql: `SELECT prodaccess.create_login('pa_mine', 'prodaccess installation=test grant=x', '` + aVerifier + `', now() + '1h', -1)`},
	{name: "no argument at all", sql: `SELECT prodaccess.create_login(NULL, NULL, NULL, NULL, NULL)`},
	{name: "an extension for ever", sql: "SELECT prodaccess.set_valid_until('{ana}', '{ana_stamp}', {ana_oid}, 'infinity')"},
	{name: "an extension without an end", sql: "SELECT prodaccess.set_valid_until('{ana}', '{ana_stamp}', {ana_oid}, NULL)"},
	{name: "a new password in plain", sql: "SELECT prodaccess.set_verifier('{ana}', '{ana_stamp}', {ana_oid}, 'mine')"},
	{name: "a setting that loads code", sql: "SELECT prodaccess.set_timeout('{ana}', '{ana_stamp}', 'session_preload_libraries', 1)"},
	{name: "a role as a setting", sql: "SELECT prodaccess.set_timeout('{ana}', '{ana_stamp}', 'role', 1)"},
	{name: "no seat belt", sql: "SELECT prodaccess.set_timeout('{ana}', '{ana_stamp}', 'statement_timeout', 0)"},
	{name: "a negative seat belt", sql: "SELECT prodaccess.set_timeout('{ana}', '{ana_stamp}', 'statement_timeout', -1)"},
	{name: "an empty search path", sql: "SELECT prodaccess.set_search_path('{ana}', '{ana_stamp}', '{}')"},

	// At roles that are none of prodaccess's to give.
	{name: "a predefined role through the functions", sql: "SELECT prodaccess.grant_access('{ana}', '{ana_stamp}', 'pg_read_all_data')"},
	{name: "pg_execute_server_program through the functions", sql: "SELECT prodaccess.grant_access('{ana}', '{ana_stamp}', 'pg_execute_server_program')"},
	{name: "the functions' owner through the functions", sql: "SELECT prodaccess.grant_access('{ana}', '{ana_stamp}', 'prodaccess_functions')"},
	{name: "a role with our prefix that no plan registered", sql: "SELECT prodaccess.grant_access('{ana}', '{ana_stamp}', 'pa_ledger')"},
	{name: "the quarantine role", sql: "SELECT prodaccess.grant_access('{ana}', '{ana_stamp}', 'pa_quarantine')"},
	{name: "a login, through another", sql: "SELECT prodaccess.grant_access('{ana}', '{ana_stamp}', '{dead}')"},
	{name: "a role that is not there", sql: "SELECT prodaccess.grant_access('{ana}', '{ana_stamp}', 'pa_nowhere')"},
	{name: "access for oneself", sql: "SELECT prodaccess.grant_access('prodaccess_admin', '{ana_stamp}', 'pa_read_only')"},
	{name: "a superuser as durable owner", sql: "SELECT prodaccess.act_as('{ana}', '{ana_stamp}', 'postgres')"},
	{name: "an access role as durable owner", sql: "SELECT prodaccess.act_as('{ana}', '{ana_stamp}', 'pa_read_only')"},
	{name: "what a DBA gave to a login", sql: "SELECT prodaccess.set_verifier('{cleo}', '{cleo_stamp}', {cleo_oid}, '" + aVerifier + "')"},
	{name: "what a DBA let a login read", sql: "SELECT prodaccess.set_verifier('{dora}', '{dora_stamp}', {dora_oid}, '" + aVerifier + "')"},
	{name: "more time for what a DBA let a login read", sql: "SELECT prodaccess.set_valid_until('{dora}', '{dora_stamp}', {dora_oid}, now() + '1h')"},
	{name: "more access for what a DBA let a login read", sql: "SELECT prodaccess.grant_access('{dora}', '{dora_stamp}', 'pa_read_only')"},
	{name: "more time for what a DBA gave to a login", sql: "SELECT prodaccess.set_valid_until('{cleo}', '{cleo_stamp}', {cleo_oid}, now() + '1h')"},

	// At logins that are none of prodaccess's.
	{name: "locking an application out", sql: "SELECT prodaccess.lock_login('ledger', '{ana_stamp}', 0)"},
	{name: "locking a role with our prefix", sql: "SELECT prodaccess.lock_login('pa_ledger', '', 0)"},
	{name: "another login's stamp", sql: "SELECT prodaccess.lock_login('pa_ledger', '{ana_stamp}', 0)"},
	{name: "another login's OID", sql: "SELECT prodaccess.lock_login('{ana}', '{ana_stamp}', {ledger_oid})"},
	{name: "locking an access role", sql: "SELECT prodaccess.lock_login('pa_read_only', '{ana_stamp}', 0)"},
	{name: "dropping a role with our prefix", sql: "SELECT prodaccess.drop_logins('{pa_ledger}', ARRAY['{ana_stamp}'], '{0}')"},
	{name: "dropping an application", sql: "SELECT prodaccess.drop_logins('{ledger}', ARRAY['{ana_stamp}'], '{0}')"},
	{name: "dropping a login that is live", sql: "SELECT prodaccess.drop_logins(ARRAY['{ana}'], ARRAY['{ana_stamp}'], '{0}')"},
	{name: "dropping beside one that is ours", sql: "SELECT prodaccess.drop_logins(ARRAY['{dead}', 'ledger'], ARRAY['{dead_stamp}', '{dead_stamp}'], '{0,0}')"},
	{name: "dropping nothing", sql: "SELECT prodaccess.drop_logins('{}', '{}', '{}')"},
	{name: "dropping what is NULL", sql: "SELECT prodaccess.drop_logins('{NULL}', '{NULL}', '{NULL}')"},
	{name: "an application's objects through the functions", sql: "SELECT prodaccess.disown('ledger', '{ana_stamp}', 0)"},
	{name: "the objects of a role with our prefix", sql: "SELECT prodaccess.disown('pa_ledger', '{ana_stamp}', 0)"},
	{name: "the objects of a login that is live", sql: "SELECT prodaccess.disown('{ana}', '{ana_stamp}', {ana_oid})"},
	{name: "members of an application", sql: "SELECT prodaccess.expel('ledger', '{ana_stamp}', 0)"},
	{name: "a login that has access, lent", sql: "SELECT prodaccess.lend('{ana}', '{ana_stamp}', {ana_oid})"},
	{name: "an application, lent", sql: "SELECT prodaccess.lend('ledger', '{ana_stamp}', 0)"},
	{name: "an application's session through the functions", sql: "SELECT prodaccess.end_session({ledger_pid}, {ledger_oid})"},
	{name: "a superuser's session", sql: "SELECT prodaccess.end_session({super_pid}, 10)"},
	{name: "an application's session under another OID", sql: "SELECT 1 / (prodaccess.end_session({ledger_pid}, {ana_oid}))::int", states: []string{"22012"}},
	{name: "a process of the server's own", sql: "SELECT 1 / (prodaccess.end_session((SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'), 0))::int", states: []string{"22012"}},
	{name: "a note that is more than a text", sql: "SELECT prodaccess.remember('test', E'x''\\nSUPERUSER')"},
	{name: "a note over somebody's comment", sql: "SELECT prodaccess.remember('test', 'x')"},

	// Around them: names that mean something else, ways of writing that mean something else.
	{
		name: "a function of one's own that shadows", first: []string{
			"CREATE FUNCTION hijack.shobj_description(oid, name) RETURNS text LANGUAGE sql AS $$ SELECT '{ana_stamp}' $$",
			"CREATE FUNCTION hijack.yes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
			"CREATE FUNCTION hijack.no(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false'",
			"CREATE OPERATOR hijack.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = hijack.yes)",
			"CREATE OPERATOR hijack.!~ (LEFTARG = text, RIGHTARG = text, FUNCTION = hijack.yes)",
			"CREATE OPERATOR hijack.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hijack.yes)",
			"SET search_path = hijack, pg_temp, pg_catalog, public",
		}, sql: "SELECT prodaccess.lock_login('pa_ledger', '{ana_stamp}', 0)",
	},
	{
		name: "a table of one's own that shadows", first: []string{
			"CREATE TEMP TABLE pg_roles AS SELECT 'pa_ledger'::name AS rolname, {ana_oid}::oid AS oid, true AS rolcanlogin, false AS rolsuper," +
				" false AS rolcreaterole, false AS rolcreatedb, false AS rolreplication, false AS rolbypassrls",
			"GRANT ALL ON pg_temp.pg_roles TO PUBLIC", "SET search_path = pg_temp, pg_catalog",
		}, sql: "SELECT prodaccess.lock_login('pa_ledger', '{ana_stamp}', 0)",
	},
	{
		name: "a plain password past an operator of one's own", first: []string{
			"SET search_path = hijack, pg_temp, pg_catalog, public",
		}, sql: "SELECT prodaccess.set_verifier('{ana}', '{ana_stamp}', {ana_oid}, 'mine')",
	},
	{
		name: "a collation for which all is alike", sql: `SELECT prodaccess.lock_login(upper('{ana}') COLLATE hijack.alike, '{ana_stamp}' COLLATE hijack.alike, 0)`,
	},
	{
		name: "a stamp that is alike", sql: `SELECT prodaccess.lock_login('{ana}' COLLATE hijack.alike, replace('{ana_stamp}', 'test', 'TEST') COLLATE hijack.alike, 0)`,
	},
	{
		name: "strings that end elsewhere", first: []string{"SET standard_conforming_strings = off", "SET backslash_quote = on", "SET escape_string_warning = off"},
		sql: `SELECT prodaccess.create_login('pa_mine', 'prodaccess installation=test grant=x\\\' ; ALTER ROLE prodaccess_admin CREATEROLE; --', '` + aVerifier + `', now() + '1h', 1)`,
	},
	{
		name: "what equals NULL", first: []string{"SET transform_null_equals = on", "SET array_nulls = off"},
		sql: "SELECT prodaccess.drop_logins('{NULL}', '{NULL}', '{0}')",
	},
}

// What a stolen administrator login tries is refused, and nothing has changed afterwards.
func TestAStolenAdministratorOfTheLeastPrivilegeMode(t *testing.T) {
	t.Parallel()
	onEachApart(t, prepareFunctions, func(t *testing.T, c *cluster) {
		powerless(t, c)
		v := c.victims(t)
		before := v.state(t)
		for _, attack := range thefts {
			t.Run(attack.name, func(t *testing.T) {
				err := v.tries(t, attack, "")
				states := attack.states
				if states == nil {
					states = []string{"42501"}
				}
				if !slices.Contains(states, stateOf(err)) {
					t.Errorf("%s: %v", attack.sql, err)
				}
				if after := v.state(t); after != before {
					t.Errorf("something changed:\n%s\n%s", before, after)
					before = after
				}
			})
		}
		if v.ledger.Ping(t.Context()) != nil {
			t.Error("the application's session is gone")
		}
	})
}

// A login cannot be taken away from under its session, which no sweep would find any more.
func TestNoSessionOutlivesItsLogin(t *testing.T) {
	t.Parallel()
	onEachApart(t, prepareFunctions, func(t *testing.T, c *cluster) {
		thief := c.connect(t, c.admin.Reveal())
		mine, err := verifier(secret.New("mine"))
		if err != nil {
			t.Fatal(err)
		}
		who := "'pa_mine', 'prodaccess installation=test grant=x', "
		can(t, thief, "BEGIN; SELECT prodaccess.create_login("+who+"'"+mine.Reveal()+"', now() + '1h', 1); SELECT prodaccess.grant_access("+who+"'pa_read_only'); COMMIT")
		session := c.connect(t, c.srv.UserURL("pa_mine", "mine", "app"))
		can(t, session, "SET ROLE pa_read_only")
		can(t, thief, "SELECT prodaccess.lock_login("+who+"0)")
		drop := "SELECT prodaccess.drop_logins('{pa_mine}', '{\"prodaccess installation=test grant=x\"}', '{0}')"
		cannot(t, thief, "55006", drop)
		can(t, session, "SELECT * FROM sc.orders")
		d := c.open(t, nil)
		logins, err := d.Logins(t.Context())
		if err != nil || len(logins) != 1 {
			t.Fatalf("the sweep would find %+v, %v", logins, err)
		}
		if done, err := d.Secure(t.Context(), logins[0]); err != nil || done.Killed != 1 {
			t.Errorf("%+v, %v", done, err)
		}
		can(t, thief, drop)
	})
}

// What the caller sets decides nothing about what the owner of the functions gets: not of a login, and not of a mark.
func TestTheCallerDoesNotSayWhatTheFunctionsOwnerGets(t *testing.T) {
	t.Parallel()
	onApart(t, []int{16, 17, 18}, prepareFunctions, func(t *testing.T, c *cluster) {
		thief := c.connect(t, c.admin.Reveal())
		can(t, thief, "SET createrole_self_grant = 'set, inherit'")
		can(t, thief, "SELECT prodaccess.create_login('pa_mine', 'prodaccess installation=test grant=x', '"+aVerifier+"', now() + '1h', 1)")
		can(t, thief, "SELECT prodaccess.remember('test', 'x')")
		if n := c.selfGranted(t); n != 0 {
			t.Errorf("the owner of the functions can act as %d of what it made", n)
		}
	})
}

// Why there is such a mode: the same tried by an administrator with CREATEROLE and pg_signal_backend.
func TestAStolenAdministratorOfTheOrdinaryMode(t *testing.T) {
	t.Parallel()
	onEachApart(t, prepare, func(t *testing.T, c *cluster) {
		v := c.victims(t)
		for _, attack := range thefts {
			if strings.Contains(attack.sql, "prodaccess.") || strings.Contains(attack.sql, functionsOwner) || attack.sql == "SELECT pg_terminate_backend({ledger_pid})" {
				continue
			}
			err := v.tries(t, attack, "ROLLBACK")
			if works := attack.all || attack.old && c.major < 16; works != (err == nil) {
				t.Errorf("%s: %v", attack.name, err)
			}
		}
	})
}

// Trap 15: up to 15 an administrator with CREATEROLE runs programs on the server. In the least-privilege mode it does not.
func TestCreateroleRunsProgramsOnTheServer(t *testing.T) {
	t.Parallel()
	try := func(t *testing.T, c *cluster) error {
		conn := c.connect(t, c.admin.Reveal())
		can(t, conn, "BEGIN")
		if _, err := conn.Exec(t.Context(), "GRANT pg_execute_server_program TO prodaccess_admin"); err != nil {
			return err
		}
		_, err := conn.Exec(t.Context(), "COPY (SELECT 'anything') TO PROGRAM 'cat >/dev/null'")
		can(t, conn, "ROLLBACK")
		return err
	}
	onEachTight(t, func(t *testing.T, c *cluster) {
		if err := try(t, c); c.major < 16 && err != nil || c.major >= 16 && stateOf(err) != "42501" {
			t.Errorf("with CREATEROLE: %v", err)
		}
		if err := try(t, functionsOn(t, c.major)); stateOf(err) != "42501" {
			t.Errorf("with the functions: %v", err)
		}
	})
}

// onEachApart runs a test on twoMajors, on servers of its own.
func onEachApart(t *testing.T, prepare func(testing.TB, *localpg.Server, int) *cluster, f func(t *testing.T, c *cluster)) {
	onApart(t, twoMajors, prepare, f)
}

func onApart(t *testing.T, majors []int, prepare func(testing.TB, *localpg.Server, int) *cluster, f func(t *testing.T, c *cluster)) {
	for _, major := range majors {
		t.Run(fmt.Sprintf("postgres %d", major), func(t *testing.T) {
			t.Parallel()
			c := prepare(t, startServer(t, major, nil), major)
			t.Cleanup(func() { c.super.Close(); c.srv.Stop() })
			f(t, c)
		})
	}
}

// victims is who a thief could go for.
type victims struct {
	*cluster
	ledger, super *pgx.Conn
	places        *strings.Replacer
}

func (c *cluster) victims(t *testing.T) victims {
	t.Helper()
	mark, _ := (&Driver{cfg: Config{Installation: "test"}}).memory()
	run(t, c.srv.URL("app"),
		"CREATE ROLE ledger LOGIN PASSWORD 'ledger'", "GRANT CONNECT ON DATABASE app TO ledger",
		"CREATE TABLE sc.ledger (id int)", "ALTER TABLE sc.ledger OWNER TO ledger",
		"CREATE ROLE pa_ledger LOGIN", "CREATE ROLE "+mark, "COMMENT ON ROLE "+mark+" IS 'somebody else''s'",
		"CREATE SCHEMA hijack AUTHORIZATION prodaccess_admin", "GRANT TEMPORARY ON DATABASE app TO prodaccess_admin",
		"CREATE COLLATION hijack.alike (provider = icu, locale = 'und-u-ks-level1', deterministic = false)")
	d := c.open(t, nil)
	var places []string
	order := func(name string) grants.Order {
		o := d.newOrder(t, readOnly)
		if _, err := d.Issue(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		places = append(places, "{"+name+"}", o.Login, "{"+name+"_stamp}", o.Stamp.String(), "{"+name+"_oid}", fmt.Sprint(c.oid(t, o.Login)))
		return o
	}
	order("ana")
	run(t, c.srv.URL("app"), "GRANT pg_read_all_data TO "+order("cleo").Login)
	run(t, c.srv.URL("app"), "CREATE TABLE sc.secret (id int)", "GRANT SELECT ON sc.secret TO "+order("dora").Login)
	if _, err := d.Secure(t.Context(), loginOf(order("dead"))); err != nil {
		t.Fatal(err)
	}
	v := victims{cluster: c, ledger: c.connect(t, c.srv.UserURL("ledger", "ledger", "app")), super: c.connect(t, c.srv.URL("app"))}
	v.places = strings.NewReplacer(append(places, "{ledger_pid}", fmt.Sprint(v.ledger.PgConn().PID()),
		"{ledger_oid}", fmt.Sprint(c.oid(t, "ledger")), "{super_pid}", fmt.Sprint(v.super.PgConn().PID()))...)
	return v
}

// tries carries a theft out, and says what became of it. Where end is not empty, it is undone by that.
func (v victims) tries(t *testing.T, attack theft, end string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), v.admin.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	exec := func(sql string) error {
		_, err := conn.PgConn().Exec(t.Context(), v.places.Replace(sql)).ReadAll()
		return err
	}
	first := attack.first
	if end != "" {
		first = append([]string{"BEGIN"}, first...)
	}
	for _, sql := range first {
		if err := exec(sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	err = exec(attack.sql)
	if end != "" {
		_ = exec(end)
	}
	return err
}

// state is all that a theft could have changed of roles, objects and functions.
func (v victims) state(t *testing.T) string {
	t.Helper()
	return value[string](t, v.cluster, `SELECT string_agg(line, E'\n' ORDER BY line COLLATE "C") FROM (
		SELECT 'role ' || r::text FROM pg_authid r
		UNION ALL SELECT 'member ' || m::text FROM pg_auth_members m
		UNION ALL SELECT 'comment ' || d::text FROM pg_shdescription d
		UNION ALL SELECT 'setting ' || s::text FROM pg_db_role_setting s
		UNION ALL SELECT 'function ' || p::text FROM pg_proc p WHERE pronamespace = 'prodaccess'::regnamespace
		UNION ALL SELECT 'schema ' || n::text FROM pg_namespace n WHERE n.nspname IN ('prodaccess', 'sc')
		UNION ALL SELECT 'table ' || c.relname || c.relowner || coalesce(c.relacl::text, '') FROM pg_class c WHERE relnamespace = 'sc'::regnamespace) x (line)`)
}

// A login that a stolen administrator made under another installation's name is in no sweep; the inventory and check tell.
func TestALoginUnderAnotherInstallationsNameIsReported(t *testing.T) {
	t.Parallel()
	onEachApart(t, prepare, func(t *testing.T, c *cluster) {
		thief := c.connect(t, c.admin.Reveal())
		for login, comment := range map[string]string{"pa_otherinst": "prodaccess installation=nobodys grant=x", "pa_nostamp": "anything"} {
			can(t, thief, "CREATE ROLE "+login+" LOGIN PASSWORD 'mine'")
			can(t, thief, "COMMENT ON ROLE "+login+" IS '"+comment+"'")
			can(t, thief, "GRANT pa_read_only TO "+login)
		}
		d := c.open(t, nil)
		ours := d.testOrder(t, readOnly)
		c.reported(t, d, ours.Login, map[string]string{"pa_otherinst": "installation nobodys", "pa_nostamp": "no stamp"})
	})
}

// reported fails the test unless the inventory and check tell of the logins, in these words, and not of ours.
func (c *cluster) reported(t *testing.T, d *Driver, ours string, says map[string]string) {
	t.Helper()
	standing, err := d.Standing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	findings, err := d.Check(t.Context(), []grants.Profile{readOnly})
	if err != nil {
		t.Fatal(err)
	}
	for login, words := range says {
		if !slices.ContainsFunc(standing, func(s grants.Standing) bool {
			return s.Login == login && strings.Contains(strings.Join(s.Why, "; "), words)
		}) {
			t.Errorf("the inventory does not say %q of %s: %+v", words, login, standing)
		}
		if !slices.ContainsFunc(findings, func(f grants.Finding) bool {
			return strings.Contains(f.What, "the login "+login+" ") && strings.Contains(f.What, words)
		}) {
			t.Errorf("check does not say %q of %s: %+v", words, login, findings)
		}
	}
	if slices.ContainsFunc(standing, func(s grants.Standing) bool { return s.Login == ours }) ||
		slices.ContainsFunc(findings, func(f grants.Finding) bool { return strings.Contains(f.What, "the login "+ours+" ") }) {
		t.Errorf("a login of this installation is reported: %+v %+v", standing, findings)
	}
}

// A login that has the name of a profile to come never gets the privileges of the profile.
func TestALoginCannotSquatAProfilesName(t *testing.T) {
	t.Parallel()
	onApart(t, []int{15, 18}, prepareFunctions, func(t *testing.T, c *cluster) {
		future := readOnly
		future.Name = "future"
		profiles := []grants.Profile{readOnly, future}
		d := c.asDBA(t)
		early := mustPlan(t, d, profiles...)
		thief := c.connect(t, c.admin.Reveal())
		can(t, thief, "SELECT prodaccess.create_login('pa_future', 'prodaccess installation=test grant=x', '"+aVerifier+"', now() + '1h', 1)")
		if err := d.Apply(t.Context(), early); err == nil || !strings.Contains(err.Error(), "there is a login of the name pa_future") {
			t.Errorf("a plan from before was applied: %v", err)
		}
		late, err := d.Plan(t.Context(), profiles)
		if err != nil || len(late.Problems) != 1 || !strings.Contains(late.Problems[0], "the role pa_future, which profile future needs") {
			t.Errorf("the plan does not mind: %v %q", err, late.Problems)
		}
		for _, step := range late.Steps {
			if strings.Contains(step.SQL, "TO pa_future") {
				t.Errorf("the plan gives it something: %s", step.SQL)
			}
		}
		if n := value[int](t, c, "SELECT count(*) FROM information_schema.role_table_grants WHERE grantee = 'pa_future'"); n != 0 {
			t.Errorf("it has %d privileges", n)
		}
	})
}
