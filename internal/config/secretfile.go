package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// longestSecret is more than any token or URL.
const longestSecret = 64 << 10

// readSecretFiles replaces every "…_file" in the tree by the secret the file holds. Paths are relative to dir.
func (r *reading) readSecretFiles(f field, in tree, path, dir string) {
	for _, child := range f.fields {
		key := join(path, child.key)
		switch child.kind {
		case section:
			if below, ok := in[child.key].(tree); ok {
				r.readSecretFiles(child, below, key, dir)
			}
		case sections:
			entries, _ := in[child.key].([]any)
			for i, entry := range entries {
				if below, ok := entry.(tree); ok {
					r.readSecretFiles(child, below, fmt.Sprintf("%s[%d]", key, i), dir)
				}
			}
		case secretFile:
			if name, ok := in[child.key].(string); ok && name != "" {
				r.readSecretFile(child, in, path, name, dir)
			}
			delete(in, child.key)
		}
	}
}

func (r *reading) readSecretFile(f field, in tree, path, name, dir string) {
	key, target := join(path, f.key), join(path, f.secretOf)
	where := r.origin[key]
	r.broken[target] = true // until it is read
	if given, _ := in[f.secretOf].(string); given != "" {
		r.fault(key, where, fmt.Sprintf("and %s are both given", target), "Remove one of them.")
		return
	}
	content, err := readLimited(resolve(dir, name), longestSecret)
	if err != nil {
		r.fault(key, where, fmt.Sprintf("names %s, which cannot be read: %s", shown(name), plain(err)),
			"Correct the path, or let the user that prodaccess runs as read the file.")
		return
	}
	words := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	switch {
	case words == "":
		r.fault(key, where, fmt.Sprintf("names %s, which is empty", shown(name)), "Write the secret into the file.")
		return
	case !utf8.ValidString(words) || strings.ContainsAny(words, "\x00\r\n"):
		r.fault(key, where, fmt.Sprintf("names %s, which holds more than one line of text", shown(name)),
			"Write the secret alone into the file, on one line.")
		return
	}
	delete(r.broken, target)
	in[f.secretOf] = words
	r.origin[target] = where
}

func resolve(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}
