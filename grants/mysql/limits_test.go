package mysql

import (
	"testing"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/rowlimit"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// limitsCluster has customers that a profile narrows, and a session of a login that sees one.
func limitsCluster(t *testing.T, on flavour, rows string, words ...string) (*cluster, *Driver, *session) {
	t.Helper()
	c := startCluster(t, on, nil)
	t.Cleanup(c.stop)
	run(t, c, "CREATE DATABASE app", "CREATE TABLE app.orders (id INT PRIMARY KEY, customer_id BIGINT, item VARCHAR(40), at TIMESTAMP NOT NULL DEFAULT '2026-01-01 00:30:00')",
		"CREATE TABLE app.items (id INT)", "INSERT INTO app.items VALUES (1)",
		"INSERT INTO app.orders (id, customer_id, item) VALUES (1, 1, 'lamp'), (2, 2, 'the hidden one')")
	d := c.open(t, func(cfg *Config) { cfg.PrepareURL = secret.New(c.srv.RootURL()) })
	c.apply(t, d, []grants.Profile{{
		Name:       "narrow",
		Parameters: []grants.Parameter{{Name: "customer_id", Type: "bigint", Required: true}, {Name: "since", Type: "timestamptz"}},
		Privileges: []grants.Privilege{
			{Schema: "app", Tables: []string{"orders"}, Privileges: append([]string{"select"}, words...), Rows: rows},
			{Schema: "app", Tables: []string{"*"}, Privileges: []string{"select"}},
		},
	}})
	o := newOrder(t, d, "pa_narrow")
	o.Params = []grants.Param{{Name: "customer_id", Type: "bigint", Value: "1"}, {Name: "since", Type: "timestamptz", Value: "2026-01-01T00:00:00Z"}}
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	s, err := openSession(t.Context(), c.srv.Config(o.Login, o.Password.Reveal(), "pa_narrow"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return c, d, s
}

func (s *session) count(t *testing.T, from string) (n int, err error) {
	t.Helper()
	err = s.conn.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+from).Scan(&n)
	return n, err
}

// A condition that fails on a hidden row would tell of it: the barrier keeps it from being tried there. The server tries
// conditions on an index before all others, so that a view that it merges with the query does tell.
func TestRowsOutsideTheLimitCannotBeProbed(t *testing.T) {
	onEach(t, rowsOutsideTheLimitCannotBeProbed)
}

func rowsOutsideTheLimitCannotBeProbed(t *testing.T, on flavour) {
	c, _, s := limitsCluster(t, on, "customer_id = :customer_id AND at >= :since")
	const probe = " WHERE item BETWEEN 'l' AND 'the z' AND EXP(IF(item LIKE 'the hidden%', 1000, 0)) > 0"
	run(t, c, "ALTER TABLE app.orders ADD INDEX (item)", "SET SESSION "+c.choose("max_recursive_iterations", "cte_max_recursion_depth")+" = 4000", "INSERT INTO app.orders (id, customer_id, item)"+
		" WITH RECURSIVE n (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < 3000) SELECT seq + 10, 3, CONCAT('a', seq) FROM n",
		"ANALYZE TABLE app.orders", "CREATE VIEW app.merged AS SELECT * FROM app.orders WHERE customer_id = 1")
	if _, err := c.super.ExecContext(t.Context(), "SELECT COUNT(*) FROM app.merged"+probe); err == nil {
		t.Fatal("the probe does not fail on the hidden row of a view without a barrier, so that it proves nothing")
	}
	for _, from := range []string{"orders" + probe, "orders o" + probe + " AND o.customer_id >= 1", "(SELECT * FROM orders" + probe + ") x"} {
		if n, err := s.count(t, from); err != nil || n != 1 {
			t.Errorf("%s: %d, %v", from, n, err)
		}
	}
	if n, err := s.count(t, "items"); err != nil || n != 1 {
		t.Errorf("a table without a limit is not found by its name: %d, %v", n, err)
	}
	for _, sql := range []string{"SELECT * FROM app.orders", "SELECT * FROM prodaccess.bound_values", "SELECT * FROM prodaccess.hash_key", "SHOW CREATE VIEW orders", "UPDATE orders SET item = 'x'"} {
		if _, err := s.conn.ExecContext(t.Context(), sql); err == nil {
			t.Errorf("%s was not refused", sql)
		}
	}
}

// A table that a profile narrows may be made after the profile was prepared: it is not to be had without its limit meanwhile.
func TestALimitedTableThatIsMadeLater(t *testing.T) { onEach(t, aLimitedTableThatIsMadeLater) }

func aLimitedTableThatIsMadeLater(t *testing.T, on flavour) {
	c := startCluster(t, on, nil)
	t.Cleanup(c.stop)
	run(t, c, "CREATE DATABASE app", "CREATE DATABASE other", "CREATE DATABASE free", "CREATE TABLE app.items (id INT)", "CREATE TABLE other.people (id INT, email VARCHAR(100))")
	d := c.open(t, func(cfg *Config) {
		cfg.PrepareURL, cfg.Target.Databases = secret.New(c.srv.RootURL()), []string{"app", "other", "free"}
	})
	profiles := []grants.Profile{{Name: "masked", Privileges: []grants.Privilege{
		{Schema: "*", Tables: []string{"people"}, Privileges: []string{"select"}, Mask: map[string]string{"email": "hide"}},
		{Schema: "app", Tables: []string{"*"}, Privileges: []string{"select"}},
	}}, {Name: "all", Privileges: []grants.Privilege{{Schema: "*", Tables: []string{"*"}, Privileges: []string{"select"}}}}}
	// What was granted on the whole database before is taken back.
	c.apply(t, d, profiles)
	run(t, c, "GRANT SELECT ON app.* TO pa_masked")
	c.apply(t, d, profiles)
	run(t, c, "CREATE TABLE app.people (id INT, email VARCHAR(100))")
	for role, may := range map[string]bool{"pa_masked": false, "pa_all": true} {
		o := newOrder(t, d, role)
		if _, err := d.Issue(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		s, err := openSession(t.Context(), c.srv.Config(o.Login, o.Password.Reveal(), ""))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.count(t, "app.people"); (err == nil) != may {
			t.Errorf("%s: reading a table that was made later: %v", role, err)
		}
		if _, err := s.count(t, "app.items"); err != nil {
			t.Errorf("%s: %v", role, err)
		}
		s.Close()
		takeBack(t, c, d, o)
	}
}

// A login whose values are gone sees nothing, whatever its limit makes of NULL.
func TestALoginWithoutItsValuesSeesNothing(t *testing.T) {
	onEach(t, aLoginWithoutItsValuesSeesNothing)
}

func aLoginWithoutItsValuesSeesNothing(t *testing.T, on flavour) {
	c, _, s := limitsCluster(t, on, "(:customer_id IS NULL OR customer_id = :customer_id) AND (:since IS NULL OR at >= :since)")
	if n, err := s.count(t, "orders"); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	run(t, c, "DELETE FROM prodaccess.bound_values")
	if n, err := s.count(t, "orders"); err != nil || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// What a session can set moves no limit.
func TestTheSessionCannotBendALimit(t *testing.T) { onEach(t, theSessionCannotBendALimit) }

func theSessionCannotBendALimit(t *testing.T, on flavour) {
	_, _, s := limitsCluster(t, on, "customer_id = :customer_id AND at >= :since")
	for _, set := range []string{
		"DO 1", "SET time_zone = '-12:00'", "SET time_zone = '+12:00'", "SET timestamp = 1", "SET sql_mode = ''", "SET sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES'",
		"SET NAMES latin1", "SET collation_connection = utf8mb4_bin", "SET optimizer_switch = 'derived_merge=off'", "SET sql_select_limit = 1",
	} {
		if _, err := s.conn.ExecContext(t.Context(), set); err != nil {
			t.Fatal(set, err)
		}
		if n, err := s.count(t, "orders"); err != nil || n != 1 {
			t.Errorf("%s: %d rows, %v", set, n, err)
		}
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	declared := []grants.Parameter{{Name: "customer_id", Type: "bigint"}}
	for text, want := range map[string]string{
		"customer_id = :customer_id":               "customer_id = ?",
		`"Customer Id" = :customer_id`:             "`Customer Id` = ?",
		`"now" IS NULL AND status = 'it''s new'`:   "`now` IS NULL AND status = 'it''s new'",
		"(:customer_id IS NULL OR a=:customer_id)": "(? IS NULL OR a=?)",
		"": "",
	} {
		c, err := rowlimit.Parse(text, declared, dialect)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := c.SQL(func(grants.Parameter) string { return "?" }); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{
		"a = 1; DROP TABLE x", "a = 1 -- b", "a = 1 # b", "a /* b */ = 1", "a = /*!50000 1 */", "a = 'x", `a = "x`, "a = 'x\\' OR 1=1", "a = `b`", "a = @b", "a := 1",
		"a || b", "a && b", "a::int = 1", "a = $1", "a ~ 'b'", "a = :other", "a = (SELECT 1)", "a IN (select b from c)", "created > NOW()", "created > current_date",
		"a = USER()", "SLEEP(1)", "a = LOAD_FILE('x')", "a = 1)", "(a = 1", "a = X'00'", "a = \x00", "a = 1 INTO OUTFILE 'x'", "a = :", "a = rand()",
	} {
		if _, err := rowlimit.Parse(text, declared, dialect); err == nil {
			t.Errorf("%q passes", text)
		}
	}
}
