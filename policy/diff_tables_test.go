package policy

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// modelTables are a table of its own for every name and pattern that drawProfile writes, and one that only "*" covers.
var modelTables = []string{"orders", "oz", "people", "zz"}

func drawProfile(t *rapid.T, label string) Profile {
	p := Profile{Name: label}
	for range rapid.IntRange(1, 3).Draw(t, label+" grants") {
		g := ProfileGrant{
			Schema:     "public",
			Tables:     rapid.SampledFrom([][]string{{"*"}, {"o*"}, {"orders"}, {"orders", "people"}, {"o*", "people"}}).Draw(t, label+" tables"),
			Privileges: rapid.SampledFrom([][]string{{"select"}, {"update"}, {"select", "update"}}).Draw(t, label+" privileges"),
			Columns:    rapid.SampledFrom([][]string{nil, nil, {"id"}, {"id", "note"}}).Draw(t, label+" columns"),
		}
		if rapid.Bool().Draw(t, label+" limits") {
			g.Rows = rapid.SampledFrom([]string{"", "region = 'eu'", "true"}).Draw(t, label+" rows")
			g.Mask = rapid.SampledFrom([]map[string]string{nil, {"note": "hide"}, {"note": "partial"}}).Draw(t, label+" mask")
		}
		p.Grants = append(p.Grants, g)
	}
	return p
}

func covers1(g ProfileGrant, table string) bool {
	return slices.ContainsFunc(g.Tables, func(name string) bool { return wildcard(name, table) })
}

// shown is one way in which a column of a table can be seen or changed; rows and mask are empty where all is.
type shown struct{ column, rows, mask string }

// model is what a login with a profile can do with a table by a privilege: what the drivers make of the grants. It works on
// tables, one after another, and knows nothing of patterns.
func model(p Profile, table, privilege string) (out []shown) {
	isLimited := slices.ContainsFunc(p.Grants, func(g ProfileGrant) bool { return g.limits() && covers1(g, table) })
	for _, g := range p.Grants {
		if !covers1(g, table) || !slices.Contains(g.Privileges, privilege) || isLimited && !g.limits() {
			continue
		}
		for _, column := range []string{"id", "note", "other"} {
			if len(g.Columns) == 0 || slices.Contains(g.Columns, column) {
				out = append(out, shown{column, g.Rows, g.Mask[column]})
			}
		}
	}
	return out
}

// goesBeyond says whether a profile lets one do something, with any table, that another does not.
func goesBeyond(a, b Profile) bool {
	for _, table := range modelTables {
		for _, privilege := range []string{"select", "update"} {
			has := model(b, table, privilege)
			for _, x := range model(a, table, privilege) {
				if !slices.ContainsFunc(has, func(y shown) bool {
					return x.column == y.column && (y.rows == "" || x.rows == y.rows) && (y.mask == "" || x.mask == y.mask || x.mask == "hide")
				}) {
					return true
				}
			}
		}
	}
	return false
}

// usable says whether the drivers take a profile: they refuse one that limits a table twice.
func usable(p Profile) bool {
	return !slices.ContainsFunc(modelTables, func(table string) bool {
		limits := 0
		for _, g := range p.Grants {
			if g.limits() && covers1(g, table) {
				limits++
			}
		}
		return limits > 1
	})
}

// plain says whether every table gets a privilege by one grant at most of those that limit nothing, and "*" is not limited:
// then comparing grants one by one is exact. Columns of two grants that only together make up a third's count as more.
func plain(p Profile) bool {
	all := false
	for _, table := range modelTables {
		for _, privilege := range []string{"select", "update"} {
			grants := 0
			for _, g := range p.Grants {
				all = all || g.limits() && slices.Contains(g.Tables, "*")
				if !g.limits() && covers1(g, table) && slices.Contains(g.Privileges, privilege) {
					grants++
				}
			}
			if grants > 1 {
				return false
			}
		}
	}
	return !all
}

func TestExceedsIsWhatTheDriversDo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := drawProfile(t, "b")
		a := b.clone()
		// Profiles that have nothing to do with each other nearly always differ; those that differ in one thing are told apart.
		if rapid.IntRange(0, 3).Draw(t, "apart") == 0 {
			a = drawProfile(t, "a")
		} else {
			other, i := drawProfile(t, "change").Grants[0], rapid.IntRange(0, len(a.Grants)-1).Draw(t, "which")
			g := &a.Grants[i]
			switch rapid.IntRange(0, 6).Draw(t, "what") {
			case 0:
				g.Tables = other.Tables
			case 1:
				g.Privileges = other.Privileges
			case 2:
				g.Columns = other.Columns
			case 3:
				g.Rows = other.Rows
			case 4:
				g.Mask = other.Mask
			case 5:
				a.Grants = slices.Delete(a.Grants, i, i+1)
			case 6:
				a.Grants = append(a.Grants, other)
			}
		}
		if got := exceeds(b, b); got != "" {
			t.Fatalf("a profile exceeds itself by %s: %+v", got, b.Grants)
		}
		if !usable(a) || !usable(b) {
			return
		}
		got, want := exceeds(a, b), goesBeyond(a, b)
		if want && got == "" {
			t.Fatalf("nothing found beyond\n%+v\nin\n%+v", b.Grants, a.Grants)
		}
		if !want && got != "" && plain(a) && plain(b) {
			t.Fatalf("found %s, beyond\n%+v\nin\n%+v", got, b.Grants, a.Grants)
		}
	})
}

// TestLimitsCount is about a profile that shows all tables, and of one of them only some rows.
func TestLimitsCount(t *testing.T) {
	t.Parallel()
	const all, limit = `{ schema: public, tables: "*", privileges: [select] }`, `{ schema: public, tables: [orders], privileges: [select], rows: "region = 'eu'" }`
	for _, test := range []struct{ name, grants, gains string }{
		{"itself, in two lists", strings.Replace(all, `"*"`, `["*"]`, 1) + ", " + limit, ""},
		{"fewer columns too", all + ", " + strings.Replace(limit, "rows:", "columns: [id], rows:", 1), ""},
		{"the limit alone", limit, ""},
		{"no limit", all, "select on public.orders without its rows or mask"},
		{"a limit that is none", all + ", " + strings.Replace(limit, "region = 'eu'", "true", 1), "select on public.orders where true"},
		{"masked, all rows", `{ schema: public, tables: [orders], privileges: [select], mask: { note: hide } }`, "select on public.orders (masked: note)"},
		{"by a pattern", `{ schema: public, tables: ["ord*"], privileges: [select] }`, "select on public.orders without its rows or mask"},
		{"another pattern", `{ schema: public, tables: ["*people"], privileges: [select] }`, ""},
		{"another schema's limit", all + `, { schema: sales, tables: [orders], privileges: [select], rows: "region = 'eu'" }`, "select on public.orders without its rows or mask"},
		{"writing", all + ", " + strings.Replace(limit, "[select]", "[select, update]", 1), "update on public.orders where region = 'eu'"},
	} {
		old := loaded(t, "version: 1\nprofiles: [{ name: r, risk: low, grants: ["+all+", "+limit+"] }]\n")
		new := loaded(t, "version: 1\nprofiles: [{ name: r, risk: low, grants: ["+test.grants+"] }]\n")
		wide, narrow := old.Profiles()[0], new.Profiles()[0]
		if got := exceeds(narrow, wide); got != test.gains {
			t.Errorf("%s: gains %q, wanted %q", test.name, got, test.gains)
		}
		if d := Diff(old, new, nil); d.Wider() != (test.gains != "") {
			t.Errorf("%s: %+v", test.name, d.Profiles)
		}
	}
}

func TestMeet(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a*", "a", true},
		{"a*", "ba", false},
		{"a*", "*b", true},
		{"a*", "b*", false},
		{"a*", "ab*", true},
		{"*a", "*b", false},
		{"*ba", "*a", true},
		{"*", "x*y", true},
		{"a*b*c", "ax*c", true},
		{"*a*", "*b*", true},
	} {
		if meet(test.a, test.b) != test.want || meet(test.b, test.a) != test.want {
			t.Errorf("%q and %q: wanted %t", test.a, test.b, test.want)
		}
	}
}
