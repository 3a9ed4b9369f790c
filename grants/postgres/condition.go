package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/prodaccess/prodaccess/grants"
)

// condition is a row limit of the policy, taken apart. Its text was written by the policy's reviewers; nothing of a request
// ever becomes part of it.
type condition struct {
	parts []piece
	// words are the identifiers in it, folded as PostgreSQL folds them; which of them are columns the table says.
	words []string
	// uses lists the parameters it refers to, each once.
	uses []grants.Parameter
}

// piece is text, or a parameter.
type piece struct {
	text      string
	parameter *grants.Parameter
}

// forbidden begins a query of another table. A view would read that with its owner's privileges, or with none.
var forbidden = []string{"select", "values", "table", "returning"}

// parseCondition finds the parameters and identifiers of a row limit. It knows as much of SQL's lexical rules as it takes
// to do that without a mistake, and refuses the rest: comments, dollar quotes, strings with escapes, several statements,
// other tables.
func parseCondition(text string, declared []grants.Parameter) (condition, error) {
	var (
		c     condition
		sql   strings.Builder
		depth int
	)
	flush := func() {
		if sql.Len() > 0 {
			c.parts = append(c.parts, piece{text: sql.String()})
			sql.Reset()
		}
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\n\t\r", r) }) {
		return c, errors.New("it has a control character")
	}
	for i := 0; i < len(text); {
		rest := text[i:]
		switch ch := text[i]; {
		case ch == ';':
			return c, errors.New("it has a semicolon; it must be one condition")
		case ch == '$':
			return c, errors.New(`it has a "$"; parameters are written :name, and text in single quotes`)
		case ch == '\\':
			return c, errors.New("it has a backslash")
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "/*"):
			return c, errors.New("it has a comment; put that into the policy's YAML")
		case ch == '\'' || ch == '"':
			n := quotedLength(rest)
			if n == 0 {
				return c, errors.New("a quote is not closed")
			}
			if i > 0 && (wordByte(text[i-1]) || text[i-1] == '&') {
				return c, errors.New("it has a string with a prefix, such as E'…'")
			}
			if ch == '\'' && strings.Contains(rest[:n], `\`) {
				return c, errors.New("it has a backslash")
			}
			if ch == '"' {
				c.words = append(c.words, strings.ReplaceAll(rest[1:n-1], `""`, `"`))
			}
			sql.WriteString(rest[:n])
			i += n
		case strings.HasPrefix(rest, "::"):
			sql.WriteString("::")
			i += 2
		case ch == ':' && len(rest) > 1 && wordByte(rest[1]) && (rest[1] < '0' || rest[1] > '9'):
			n := 1 + wordLength(rest[1:])
			at := slices.IndexFunc(declared, func(p grants.Parameter) bool { return p.Name == rest[1:n] })
			if at < 0 {
				return c, fmt.Errorf("it uses :%s, and the profile has no such parameter", rest[1:n])
			}
			flush()
			c.parts = append(c.parts, piece{parameter: &declared[at]})
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
			if ch < '0' || ch > '9' {
				c.words = append(c.words, word)
			}
			sql.WriteString(rest[:n])
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
			sql.WriteByte(ch)
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
