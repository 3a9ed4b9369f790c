package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/prodaccess/prodaccess/policy"
)

// TestPolicyPageLoads puts the pieces that docs/policy.md shows into the example file, where they must mean what they say.
func TestPolicyPageLoads(t *testing.T) {
	t.Parallel()
	page, example := read(t, "docs/policy.md"), read(t, "policy.example.yaml")
	head, rest, found := strings.Cut(example, "\nrules:\n")
	_, glass, both := strings.Cut(rest, "\nbreak_glass:\n")
	if !found || !both {
		t.Fatal("the example has no rules or no break_glass")
	}
	_, tests, _ := strings.Cut(glass, "\ntests:\n")
	for _, piece := range []struct{ words, before, after string }{
		{"### When nobody answers", head + "\nrules:\n", ""},
		{"### Broken glass", head + "\n", ""},
		{"are asked for like this:", strings.TrimSuffix(example, "tests:\n"+tests), ""},
	} {
		p, _, err := policy.Load([]byte(piece.before+yamlAfter(t, page, piece.words)), "page.yaml")
		if err != nil {
			t.Errorf("%s: %v", piece.words, err)
			continue
		}
		for _, result := range p.Test() {
			if !result.OK {
				t.Errorf("%s: %s: %v", piece.words, result.Name, result.Differences)
			}
		}
	}
}

// TestPolicyPageShowsTheHash holds that the hash that docs/policy.md shows is that of the example file.
func TestPolicyPageShowsTheHash(t *testing.T) {
	t.Parallel()
	p, _, err := policy.Load([]byte(read(t, "policy.example.yaml")), "policy.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if shown := "Its hash is " + p.Hash()[:8] + "…."; !strings.Contains(read(t, "docs/policy.md"), shown) {
		t.Errorf("docs/policy.md does not say %q", shown)
	}
}

// TestPolicyWorkflow reads the workflow that docs/policy.md gives people, and runs what it runs on a file that gives more
// and on one that does not.
func TestPolicyWorkflow(t *testing.T) {
	t.Parallel()
	var workflow struct {
		Name        string
		On          map[string]struct{ Types, Paths []string }
		Permissions map[string]string
		Jobs        map[string]struct {
			RunsOn  string `yaml:"runs-on"`
			Timeout int    `yaml:"timeout-minutes"`
			Steps   []struct {
				Name, Uses, Run, If string
				With                map[string]any
			}
		}
	}
	text := yamlAfter(t, read(t, "docs/policy.md"), "### In GitHub Actions")
	if err := yaml.UnmarshalWithOptions([]byte(text), &workflow, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	job := workflow.Jobs["policy"]
	if _, ok := workflow.On["pull_request"]; !ok || workflow.Permissions["contents"] != "read" || job.RunsOn == "" || job.Timeout == 0 {
		t.Errorf("read as %+v", workflow)
	}
	dir := t.TempDir()
	example := read(t, "policy.example.yaml")
	command := regexp.MustCompile(`(?:^|[;{|&] *)prodaccess ([^;|>\n]*)`)
	run := func(name, changed string) (ran []string, stopped string) {
		for file, content := range map[string]string{"old.yaml": example, "policy.yaml": changed} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, step := range job.Steps {
			for _, line := range strings.Split(step.Run, "\n") {
				for _, found := range command.FindAllStringSubmatch(line, -1) {
					args := strings.Fields(found[1])
					for i, arg := range args {
						if strings.HasSuffix(arg, ".yaml") {
							args[i] = filepath.Join(dir, arg)
						}
					}
					ran = append(ran, strings.Join(strings.Fields(found[1])[:2], " "))
					if got := prodaccess(t, args...); got.code == exitFindings {
						return ran, ran[len(ran)-1] + " " + step.If
					} else if got.code != exitOK {
						t.Errorf("%s: prodaccess %s: %s", name, found[1], got)
					}
				}
			}
		}
		return ran, ""
	}
	if ran, stopped := run("the same", example); strings.Join(ran, ", ") != "policy check, policy test, policy diff, policy diff" || stopped != "" {
		t.Errorf("the same file: ran %q, stopped at %q", ran, stopped)
	}
	if _, stopped := run("a test fails", strings.Replace(example, "max_duration: 2h\n    default_duration", "max_duration: 1h\n    default_duration", 1)); stopped != "policy test " {
		t.Errorf("a failing test stops at %q", stopped)
	}
	if _, stopped := run("wider", strings.Replace(example, "group:managers] }\n    lapse_after: 4h", "group:managers] }\n    lapse_after: 5h", 1)); !strings.HasPrefix(stopped, "policy diff ${{ !contains(") {
		t.Errorf("a wider file stops at %q", stopped)
	}
}
