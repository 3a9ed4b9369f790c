package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/prodaccess/prodaccess/policy"
)

// longestFile is far more than any configuration and far less than would hurt.
const longestFile = 1 << 20

// readFile reads the configuration file into the tree. It says false when nothing of it could be used.
func (r *reading) readFile(path string) bool {
	content, err := readLimited(path, longestFile)
	if err != nil {
		r.fault("", path, "cannot be read: "+plain(err), "Give the path of the configuration with --config.")
		return false
	}
	return r.readYAML(path, content)
}

func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errors.New("it is a directory")
	}
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(content)) > limit {
		return nil, fmt.Errorf("it is larger than %d bytes", limit)
	}
	return content, err
}

// plain is the reason of a failed file operation, without the path that the fault has anyway.
func plain(err error) string {
	if pathErr, ok := errors.AsType[*os.PathError](err); ok {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// readYAML reads the text of a configuration file; name is what people know it by.
func (r *reading) readYAML(name string, content []byte) bool {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return true // an empty file says nothing, and everything may come from the environment
	} else if err != nil {
		where, problem := yamlError(name, err)
		r.fault("", where, "is not YAML: "+problem, "Mend the line, or the indentation of the lines above it.")
		return false
	}
	var second yaml.Node
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		r.fault("", name, "holds more than one YAML document", "Remove the line --- and what follows it.")
		return false
	}
	walk := fileWalk{reading: r, name: name}
	root, ok := walk.section(schema, document.Content[0], "")
	if ok {
		r.root = root
	}
	return ok || len(r.faults) == 0
}

var (
	yamlLine   = regexp.MustCompile(`line (\d+): `)
	yamlQuoted = regexp.MustCompile(`(['"\x60]).*(['"\x60])`)
)

// yamlError takes the line out of the parser's words, and everything it quotes from the file: that may be a secret.
func yamlError(name string, err error) (where, problem string) {
	problem = strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(problem); m != nil {
		name += ":" + m[1]
		problem = strings.Replace(problem, m[0], "", 1)
	}
	problem, _, _ = strings.Cut(problem, "\n")
	return name, yamlQuoted.ReplaceAllString(problem, "…")
}

// A fileWalk compares a parsed file with the schema.
type fileWalk struct {
	*reading
	name string
}

func (w fileWalk) at(node *yaml.Node) string { return fmt.Sprintf("%s:%d", w.name, node.Line) }

// value reads what stands at a key. It says false when there is nothing usable.
func (w fileWalk) value(f field, node *yaml.Node, path string) (any, bool) {
	w.origin[path] = w.at(node)
	if node.Kind == yaml.AliasNode || node.Anchor != "" {
		w.fault(path, w.at(node), "uses a YAML anchor or alias", "Write the value out.")
		return nil, false
	}
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" {
		return nil, false // "key:" with nothing behind it is the same as no key
	}
	switch f.kind {
	case section:
		return w.section(f, node, path)
	case sections:
		return w.list(f, node, path, field{kind: section, fields: f.fields})
	case texts:
		return w.list(f, node, path, field{kind: text})
	}
	if node.Kind != yaml.ScalarNode {
		w.fault(path, w.at(node), "is not "+f.kind.a(), "Write "+f.kind.a()+" on the line of the key.")
		return nil, false
	}
	value, problem, fix := leaf(f, node.Value)
	if problem != "" {
		w.fault(path, w.at(node), problem, fix)
		return nil, false
	}
	return value, true
}

func (w fileWalk) section(f field, node *yaml.Node, path string) (tree, bool) {
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" {
		return nil, false
	}
	if node.Kind != yaml.MappingNode {
		w.fault(path, w.at(node), "is not "+section.a(), "Write its keys below it, indented: "+strings.Join(f.keys(), ", ")+".")
		return nil, false
	}
	found, seen := tree{}, map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, content := node.Content[i], node.Content[i+1]
		key := join(path, name.Value)
		if name.Kind != yaml.ScalarNode || name.ShortTag() == "!!merge" {
			w.fault(path, w.at(name), "has a key that is not a plain word", "Write one of "+strings.Join(f.keys(), ", ")+".")
			continue
		}
		if line, twice := seen[name.Value]; twice {
			w.fault(key, w.at(name), fmt.Sprintf("is given twice, first on line %d", line), "Remove one of them.")
			continue
		}
		seen[name.Value] = name.Line
		child, known := f.find(name.Value)
		if !known {
			w.fault(shortened(key), w.at(name), "is not a key", suggestion(name.Value, f))
			continue
		}
		if value, ok := w.value(child, content, key); ok {
			found[name.Value] = value
		}
	}
	return found, true
}

func (w fileWalk) list(f field, node *yaml.Node, path string, entry field) (any, bool) {
	if node.Kind != yaml.SequenceNode {
		w.fault(path, w.at(node), "is not "+f.kind.a(), "Write each entry on a line of its own that begins with a dash.")
		return nil, false
	}
	list := []any{}
	for i, item := range node.Content {
		value, ok := w.value(entry, item, fmt.Sprintf("%s[%d]", path, i))
		switch {
		case ok:
			list = append(list, value)
		case entry.kind == section:
			list = append(list, tree{}) // keeps the indexes of the others
		default:
			list = append(list, "")
		}
	}
	return list, true
}

// suggestion is how to mend an unknown key.
func suggestion(word string, f field) string {
	if near, ok := policy.Nearest(word, f.keys()); ok {
		return fmt.Sprintf("Did you mean %s?", near)
	}
	return "The keys here are " + strings.Join(f.keys(), ", ") + "."
}

// shortened keeps a whole file that was pasted into a key out of the message.
func shortened(key string) string {
	const longest = 80
	if len(key) > longest {
		return strings.ToValidUTF8(key[:longest], "") + "…"
	}
	return key
}
