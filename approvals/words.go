package approvals

import (
	"fmt"
	"strings"

	"github.com/prodaccess/prodaccess/policy"
)

// Words says requirements as a person would: "one of @dba", "2 of @dba or @security and one of @backend".
func Words(requirements []policy.Requirement) string {
	if len(requirements) == 0 {
		return "nobody's approval any more"
	}
	parts := make([]string, 0, len(requirements))
	for _, r := range requirements {
		parts = append(parts, counted(r.Count)+" of "+Selectors(r.From))
	}
	return strings.Join(parts, " and ")
}

// Selectors says who is meant as a person would: "@dba or on call for payments".
func Selectors(list []string) string {
	said := make([]string, 0, len(list))
	for _, selector := range list {
		said = append(said, selectorWords(selector))
	}
	return strings.Join(said, " or ")
}

func counted(n int) string {
	if n == 1 {
		return "one"
	}
	return fmt.Sprint(n)
}

func selectorWords(selector string) string {
	kind, name, ok := strings.Cut(selector, ":")
	switch {
	case !ok:
		return selector
	case kind == "group":
		return "@" + name
	case kind == "oncall":
		return "on call for " + name
	default:
		return name
	}
}
