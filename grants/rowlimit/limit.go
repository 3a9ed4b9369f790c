package rowlimit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/grants"
)

// Limit is a condition, taken apart. The zero value limits nothing.
type Limit struct {
	parts []part
	// Words are the identifiers in it, in order, folded as the dialect folds names; which of them are columns the table says.
	Words []string
	// Uses are the parameters it refers to, each once.
	Uses []grants.Parameter
}

// part is text, or a parameter.
type part struct {
	text      string
	parameter *grants.Parameter
}

// SQL writes the condition with something in the place of each parameter.
func (l Limit) SQL(stand func(grants.Parameter) string) string {
	var out strings.Builder
	for _, p := range l.parts {
		if p.parameter != nil {
			out.WriteString(stand(*p.parameter))
			continue
		}
		out.WriteString(p.text)
	}
	return out.String()
}

// text goes on with what is not a parameter.
func (l *Limit) text(more string) {
	if n := len(l.parts); n > 0 && l.parts[n-1].parameter == nil {
		l.parts[n-1].text += more
		return
	}
	l.parts = append(l.parts, part{text: more})
}

func (l *Limit) parameter(p *grants.Parameter) {
	l.parts = append(l.parts, part{parameter: p})
	if !slices.Contains(l.Uses, *p) {
		l.Uses = append(l.Uses, *p)
	}
}

// Problems are what is wrong with the row limits of a profile in a dialect, in words for whoever writes the policy: limits that
// cannot be read, and parameters that are asked for and limit nothing, so that approvers would take comfort in nothing.
func Problems(p grants.Profile, d Dialect) (problems []string) {
	used := map[string]bool{}
	for _, g := range p.Privileges {
		limit, err := Parse(g.Rows, p.Parameters, d)
		if err != nil {
			problems = append(problems, fmt.Sprintf("rows %q: %v", g.Rows, err))
		}
		for _, parameter := range limit.Uses {
			used[parameter.Name] = true
		}
	}
	for _, parameter := range p.Parameters {
		if !used[parameter.Name] {
			problems = append(problems, fmt.Sprintf("the parameter %s is asked for and limits nothing; use :%s in rows", parameter.Name, parameter.Name))
		}
	}
	return problems
}
