package policy

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// likeTicket is a ticket that a pattern takes, for people who do not read patterns: INC-1 for ^(INC|CHG)-\d+$. It is empty where
// none is found by taking the first of every choice and the least of every repetition.
func likeTicket(pattern *regexp.Regexp) string {
	tree, err := syntax.Parse(pattern.String(), syntax.Perl)
	if err != nil {
		return ""
	}
	var out strings.Builder
	write(&out, tree)
	if text := out.String(); len(text) <= 30 && pattern.MatchString(text) {
		return text
	}
	return ""
}

func write(out *strings.Builder, tree *syntax.Regexp) {
	switch tree.Op {
	case syntax.OpLiteral:
		out.WriteString(string(tree.Rune))
	case syntax.OpCharClass:
		out.WriteRune(ordinary(tree.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		out.WriteByte('1')
	case syntax.OpCapture, syntax.OpPlus:
		write(out, tree.Sub[0])
	case syntax.OpRepeat:
		for range min(tree.Min, 30) {
			write(out, tree.Sub[0])
		}
	case syntax.OpConcat:
		for _, part := range tree.Sub {
			write(out, part)
		}
	case syntax.OpAlternate:
		write(out, tree.Sub[0])
	}
}

// ordinary is a rune of a class, given as pairs of first and last, that people use in tickets if there is one.
func ordinary(class []rune) rune {
	for _, usual := range "1A0a" {
		for pair := range slices.Chunk(class, 2) {
			if pair[0] <= usual && usual <= pair[1] {
				return usual
			}
		}
	}
	if len(class) == 0 {
		return '1'
	}
	return class[0]
}
