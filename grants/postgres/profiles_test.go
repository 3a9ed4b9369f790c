package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/localpg"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// shop is a server of the test's own with customers, orders and a login that is prepared by nobody yet.
func shop(t *testing.T, major int) (*cluster, *Driver) {
	t.Helper()
	srv := startServer(t, major, map[string]string{"max_prepared_transactions": "4"})
	t.Cleanup(srv.Stop)
	run(t, srv.URL("postgres"), "CREATE ROLE app_owner", "CREATE ROLE app LOGIN PASSWORD 'app'", "CREATE DATABASE app OWNER app_owner")
	run(t, srv.URL("app"),
		"SET ROLE app_owner",
		"CREATE SCHEMA sc",
		`CREATE TABLE sc.customers (id bigint PRIMARY KEY, name text, email varchar(80), card_number text, born date, token uuid, notes jsonb)`,
		"CREATE TABLE sc.orders (id bigint PRIMARY KEY, customer_id bigint, item text, status text DEFAULT 'new')",
		"CREATE TABLE sc.items (id int, name text)",
		`INSERT INTO sc.customers SELECT i, 'Customer ' || i, 'c' || i || '@example.com', '4000 0000 0000 00' || (i % 90 + 10), date '1980-05-01' + i::int,
		 gen_random_uuid(), '{"vip": true}' FROM generate_series(1, 50) i`,
		"INSERT INTO sc.orders SELECT i, i % 50 + 1, 'thing ' || i FROM generate_series(1, 200) i",
		"RESET ROLE")
	c := &cluster{major: major, srv: srv, admin: secret.New(srv.UserURL("prodaccess_admin", "admin", "app"))}
	d := c.open(t, func(cfg *Config) { cfg.PrepareURL = secret.New(srv.URL("app")) })
	return c, d
}

// prepareFor applies profiles and lets the administrator log in.
func prepareFor(t *testing.T, c *cluster, d *Driver, profiles ...grants.Profile) {
	t.Helper()
	mustApply(t, d, mustPlan(t, d, profiles...))
	if again := mustPlan(t, d, profiles...); len(again.Steps) != 0 {
		t.Fatalf("an applied plan still plans: %+v", again.Steps)
	}
	run(t, c.srv.URL("app"), "ALTER ROLE prodaccess_admin PASSWORD '"+localpg.Verifier("admin")+"'")
}

// visit issues a login of a profile with values and opens a session.
func visit(t *testing.T, c *cluster, d *Driver, p grants.Profile, params ...grants.Param) (*pgx.Conn, grants.Order) {
	t.Helper()
	o := d.newOrder(t, p)
	o.Params = params
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = d.Secure(context.Background(), loginOf(o))
		_, _ = d.Clean(context.Background(), loginOf(o))
	})
	cfg, err := pgx.ParseConfig(c.srv.UserURL(o.Login, o.Password.Reveal(), "app"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec // DISCARD ALL forgets prepared statements
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		told.Lock()
		defer told.Unlock()
		told.what = append(told.what, n.Message)
	}
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn, o
}

var oneCustomer = grants.Profile{
	Name:       "support",
	Parameters: []grants.Parameter{{Name: "customer_id", Type: "bigint", Required: true}},
	Privileges: []grants.Privilege{
		{Schema: "sc", Tables: []string{"orders"}, Privileges: []string{"select"}, Rows: "customer_id = :customer_id"},
		{Schema: "sc", Tables: []string{"customers"}, Privileges: []string{"select"}, Rows: "id = :customer_id", Mask: map[string]string{
			"email": "partial", "card_number": "hide", "name": "hash", "born": "year", "token": "partial", "notes": "null",
		}},
		{Schema: "sc", Tables: []string{"items"}, Privileges: []string{"select"}},
	},
}

func customer(id string) grants.Param {
	return grants.Param{Name: "customer_id", Type: "bigint", Value: id}
}

// TestOneCustomersData is what holders of two grants of one profile see at the same time, whatever they try.
func TestOneCustomersData(t *testing.T) {
	t.Parallel()
	onEachShop(t, func(t *testing.T, c *cluster, d *Driver) {
		prepareFor(t, c, d, oneCustomer)
		a, _ := visit(t, c, d, oneCustomer, customer("7"))
		b, o := visit(t, c, d, oneCustomer, customer("8"))
		sees := func(conn *pgx.Conn, want string) {
			t.Helper()
			if got := ask(t, conn, "SELECT count(*) || ' of ' || coalesce(string_agg(DISTINCT customer_id::text, ','), 'nobody') FROM orders"); got != want {
				t.Errorf("sees %s instead of %s", got, want)
			}
		}
		sees(a, "4 of 7")
		sees(b, "4 of 8")
		born, token := ask(t, a, "SELECT born::text FROM customers"), ask(t, a, "SELECT token::text FROM customers")
		if born != "1980-01-01" || !strings.HasPrefix(token, "00000000-0000-0000-0000-00000000") || strings.HasSuffix(token, "0000000000") {
			t.Errorf("born %s, token %s", born, token)
		}
		if got := ask(t, a, "SELECT format('%s %s %s %s', id, email, card_number, notes IS NULL) FROM customers"); got != "7 c***@example.com *** t" {
			t.Errorf("sees %s", got)
		}
		// Types stay what they are, so that clients go on working.
		if got := ask(t, a, "SELECT string_agg(format_type(atttypid, atttypmod), ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attnum > 0"); got !=
			"bigint,text,character varying(80),text,date,uuid,jsonb" {
			t.Errorf("the types are %s", got)
		}

		// Nothing a visitor can say about itself changes who it is.
		for _, attack := range []string{
			"SET ROLE pa_support", "SET SESSION AUTHORIZATION DEFAULT", "SET prodaccess.customer_id = '8'", "SET search_path = sc, public",
			"ALTER ROLE CURRENT_USER SET search_path = sc", "RESET ALL", "SET row_security = off", "SET TimeZone = 'Pacific/Kiritimati'", "DISCARD ALL",
			"BEGIN ISOLATION LEVEL SERIALIZABLE",
		} {
			if _, err := a.Exec(t.Context(), attack); err != nil {
				t.Errorf("%s: %v", attack, err)
			}
			if got := ask(t, a, "SELECT string_agg(DISTINCT customer_id::text, ',') FROM pa_support.orders"); got != "7" {
				t.Errorf("after %q it sees %s", attack, got)
			}
		}
		_, _ = a.Exec(t.Context(), "ROLLBACK; DISCARD ALL")
		for _, attack := range []string{
			"SET ROLE " + ident(o.Login), "SET SESSION AUTHORIZATION " + ident(o.Login), "SET ROLE pa_support__views", "SET ROLE pa_internal",
			"SELECT * FROM sc.customers", "SELECT * FROM sc.orders", "TABLE pa_internal.bound_values", "TABLE pa_internal.hash_key",
			"SELECT pa_internal.parameter_value('customer_id')", "INSERT INTO pa_internal.bound_values VALUES (current_user, 'customer_id', '8')",
			"CREATE OR REPLACE VIEW pa_support.orders AS SELECT 1", "ALTER VIEW pa_support.orders SET (security_barrier = false)",
			"CREATE FUNCTION pa_support.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "UPDATE orders SET item = 'x'", "GRANT pa_support__views TO CURRENT_USER",
			"CREATE TEMP TABLE orders (a int)",
		} {
			if _, err := a.Exec(t.Context(), attack); stateOf(err) != "42501" {
				t.Errorf("%s: %v", attack, err)
			}
		}
		leaky(t, c, a)

		_, cleaned := takeBack(t, d, o)
		if !slices.ContainsFunc(cleaned.Checks, func(c grants.Check) bool { return strings.Contains(c.What, "no value of a parameter") }) {
			t.Errorf("%+v", cleaned.Checks)
		}
		if got := rows(t, c, "SELECT string_agg(value, ',') FROM pa_internal.bound_values"); got != "7" {
			t.Errorf("values left: %s", got)
		}
		// Were the values lost, there would be nothing to see: not everything.
		run(t, c.srv.URL("app"), "DELETE FROM pa_internal.bound_values")
		sees(a, "0 of nobody")
	})
}

// leaky tries a cheap function that tells what it was given, which a planner would like to run first.
func leaky(t *testing.T, c *cluster, visitor *pgx.Conn) {
	t.Helper()
	run(t, c.srv.URL("app"), "CREATE FUNCTION public.tell(anyelement) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS"+
		" $$ BEGIN RAISE NOTICE 'told %', $1; RETURN true; END $$")
	for _, query := range []string{
		"SELECT count(*) FROM orders WHERE public.tell(item) AND public.tell(customer_id)", "SELECT count(*) FROM customers WHERE public.tell(email)",
		"SELECT count(*) FROM customers WHERE public.tell(customers)", "SELECT count(*) FROM customers c JOIN orders o ON public.tell(c.card_number || o.item)",
		"SELECT count(*) FROM orders WHERE 1 / (customer_id - 7 + 1) > -1", "SELECT count(*) FROM orders WHERE item::int = 1 OR true",
	} {
		told.Lock()
		told.what = nil
		told.Unlock()
		_, _ = visitor.Exec(t.Context(), query)
		told.Lock()
		for _, what := range told.what {
			for _, secret := range []string{"c7@", "@example.com", "4000 ", "Customer "} {
				if strings.Contains(what, secret) && !strings.Contains(what, "c***@") {
					t.Errorf("%s tells %s", query, what)
				}
			}
			if n := strings.TrimPrefix(what, "told thing "); n != what && !slices.Contains([]string{"6", "56", "106", "156"}, n) {
				t.Errorf("%s tells %s", query, what)
			}
		}
		told.Unlock()
	}
}

// told collects what leaky functions say.
var told struct {
	sync.Mutex
	what []string
}

// onEachShop runs a test on an unprepared server of every version.
func onEachShop(t *testing.T, f func(t *testing.T, c *cluster, d *Driver)) {
	for _, major := range majors {
		t.Run(fmt.Sprintf("postgres %d", major), func(t *testing.T) {
			t.Parallel()
			c, d := shop(t, major)
			f(t, c, d)
		})
	}
}

func ask(t testing.TB, conn *pgx.Conn, sql string, args ...any) string {
	t.Helper()
	var text *string
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&text); err != nil {
		t.Errorf("%s: %v", sql, err)
		return "error"
	}
	if text == nil {
		return "NULL"
	}
	return *text
}

// rows asks as the superuser.
func rows(t testing.TB, c *cluster, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.srv.URL("app"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	return ask(t, conn, sql)
}

// TestValuesElsewhere has a target whose databases are not the one in which roles are made.
func TestValuesElsewhere(t *testing.T) {
	t.Parallel()
	c, _ := shop(t, 18)
	run(t, c.srv.URL("postgres"), "CREATE DATABASE second TEMPLATE app")
	both := func(cfg *Config) {
		cfg.Target.Databases = []string{"app", "second"}
		cfg.AdminURL = secret.New(c.srv.UserURL("prodaccess_admin", "admin", "postgres"))
		cfg.PrepareURL = secret.New(c.srv.URL("app"))
	}
	d := c.open(t, both)
	prepareFor(t, c, d, oneCustomer)
	_, o := visit(t, c, d, oneCustomer, customer("9"))
	for _, database := range []string{"app", "second"} {
		conn, err := pgx.Connect(t.Context(), c.srv.UserURL(o.Login, o.Password.Reveal(), database))
		if err != nil {
			t.Fatal(err)
		}
		if got := ask(t, conn, "SELECT string_agg(DISTINCT customer_id::text, ',') FROM orders"); got != "9" {
			t.Errorf("in %s it sees %s", database, got)
		}
		conn.Close(context.Background())
	}
	// An order that fails after its values were written leaves them to nobody, until Clean removes them.
	late := d.newOrder(t, oneCustomer)
	late.Params = []grants.Param{customer("10")}
	run(t, c.srv.URL("app"), "CREATE ROLE "+ident(late.Login)) // in the way
	if _, err := d.Issue(t.Context(), late); grants.ReasonOf(err) != grants.FailForeign {
		t.Errorf("issued over a foreign role: %v", err)
	}
	run(t, c.srv.URL("app"), "DROP ROLE "+ident(late.Login))
	if got := rows(t, c, "SELECT count(*)::text FROM pa_internal.bound_values"); got != "2" {
		t.Errorf("%s values", got)
	}
	for _, order := range []grants.Order{late, o} {
		takeBack(t, d, order)
	}
	if got := rows(t, c, "SELECT count(*)::text FROM pa_internal.bound_values"); got != "0" {
		t.Errorf("%s values are left", got)
	}
}

// TestTheProfileChanges changes definitions while a grant is live.
func TestTheProfileChanges(t *testing.T) {
	t.Parallel()
	c, d := shop(t, 16)
	p := grants.Profile{Name: "care", Privileges: []grants.Privilege{{Schema: "sc", Tables: []string{"*"}, Privileges: []string{"select"}}}}
	prepareFor(t, c, d, p)
	conn, _ := visit(t, c, d, p)
	may := func(sql string, want bool) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); (err == nil) != want {
			t.Errorf("%s: %v", sql, err)
		}
	}
	may("SELECT email FROM sc.customers", true)

	// A limit takes the table out of what "*" covers, in the transaction that makes the view.
	narrow := grants.Privilege{Schema: "sc", Tables: []string{"customers"}, Privileges: []string{"select"}, Mask: map[string]string{"email": "hide"}}
	p.Privileges = append(slices.Clone(p.Privileges), narrow)
	prepareFor(t, c, d, p)
	may("SELECT email FROM sc.customers", false)
	may("SELECT item FROM sc.orders", true)
	if got := ask(t, conn, "SELECT max(email) FROM pa_care.customers"); got != "***" {
		t.Errorf("email %s", got)
	}
	next, _ := visit(t, c, d, p) // the same driver has to notice
	if got := ask(t, next, "SELECT max(email) FROM customers"); got != "***" {
		t.Errorf("email %s", got)
	}
	// Another mask replaces the view under sessions that use it; another choice of columns makes it anew.
	narrow.Mask = map[string]string{"email": "hide", "name": "null"}
	p.Privileges[1] = narrow
	prepareFor(t, c, d, p)
	if got := ask(t, next, "SELECT count(name)::text FROM customers"); got != "0" {
		t.Errorf("%s names", got)
	}
	narrow.Columns, narrow.Mask = []string{"email", "id"}, map[string]string{"email": "hide"}
	p.Privileges[1] = narrow
	prepareFor(t, c, d, p)
	if got := ask(t, next, "SELECT count(id)::text FROM customers"); got != "50" {
		t.Errorf("%s customers", got)
	}
	if _, err := next.Exec(t.Context(), "SELECT name FROM customers"); stateOf(err) != "42703" {
		t.Errorf("a column that was left out: %v", err)
	}
	for _, spoil := range []string{
		"CREATE OR REPLACE VIEW pa_care.customers WITH (security_barrier) AS SELECT id, email FROM sc.customers",
		"ALTER VIEW pa_care.customers RESET (security_barrier)", "ALTER VIEW pa_care.customers OWNER TO app_owner", "ALTER SCHEMA pa_care OWNER TO app_owner",
		"DROP VIEW pa_care.customers", "GRANT SELECT (card_number) ON sc.customers TO pa_care__views", "GRANT SELECT ON sc.customers TO pa_care",
		"COMMENT ON ROLE pa_care IS NULL", "GRANT app_owner TO pa_care", "GRANT pa_care__views TO pa_care", "ALTER ROLE pa_care__views BYPASSRLS",
	} {
		run(t, c.srv.URL("app"), spoil)
		if findings, err := drifted(t, d, []grants.Profile{p}); err != nil || len(findings) == 0 {
			t.Errorf("%s: not found, %v", spoil, err)
		}
		mustApply(t, d, mustPlan(t, d, p))
		if findings, err := drifted(t, d, []grants.Profile{p}); err != nil || len(findings) > 0 {
			t.Errorf("%s: not mended: %+v, %v", spoil, findings, err)
		}
	}
	p.Privileges = p.Privileges[:1]
	prepareFor(t, c, d, p)
	may("SELECT email FROM sc.customers", true)
	if got := rows(t, c, "SELECT count(*)::text FROM pg_namespace WHERE nspname = 'pa_care'"); got != "0" {
		t.Error("the schema of views is left")
	}
}

// TestALimitedTableMadeAnew: a migration that puts a new table in the place of a limited one shows nobody what the limit hid,
// before the next apply either.
func TestALimitedTableMadeAnew(t *testing.T) {
	t.Parallel()
	c, d := shop(t, 18)
	p := grants.Profile{Name: "nearly-all", Privileges: []grants.Privilege{
		{Schema: "sc", Tables: []string{"*"}, Privileges: []string{"select", "insert"}},
		{Schema: "sc", Tables: []string{"customers"}, Privileges: []string{"select"}, Mask: map[string]string{"card_number": "hide"}},
	}}
	prepareFor(t, c, d, p)
	// As an earlier version left it.
	given := "ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA sc GRANT SELECT ON TABLES TO pa_nearly_all"
	run(t, c.srv.URL("app"), given)
	if again := mustPlan(t, d, p); len(again.Steps) != 1 || !strings.Contains(again.Steps[0].SQL, `IN SCHEMA "sc" REVOKE SELECT ON TABLES`) {
		t.Errorf("it is not taken back: %+v", again.Steps)
	}
	mustApply(t, d, mustPlan(t, d, p))
	conn, _ := visit(t, c, d, p)
	run(t, c.srv.URL("app"), "SET ROLE app_owner", "ALTER TABLE sc.customers RENAME TO customers_old",
		"CREATE TABLE sc.customers (id bigint PRIMARY KEY, card_number text)", "INSERT INTO sc.customers SELECT id, card_number FROM sc.customers_old",
		"CREATE TABLE sc.coupons (id serial PRIMARY KEY)")
	for _, table := range []string{"sc.customers", "sc.customers_old", "sc.coupons"} {
		if _, err := conn.Exec(t.Context(), "SELECT * FROM "+table); stateOf(err) != "42501" {
			t.Errorf("%s can be read: %v", table, err)
		}
	}
	findings, err := d.Check(t.Context(), []grants.Profile{p})
	if err != nil || !slices.ContainsFunc(findings, func(f grants.Finding) bool {
		return f.Advice && f.Database == "app" && strings.Contains(f.What, "profile nearly-all limits tables of schema sc") && f.Mend != ""
	}) {
		t.Errorf("nobody is told: %+v, %v", findings, err)
	}
	mustApply(t, d, mustPlan(t, d, p))
	if got := ask(t, conn, "SELECT string_agg(DISTINCT card_number, ',') FROM customers"); got != "***" {
		t.Errorf("after the apply it sees %s", got)
	}
	if got := ask(t, conn, "SELECT count(*)::text FROM coupons"); got != "0" {
		t.Errorf("%s coupons", got)
	}
	// A profile without limits sees what is made next, as before.
	if all := mustPlan(t, d, p, readOnly); !slices.ContainsFunc(all.Steps, func(s grants.PreparationStep) bool {
		return strings.HasPrefix(s.SQL, "ALTER DEFAULT PRIVILEGES") && strings.HasSuffix(s.SQL, `GRANT SELECT ON TABLES TO "pa_read_only"`)
	}) {
		t.Errorf("a profile without limits does not see what is to come: %+v", all.Steps)
	}
}

// TestDurableOwner is a profile with CREATE: what its holders make is owned by a role that stays.
func TestDurableOwner(t *testing.T) {
	t.Parallel()
	ddl := grants.Profile{Name: "ddl", LockTimeout: 3 * time.Second, IdleInTransactionTimeout: time.Minute, Privileges: []grants.Privilege{
		{Schema: "sc", Tables: []string{"*"}, Privileges: []string{"select"}}, {Schema: "sc", Tables: []string{"*"}, Privileges: []string{"create", "usage"}},
	}}
	reader := grants.Profile{Name: "reader", Privileges: []grants.Privilege{{Schema: "sc", Tables: []string{"*"}, Privileges: []string{"select"}}}}
	onEachShop(t, func(t *testing.T, c *cluster, d *Driver) {
		prepareFor(t, c, d, ddl, reader)
		conn, o := visit(t, c, d, ddl)
		if got := ask(t, conn, "SELECT concat_ws(' ', current_user, session_user = $1, current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'))", o.Login); got !=
			"pa_ddl__owner t 3s 1min" {
			t.Errorf("it is %s", got)
		}
		for _, sql := range []string{"CREATE TABLE sc.made (a serial PRIMARY KEY)", "CREATE INDEX ON sc.made (a)", "INSERT INTO sc.made DEFAULT VALUES", "SELECT * FROM sc.orders"} {
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Errorf("%s: %v", sql, err)
			}
		}
		for _, sql := range []string{"DROP TABLE sc.orders", "DELETE FROM sc.orders", "CREATE TABLE public.x (a int)", "CREATE ROLE x", "SET ROLE app_owner", "CREATE SCHEMA x"} {
			if _, err := conn.Exec(t.Context(), sql); stateOf(err) != "42501" {
				t.Errorf("%s: %v", sql, err)
			}
		}
		if c.major >= 16 { // whoever takes off the owner's coat cannot make anything; up to 15 membership inherits all the same
			if _, err := conn.Exec(t.Context(), "SET ROLE NONE; CREATE TABLE sc.own (a int)"); stateOf(err) != "42501" {
				t.Errorf("as itself: %v", err)
			}
			run(t, c.srv.URL("app"), "SELECT 1")
		}
		_, cleaned := takeBack(t, d, o)
		if len(cleaned.Leftovers) > 0 {
			t.Errorf("leftovers: %+v", cleaned.Leftovers)
		}
		if got := rows(t, c, "SELECT relowner::regrole::text FROM pg_class WHERE oid = 'sc.made'::regclass"); got != "pa_ddl__owner" {
			t.Errorf("the table belongs to %s", got)
		}
		next, _ := visit(t, c, d, ddl)
		if _, err := next.Exec(t.Context(), "ALTER TABLE sc.made ADD COLUMN b int"); err != nil {
			t.Error(err)
		}
		look, _ := visit(t, c, d, reader) // default privileges were there before the table
		if got := ask(t, look, "SELECT count(*)::text FROM sc.made"); got != "1" {
			t.Errorf("a reader sees %s rows", got)
		}
		// What outlives a grant and gives power is found.
		for _, sql := range []string{
			"CREATE FUNCTION sc.back_door() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM sc.orders'",
			"ALTER DEFAULT PRIVILEGES IN SCHEMA sc GRANT ALL ON TABLES TO PUBLIC",
		} {
			if _, err := next.Exec(t.Context(), sql); err != nil {
				t.Error(err)
			}
		}
		findings, err := drifted(t, d, []grants.Profile{ddl, reader})
		for _, says := range []string{"a visitor made the SECURITY DEFINER function sc.back_door()", "a visitor opened what holders of the same profile will make"} {
			if err != nil || !slices.ContainsFunc(findings, func(f grants.Finding) bool { return strings.Contains(f.What, says) && f.Mend != "" }) {
				t.Errorf("nothing says %q: %+v, %v", says, findings, err)
			}
		}
	})
}

// TestLostValues: a condition that makes everything of NULL shows nothing to a login without values.
func TestLostValues(t *testing.T) {
	t.Parallel()
	c, d := shop(t, 17)
	p := grants.Profile{
		Name: "lost", Parameters: []grants.Parameter{{Name: "item", Type: "text"}},
		Privileges: []grants.Privilege{{Schema: "sc", Tables: []string{"orders"}, Privileges: []string{"select"}, Rows: ":item IS NULL OR item = :item"}},
	}
	prepareFor(t, c, d, p)
	conn, _ := visit(t, c, d, p)
	if got := ask(t, conn, "SELECT count(*)::text FROM orders"); got != "200" {
		t.Errorf("%s orders without an item", got)
	}
	run(t, c.srv.URL("app"), "DELETE FROM pa_internal.bound_values")
	if got := ask(t, conn, "SELECT count(*)::text FROM orders"); got != "0" {
		t.Errorf("%s orders without values", got)
	}
}
