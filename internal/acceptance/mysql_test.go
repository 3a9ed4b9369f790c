package acceptance

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/prodaccess/prodaccess/internal/localmysql"
	"github.com/prodaccess/prodaccess/internal/stage"
)

// shop is a MariaDB or a MySQL with customers and orders.
type shop struct {
	*localmysql.Server
	root *sql.DB
}

const shopAdminPassword = "shop-admin"

func openShop(t *testing.T, product localmysql.Product) *shop {
	t.Helper()
	srv, err := localmysql.Start(t.Context(), localmysql.Options{Product: product})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	s := &shop{Server: srv, root: openMySQL(t, srv.Root(""))}
	s.run(t, "CREATE DATABASE shop", "CREATE TABLE shop.orders (id INT PRIMARY KEY, customer_id BIGINT, status VARCHAR(20))",
		"CREATE TABLE shop.customers (id BIGINT PRIMARY KEY, email VARCHAR(100), card_number VARCHAR(30))",
		"INSERT INTO shop.customers VALUES (1, 'ida@example.com', '4000 0000 0000 0002'), (2, 'jon@example.com', '4000 0000 0000 0010')",
		"INSERT INTO shop.orders VALUES (101, 1, 'paid'), (102, 2, 'stuck'), (103, 2, 'stuck')")
	return s
}

func openMySQL(t *testing.T, cfg *mysql.Config) *sql.DB {
	t.Helper()
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (s *shop) run(t *testing.T, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := s.root.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func (s *shop) ask(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	var v string
	if err := db.QueryRowContext(t.Context(), query).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

// visits opens the session that a credential's URL describes.
func (s *shop) visits(t *testing.T, credential string) (*sql.Conn, string) {
	t.Helper()
	u, err := url.Parse(credential)
	if err != nil {
		t.Fatal("the URL of the credential cannot be read")
	}
	password, _ := u.User.Password()
	cfg := s.Config(u.User.Username(), password, strings.TrimPrefix(u.Path, "/"))
	cfg.Addr = u.Host
	conn, err := openMySQL(t, cfg).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, password
}

// The story with the other engine, on both of its servers: a target beside the first, prepared, asked for with a value,
// approved, used, ended at the deadline, proven.
func TestTheStoryOnMariaDB(t *testing.T) { storyOn(t, localmysql.MariaDB, "mysql.global_priv") }

func TestTheStoryOnMySQL(t *testing.T) { storyOn(t, localmysql.MySQL, "mysql.user") }

func storyOn(t *testing.T, product localmysql.Product, accounts string) {
	t.Parallel()
	s := openShop(t, product)
	w := newWorld(t, stage.Options{})
	w.policy("\nrules:\n", `
  - name: support
    description: One customer's orders
    risk: medium
    engines: [mysql]
    parameters: [{ name: customer_id, type: bigint, required: true }]
    grants:
      - { schema: shop, tables: [orders], privileges: [select], rows: "customer_id = :customer_id" }
      - { schema: shop, tables: [customers], privileges: [select], rows: "id = :customer_id", mask: { email: partial, card_number: hide } }
rules:
  - { name: support, who: [group:backend], profiles: [support], approvals: [{ from: [group:dba], count: 1 }] }
`)
	w.addTarget(s)

	out, err := w.Run(t.Context(), "targets", "check", "shop-prod", "--as-file", w.dba(s))
	if err != nil {
		t.Fatalf("targets check after apply: %v\n%s", err, out)
	}
	w.serve()
	for _, c := range []struct{ profile, parameter, database, orders string }{
		{"read-only", "", "shop", "3"},
		{"support", "customer_id=2 ", "pa_support", "2"},
	} {
		w.ok(w.Person("bo").Command("/prodaccess shop-prod " + c.profile + " 12s " + c.parameter + "INC-123 orders of " + c.profile))
		w.sees("dora", "orders of "+c.profile)
		w.clicksOn("dora", "Approve", "orders of "+c.profile)
		w.Person("bo").ClosesAll()
		w.clicksOn("bo", "Get credentials", "orders of "+c.profile)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		v, err := w.Person("bo").WaitsForView(ctx, "mysql://")
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		credential := mysqlURL(v.Text)
		if !strings.HasSuffix(credential, "/"+c.database) || !strings.Contains(v.Text, " mysql --host=127.0.0.1") {
			t.Errorf("%s: the credential leads to another database, or names no command for a shell", c.profile)
		}
		session, password := s.visits(t, credential)
		var orders string
		if err := session.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM orders").Scan(&orders); err != nil || orders != c.orders {
			t.Errorf("%s: %s orders, %v", c.profile, orders, err)
		}
		if _, err := session.ExecContext(t.Context(), "UPDATE orders SET status = 'paid'"); err == nil {
			t.Errorf("%s: writing was not refused", c.profile)
		}
		if c.profile == "support" {
			var email, card string
			if err := session.QueryRowContext(t.Context(), "SELECT email, card_number FROM customers").Scan(&email, &card); err != nil || email != "j***@example.com" || card != "***" {
				t.Errorf("masked: %q %q %v", email, card, err)
			}
		}
		w.eventually("the session is dead after the deadline", func() (bool, error) {
			_, err := session.ExecContext(t.Context(), "DO 1")
			return err != nil, nil
		})
		w.eventually("no trace of the login is left", func() (bool, error) {
			return s.ask(t, s.root, `SELECT COUNT(*) FROM `+accounts+` WHERE User LIKE 'pa\_bo\_%'`) == "0", nil
		})
		w.sees("dora", "the login is gone, 1 session was closed")
		for where, text := range map[string]string{
			"the store": dump(w), "the bot's log": w.Logs(), "the target's general log": s.GeneralLog(), "the target's error log": s.ErrorLog(), "a Slack message": messages(w),
		} {
			if strings.Contains(text, password) {
				t.Errorf("the password is in %s", where)
			}
			if len(text) < 200 {
				t.Errorf("%s is suspiciously short, so looking for the password there proves nothing: %q", where, text)
			}
		}
	}
	if out, err := w.Run(t.Context(), "audit", "verify"); err != nil || !strings.Contains(out, "The chain is whole") {
		t.Errorf("audit verify: %v\n%s", err, out)
	}
}

func mysqlURL(text string) string {
	_, rest, _ := strings.Cut(text, "mysql://")
	return "mysql://" + strings.Fields(rest)[0]
}

// addTarget writes the shop into the configuration and prepares it, as a DBA would.
func (w *world) addTarget(s *shop) {
	w.t.Helper()
	text, err := os.ReadFile(w.ConfigFile())
	if err != nil {
		w.t.Fatal(err)
	}
	with := strings.Replace(string(text), "\nlog: {", `
  - name: shop-prod
    engine: mysql
    environment: production
    admin_url: "`+s.URL("prodaccess_admin", shopAdminPassword)+`"
    databases: [shop]
    connect: { host: 127.0.0.1, port: `+strings.Split(s.Root("").Addr, ":")[1]+`, sslmode: disable }
log: {`, 1)
	if err := os.WriteFile(w.ConfigFile(), []byte(with), 0o600); err != nil {
		w.t.Fatal(err)
	}
	// A DBA reads the plan and pipes it into the server's own client; nothing is left for apply.
	plan, err := w.Run(w.ctx, "targets", "plan", "--as-file", w.dba(s), "shop-prod")
	if err != nil {
		w.t.Fatalf("targets plan: %v\n%s", err, plan)
	}
	root := s.Root("")
	client := exec.CommandContext(w.ctx, "mariadb", "--no-defaults", "--host=127.0.0.1", "--port="+strings.Split(root.Addr, ":")[1], "--user="+root.User)
	client.Env = append(os.Environ(), "MYSQL_PWD="+root.Passwd)
	client.Stdin = strings.NewReader(plan)
	if out, err := client.CombinedOutput(); err != nil {
		w.t.Fatalf("the client does not take the plan: %v\n%s", err, out)
	}
	if out, err := w.Run(w.ctx, "targets", "apply", "--yes", "--as-file", w.dba(s), "shop-prod"); err != nil || !strings.Contains(out, "nothing is missing") {
		w.t.Fatalf("targets apply: %v\n%s", err, out)
	}
	s.run(w.t, "ALTER USER prodaccess_admin@'%' IDENTIFIED BY '"+shopAdminPassword+"' ACCOUNT UNLOCK")
}

// dba is a file with the URL of somebody who may do everything.
func (w *world) dba(s *shop) string {
	w.t.Helper()
	file := filepath.Join(w.Dir(), "shop-dba-url")
	if err := os.WriteFile(file, []byte(s.RootURL()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return file
}
