package rowlimit

import (
	"slices"
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/grants"
)

// plain is a dialect that refuses the tilde and the word bad, and quotes names as it found them.
var plain = Dialect{
	Refused: map[string]string{"~": "a tilde", "::": "a cast"}, Tables: []string{"select"}, Moods: []string{"now"},
	Quote: func(name string) string { return "[" + name + "]" }, Fold: strings.ToUpper,
}

var declared = []grants.Parameter{{Name: "id", Type: "bigint"}, {Name: "name", Type: "text"}}

func TestALimitIsTakenApart(t *testing.T) {
	l, err := Parse(`Amount > 1a + 1 AND "Weird ""x" = :id OR :id < lower(größe) AND b = ':name'`, declared, plain)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := l.SQL(func(p grants.Parameter) string { return "<" + p.Name + ">" }), `Amount > 1a + 1 AND [Weird "x] = <id> OR <id> < lower(größe) AND b = ':name'`; got != want {
		t.Errorf("written as %s, want %s", got, want)
	}
	if want := []string{"amount", "1a", "and", `WEIRD "X`, "or", "lower", "größe", "and", "b"}; !slices.Equal(l.Words, want) {
		t.Errorf("words: %q, want %q", l.Words, want)
	}
	if !slices.Equal(l.Uses, declared[:1]) {
		t.Errorf("uses %v", l.Uses)
	}
}

func TestRefusalsSayWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"a = 1; b":              "a semicolon",
		"a = $1":                `parameters are written :name`,
		"a \\ b":                "a backslash",
		"a -- b":                "a comment",
		"a /* b":                "a comment",
		"a ~ b":                 "a tilde",
		"a::b":                  "a cast",
		"a = :other":            "the profile has no such parameter",
		"a = :":                 "without a parameter's name",
		"a = :1":                "without a parameter's name",
		"(SELECT 1)":            "SELECT; a row limit speaks of the table's own columns",
		"a < Now()":             "NOW, which the session's holder can make mean something else",
		"a = 'b":                "a quote is not closed",
		`a = "b""`:              "a quote is not closed",
		"a = E'b'":              "a string with a prefix",
		"a = U&'b'":             "a string with a prefix",
		`a = 'b\'`:              "a backslash",
		`a = "b\"`:              "a backslash",
		"(a":                    "a parenthesis is not closed",
		"a) OR (b":              "a parenthesis closes that was not opened",
		"a = \x00":              "a control character",
		"a = \u0085":            "a control character",
		"a = '" + "\xff" + "' ": "a control character",
	} {
		if _, err := Parse(text, declared, plain); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	slices := plain
	slices.Slices, slices.Refused = true, nil
	if l, err := Parse("a[1:2] = b::c", declared, slices); err != nil || l.SQL(nil) != "a[1:2] = b::c" {
		t.Errorf("%q, %v", l.SQL(nil), err)
	}
}

// TestAParameterThatLimitsNothingIsAProblem: approvers would read "customer 42" and think of one customer's rows.
func TestAParameterThatLimitsNothingIsAProblem(t *testing.T) {
	p := grants.Profile{Name: "support", Parameters: declared, Privileges: []grants.Privilege{{Rows: "a = :id"}, {Rows: "b = ':name'"}, {Rows: "c = "}, {}}}
	if got := Problems(p, plain); len(got) != 1 || !strings.Contains(got[0], "the parameter name is asked for and limits nothing") {
		t.Errorf("%q", got)
	}
	p.Privileges = append(p.Privileges, grants.Privilege{Rows: "d = :name AND ("})
	if got := Problems(p, plain); len(got) != 2 || !strings.Contains(got[0], `rows "d = :name AND (": a parenthesis is not closed`) {
		t.Errorf("%q", got)
	}
	p.Privileges[4].Rows = "d = :name"
	if got := Problems(p, plain); got != nil {
		t.Errorf("%q", got)
	}
}

// FuzzParse reads what was taken with eyes of its own: quotes close, parentheses match, and nothing but parameters stands outside
// of quotes behind a colon.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a = :id", "'a'':id' = :name", `"a" = (b)`, "a::b = ':x", "(((", "E'\\'", "--", "a :id::id", ":::id", `"]"`} {
		f.Add(seed)
	}
	d := plain
	d.Quote = func(string) string { return "name" }
	f.Fuzz(func(t *testing.T, text string) {
		l, err := Parse(text, declared, d)
		if err != nil {
			return
		}
		depth, inside := 0, false
		for _, r := range l.SQL(func(grants.Parameter) string { return "?" }) {
			switch {
			case r == '\'':
				inside = !inside
			case inside:
			case r == '(':
				depth++
			case r == ')':
				depth--
			case r == ':', r == '"':
				t.Errorf("%q was taken with a %q", text, r)
			}
			if depth < 0 {
				t.Errorf("%q leaves its parentheses", text)
			}
		}
		if depth != 0 || inside {
			t.Errorf("%q does not end", text)
		}
		if strings.ContainsAny(text, "\\\x00;$") && !strings.ContainsAny(text, `'"`) {
			t.Errorf("%q was taken", text)
		}
	})
}
