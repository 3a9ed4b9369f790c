package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/rowlimit"
)

var declared = []grants.Parameter{{Name: "id", Type: "bigint"}, {Name: "name", Type: "text"}}

func TestConditions(t *testing.T) {
	t.Parallel()
	stand := func(p grants.Parameter) string { return "<" + p.Name + ">" }
	for text, want := range map[string]string{
		"":                       "",
		"customer_id = :id":      "customer_id = <id>",
		"a=:id and b = :name::x": "a=<id> and b = <name>::x",
		"a = ':id' OR b = :id":   "a = ':id' OR b = <id>",
		`":id" = :id`:            `":id" = <id>`,
		"x = 'it''s :id'":        "x = 'it''s :id'",
		"a::text = :name":        "a::text = <name>",
		"at >= '12:30'":          "at >= '12:30'",
		"a[1:2] = b":             "a[1:2] = b",
		"(a + (:id)) > 0":        "(a + (<id>)) > 0",
		"größe = :id":            "größe = <id>",
	} {
		c, err := rowlimit.Parse(text, declared, dialect)
		if err != nil || c.SQL(stand) != want {
			t.Errorf("%q: %q, %v", text, c.SQL(stand), err)
		}
	}
	for _, text := range []string{
		"a = :other", "true; DROP TABLE x", "a = 'x", `a = "x`, "a = 1)", "(a = 1", "a = 1) OR (b = 2", "a = 1 -- :id", "a /* */ = 1", "a = $1", "a = $$x$$",
		"a = E'\\''", "a = e'x'", `a = 'x\'`, "a = U&'x'", "a IN (SELECT b FROM c)", "a IN (select 1)", "a IN (VALUES (1))", "a = (TABLE b)", "a = 1\x00", "a = \x7f",
	} {
		if c, err := rowlimit.Parse(text, declared, dialect); err == nil {
			t.Errorf("%q was taken: %q", text, c.SQL(stand))
		}
	}
	c, err := rowlimit.Parse(`Amount > 1 AND "Weird ""x" = :id OR :id < lower(amount)`, declared, dialect)
	if err != nil || !slices.Equal(c.Words, []string{"amount", "and", `Weird "x`, "or", "lower", "amount"}) || len(c.Uses) != 1 {
		t.Errorf("%q %+v, %v", c.Words, c.Uses, err)
	}
}

// FuzzCondition: what is taken stays inside its parentheses, whatever it is, and changes only where a parameter stands.
func FuzzCondition(f *testing.F) {
	for _, seed := range []string{"a = :id", "'a'':id' = :name", `"a" = (b)`, "a::b = ':x", "(((", "E'\\'", "--", "a :id::id", ":::id"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := rowlimit.Parse(text, declared, dialect)
		if err != nil {
			return
		}
		if same := c.SQL(func(p grants.Parameter) string { return ":" + p.Name }); same != text {
			t.Errorf("%q became %q", text, same)
		}
		again, err := rowlimit.Parse("("+c.SQL(func(grants.Parameter) string { return "(NULL)" })+")", nil, dialect)
		if err != nil || len(again.Uses) != 0 {
			t.Errorf("%q: %v, %+v", text, err, again.Uses)
		}
		if strings.ContainsAny(text, "\\\x00") {
			t.Errorf("%q was taken", text)
		}
	})
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, m := range []struct {
		pattern, name string
		want          bool
	}{
		{"orders", "orders", true},
		{"orders", "orders_1", false},
		{"orders_*", "orders_1", true},
		{"orders_*", "orders_", true},
		{"orders_*", "ordersx1", false},
		{"*", "anything/at all", true},
		{"*_log", "a/b_log", true},
		{"a?c", "abc", false},
		{"a?*", "a?c", true},
		{"a?*", "abc", false},
		{"[ab]*", "a", false},
		{"[ab]*", "[ab]c", true},
		{`a\*`, `a\b`, true},
		{"Orders*", "orders1", false},
	} {
		if matches(m.pattern, m.name) != m.want {
			t.Errorf("%q fits %q: %v", m.name, m.pattern, !m.want)
		}
	}
}
