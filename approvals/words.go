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
		count := "one"
		if r.Count != 1 {
			count = fmt.Sprint(r.Count)
		}
		from := make([]string, 0, len(r.From))
		for _, selector := range r.From {
			from = append(from, selectorWords(selector))
		}
		parts = append(parts, count+" of "+strings.Join(from, " or "))
	}
	return strings.Join(parts, " and ")
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
