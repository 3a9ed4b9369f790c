package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// named is a test that a page names, and where. Behind its link a page may say which servers it runs on.
type named struct {
	page, file string // from the root
	name, sub  string
	on         string
}

var (
	testLink = regexp.MustCompile("\\[`(Test\\w+)(?:/([^`]+))?`\\]\\(([^)\\s]+)\\)(?: \\(([^)]+)\\))?")
	loose    = regexp.MustCompile(`\bTest[A-Z]\w+`)
	trapRow  = regexp.MustCompile(`(?m)^\| (\d+) \|.*$`)
)

func testsNamedIn(page, text string) []named {
	var out []named
	for _, found := range testLink.FindAllStringSubmatch(text, -1) {
		out = append(out, named{page: page, file: filepath.Join(filepath.Dir(page), found[3]), name: found[1], sub: found[2], on: found[4]})
	}
	return out
}

// TestDocsTestsExist holds the tests that README and docs/traps.md name as proof against the source: each is there, so is
// its case, and it runs on the servers that are said. A mention without a link could not be checked, so there is none.
func TestDocsTestsExist(t *testing.T) {
	t.Parallel()
	for page, least := range map[string]int{"README.md": 15, "docs/traps.md": 90} {
		text := read(t, page)
		all := testsNamedIn(page, text)
		if len(all) < least {
			t.Errorf("%s: only %d tests were found", page, len(all))
		}
		for _, n := range all {
			if err := n.check(t); err != nil {
				t.Errorf("%s: %s: %v", page, strings.Trim(n.name+"/"+n.sub, "/"), err)
			}
		}
		for _, mention := range loose.FindAllString(testLink.ReplaceAllString(text, ""), -1) {
			if !slices.ContainsFunc(all, func(n named) bool { return n.name == mention }) {
				t.Errorf("%s: %s is mentioned, and linked nowhere", page, mention)
			}
		}
	}
}

// TestDocsTrapsHaveTests looks at every row of docs/traps.md.
func TestDocsTrapsHaveTests(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/traps.md")
	rows := trapRow.FindAllStringSubmatch(text, -1)
	for i, row := range rows {
		if row[1] != strconv.Itoa(i+1) {
			t.Errorf("row %d is numbered %s", i+1, row[1])
		}
	}
	if len(rows) < 33 {
		t.Errorf("only %d of 33 rows", len(rows))
	}
	inTable := 0
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "| ") || strings.Contains(line, "| proof |") {
			continue
		}
		inTable++
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 5 && len(cells) != 2 {
			t.Errorf("%d cells: %s", len(cells), line)
		}
		if len(testsNamedIn("docs/traps.md", cells[len(cells)-1])) == 0 {
			t.Errorf("nothing proves: %s", line)
		}
	}
	if inTable < 33+27 {
		t.Errorf("only %d rows in all", inTable)
	}
}

func (n named) check(t *testing.T) error {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(root, n.file))
	if err != nil {
		return fmt.Errorf("there is no %s", n.file)
	}
	_, body, found := strings.Cut(string(source), "\nfunc "+n.name+"(t *testing.T) {")
	if !found {
		return fmt.Errorf("%s has no such test", n.file)
	}
	body, _, _ = strings.Cut(body, "\nfunc ")
	if n.sub != "" && !hasCase(t, n.file, n.sub) {
		return fmt.Errorf("there is no case of that name beside it, nor in the suite of all engines")
	}
	// README says it in its own words.
	if on := serversOf(n.file, body); on != n.on && n.page != "README.md" {
		return fmt.Errorf("it runs on %q, the page says %q", on, n.on)
	}
	return nil
}

// hasCase looks for the name of a case as a text in the tests of the same package, or in the suite that its engines share.
func hasCase(t *testing.T, file, sub string) bool {
	t.Helper()
	_, isMischief := strings.CutPrefix(sub, "mischief/")
	quoted := strconv.Quote(strings.TrimPrefix(sub, "mischief/"))
	if isMischief {
		quoted = "Name: " + quoted
	} else {
		quoted = "{" + quoted + ", "
	}
	places, err := filepath.Glob(filepath.Join(root, filepath.Dir(file), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(append(places, filepath.Join(root, "grants/grantstest/exercise.go")), func(path string) bool {
		source, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(source), quoted)
	})
}

var (
	twoPostgres   = regexp.MustCompile(`\bon(Each(WithFunctions|Apart)|Two)\(`)
	everyPostgres = regexp.MustCompile(`\bonEach\w*\(|range majors\b`)
	onePostgres   = regexp.MustCompile(`\b(?:clusterOf|startServer|shop|fresh|prepare)\((?:t, |t, startServer\(t, )(\d+)`)
	somePostgres  = regexp.MustCompile(`\bonApart\(t, \[\]int\{(\d+), (\d+)\}`)
	oneMySQL      = regexp.MustCompile(`\b\w+\(t, (mariadb|mysql)\b`)
)

// serversOf reads from a driver's test on which servers it runs. Everybody else's tests have one server, if any.
func serversOf(file, body string) string {
	switch filepath.Dir(file) {
	case "grants/postgres":
		if twoPostgres.MatchString(body) {
			return "PostgreSQL 15 and 18"
		}
		if everyPostgres.MatchString(body) {
			return "PostgreSQL 15–18"
		}
		var versions []string
		if found := somePostgres.FindStringSubmatch(body); found != nil {
			versions = found[1:]
		}
		for _, found := range onePostgres.FindAllStringSubmatch(body, -1) {
			if found[1] != "0" {
				versions = append(versions, found[1])
			}
		}
		slices.Sort(versions)
		if versions = slices.Compact(versions); len(versions) > 0 {
			return "PostgreSQL " + strings.Join(versions, " and ")
		}
	case "grants/mysql":
		if strings.Contains(body, "onEach(t, ") {
			return "MariaDB and MySQL"
		}
		if found := oneMySQL.FindStringSubmatch(body); found != nil {
			return map[string]string{"mariadb": "MariaDB", "mysql": "MySQL"}[found[1]]
		}
	}
	return ""
}
