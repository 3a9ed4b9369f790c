package policy

import (
	"strings"
)

// tri is a yes, a no, or not known.
type tri uint8

const (
	unasked tri = iota
	no
	unknown
	yes
)

// interned gives each distinct value a small number.
type interned[T comparable] struct {
	values []T
	index  map[T]int
}

func (i *interned[T]) id(value T) int {
	if n, ok := i.index[value]; ok {
		return n
	}
	if i.index == nil {
		i.index = map[T]int{}
	}
	i.index[value] = len(i.values)
	i.values = append(i.values, value)
	return len(i.values) - 1
}

// group is a named set of people.
type group struct {
	name      string
	at        mark
	emails    map[string]bool
	usergroup string
}

// whoSelector is one entry of who, from or reviewers.
type whoSelector struct {
	// kind is group, oncall, user or anyone.
	kind, name string
}

func (s whoSelector) String() string {
	if s.kind == "anyone" {
		return s.kind
	}
	return s.kind + ":" + s.name
}

// phrase is the selector in a sentence: "group dba", "whoever is on call for payments".
func (s whoSelector) phrase() string {
	switch s.kind {
	case "group":
		return "group " + s.name
	case "oncall":
		return "whoever is on call for " + s.name
	case "anyone":
		return "anyone"
	}
	return s.name
}

// parseWho reads a selector; the error is the clause that says what to write.
func parseWho(text string) (whoSelector, string) {
	if text == "anyone" {
		return whoSelector{kind: "anyone"}, ""
	}
	kind, name, _ := strings.Cut(text, ":")
	switch {
	case kind != "group" && kind != "oncall" && kind != "user" || name == "":
		hint := didYouMean(kind, []string{"group", "oncall", "user", "anyone"})
		return whoSelector{}, "write group:NAME, oncall:SCHEDULE, user:E-MAIL or anyone" + hint
	case kind == "user" && !looksLikeEmail(name):
		return whoSelector{}, "a user is named by e-mail address, as in user:ana@example.com"
	case kind == "user":
		name = lower(name)
	}
	return whoSelector{kind, name}, ""
}

// targetSelector is one entry of targets: env:NAME, or a name in which * stands for any text.
type targetSelector struct {
	environment bool
	pattern     string
}

func (s targetSelector) String() string {
	if s.environment {
		return "env:" + s.pattern
	}
	return s.pattern
}

func parseTarget(text string) targetSelector {
	if name, ok := strings.CutPrefix(text, "env:"); ok {
		return targetSelector{true, name}
	}
	return targetSelector{false, text}
}

func (s targetSelector) matches(target Target) bool {
	if s.environment {
		return wildcard(s.pattern, target.Environment)
	}
	return wildcard(s.pattern, target.Name)
}

// wildcard matches a whole text against a pattern in which * stands for any text, also none. It is linear in the
// product of the lengths, whatever the pattern.
func wildcard(pattern, text string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	if !strings.HasPrefix(text, first) {
		return false
	}
	text = text[len(first):]
	for {
		middle, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(text, rest)
		}
		at := strings.Index(text, middle)
		if at < 0 {
			return false
		}
		text, rest = text[at+len(middle):], after
	}
}

// lower folds ASCII only. Folding all of Unicode would make different addresses equal: the Kelvin sign folds to k.
func lower(email string) string {
	for i := 0; i < len(email); i++ {
		if c := email[i]; c >= 'A' && c <= 'Z' {
			b := []byte(email)
			for j, c := range b {
				if c >= 'A' && c <= 'Z' {
					b[j] = c + 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return email
}

func looksLikeEmail(text string) bool {
	name, domain, ok := strings.Cut(text, "@")
	return ok && name != "" && domain != "" && !strings.ContainsAny(text, " \t\r\n,;<>") && !strings.Contains(domain, "@")
}
