package mysql

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/grants"
)

// condition is a row limit of the policy, taken apart. Its text was written by the policy's reviewers; nothing of a request
// ever becomes part of it.
type condition struct {
	parts []part
	// words are the identifiers in it, in lower case; which of them are columns the table says.
	words []string
	// uses lists the parameters it refers to, each once.
	uses []grants.Parameter
}

// part is text, or a parameter.
type part struct {
	text      string
	parameter *grants.Parameter
}

// forbidden begins a query of another table, which a view would read with its owner's privileges, or reaches beyond rows.
var forbidden = []string{"select", "values", "table", "into", "procedure", "load_file", "sleep", "benchmark", "get_lock"}

// moods are functions whose value the session's holder can set (SET timestamp = …), or that are about the session.
var moods = []string{
	"now", "curdate", "curtime", "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "sysdate", "unix_timestamp",
	"utc_date", "utc_time", "utc_timestamp", "rand", "user", "current_user", "session_user", "system_user", "current_role", "database", "schema",
	"connection_id", "last_insert_id", "found_rows", "row_count", "uuid",
}

// elsewhere are characters that mean one thing to PostgreSQL, or to the standard, and another here, or that make the text
// depend on the server's sql_mode. A policy that is read by two engines must mean the same to both.
var elsewhere = map[string]string{
	";": "a semicolon; it must be one condition", "\\": "a backslash", "`": "a backtick; names go in double quotes", "#": `a "#", which begins a comment`,
	"--": "a comment; put that into the policy's YAML", "/*": "a comment; put that into the policy's YAML", "||": `"||", which MySQL takes for OR; write CONCAT(…)`,
	"&&": `"&&"; write AND`, "::": `"::"; write CAST(… AS …)`, "@": `a variable ("@")`, "$": `a "$"; parameters are written :name`, "~": `"~"; write LIKE`,
	":=": "an assignment",
}

// parseCondition finds the parameters and identifiers of a row limit, and refuses what it does not know.
func parseCondition(text string, declared []grants.Parameter) (condition, error) {
	var (
		c     condition
		plain strings.Builder
		depth int
	)
	flush := func() {
		if plain.Len() > 0 {
			c.parts = append(c.parts, part{text: plain.String()})
			plain.Reset()
		}
	}
	for i := 0; i < len(text); {
		rest := text[i:]
		for _, n := range []int{1, 2} {
			if what, bad := elsewhere[rest[:min(n, len(rest))]]; bad {
				return c, fmt.Errorf("it has %s", what)
			}
		}
		switch ch := text[i]; {
		case ch < ' ' && ch != '\n' && ch != '\t' && ch != '\r', ch == 0x7f:
			return c, errors.New("it has a control character")
		case ch == '\'' || ch == '"':
			n := quotedLength(rest)
			if n == 0 {
				return c, errors.New("a quote is not closed")
			}
			if strings.Contains(rest[:n], `\`) {
				return c, errors.New("it has a backslash")
			}
			if i > 0 && wordByte(text[i-1]) {
				return c, errors.New("it has a string with a prefix, such as N'…' or X'…'")
			}
			quoted := rest[:n]
			if ch == '"' {
				name := strings.ReplaceAll(rest[1:n-1], `""`, `"`)
				c.words = append(c.words, strings.ToLower(name))
				quoted = ident(name)
			}
			plain.WriteString(quoted)
			i += n
		case ch == ':':
			n := 1 + wordLength(rest[1:])
			at := slices.IndexFunc(declared, func(p grants.Parameter) bool { return p.Name == rest[1:n] })
			if at < 0 {
				return c, fmt.Errorf("it uses :%s, and the profile has no such parameter", rest[1:n])
			}
			flush()
			c.parts = append(c.parts, part{parameter: &declared[at]})
			if !slices.Contains(c.uses, declared[at]) {
				c.uses = append(c.uses, declared[at])
			}
			i += n
		case wordByte(ch):
			n := wordLength(rest)
			word := strings.ToLower(rest[:n])
			if slices.Contains(forbidden, word) {
				return c, fmt.Errorf("it has %s; a row limit speaks of the table's own columns", strings.ToUpper(word))
			}
			if slices.Contains(moods, word) {
				return c, fmt.Errorf("it has %s, which the session's holder can make mean something else; a column of that name goes in double quotes", strings.ToUpper(word))
			}
			c.words = append(c.words, word)
			plain.WriteString(rest[:n])
			i += n
		default:
			switch ch {
			case '(':
				depth++
			case ')':
				if depth--; depth < 0 {
					return c, errors.New("a parenthesis closes that was not opened")
				}
			}
			plain.WriteByte(ch)
			i++
		}
	}
	if depth != 0 {
		return c, errors.New("a parenthesis is not closed")
	}
	flush()
	return c, nil
}

// sql writes the condition with something in the place of each parameter.
func (c condition) sql(stand func(grants.Parameter) string) string {
	var out strings.Builder
	for _, p := range c.parts {
		if p.parameter != nil {
			out.WriteString(stand(*p.parameter))
			continue
		}
		out.WriteString(p.text)
	}
	return out.String()
}

// quotedLength is how long the quoted text at the beginning is, with its quotes; 0 when it does not end.
func quotedLength(text string) int {
	quote := text[0]
	for i := 1; i < len(text); i++ {
		if text[i] != quote {
			continue
		}
		if i+1 < len(text) && text[i+1] == quote {
			i++
			continue
		}
		return i + 1
	}
	return 0
}

func wordByte(b byte) bool {
	return b == '_' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b >= 0x80
}

func wordLength(text string) int {
	n := 0
	for n < len(text) && wordByte(text[n]) {
		n++
	}
	return n
}
