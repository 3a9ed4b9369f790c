package postgres

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// TestReach opens one way past a profile at a time: Check has to name it, and its mend has to close it.
func TestReach(t *testing.T) {
	t.Parallel()
	onEachShop(t, ways)
}

func ways(t *testing.T, c *cluster, d *Driver) {
	narrow := grants.Profile{Name: "narrow", Privileges: []grants.Privilege{{Schema: "sc", Tables: []string{"items"}, Privileges: []string{"select"}}}}
	profiles := []grants.Profile{narrow, oneCustomer}
	prepareFor(t, c, d, profiles...)
	run(t, c.srv.URL("app"), "CREATE FUNCTION sc.total() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM sc.orders'",
		"REVOKE EXECUTE ON FUNCTION sc.total FROM PUBLIC", "CREATE SEQUENCE sc.numbers", "CREATE ROLE reporters", "GRANT SELECT ON sc.orders TO reporters")
	for _, way := range []struct{ open, says string }{
		{"GRANT SELECT, INSERT ON sc.orders, sc.customers TO PUBLIC", "everybody may insert, select customers, orders in schema sc"},
		{"GRANT SELECT (card_number) ON sc.customers TO PUBLIC", "everybody may select customers in schema sc"},
		{"GRANT USAGE ON SEQUENCE sc.numbers TO PUBLIC", "everybody may usage numbers"},
		{"GRANT EXECUTE ON FUNCTION sc.total TO PUBLIC", "the SECURITY DEFINER function sc.total() acts as postgres for whoever calls it, and holders of these profiles can: narrow"},
		{"GRANT reporters TO pa_narrow", "pa_narrow reaches more than its profile says, through membership in another role: SELECT on sc.orders"},
		{"GRANT app_owner TO pa_support__views", "pa_support__views acts for app_owner, which owns 3 tables"},
		{"GRANT pg_read_all_data TO pa_narrow", "pa_narrow is a member of pg_read_all_data"},
		{"CREATE FUNCTION pa_support.lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1'", "schema pa_support is prodaccess's own, and holds something that is not: function pa_support.lower(text)"},
	} {
		run(t, c.srv.URL("app"), way.open)
		findings, err := drifted(t, d, profiles)
		i := slices.IndexFunc(findings, func(f grants.Finding) bool { return strings.HasPrefix(f.What, way.says) })
		if err != nil || i < 0 {
			t.Errorf("%s: not found; %+v, %v", way.open, findings, err)
			continue
		}
		mend, _, _ := strings.Cut(findings[i].Mend, ", or name it")
		switch {
		case strings.HasPrefix(mend, "take back"):
			mend = "REVOKE reporters FROM pa_narrow"
		case strings.HasPrefix(mend, "find out"):
			mend = "DROP FUNCTION pa_support.lower(text)"
		}
		run(t, c.srv.URL("app"), mend)
		if findings, err := drifted(t, d, profiles); err != nil || len(findings) > 0 {
			t.Errorf("%s: not mended by %s: %+v, %v", way.open, mend, findings, err)
		}
	}
	// Row-level security that shows nothing is no drift, and worth knowing: of the table for one, of the view's owner for the other.
	run(t, c.srv.URL("app"), "ALTER TABLE sc.items ENABLE ROW LEVEL SECURITY", "ALTER TABLE sc.customers ENABLE ROW LEVEL SECURITY")
	conn, _ := visit(t, c, d, oneCustomer, customer("7"))
	if got := ask(t, conn, "SELECT count(*)::text FROM customers"); got != "0" {
		t.Errorf("the view goes past row-level security: %s rows", got)
	}
	findings, err := d.Check(t.Context(), profiles)
	for _, says := range []string{"sc.items has no policy for pa_narrow", "sc.items has no policy for pa_support,", "sc.customers has no policy for pa_support__views"} {
		i := slices.IndexFunc(findings, func(f grants.Finding) bool { return f.Advice && strings.Contains(f.What, says) })
		if err != nil || i < 0 {
			t.Errorf("nothing says %q: %+v, %v", says, findings, err)
			continue
		}
		run(t, c.srv.URL("app"), findings[i].Mend)
	}
	if got := ask(t, conn, "SELECT count(*)::text FROM customers"); got != "1" {
		t.Errorf("with a policy %s rows", got)
	}
}

// TestLanguage is what names, patterns, columns, sequences, functions and predefined roles of a profile come to.
func TestLanguage(t *testing.T) {
	t.Parallel()
	c, d := shop(t, 18)
	run(t, c.srv.URL("app"), "SET ROLE app_owner", "CREATE SEQUENCE sc.numbers", "CREATE SEQUENCE sc.letters", "CREATE TABLE sc.item_tags (a int)", `CREATE TABLE sc."item's [x]" (a int)`,
		"CREATE FUNCTION sc.price(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE FUNCTION sc.price(a text) RETURNS int LANGUAGE sql AS 'SELECT 2'",
		"CREATE FUNCTION sc.tax() RETURNS int LANGUAGE sql AS 'SELECT 3'", "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA sc FROM PUBLIC")
	p := grants.Profile{
		Name: "many", MemberOf: []string{"pg_monitor"},
		Privileges: []grants.Privilege{
			{Schema: "sc", Tables: []string{"item*"}, Privileges: []string{"select"}},
			{Schema: "sc", Sequences: []string{"numb*"}, Functions: []string{"price(a integer)", "t*"}, Privileges: []string{"usage", "execute"}},
			{Schema: "sc", Tables: []string{"customers"}, Columns: []string{"id", "name"}, Privileges: []string{"select", "update"}},
			{Schema: "sc", Tables: []string{"orders"}, Privileges: []string{"select", "delete"}, Rows: "status = 'new'"},
		},
	}
	prepareFor(t, c, d, p)
	conn, _ := visit(t, c, d, p)
	for sql, want := range map[string]bool{
		"SELECT * FROM items": true, "SELECT * FROM item_tags": true, `SELECT * FROM "item's [x]"`: true, "SELECT nextval('sc.numbers')": true,
		"SELECT nextval('sc.letters')": false, "SELECT sc.price(1)": true, "SELECT sc.price('x'::text)": false, "SELECT sc.tax()": true,
		"SELECT id, name FROM sc.customers": true, "UPDATE sc.customers SET name = name": true, "SELECT email FROM sc.customers": false,
		"SELECT query FROM pg_stat_activity": true, "DELETE FROM orders WHERE id = 1": true, "SELECT * FROM sc.orders": false,
		"SHOW data_directory": true, "SELECT pg_read_file('postgresql.conf')": false,
	} {
		if _, err := conn.Exec(t.Context(), sql); (err == nil) != want || err != nil && stateOf(err) != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	// A table that fits the pattern and comes later is the next plan's.
	run(t, c.srv.URL("app"), "CREATE TABLE sc.items_old (a int)")
	if plan := mustPlan(t, d, p); len(plan.Steps) != 1 || plan.Steps[0].SQL != `GRANT SELECT ON TABLE "sc"."items_old" TO "pa_many"` {
		t.Errorf("planned: %+v", plan.Steps)
	}
}

// TestManyTables bounds what plan and check cost on a database of 500 tables with a few profiles.
func TestManyTables(t *testing.T) {
	t.Parallel()
	c, d := shop(t, 18)
	run(t, c.srv.URL("app"), "DO $$ BEGIN FOR i IN 1..500 LOOP EXECUTE format('CREATE TABLE sc.t%s (id bigint PRIMARY KEY, customer_id bigint, a text, b text, c date)', i); END LOOP; END $$")
	all := func(name string, words ...string) grants.Profile {
		return grants.Profile{Name: name, Privileges: []grants.Privilege{{Schema: "sc", Tables: []string{"*"}, Privileges: words}}}
	}
	limited := grants.Profile{
		Name: "limited", Parameters: oneCustomer.Parameters, Privileges: []grants.Privilege{
			{Schema: "sc", Tables: []string{"t1*"}, Privileges: []string{"select"}, Rows: "customer_id = :customer_id", Mask: map[string]string{"a": "partial"}},
		},
	}
	profiles := []grants.Profile{all("read", "select"), all("write", "select", "insert", "update", "delete"), limited}
	start := time.Now()
	prepareFor(t, c, d, profiles...)
	t.Logf("prepared in %s", time.Since(start))
	start = time.Now()
	findings, err := drifted(t, d, profiles)
	if took := time.Since(start); err != nil || len(findings) > 0 || took > 20*time.Second { // 0.3 s on a machine that does nothing else
		t.Errorf("check took %s: %+v, %v", took, findings, err)
	} else {
		t.Logf("checked in %s", took)
	}
}

// TestMaskOfEachType makes every mask of every type that has one, and reads through it.
func TestMaskOfEachType(t *testing.T) {
	t.Parallel()
	c, d := shop(t, 15)
	types := map[string][2]string{ // type → a value, and the masks that fit beside hide and null
		"text": {"'Ada Ek'", "partial hash constant:x"}, "varchar(20)": {"'ada@example.com'", "partial hash constant:x"}, "varchar(9)": {"'Ada'", "partial constant:x"},
		"char(20)": {"'Ada'", "partial hash constant:x"}, "name": {"'Ada'", "partial hash constant:x"}, "integer": {"7", "hash constant:0"}, "bigint": {"7", "hash constant:0"}, "smallint": {"7", "constant:0"},
		"numeric": {"7.5", "hash constant:0"}, "numeric(8,2)": {"7.5", "constant:0"}, "double precision": {"7.5", "constant:0"}, "boolean": {"true", "constant:false"},
		"uuid": {"gen_random_uuid()", "partial hash"}, "date": {"'2020-05-17'", "year constant:2000-01-01"}, "timestamp(0)": {"'2020-05-17'", "year"}, "timestamptz": {"'2020-05-17'", "year"},
		"time": {"'12:00'", ""}, "interval": {"'1 day'", ""}, "bytea": {`'\x01'`, "hash constant:x"}, "json": {`'{"a": 1}'`, "hash constant:{}"}, "jsonb": {`'{"a": 1}'`, "hash constant:{}"},
		"text[]": {"'{a,b}'", ""}, "inet": {"'10.0.0.1'", "constant:0.0.0.0"}, "point": {"'(1,1)'", ""}, "int4range": {"'[1,2)'", ""}, "sc.mood": {"'happy'", "constant:sad"}, "sc.mail": {"'ada@example.com'", "partial hash constant:nobody"},
	}
	run(t, c.srv.URL("app"), "CREATE TYPE sc.mood AS ENUM ('happy', 'sad')", "CREATE DOMAIN sc.mail AS text NOT NULL CHECK (VALUE LIKE '%@%')")
	n := 0
	columns, masks, values, want := []string{}, map[string]string{}, []string{}, map[string]string{}
	var refused []grants.Profile
	for kind, fits := range types {
		for _, how := range []string{"hide", "null", "partial", "hash", "year", "constant:x"} {
			ok := how == "hide" || how == "null"
			for _, fit := range strings.Fields(fits[1]) {
				if strings.HasPrefix(fit, how) || strings.HasPrefix(how, "constant") && strings.HasPrefix(fit, "constant") {
					how, ok = fit, true
				}
			}
			n++
			column := fmt.Sprintf("c%d", n)
			columns, values = append(columns, column+" "+kind), append(values, fits[0])
			if ok {
				masks[column], want[column] = how, kind
				continue
			}
			refused = append(refused, grants.Profile{Name: column, Privileges: []grants.Privilege{
				{Schema: "sc", Tables: []string{"kinds"}, Privileges: []string{"select"}, Mask: map[string]string{column: how}},
			}})
		}
	}
	run(t, c.srv.URL("app"), "CREATE TABLE sc.kinds ("+strings.Join(columns, ", ")+")", "INSERT INTO sc.kinds VALUES ("+strings.Join(values, ", ")+")")
	p := grants.Profile{Name: "kinds", Privileges: []grants.Privilege{{Schema: "sc", Tables: []string{"kinds"}, Privileges: []string{"select"}, Mask: masks}}}
	prepareFor(t, c, d, p)
	plan, err := d.Plan(t.Context(), refused)
	for _, p := range refused {
		if err != nil || !slices.ContainsFunc(plan.Problems, func(problem string) bool { return strings.HasPrefix(problem, "profile "+p.Name+": ") }) {
			t.Errorf("%+v is no problem: %v", p.Privileges[0].Mask, err)
		}
	}
	conn, _ := visit(t, c, d, p)
	for column, how := range masks {
		got := ask(t, conn, "SELECT format('%s as %s', "+column+"::text, (SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'kinds'::regclass AND attname = '"+column+"')) FROM kinds")
		plain := rows(t, c, "SELECT "+column+"::text FROM sc.kinds")
		if shown, _, _ := strings.Cut(got, " as "); shown == plain {
			t.Errorf("%s of %s shows %s", how, want[column], got)
		}
	}
	if got, want := rows(t, c, "SELECT string_agg(format_type(atttypid, atttypmod), ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'pa_kinds.kinds'::regclass AND attnum > 0"),
		strings.ReplaceAll(rows(t, c, "SELECT string_agg(format_type(atttypid, atttypmod), ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'sc.kinds'::regclass AND attnum > 0"), "sc.mail", "text"); !alike(got, want, "sc.mail") {
		t.Errorf("the types are\n%s\ninstead of\n%s", got, want)
	}
	// A session's time zone tells nothing about the day.
	run(t, c.srv.URL("app"), "UPDATE sc.kinds SET "+yearOf(masks, want)+" = '2020-12-31 23:30:00+00'")
	for _, zone := range []string{"UTC", "Pacific/Kiritimati", "+100", "-100"} {
		if _, err := conn.Exec(t.Context(), "SET TimeZone = '"+zone+"'"); err != nil {
			t.Error(err)
		}
		if got := ask(t, conn, "SELECT ("+yearOf(masks, want)+" AT TIME ZONE 'UTC')::text FROM kinds"); got != "2020-01-01 00:00:00" {
			t.Errorf("in %s it is %s", zone, got)
		}
	}
	// No visitor can make a hash of a value of its own.
	if _, err := conn.Exec(t.Context(), "SELECT key FROM pa_internal.hash_key"); stateOf(err) != "42501" {
		t.Errorf("the key: %v", err)
	}
}

// yearOf is the timestamptz column with the mask year.
func yearOf(masks, kinds map[string]string) string {
	for column, how := range masks {
		if how == "year" && kinds[column] == "timestamptz" {
			return column
		}
	}
	return "missing"
}

// alike compares lists of types; a column that no mask covers keeps its domain.
func alike(got, want, domain string) bool {
	return strings.ReplaceAll(got, domain, "text") == want
}

// The same profile with a login that is no superuser's at PREPARE.
func TestPrepareAsOwner(t *testing.T) {
	t.Parallel()
	c, d := shop(t, 18)
	plain := grants.Profile{Name: "plain", Privileges: []grants.Privilege{{Schema: "sc", Tables: []string{"*"}, Privileges: []string{"select"}}}}
	prepareFor(t, c, d, plain)
	// Without somebody who may, the statements are listed for them and nothing is half done.
	own := c.open(t, func(cfg *Config) { cfg.PrepareURL = secret.String{} })
	plan := mustPlan(t, own, plain, oneCustomer)
	err := own.Apply(t.Context(), plan)
	if grants.ReasonOf(err) != grants.FailPrivilege || !strings.Contains(err.Error(), "CREATE OR REPLACE VIEW") {
		t.Errorf("applied by the administrator: %v", err)
	}
	o := own.newOrder(t, oneCustomer)
	o.Params = []grants.Param{customer("7")}
	if _, err := own.Issue(t.Context(), o); err == nil {
		takeBackLater(t, own, o)
		conn, err := pgx.Connect(t.Context(), c.srv.UserURL(o.Login, o.Password.Reveal(), "app"))
		if err == nil {
			defer conn.Close(t.Context())
			if _, err := conn.Exec(t.Context(), "SELECT * FROM sc.customers"); stateOf(err) != "42501" {
				t.Errorf("half prepared, it sees the table: %v", err)
			}
		}
	} else if grants.ReasonOf(err) != grants.FailUnprepared {
		t.Errorf("issued half prepared: %v", err)
	}
	mustApply(t, d, mustPlan(t, d, plain, oneCustomer))
	if findings, err := drifted(t, d, []grants.Profile{plain, oneCustomer}); err != nil || len(findings) > 0 {
		t.Errorf("%+v, %v", findings, err)
	}
}

func takeBackLater(t *testing.T, d *Driver, o grants.Order) {
	t.Cleanup(func() {
		if _, err := d.Secure(t.Context(), loginOf(o)); err == nil {
			_, _ = d.Clean(t.Context(), loginOf(o))
		}
	})
}
