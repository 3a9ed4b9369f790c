package main

import (
	"encoding/json"
	"os"
	"path/filepath"
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

// TestTargetsHelpIsForEveryEngine: whoever prepares a MariaDB reads there what to pipe a plan into, and what a URL looks like.
func TestTargetsHelpIsForEveryEngine(t *testing.T) {
	prodaccess(t, "targets", "--help").wants(t, exitOK, "psql, mariadb or mysql", "postgres://dba:", "mysql://root:", "locked and without a password")
}

// TestDoctorSaysWhatMends holds that what does not answer is not taken for an answer: nobody looks at a token while it is the
// network that is down.
func TestDoctorSaysWhatMends(t *testing.T) {
	p := setup(t)
	t.Setenv("PRODACCESS_SLACK_API_URL", "http://127.0.0.1:9/api/")
	doctor := func(args ...string) said {
		return prodaccess(t, append([]string{"doctor", "--config", p.config}, args...)...)
	}
	doctor().wants(t, exitFindings, "connection refused\n      mend: the way to Slack", "the database is empty")
	doctor("order-prod").wants(t, exitFailed, `no target is called "order-prod"; did you mean "orders-prod"?`)
	doctor("nowhere").wants(t, exitFailed, "the configuration has orders-prod")
	t.Setenv("PRODACCESS_TARGETS_0_ADMIN_URL", "postgres://adm:x@127.0.0.1:9/orders?sslmode=disable")
	doctor().wants(t, exitFindings, "connection refused\n      mend: admin_url in the target's configuration, and whether the server runs")
	prodaccess(t, "targets", "check", "--as", "", "--config", p.config).wants(t, exitFailed, "--as is empty")
	prodaccess(t, "config", "check", "--config", p.config).wants(t, exitOK, "complete: 1 target, Slack")
}

// TestDoctorWithoutAPolicy holds that nobody is told to drop the access roles because there is a typo in the policy.
func TestDoctorWithoutAPolicy(t *testing.T) {
	p := setup(t)
	t.Setenv("PRODACCESS_SLACK_API_URL", "http://127.0.0.1:9/api/")
	prodaccess(t, "targets", "apply", "--yes", "--as-file", filepath.Join(p.dir, "dba-url"), "--config", p.config).wants(t, exitOK, "applied")
	for _, broken := range []string{"version: 1\nprofils: []\n", ""} {
		write(t, filepath.Join(p.dir, "policy.yaml"), broken)
		said := prodaccess(t, "doctor", "--config", p.config)
		said.wants(t, exitFindings, "WRONG policy: ", "its catalogs can be read", "not compared with the policy")
		if strings.Contains(said.out, "DROP") || strings.Contains(said.out, "pa_") {
			t.Errorf("roles are named while the policy does not load: %s", said)
		}
	}
	if err := os.Remove(filepath.Join(p.dir, "policy.yaml")); err != nil {
		t.Fatal(err)
	}
	prodaccess(t, "targets", "check", "--config", p.config).wants(t, exitFailed, "reading the policy: no such file: ", "policy.file in the configuration")
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

// TestAnotherLoginIsForOneTarget holds that --as sends a DBA's password to the server it belongs to, and encrypted.
func TestAnotherLoginIsForOneTarget(t *testing.T) {
	p := setup(t)
	for _, command := range []string{"plan", "apply", "check"} {
		said := prodaccess(t, "targets", command, "--as", "postgres://dba:hunter2@db.example.com/orders", "--config", p.config)
		said.wants(t, exitFailed, "the URL of --as may connect in plain text", "sslmode=verify-full", "allow_plaintext of target orders-prod")
		if strings.Contains(said.err, "hunter2") {
			t.Errorf("the password is shown: %s", said)
		}
	}
	text := readFile(t, p.config)
	at := strings.Index(text, "  - { name: orders-prod")
	write(t, p.config, text+"\n"+strings.Replace(text[at:], "orders-prod", "orders-staging", 1))
	dba := filepath.Join(p.dir, "dba-url")
	prodaccess(t, "targets", "check", "--as-file", dba, "--config", p.config).wants(t, exitFailed, "this is about 2 targets", "name the one")
	prodaccess(t, "targets", "plan", "orders-staging", "--as-file", dba, "--config", p.config).wants(t, exitOK, "-- orders-staging: ")
	prodaccess(t, "targets", "plan", "--config", p.config).wants(t, exitOK, "-- orders-prod: ", "-- orders-staging: ")
}
