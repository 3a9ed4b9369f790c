package mysql

import (
	"slices"
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/grants"
)

// A prepared transaction outlives the kill and the account. One whose session lives until the kill is rolled back where the
// server says whose it is; what was left behind before is reported, and nobody else's is touched.
func TestPreparedTransactions(t *testing.T) { onEach(t, preparedTransactions) }

func preparedTransactions(t *testing.T, on flavour) {
	c := prepare(t, on, nil)
	t.Cleanup(c.stop)
	run(t, c, "GRANT INSERT ON app.* TO pa_read_only")
	d := c.open(t, nil)
	theirs := guest(t, c, "manager", "app", "GRANT INSERT ON app.* TO manager")
	theirs.run(t, "XA START 'theirs'", "INSERT INTO orders VALUES (10, 'x')", "XA END 'theirs'", "XA PREPARE 'theirs'")
	o, held := visitor(t, c, d, "pa_read_only", "app")
	held.run(t, "XA START 'held','by a session',7", "INSERT INTO orders VALUES (20, 'x')", "XA END 'held','by a session',7", "XA PREPARE 'held','by a session',7")
	_, gone := visitor(t, c, d, "pa_read_only", "app")
	_ = gone.conn.Close()
	left, err := openSession(t.Context(), c.srv.Config(o.Login, o.Password.Reveal(), "app"))
	if err != nil {
		t.Fatal(err)
	}
	left.run(t, "XA START 'left'", "INSERT INTO orders VALUES (30, 'x')", "XA END 'left'", "XA PREPARE 'left'")
	left.Close()
	eventually(t, "the session that left it is over", func() bool {
		return value[int](t, c, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = ?", o.Login) == 1
	})
	secured, err := d.Secure(t.Context(), loginOf(o))
	if err != nil {
		t.Fatal(err)
	}
	cleaned, err := d.Clean(t.Context(), loginOf(o))
	if err != nil {
		t.Fatal(err)
	}
	reported := func(id string) bool {
		return slices.ContainsFunc(cleaned.Leftovers, func(l grants.Leftover) bool {
			return strings.Contains(strings.ToUpper(l.What), id) && strings.Contains(l.Owner, "XA ROLLBACK X'") && l.Database != ""
		})
	}
	for id, want := range map[string]bool{"X'6C656674'": true, "X'68656C64'": on == mariadb} {
		if reported(id) != want {
			t.Errorf("%s reported: %v; %+v", id, !want, cleaned.Leftovers)
		}
	}
	if on == mysql {
		if !slices.ContainsFunc(secured.Checks, func(c grants.Check) bool { return c.OK && strings.Contains(c.What, "X'68656C64',X'62792061") }) {
			t.Errorf("the receipt does not speak of what was rolled back: %+v", secured.Checks)
		}
		if reported("X'746865697273'") {
			t.Error("somebody else's, whose session lives, is reported as abandoned")
		}
	}
	var names []string
	for row := range slices.Values(must(send(t.Context(), c.super, "XA RECOVER"))) {
		names = append(names, row[3])
	}
	slices.Sort(names)
	want := []string{"left", "theirs"}
	if on == mariadb {
		want = []string{"heldby a session", "left", "theirs"}
	}
	if !slices.Equal(names, want) {
		t.Errorf("prepared afterwards: %q, want %q", names, want)
	}
	// What the report says to do about them works.
	for _, l := range cleaned.Leftovers {
		_, statement, _ := strings.Cut(l.Owner, ": ")
		statement, _, _ = strings.Cut(statement, ", unless")
		if !strings.Contains(statement, "746865697273") {
			run(t, c, statement)
		}
	}
	theirs.run(t, "XA COMMIT 'theirs'")
	if n := value[int](t, c, "SELECT COUNT(*) FROM app.orders"); n != 2 {
		t.Errorf("%d orders, want the first one and the manager's", n)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
