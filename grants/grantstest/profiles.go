package grantstest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// Shops makes targets to prepare for profiles.
type Shops interface {
	// Shop makes a target with the tables below, prepares it for the profiles, with Plan and Apply where the driver has
	// them, and removes it with the test. The tables are in a schema of that name, or what the engine has for schemas.
	//
	//	customers (id bigint primary key, name varchar(100), email varchar(100), card_number varchar(30), born date)
	//	orders    (id bigint primary key, customer_id bigint, item varchar(100), status varchar(20))
	//
	// with the rows of [Customers] and [Orders].
	Shop(t testing.TB, schema string, profiles []grants.Profile) Shop
	// Cannot names what the engine has no way to do: "masks", "rows", "writes through limits", "create".
	Cannot() []string
}

// Shop is a prepared target.
type Shop interface {
	Driver() grants.Driver
	// Login opens a session with what a holder is told: unqualified names must mean what the profile shows.
	Login(ctx context.Context, login string, password secret.String) (Clerk, error)
	// Refused says whether the error of a clerk is the server's refusal: of a privilege, of a table that cannot be seen, or
	// of a row that would leave what the profile shows.
	Refused(err error) bool
	// Values counts the values kept for a login, over all databases.
	Values(t testing.TB, login string) int
}

// Clerk is a visitor's session.
type Clerk interface {
	// Ask runs a statement and returns its rows as text; NULL is "NULL".
	Ask(ctx context.Context, sql string) ([][]string, error)
	Close()
}

// The rows of a shop.
var (
	Customers = [][]string{
		{"1", "Ida Lind", "ida@example.com", "4000 0000 0000 0002", "1980-05-17"},
		{"2", "Jon Berg", "jon@example.com", "4000 0000 0000 0010", "1991-12-31"},
		{"3", "Ida Lind", "kim@example.com", "4000 0000 0000 0028", "1975-01-01"},
	}
	Orders = [][]string{
		{"101", "1", "lamp", "shipped"}, {"102", "2", "chair", "paid"}, {"103", "2", "it's a 'desk'", "paid"}, {"104", "3", "shelf", "new"},
	}
)

const shopSchema = "shop"

// ExerciseProfiles runs the part of the suite that is about what profiles limit.
func ExerciseProfiles(t *testing.T, shops Shops) {
	for _, c := range []struct {
		name, needs string
		run         func(*testing.T, Shops)
	}{
		{"masks", "masks", masks},
		{"rows of one request", "rows", rows},
		{"values that try to be SQL", "rows", hostile},
		{"values that are missing or not asked for", "rows", wrongValues},
		{"an optional value", "rows", optional},
		{"writing through limits", "writes through limits", writes},
		{"what is made stays", "create", makes},
	} {
		t.Run("profiles/"+c.name, func(t *testing.T) {
			if slices.Contains(shops.Cannot(), c.needs) {
				t.Logf("this engine has no %s; a profile with them must be refused", c.needs)
				return
			}
			t.Parallel()
			c.run(t, shops)
		})
	}
}

// open prepares a shop for one profile and returns a bench whose orders are for it.
func openShop(t *testing.T, shops Shops, p grants.Profile) (Shop, *bench) {
	t.Helper()
	s := shops.Shop(t, shopSchema, []grants.Profile{p})
	fingerprint, err := s.Driver().Fingerprint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s, &bench{Fixture: roleOf{p: p, d: s.Driver()}, driver: s.Driver(), fingerprint: fingerprint}
}

// roleOf is as much of a fixture as the bench needs for issuing.
type roleOf struct {
	Fixture
	p grants.Profile
	d grants.Driver
}

func (r roleOf) AccessRole() string                     { return grants.AccessRole(r.p.Name) }
func (r roleOf) Open(testing.TB, Options) grants.Driver { return r.d }

func enter(t *testing.T, s Shop, b *bench, params ...grants.Param) (*clerk, grants.Login) {
	t.Helper()
	o := b.order()
	o.Params = params
	login := b.issue(t, o)
	c, err := s.Login(t.Context(), o.Login, o.Password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &clerk{t: t, s: s, Clerk: c}, login
}

type clerk struct {
	Clerk
	t *testing.T
	s Shop
}

// ask returns the rows as one text: columns by |, rows by ;.
func (c *clerk) ask(sql string) string {
	c.t.Helper()
	rows, err := c.Ask(c.t.Context(), sql)
	if err != nil {
		c.t.Errorf("%s: %v", sql, err)
		return "error"
	}
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = strings.Join(row, "|")
	}
	return strings.Join(lines, ";")
}

func (c *clerk) wants(sql, want string) {
	c.t.Helper()
	if got := c.ask(sql); got != want {
		c.t.Errorf("%s: %q instead of %q", sql, got, want)
	}
}

func (c *clerk) refused(sql string) {
	c.t.Helper()
	if rows, err := c.Ask(c.t.Context(), sql); err == nil || !c.s.Refused(err) {
		c.t.Errorf("%s was not refused: %v, %v", sql, rows, err)
	}
}

func limit(table string, rows string, mask map[string]string, words ...string) grants.Privilege {
	return grants.Privilege{Schema: shopSchema, Tables: []string{table}, Privileges: append([]string{"select"}, words...), Rows: rows, Mask: mask}
}

func customerID(value string) grants.Param {
	return grants.Param{Name: "customer_id", Type: "bigint", Value: value}
}

var oneCustomer = grants.Profile{
	Name:       "one-customer",
	Parameters: []grants.Parameter{{Name: "customer_id", Type: "bigint", Required: true}},
	Privileges: []grants.Privilege{
		limit("orders", "customer_id = :customer_id", nil),
		limit("customers", "id = :customer_id", map[string]string{"email": "partial", "card_number": "hide"}),
	},
}

func masks(t *testing.T, shops Shops) {
	s, b := openShop(t, shops, grants.Profile{Name: "masked", Privileges: []grants.Privilege{limit("customers", "", map[string]string{
		"name": "hash", "email": "partial", "card_number": "hide", "born": "year",
	})}})
	c, _ := enter(t, s, b)
	c.wants("SELECT id, email FROM customers ORDER BY id", "1|i***@example.com;2|j***@example.com;3|k***@example.com")
	c.wants("SELECT count(*), count(DISTINCT card_number) FROM customers", "3|1")
	c.wants("SELECT id FROM customers WHERE card_number LIKE '4000%' OR email LIKE 'ida%'", "")
	c.wants("SELECT born FROM customers ORDER BY id", "1980-01-01;1991-01-01;1975-01-01")
	// The same value has the same hash, which says nothing about the value.
	c.wants("SELECT count(*), count(DISTINCT name) FROM customers", "3|2")
	if got := c.ask("SELECT name FROM customers"); strings.Contains(got, "Ida") || strings.Contains(got, "Lind") {
		t.Errorf("hashed names: %s", got)
	}
	c.refused("SELECT * FROM " + shopSchema + ".customers")

	s, b = openShop(t, shops, grants.Profile{Name: "masked-otherwise", Privileges: []grants.Privilege{limit("customers", "id <> 2", map[string]string{
		"name": "null", "card_number": "constant:it's hidden", "email": "hash",
	})}})
	c, _ = enter(t, s, b)
	c.wants("SELECT id, name, card_number FROM customers ORDER BY id", "1|NULL|it's hidden;3|NULL|it's hidden")
	c.wants("SELECT count(*) FROM customers WHERE email LIKE '%@%'", "0")
}

func rows(t *testing.T, shops Shops) {
	s, b := openShop(t, shops, oneCustomer)
	one, login := enter(t, s, b, customerID("1"))
	two, _ := enter(t, s, b, customerID("2"))
	nobody, _ := enter(t, s, b, customerID("-9223372036854775808"))
	one.wants("SELECT id, item FROM orders ORDER BY id", "101|lamp")
	two.wants("SELECT id, item FROM orders ORDER BY id", "102|chair;103|it's a 'desk'")
	one.wants("SELECT id, email FROM customers", "1|i***@example.com")
	two.wants("SELECT o.id, c.email FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY 1", "102|j***@example.com;103|j***@example.com")
	nobody.wants("SELECT count(*) FROM orders", "0")
	for _, table := range []string{"orders", "customers"} {
		one.refused("SELECT * FROM " + shopSchema + "." + table)
	}
	one.refused("UPDATE orders SET status = 'paid'")
	one.refused("DELETE FROM orders")
	if n := s.Values(t, login.Name); n == 0 {
		t.Error("no values are kept")
	}
	b.secure(t, login)
	cleaned := b.clean(t, login)
	if n := s.Values(t, login.Name); n != 0 {
		t.Errorf("%d values outlive the login", n)
	}
	if !slices.ContainsFunc(cleaned.Checks, func(c grants.Check) bool { return c.OK && strings.Contains(c.What, "value") }) {
		t.Errorf("the receipt does not speak of values: %+v", cleaned.Checks)
	}
	two.wants("SELECT count(*) FROM orders", "2") // another grant's are left alone
}

func hostile(t *testing.T, shops Shops) {
	s, b := openShop(t, shops, grants.Profile{
		Name:       "by-item",
		Parameters: []grants.Parameter{{Name: "item", Type: "text", Required: true}, {Name: "since", Type: "date", Required: true}},
		Privileges: []grants.Privilege{limit("orders", "item = :item AND :since <= '2026-01-01'", nil)},
	})
	since := grants.Param{Name: "since", Type: "date", Value: "2020-02-29"}
	for _, value := range []string{
		"' OR '1'='1", `\' OR 1=1 -- `, "x'; DROP TABLE orders; --", "lamp'--", "$1", ":item", "%", "{lamp}", `"lamp"`, "lamp\x7f",
		strings.Repeat("'", 100), "lamp ", "ＬＡＭＰ", "NULL", "item", "(SELECT item)",
	} {
		c, _ := enter(t, s, b, grants.Param{Name: "item", Type: "text", Value: value}, since)
		c.wants("SELECT count(*) FROM orders", "0")
	}
	c, _ := enter(t, s, b, grants.Param{Name: "item", Type: "text", Value: "it's a 'desk'"}, since)
	c.wants("SELECT id FROM orders", "103")
}

func wrongValues(t *testing.T, shops Shops) {
	_, b := openShop(t, shops, oneCustomer)
	for name, params := range map[string][]grants.Param{
		"none":             nil,
		"another's":        {{Name: "order_id", Type: "bigint", Value: "1"}},
		"one too many":     {customerID("1"), {Name: "order_id", Type: "bigint", Value: "1"}},
		"another type":     {{Name: "customer_id", Type: "text", Value: "1"}},
		"twice":            {customerID("1"), customerID("2")},
		"no number":        {customerID("1 OR 1=1")},
		"too big":          {customerID("9223372036854775808")},
		"empty":            {customerID("")},
		"a hostile name":   {{Name: "customer_id'); DROP TABLE x; --", Type: "bigint", Value: "1"}},
		"a hostile type":   {{Name: "customer_id", Type: "bigint); DROP TABLE x; --", Value: "1"}},
		"a value of NULLs": {customerID("\x00")},
	} {
		o := b.order()
		o.Params = params
		b.removeLater(t, loginOf(o, 0))
		if _, err := b.driver.Issue(t.Context(), o); err == nil {
			t.Errorf("%s: issued", name)
		} else if f, ok := errors.AsType[*grants.Failure](err); !ok || f.Reason == grants.FailUnreachable || f.Reason == grants.FailBusy {
			t.Errorf("%s: %v", name, err)
		}
		if logins, err := b.driver.Logins(t.Context()); err != nil || slices.ContainsFunc(logins, func(l grants.Login) bool { return l.Name == o.Login }) {
			t.Errorf("%s: the login came to be: %v", name, err)
		}
	}
	// A profile without parameters takes none: a limit nobody enforces would be one in name only.
	_, b = openShop(t, shops, grants.Profile{Name: "plain", Privileges: []grants.Privilege{
		{Schema: shopSchema, Tables: []string{"orders"}, Privileges: []string{"select"}},
	}})
	o := b.order()
	o.Params = []grants.Param{customerID("1")}
	_, err := b.driver.Issue(t.Context(), o)
	wantReason(t, err, grants.FailUnprepared)
}

func optional(t *testing.T, shops Shops) {
	s, b := openShop(t, shops, grants.Profile{
		Name:       "by-status",
		Parameters: []grants.Parameter{{Name: "status", Type: "text"}, {Name: "customer_id", Type: "bigint", Required: true}},
		Privileges: []grants.Privilege{limit("orders", "customer_id >= :customer_id AND (:status IS NULL OR status = :status)", nil)},
	})
	with, _ := enter(t, s, b, customerID("2"), grants.Param{Name: "status", Type: "text", Value: "paid"})
	without, _ := enter(t, s, b, customerID("2"))
	with.wants("SELECT id FROM orders ORDER BY id", "102;103")
	without.wants("SELECT id FROM orders ORDER BY id", "102;103;104")
}

func writes(t *testing.T, shops Shops) {
	s, b := openShop(t, shops, grants.Profile{
		Name:       "fix-one",
		Parameters: oneCustomer.Parameters,
		Privileges: []grants.Privilege{
			limit("orders", "customer_id = :customer_id", nil, "insert", "update", "delete"),
			limit("customers", "id = :customer_id", map[string]string{"card_number": "hide"}, "update"),
		},
	})
	c, _ := enter(t, s, b, customerID("2"))
	c.ask("UPDATE orders SET status = 'mended'")
	c.refused("UPDATE orders SET customer_id = 1 WHERE id = 102")
	c.refused("INSERT INTO orders (id, customer_id, item, status) VALUES (900, 1, 'x', 'x')")
	c.ask("INSERT INTO orders (id, customer_id, item, status) VALUES (901, 2, 'x', 'mended')")
	c.ask("DELETE FROM orders WHERE id IN (101, 102, 901)")
	c.ask("UPDATE customers SET name = 'Jo Berg'")
	c.refused("UPDATE customers SET card_number = 'x'")
	c.refused("DELETE FROM customers")
	c.wants("SELECT id, status FROM orders", "103|mended")
	other, _ := enter(t, s, b, customerID("1"))
	other.wants("SELECT id, status FROM orders", "101|shipped")
	other.wants("SELECT name FROM customers", "Ida Lind")
}

func makes(t *testing.T, shops Shops) {
	s, b := openShop(t, shops, grants.Profile{Name: "ddl", Privileges: []grants.Privilege{
		{Schema: shopSchema, Tables: []string{"*"}, Privileges: []string{"select"}}, {Schema: shopSchema, Privileges: []string{"create"}},
	}})
	c, login := enter(t, s, b)
	c.ask("CREATE TABLE " + shopSchema + ".made (a int)")
	c.wants("SELECT count(*) FROM "+shopSchema+".orders", "4")
	c.refused("DROP TABLE " + shopSchema + ".orders")
	b.secure(t, login)
	if cleaned := b.clean(t, login); len(cleaned.Leftovers) != 0 {
		t.Errorf("leftovers: %+v", cleaned.Leftovers)
	}
	next, _ := enter(t, s, b)
	next.ask("ALTER TABLE " + shopSchema + ".made ADD COLUMN b int")
	next.wants("SELECT count(b) FROM "+shopSchema+".made", "0")
}
