package postgres

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
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
	run(t, c.srv.URL("app"), "ALTER ROLE prodaccess_admin PASSWORD 'admin'")
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
	conn, err := pgx.Connect(t.Context(), c.srv.UserURL(o.Login, o.Password.Reveal(), "app"))
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

func TestOneCustomer(t *testing.T) {
	t.Parallel()
	for _, major := range []int{15, 18} {
		c, d := shop(t, major)
		prepareFor(t, c, d, oneCustomer)
		a, _ := visit(t, c, d, oneCustomer, customer("7"))
		b, o := visit(t, c, d, oneCustomer, customer("8"))
		for conn, id := range map[*pgx.Conn]int64{a: 7, b: 8} {
			var n, got int64
			var email, card, name string
			if err := conn.QueryRow(t.Context(), "SELECT count(*), min(customer_id) FROM orders").Scan(&n, &got); err != nil || n != 4 || got != id {
				t.Errorf("%d: %d orders of %d: %v", id, n, got, err)
			}
			if err := conn.QueryRow(t.Context(), "SELECT id, email, card_number, name FROM customers").Scan(&got, &email, &card, &name); err != nil || got != id || email != "c***@example.com" || card != "***" || len(name) != 64 {
				t.Errorf("%d: %d %s %s %s: %v", id, got, email, card, name, err)
			}
		}
		_, cleaned := takeBack(t, d, o)
		t.Log(cleaned.Checks)
	}
}
