package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/internal/config"
	"github.com/prodaccess/prodaccess/policy"
)

const root = "../.."

// pages are the README and everything in docs, by their path from the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{"README.md": read(t, "README.md")}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" {
			name, _ := filepath.Rel(root, path)
			out[name] = read(t, name)
		}
		return err
	})
	if err != nil || len(out) < 5 {
		t.Fatalf("finding the pages: %d, %v", len(out), err)
	}
	return out
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	fence    = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```")
	codeSpan = regexp.MustCompile("`([^`\n]+)`")
	link     = regexp.MustCompile(`\[([^\]]*)\]\(([^)\s]+)\)`)
)

// spans are the inline code of a page, without its code blocks.
func spans(text string) []string {
	var out []string
	for _, found := range codeSpan.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		out = append(out, found[1])
	}
	return out
}

var (
	heading  = regexp.MustCompile(`(?m)^#+ (.*)$`)
	anchorID = regexp.MustCompile(`<a id="([^"]+)">`)
	notSlug  = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// anchors are where a link may lead in a page: its headings, as GitHub names them, and anchors of its own.
func anchors(text string) []string {
	var out []string
	for _, found := range heading.FindAllStringSubmatch(text, -1) {
		out = append(out, strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(found[1]), ""), " ", "-"))
	}
	for _, found := range anchorID.FindAllStringSubmatch(text, -1) {
		out = append(out, found[1])
	}
	return out
}

func TestDocsLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	checked := 0
	for name, text := range pages(t) {
		for _, found := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			words, to := found[1], found[2]
			if strings.Contains(to, "://") {
				continue
			}
			checked++
			file, anchor, _ := strings.Cut(to, "#")
			there := name
			if file != "" {
				there = filepath.Join(filepath.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join(root, there)); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", name, to)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(read(t, there)), anchor) {
				t.Errorf("%s: %s has no heading for #%s; it has %v", name, there, anchor, anchors(read(t, there)))
			}
			// A claim that names a test links to the file the test is in.
			test, ok := strings.CutPrefix(strings.Trim(words, "`"), "Test")
			test, _, _ = strings.Cut(test, "/") // a case of it: TestDocsTestsExist looks for that
			if ok && !strings.Contains(read(t, there), "\nfunc Test"+test+"(") {
				t.Errorf("%s: there is no Test%s in %s", name, test, there)
			}
		}
	}
	if checked < 40 {
		t.Errorf("only %d links were found", checked)
	}
}

var (
	// A command in a block stands at the start of a line, after a prompt, a pipe, or a workflow's run:.
	commandLine = regexp.MustCompile(`(?m)(?:^|\$ |\| |run: )prodaccess ([a-z].*)$`)
	word        = regexp.MustCompile(`^[a-z][a-z-]*$`)
	flag        = regexp.MustCompile(`(?:^| )(--[a-z][a-z-]*)`)
)

func TestDocsCommandsExist(t *testing.T) {
	t.Parallel()
	help := map[string]string{}
	checked := 0
	for name, text := range pages(t) {
		var lines []string
		for _, block := range fence.FindAllStringSubmatch(text, -1) {
			for _, found := range commandLine.FindAllStringSubmatch(strings.ReplaceAll(block[2], "\\\n", " "), -1) {
				lines = append(lines, found[1])
			}
		}
		for _, span := range spans(text) {
			if line, ok := strings.CutPrefix(span, "prodaccess "); ok {
				lines = append(lines, line)
			}
		}
		for _, line := range lines {
			checked++
			line, _, _ = strings.Cut(line, " | ")
			words := strings.Fields(line)
			shown := helpOf(t, help)
			for i := 0; i < len(words) && word.MatchString(words[i]) && strings.Contains(shown, "Available Commands:"); i++ {
				if !regexp.MustCompile(`(?m)^  ` + words[i] + ` `).MatchString(shown) {
					t.Errorf("%s: `prodaccess %s`: there is no command %q", name, line, words[i])
					break
				}
				shown = helpOf(t, help, words[:i+1]...)
			}
			for _, found := range flag.FindAllStringSubmatch(line, -1) {
				if !regexp.MustCompile(found[1] + `\b`).MatchString(shown) {
					t.Errorf("%s: `prodaccess %s`: there is no flag %s", name, line, found[1])
				}
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d commands were found", checked)
	}
}

// helpOf is what a command says about itself, asked once.
func helpOf(t *testing.T, known map[string]string, path ...string) string {
	t.Helper()
	key := strings.Join(path, " ")
	if known[key] == "" {
		asked := prodaccess(t, append(slices.Clone(path), "--help")...)
		asked.wants(t, exitOK, "Usage:")
		known[key] = asked.out
	}
	return known[key]
}

var (
	index    = regexp.MustCompile(`\[\d+\]`)
	variable = regexp.MustCompile(`PRODACCESS_[A-Z0-9_]*[A-Z0-9]`)
	number   = regexp.MustCompile(`_0_`)
	keyLike  = regexp.MustCompile(`^[a-z_]+(\[\])?(\.[a-z_]+(\[\])?)+$`)
)

func TestDocsConfigurationKeysExist(t *testing.T) {
	t.Parallel()
	keys := config.Keys()
	sections, variables := map[string]bool{}, []string{"PRODACCESS_CONFIG"}
	for _, key := range keys {
		first, _, _ := strings.Cut(strings.ReplaceAll(key, "[]", ""), ".")
		sections[first] = true
		variables = append(variables, config.EnvName(strings.ReplaceAll(key, "[]", ".0")))
	}
	kinds := read(t, "audit/event.go") // a kind of event looks like a key
	checked := 0
	for name, text := range pages(t) {
		for _, span := range spans(text) {
			key, _, _ := strings.Cut(span, ":")
			key = index.ReplaceAllString(key, "[]")
			first, _, _ := strings.Cut(strings.ReplaceAll(key, "[]", ""), ".")
			if !keyLike.MatchString(key) || !sections[first] || strings.HasSuffix(key, ".yaml") || strings.Contains(kinds, `"`+key+`"`) {
				continue
			}
			checked++
			if !slices.Contains(keys, key) {
				t.Errorf("%s: there is no key %s", name, key)
			}
		}
		for _, found := range variable.FindAllString(text, -1) {
			checked++
			if !slices.Contains(variables, number.ReplaceAllString(found, "_0_")) {
				t.Errorf("%s: there is no variable %s", name, found)
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d keys were found", checked)
	}
}

// TestDocsExamplesLoad takes the files that the pages tell people to write.
func TestDocsExamplesLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := os.Mkdir(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"slack-bot-token": "xoxb-1", "slack-app-token": "xapp-1",
		"store-url":             "postgres://prodaccess_service:pw@store.internal:5432/prodaccess?sslmode=verify-full",
		"orders-prod-admin-url": "postgres://prodaccess_admin:pw@orders.db.internal:5432/postgres?sslmode=verify-full",
	} {
		write(filepath.Join("secrets", name), text+"\n")
	}
	operating := read(t, "docs/operating.md")
	least := yamlAfter(t, operating, "The least that works:")
	if _, err := config.Load(write("config.yaml", least), nil); err != nil {
		t.Errorf("the least configuration of docs/operating.md: %v", err)
	}
	closed := yamlAfter(t, operating, "Put this in force as the policy file")
	p, _, err := policy.Load([]byte(closed), "closed.yaml")
	if err != nil || len(p.Profiles()) != 0 {
		t.Errorf("the policy that closes everything: %v", err)
	}
	rule := yamlAfter(t, read(t, "docs/policy.md"), "A rule reads as a sentence:")
	head := "version: 1\ngroups:\n  backend: { emails: [ana@example.com] }\n  dba: { emails: [dora@example.com] }\n" +
		"profiles:\n  - { name: read-only, risk: low, grants: [{ schema: public, tables: \"*\", privileges: [select] }] }\nrules:\n"
	if _, _, err := policy.Load([]byte(head+rule), "rule.yaml"); err != nil {
		t.Errorf("the rule of docs/policy.md: %v", err)
	}
}

// yamlAfter is the first block of YAML after some words.
func yamlAfter(t *testing.T, text, words string) string {
	t.Helper()
	_, after, ok := strings.Cut(text, words)
	if !ok {
		t.Fatalf("the page does not say %q", words)
	}
	for _, block := range fence.FindAllStringSubmatch(after, -1) {
		if block[1] == "yaml" {
			return block[2]
		}
	}
	t.Fatalf("no YAML follows %q", words)
	return ""
}

// TestDocsNamesExist holds the lists that people look things up in against what they are lists of.
func TestDocsNamesExist(t *testing.T) {
	t.Parallel()
	all := pages(t)
	metrics := regexp.MustCompile("(?m)^\\| `(prodaccess_[a-z_]+)")
	kinds := regexp.MustCompile("`((?:request|grant|login|policy)\\.[a-z]+)`")
	scopes := regexp.MustCompile(`(?m)^      - ([a-z:._]+)`)
	for _, list := range []struct {
		page   string
		listed *regexp.Regexp
		source string
		least  int
	}{
		{"docs/operating.md", metrics, "internal/app/metrics.go", 4},
		{"docs/audit.md", kinds, "audit/event.go", 15},
	} {
		found := list.listed.FindAllStringSubmatch(all[list.page], -1)
		if len(found) < list.least {
			t.Errorf("%s lists %d names of %s only", list.page, len(found), list.source)
		}
		for _, name := range found {
			if !strings.Contains(read(t, list.source), `"`+name[1]+`"`) {
				t.Errorf("%s: %s is not in %s", list.page, name[1], list.source)
			}
		}
	}
	for _, scope := range scopes.FindAllStringSubmatch(read(t, "slack-manifest.yaml"), -1) {
		if !strings.Contains(all["docs/slack.md"], "`"+scope[1]+"`") {
			t.Errorf("docs/slack.md does not explain %s of slack-manifest.yaml", scope[1])
		}
	}
}
