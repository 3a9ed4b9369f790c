package rowlimit

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/prodaccess/prodaccess/grants"
)

// Parse finds the parameters and identifiers of a row limit. Its errors say what is wrong, to be put behind the limit's text.
func Parse(text string, declared []grants.Parameter, d Dialect) (Limit, error) {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\n\t\r", r) }) {
		return Limit{}, errors.New("it has a control character")
	}
	r := reader{text: text, declared: declared, dialect: d}
	for r.at < len(text) {
		n, err := r.next()
		if err != nil {
			return Limit{}, err
		}
		r.at += n
	}
	if r.depth != 0 {
		return Limit{}, errors.New("a parenthesis is not closed")
	}
	return r.limit, nil
}

// reader is on its way through a limit.
type reader struct {
	text     string
	declared []grants.Parameter
	dialect  Dialect

	at    int
	depth int // of parentheses
	limit Limit
}

// next reads what begins here, and says how long that is.
func (r *reader) next() (int, error) {
	rest := r.text[r.at:]
	for _, n := range []int{1, 2} {
		token := rest[:min(n, len(rest))]
		if what, bad := r.dialect.Refused[token]; bad {
			return 0, fmt.Errorf("it has %s", what)
		}
		if what, bad := everywhere[token]; bad {
			return 0, fmt.Errorf("it has %s", what)
		}
	}
	switch c := rest[0]; {
	case c == '\'' || c == '"':
		return r.quoted(rest)
	case strings.HasPrefix(rest, "::"): // a cast; where it is none, the dialect refuses it
		r.limit.text("::")
		return 2, nil
	case c == ':' && len(rest) > 1 && wordByte(rest[1]) && !digit(rest[1]):
		return r.named(rest)
	case c == ':' && !r.dialect.Slices:
		return 0, errors.New(`it has a ":" without a parameter's name`)
	case wordByte(c):
		return r.word(rest)
	case c == '(':
		r.depth++
	case c == ')':
		if r.depth--; r.depth < 0 {
			return 0, errors.New("a parenthesis closes that was not opened")
		}
	}
	r.limit.text(rest[:1])
	return 1, nil
}

func (r *reader) quoted(rest string) (int, error) {
	n := quotedLength(rest)
	if n == 0 {
		return 0, errors.New("a quote is not closed")
	}
	if r.at > 0 && (wordByte(r.text[r.at-1]) || r.text[r.at-1] == '&') {
		return 0, errors.New("it has a string with a prefix, such as E'…', N'…' or U&'…'")
	}
	if strings.Contains(rest[:n], `\`) {
		return 0, errors.New("it has a backslash")
	}
	if rest[0] == '\'' {
		r.limit.text(rest[:n])
		return n, nil
	}
	name := strings.ReplaceAll(rest[1:n-1], `""`, `"`)
	r.limit.Words = append(r.limit.Words, r.dialect.Fold(name))
	r.limit.text(r.dialect.Quote(name))
	return n, nil
}

func (r *reader) named(rest string) (int, error) {
	n := 1 + wordLength(rest[1:])
	at := slices.IndexFunc(r.declared, func(p grants.Parameter) bool { return p.Name == rest[1:n] })
	if at < 0 {
		return 0, fmt.Errorf("it uses :%s, and the profile has no such parameter", rest[1:n])
	}
	r.limit.parameter(&r.declared[at])
	return n, nil
}

func (r *reader) word(rest string) (int, error) {
	n := wordLength(rest)
	word := strings.ToLower(rest[:n])
	if slices.Contains(r.dialect.Tables, word) {
		return 0, fmt.Errorf("it has %s; a row limit speaks of the table's own columns", strings.ToUpper(word))
	}
	if slices.Contains(r.dialect.Moods, word) {
		return 0, fmt.Errorf("it has %s, which the session's holder can make mean something else; a column of that name goes in double quotes", strings.ToUpper(word))
	}
	if strings.Trim(word, "0123456789") != "" { // a number names nothing; MySQL takes 1a for a name
		r.limit.Words = append(r.limit.Words, word)
	}
	r.limit.text(rest[:n])
	return n, nil
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
	return b == '_' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || digit(b) || b >= utf8.RuneSelf
}

func digit(b byte) bool { return b >= '0' && b <= '9' }

func wordLength(text string) int {
	n := 0
	for n < len(text) && wordByte(text[n]) {
		n++
	}
	return n
}
