package policy

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// mark is a place in the file; the zero mark is the file as a whole.
type mark struct{ line, column int }

type nodeKind int

// The kinds of node; brokenNode stands where a fault was already reported, so that nothing is reported about it again.
const (
	brokenNode nodeKind = iota
	scalarNode
	listNode
	mappingNode
	nullNode
)

func (k nodeKind) String() string {
	return [...]string{"something broken", "a single value", "a list", "a mapping", "nothing"}[k]
}

// node is a piece of the file with its place.
type node struct {
	mark
	kind   nodeKind
	text   string
	quoted bool
	items  []*node
	fields []field
}

type field struct {
	name  string
	at    mark
	value *node
}

// fields is a mapping being read: every key is asked for once, and what was never asked for is a fault.
type fields struct {
	*findings
	at    mark
	what  string
	nodes map[string]field
	known []string
	order []string
}

// open starts reading a mapping; what names it in faults ("a rule").
func (f *findings) open(from *node, what string) *fields {
	out := &fields{findings: f, what: what, nodes: map[string]field{}}
	if from == nil || from.kind == brokenNode {
		return nil
	}
	out.at = from.mark
	if from.kind != mappingNode {
		f.fault(from.mark, "%s must be a mapping of keys to values, and this is %s", what, from.kind)
		return nil
	}
	for _, field := range from.fields {
		out.nodes[field.name] = field
		out.order = append(out.order, field.name)
	}
	return out
}

// take gives the value of a key, nil when it is left out. A key without a value is a fault: it would match nothing or
// everything, depending on who reads it.
func (f *fields) take(key string) *node {
	f.known = append(f.known, key)
	field, ok := f.nodes[key]
	if !ok {
		return nil
	}
	if field.value.kind == nullNode {
		f.fault(field.at, "%s has no value; write one or leave the key out", key)
		return nil
	}
	if field.value.kind == brokenNode {
		return nil
	}
	return field.value
}

// close reports the keys nobody asked for.
func (f *fields) close() {
	for _, name := range f.order {
		if !slices.Contains(f.known, name) {
			f.fault(f.nodes[name].at, "%s has no key %q%s", f.what, name, didYouMean(name, f.known))
		}
	}
}

func (f *fields) text(key string) string {
	from := f.take(key)
	if from == nil {
		return ""
	}
	return f.scalar(from, key)
}

func (f *findings) scalar(from *node, key string) string {
	if from.kind == brokenNode {
		return ""
	}
	if from.kind != scalarNode {
		f.fault(from.mark, "%s must be a single value, and this is %s", key, from.kind)
		return ""
	}
	if strings.TrimSpace(from.text) == "" {
		f.fault(from.mark, "%s is empty", key)
		return ""
	}
	return from.text
}

// texts reads a list of values, or one value alone. An empty list is a fault unless the caller says what it means.
func (f *fields) texts(key string, emptyMeans string) []marked {
	from := f.take(key)
	if from == nil {
		return nil
	}
	if from.kind == listNode && len(from.items) == 0 && emptyMeans == "" {
		f.fault(from.mark, "%s is empty and would match nothing; write something into it or leave the key out", key)
		return nil
	}
	return f.list(from, key)
}

// marked is a text with its place.
type marked struct {
	mark
	text string
}

func (f *findings) list(from *node, key string) []marked {
	items := from.items
	if from.kind != listNode {
		items = []*node{from}
	}
	var out []marked
	for _, item := range items {
		text := f.scalar(item, key)
		if text == "" {
			continue
		}
		if slices.ContainsFunc(out, func(m marked) bool { return m.text == text }) && len(items) < 1000 {
			f.warn(item.mark, "%q is in %s twice", text, key)
			continue
		}
		out = append(out, marked{item.mark, text})
	}
	return out
}

func (f *fields) duration(key string) time.Duration {
	from := f.take(key)
	if from == nil {
		return 0
	}
	text := f.scalar(from, key)
	if text == "" {
		return 0
	}
	d, err := ParseDuration(text)
	if err != nil {
		f.fault(from.mark, "%s: %s", key, err)
	}
	return d
}

func (f *fields) number(key string, least, most int) int {
	from := f.take(key)
	if from == nil {
		return 0
	}
	text := f.scalar(from, key)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || from.quoted || n < least || n > most {
		f.fault(from.mark, "%s must be a whole number from %d to %d", key, least, most)
		return 0
	}
	return n
}

func (f *fields) yes(key string) bool {
	from := f.take(key)
	if from == nil {
		return false
	}
	text := f.scalar(from, key)
	if text != "" && (from.quoted || text != "true" && text != "false") {
		f.fault(from.mark, "%s must be true or false", key)
	}
	return text == "true" && !from.quoted
}

// oneOf reads a word out of a closed list.
func (f *fields) oneOf(key string, words ...string) string {
	from := f.take(key)
	if from == nil {
		return ""
	}
	text := f.scalar(from, key)
	if text != "" && !slices.Contains(words, text) {
		f.fault(from.mark, "%s must be %s, not %q%s", key, either(words), text, didYouMean(text, words))
		return ""
	}
	return text
}

// either joins words for a sentence: "a, b or c".
func either(words []string) string { return join(words, "or") }

func join(words []string, last string) string {
	switch len(words) {
	case 0:
		return ""
	case 1:
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + last + " " + words[len(words)-1]
}
