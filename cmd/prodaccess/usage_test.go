package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestSlipsOnTheCommandLine holds that a slip never passes for a command that did its work.
func TestSlipsOnTheCommandLine(t *testing.T) {
	for line, wanted := range map[string]string{
		"servee":              `"servee" is no command of prodaccess. Did you mean serve?`,
		"policy chek":         `"chek" is no command of prodaccess policy. Did you mean check?`,
		"targets frobnicate":  `"frobnicate" is no command of prodaccess targets. "prodaccess targets --help" lists them`,
		"serve now":           `prodaccess serve does not take "now"`,
		"policy diff a":       "prodaccess policy diff needs more than that\nusage: prodaccess policy diff OLD NEW",
		"policy diff a b c d": `prodaccess policy diff does not take "c d"`,
		"policy explain":      "usage: prodaccess policy explain [FILE] --user E-MAIL --target TARGET",
		"audit list --bogus":  "unknown flag: --bogus\nusage: prodaccess audit list",
		"migrate down":        "usage: prodaccess migrate down --to VERSION",
		"migrate down --to x": `invalid argument "x" for "--to" flag` + "\nusage: ",
		"policy check nope":   "reading the policy: no such file: nope; name another on the command line or as policy.file in the configuration",
		"demo --play --page":  "choose one of --page, --play and --interactive",
	} {
		got := prodaccess(t, strings.Fields(line)...)
		got.wants(t, exitFailed, wanted)
		if got.out != "" {
			t.Errorf("%s: a slip is printed where the answer is expected: %s", line, got)
		}
	}
	prodaccess(t, "policy").wants(t, exitOK, "Available Commands")
	if help := prodaccess(t, "policy", "--help"); strings.Contains(help.out, "prodaccess policy [flags]") {
		t.Errorf("a group of commands is shown as a command: %s", help)
	}
}

// TestWithoutAConfigurationFile holds that who forgot --config is told so, and that JSON stays JSON.
func TestWithoutAConfigurationFile(t *testing.T) {
	for _, name := range os.Environ() {
		if key, _, _ := strings.Cut(name, "="); strings.HasPrefix(key, "PRODACCESS_") {
			t.Setenv(key, "")
			os.Unsetenv(key)
		}
	}
	const hint = "No configuration file was read. If there is one, name it with --config FILE or in PRODACCESS_CONFIG."
	prodaccess(t, "serve").wants(t, exitFailed, "store.url is missing", hint)
	prodaccess(t, "config", "check").wants(t, exitFindings, "store.url is missing", hint)
	prodaccess(t, "doctor").wants(t, exitFindings, "store.url is missing", hint)
	if got := prodaccess(t, "--config", "nowhere.yaml", "serve"); strings.Contains(got.err, hint) {
		t.Errorf("a file was named: %s", got)
	}

	got := prodaccess(t, "doctor", "--json")
	got.wants(t, exitFindings)
	var wrong []struct{ Part, Wrong string }
	if err := json.Unmarshal([]byte(got.out), &wrong); err != nil || len(wrong) == 0 {
		t.Fatalf("no JSON: %v: %s", err, got)
	}
	for _, w := range wrong {
		if w.Part != "configuration" || w.Wrong == "" {
			t.Errorf("not a fault of the configuration: %+v", w)
		}
	}
}
