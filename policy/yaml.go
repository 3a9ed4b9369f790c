package policy

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// longestSource bounds what the parser is given; 5,000 people and 1,000 rules take about half a megabyte.
const longestSource = 8 << 20

// deepest bounds nesting. A policy needs six levels.
const deepest = 32

// parse turns YAML into a tree. What the language allows and a policy does not need is a fault: anchors, aliases, merge
// keys, tags, several documents. They make a file hard to review, and aliases make it explode.
func (f *findings) parse(source []byte) *node {
	if len(source) > longestSource {
		f.fault(mark{}, "the file is larger than %d MB", longestSource>>20)
		return nil
	}
	if strings.ContainsRune(string(source), 0) {
		f.fault(mark{}, "the file contains a zero byte; it must be text")
		return nil
	}
	if line, ok := tooDeep(f.lines); ok {
		f.fault(mark{line, 1}, "this is nested too deeply; a policy needs no more than %d levels", deepest)
		return nil
	}
	file, err := parseBytes(source)
	if err != nil {
		at, text := mark{}, err.Error()
		var positioned yaml.Error
		if errors.As(err, &positioned) {
			at, text = markOf(positioned.GetToken()), positioned.GetMessage()
		}
		f.fault(at, "this is not YAML: %s", text)
		return nil
	}
	var root ast.Node
	for _, document := range file.Docs {
		if document.Body == nil {
			continue
		}
		if root != nil {
			f.fault(markOf(document.Body.GetToken()), "a policy is one YAML document; remove what follows the \"---\"")
			return nil
		}
		root = document.Body
	}
	if root == nil {
		f.fault(mark{}, "the file is empty; a policy begins with \"version: 1\"")
		return nil
	}
	return f.convert(root, 0)
}

// parseBytes shields from the parser's own faults: a file must never take the process down.
func parseBytes(source []byte) (file *ast.File, err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			err = fmt.Errorf("the parser gave up: %v", recovered)
		}
	}()
	return parser.ParseBytes(source, 0, parser.AllowDuplicateMapKey())
}

// tooDeep finds nesting before the recursive parser meets it: brackets outside of quotes are counted generously.
func tooDeep(lines []string) (int, bool) {
	open := 0
	for i, line := range lines {
		open += strings.Count(line, "[") + strings.Count(line, "{") - strings.Count(line, "]") - strings.Count(line, "}")
		open = max(open, 0)
		dashes := strings.Count(strings.ReplaceAll(line[:len(line)-len(strings.TrimLeft(line, " -\t?:"))], " ", ""), "-")
		if strings.Count(line, "[")+strings.Count(line, "{") > 40*deepest || open > 4*deepest || dashes > deepest && strings.Trim(line, "-") != "" {
			return i + 1, true
		}
	}
	return 0, false
}

func (f *findings) convert(from ast.Node, depth int) *node {
	at := markOf(from.GetToken())
	if depth > deepest {
		f.fault(at, "this is nested too deeply")
		return &node{mark: at}
	}
	switch from := from.(type) {
	case *ast.MappingNode:
		if len(from.Values) > 0 && !from.IsFlowStyle {
			at = markOf(from.Values[0].Key.GetToken())
		}
		return f.mapping(at, from.Values, depth)
	case *ast.MappingValueNode:
		return f.mapping(markOf(from.Key.GetToken()), []*ast.MappingValueNode{from}, depth)
	case *ast.SequenceNode:
		out := &node{mark: at, kind: listNode}
		for _, value := range from.Values {
			if whole := rejoin(value); whole != nil {
				out.items = append(out.items, whole)
				continue
			}
			out.items = append(out.items, f.convert(value, depth+1))
		}
		return out
	case *ast.NullNode:
		return &node{mark: at, kind: nullNode}
	case *ast.StringNode:
		quoted := from.Token.Type == token.SingleQuoteType || from.Token.Type == token.DoubleQuoteType
		return &node{mark: at, kind: scalarNode, text: from.Value, quoted: quoted}
	case *ast.LiteralNode:
		return &node{mark: at, kind: scalarNode, text: from.Value.Value, quoted: true}
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return &node{mark: at, kind: scalarNode, text: from.GetToken().Value}
	case *ast.AliasNode, *ast.AnchorNode:
		f.fault(at, "anchors and aliases are not allowed here, so that the file reads as it is; a lone * must be written \"*\"")
	case *ast.TagNode:
		f.fault(at, "tags such as !!str are not allowed here; leave it out")
	default:
		f.fault(at, "this kind of YAML is not allowed here")
	}
	return &node{mark: at}
}

// rejoin undoes a fault of the parser: inside of braces it takes [group:dba] for the mapping "group: dba", although a
// colon without a space after it belongs to the text (YAML 1.2, 7.3.3; goccy/go-yaml issue 832). Nil when it is not that.
func rejoin(item ast.Node) *node {
	if mapping, ok := item.(*ast.MappingNode); ok && len(mapping.Values) == 1 && !mapping.IsFlowStyle {
		item = mapping.Values[0]
	}
	pair, ok := item.(*ast.MappingValueNode)
	if !ok || pair.Key.GetToken().Type != token.StringType || pair.Value == nil {
		return nil
	}
	key, colon, value := pair.Key.GetToken(), pair.Start, pair.Value.GetToken()
	if colon == nil || value == nil || markOf(colon).line != markOf(key).line || markOf(value).line != markOf(key).line ||
		markOf(colon).column != markOf(key).column+utf8.RuneCountInString(key.Value) || markOf(value).column != markOf(colon).column+1 {
		return nil
	}
	switch pair.Value.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
	default:
		return nil
	}
	if value.Type == token.SingleQuoteType || value.Type == token.DoubleQuoteType {
		return nil
	}
	return &node{mark: markOf(key), kind: scalarNode, text: key.Value + ":" + value.Value}
}

func (f *findings) mapping(at mark, values []*ast.MappingValueNode, depth int) *node {
	out := &node{mark: at, kind: mappingNode}
	seen := map[string]bool{}
	for _, value := range values {
		key := value.Key.GetToken()
		where := markOf(key)
		if _, plain := value.Key.(*ast.MappingKeyNode); plain || value.Key.IsMergeKey() {
			f.fault(where, "only plain keys are allowed here, no \"<<\" and no \"?\"")
			continue
		}
		name := key.Value
		if seen[name] {
			f.fault(where, "the key %q is there twice", name)
			continue
		}
		seen[name] = true
		out.fields = append(out.fields, field{name: name, at: where, value: f.convert(value.Value, depth+1)})
	}
	return out
}

func markOf(at *token.Token) mark {
	if at == nil || at.Position == nil {
		return mark{}
	}
	return mark{at.Position.Line, at.Position.Column}
}
