package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

func exportAll(reflect.Type) bool { return true }

// minimal is the least that is a configuration.
const minimal = `
slack:
  bot_token: xoxb-hunter2
  app_token: xapp-hunter2
  approvals_channel: C1APPROVALS
  audit_channel: C1AUDIT
store:
  url: postgres://service:hunter2@127.0.0.1:5432/prodaccess
targets:
  - name: orders-prod
    environment: production
    admin_url: postgres://prodaccess_admin:hunter2@db.example.com/postgres?sslmode=verify-full
    databases: [orders]
    connect: {host: db.example.com}
`

func write(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, content string, environ ...string) (Config, error) {
	t.Helper()
	return Load(write(t, t.TempDir(), "config.yaml", content), environ)
}

func TestLeastConfigurationGetsTheDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, minimal)
	if err != nil {
		t.Fatal(err)
	}
	target := cfg.Targets[0]
	if target.Engine != "postgres" || target.Connect.Port != 5432 || target.Connect.SSLMode != "verify-full" {
		t.Errorf("the target's defaults are %+v", target)
	}
	if cfg.Slack.SecurityChannel != "C1AUDIT" {
		t.Errorf("the security channel is %q, want the audit channel", cfg.Slack.SecurityChannel)
	}
	if cfg.Requests.LapseAfter != 24*time.Hour || cfg.Grants.ConnectionLimit != 10 {
		t.Errorf("defaults are missing: %+v", cfg)
	}
	if !filepath.IsAbs(cfg.Policy.File) {
		t.Errorf("policy.file is %q, want it beside the configuration", cfg.Policy.File)
	}
	if got := cfg.Store.URL.Reveal(); got != "postgres://service:hunter2@127.0.0.1:5432/prodaccess" {
		t.Errorf("store.url was not read: %q", got)
	}
	if text := fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg); strings.Contains(text, "hunter2") {
		t.Error("printing a configuration prints its secrets")
	}
}

// sample is a value of each kind that every key takes, so that each key can be set alone.
func sample(f field, key string) string {
	switch key {
	case "slack.mode":
		return "http"
	case "slack.bot_token":
		return "xoxb-other"
	case "slack.app_token":
		return "xapp-other"
	case "slack.api_url":
		return "https://slack.example.com/api/"
	case "slack.command":
		return "/access"
	case "slack.approvals_channel", "slack.audit_channel", "slack.security_channel":
		return "C1OTHER"
	case "pagerduty.routing_key":
		return "0123456789abcdefABCDEF0123456789"
	case "pagerduty.api_url", "pagerduty.events_url":
		return "https://pd.example.com"
	case "pagerduty.overrides[].email":
		return "ana@example.com"
	case "store.url", "store.migrate_url", "targets[].admin_url", "targets[].nodes[].url":
		return "postgres://other:secret@localhost/other"
	case "digest.schedule", "sweep.schedule":
		return "@every 2m"
	case "digest.timezone":
		return "Europe/Paris"
	case "targets[].engine":
		return "postgres"
	case "targets[].connect.sslmode":
		return "require"
	case "log.level":
		return "debug"
	case "log.format":
		return "console"
	case "http.listen":
		return ":9090"
	case "alarm.after":
		return "30s"
	}
	return map[kind]string{text: "other", texts: "one, two", number: "7", truth: "true", duration: "90s", secretText: "other-secret"}[f.kind]
}

// TestEveryKeyComesFromTheEnvironment sets each key to something else than it is, through its variable alone.
func TestEveryKeyComesFromTheEnvironment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	base := strings.Replace(minimal, "  bot_token:", "  signing_secret: hunter2\n  bot_token:", 1) +
		"    nodes: [{url: \"postgres://a:hunter2@localhost/a\"}]\n" +
		"pagerduty: {overrides: [{email: bo@example.com, user: PBO}]}\n"
	path := write(t, dir, "config.yaml", base)
	before, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	var walk func(f field, prefix string)
	walk = func(f field, prefix string) {
		for _, child := range f.fields {
			key := join(prefix, child.key)
			switch child.kind {
			case section:
				walk(child, key)
				continue
			case sections:
				walk(child, key+"[]")
				continue
			}
			value := sample(child, key)
			if child.kind == secretFile {
				value = write(t, dir, "secret", sample(field{kind: secretText}, strings.TrimSuffix(key, "_file"))+"\n")
			}
			if key == "targets[].engine" {
				continue // the other engine would need other URLs; see TestMySQL
			}
			name := EnvName(strings.ReplaceAll(key, "[]", ".0"))
			after, err := Load(path, []string{name + "=" + value})
			if err != nil {
				t.Errorf("%s=%s: %v", name, value, err)
			} else if cmp.Equal(before, after, cmp.Exporter(exportAll)) {
				t.Errorf("%s=%s changes nothing", name, value)
			}
		}
	}
	walk(schema, "")
}

func TestEverythingFromTheEnvironment(t *testing.T) {
	t.Parallel()
	cfg, err := Load("", []string{
		"PATH=/bin",
		"PRODACCESS_CACHE=/somewhere",
		"PRODACCESS_SERVICE_HOST=10.0.0.1",
		"PRODACCESS_STORE_PORT_5432_TCP_ADDR=10.0.0.2",
		"PRODACCESS_STORE_SERVICE_PORT=5432", "PRODACCESS_STORE_PORT_5432_TCP_PORT=5432",
		"PRODACCESS_PORT=tcp://10.0.0.1:80",
		"PRODACCESS_MYSQL_BIN=/opt/mysql/bin", "PRODACCESS_MARIADB_BIN=/usr/sbin", "PRODACCESS_SOAK=10000",
		"PRODACCESS_SLACK_BOT_TOKEN=xoxb-1", "PRODACCESS_SLACK_APP_TOKEN=xapp-1", "PRODACCESS_SLACK_SIGNING_SECRET=",
		"PRODACCESS_SLACK_APPROVALS_CHANNEL=C123", "PRODACCESS_SLACK_AUDIT_CHANNEL=C124",
		"PRODACCESS_STORE_URL=postgres://u:p@[::1]:5432/db",
		"PRODACCESS_TARGETS_0_NAME=a", "PRODACCESS_TARGETS_0_ENVIRONMENT=production", "PRODACCESS_TARGETS_0_DATABASES=x,y",
		"PRODACCESS_TARGETS_0_ADMIN_URL=postgres://u:p@localhost/db", "PRODACCESS_TARGETS_0_CONNECT_HOST=h",
		"PRODACCESS_TARGETS_0_NODES_0_URL=postgres://u:p@localhost:5433/db",
		"PRODACCESS_TARGETS_1_NAME=b", "PRODACCESS_TARGETS_1_ENVIRONMENT=staging", "PRODACCESS_TARGETS_1_DATABASES=z",
		"PRODACCESS_TARGETS_1_ADMIN_URL=postgres://u:p@localhost/db", "PRODACCESS_TARGETS_1_CONNECT_HOST=h",
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Targets) != 2 || cfg.Targets[1].Name != "b" || !cmp.Equal(cfg.Targets[0].Databases, []string{"x", "y"}) ||
		cfg.Targets[0].Nodes[0].URL.Empty() {
		t.Errorf("targets are %+v", cfg.Targets)
	}
}

func TestEnvironmentAndFilesReplaceEachOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "token", "xoxb-from-secret-file\r\n")
	fromFile := strings.Replace(minimal, "bot_token: xoxb-hunter2", "bot_token_file: token", 1)
	path := write(t, dir, "config.yaml", fromFile)
	inline := write(t, dir, "inline.yaml", minimal)
	for name, tc := range map[string]struct {
		path    string
		environ []string
		want    string
	}{
		"a relative path is relative to the configuration": {path, nil, "xoxb-from-secret-file"},
		"a variable instead of a file":                     {path, []string{"PRODACCESS_SLACK_BOT_TOKEN=xoxb-env"}, "xoxb-env"},
		"a variable instead of a value":                    {inline, []string{"PRODACCESS_SLACK_BOT_TOKEN=xoxb-env"}, "xoxb-env"},
		"a variable with a file instead of a value":        {inline, []string{"PRODACCESS_SLACK_BOT_TOKEN_FILE=token"}, "xoxb-from-secret-file"},
	} {
		cfg, err := Load(tc.path, tc.environ)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := cfg.Slack.BotToken.Reveal(); got != tc.want {
			t.Errorf("%s: the token is %q, want %q", name, got, tc.want)
		}
	}
	_, err := Load(inline, []string{"PRODACCESS_SLACK_BOT_TOKEN_FILE=token", "PRODACCESS_SLACK_BOT_TOKEN=xoxb-env"})
	if err == nil || !strings.Contains(err.Error(), "both given") {
		t.Errorf("a variable and a variable with a file: %v", err)
	}
}

func TestMySQL(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, minimal+`
  - name: shop
    engine: mysql
    environment: production
    admin_url: mysql://prodaccess:hunter2@shop.example.com:3306/?tls=true
    databases: [shop]
    connect: {host: shop.example.com}
`)
	if err != nil {
		t.Fatal(err)
	}
	if port := cfg.Targets[1].Connect.Port; port != 3306 {
		t.Errorf("MySQL's default port is %d", port)
	}
}

// TestMistakes loads testdata/NAME.yaml, one mistake each, and compares what people are told with testdata/NAME.txt.
// A line "# env: NAME=VALUE" adds to the environment.
func TestMistakes(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files of mistakes, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var environ []string
			for line := range strings.Lines(string(content)) {
				if pair, ok := strings.CutPrefix(line, "# env: "); ok {
					environ = append(environ, strings.TrimSpace(pair))
				}
			}
			cfg, err := Load(path, environ)
			if err == nil {
				t.Fatal("no fault")
			}
			if !reflect.ValueOf(cfg).IsZero() {
				t.Error("a configuration came with the faults")
			}
			faults, ok := errors.AsType[Faults](err)
			if !ok {
				t.Fatalf("the error is a %T", err)
			}
			for _, fault := range faults {
				if fault.Problem == "" || fault.Fix == "" || fault.Key == "" && fault.Where == "" {
					t.Errorf("a fault that does not say enough: %+v", fault)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a fault holds a secret: %v", err)
			}
			golden := strings.TrimSuffix(path, ".yaml") + ".txt"
			if *update {
				write(t, ".", golden, err.Error()+"\n")
			}
			want, readErr := os.ReadFile(golden)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if diff := cmp.Diff(string(want), err.Error()+"\n"); diff != "" {
				t.Errorf("people are told something else (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "absent.yaml"): "no such file",
		dir:                               "is a directory",
		write(t, dir, "huge.yaml", strings.Repeat("# much\n", longestFile/7+1)): "larger than",
	} {
		_, err := Load(path, nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "--config") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestLoadOnlyMindsItsSections(t *testing.T) {
	t.Parallel()
	path := write(t, t.TempDir(), "config.yaml", "slack: {mode: wrong}\nstore: {url: \"postgres://a:hunter2@localhost/a\"}\n")
	cfg, err := LoadOnly(path, nil, "store")
	if err != nil || cfg.Store.URL.Empty() {
		t.Errorf("a fault elsewhere matters: %v", err)
	}
	for _, wrong := range []string{"PRODACCESS_STORE_URL=nonsense", "PRODACCESS_STOR_URL=postgres://a:b@localhost/a", "PRODACCESS_STORE_PORT=5433"} {
		if _, err := LoadOnly(path, []string{wrong}, "store"); err == nil {
			t.Errorf("%s does not matter", wrong)
		}
	}
	for _, content := range []string{"stor: {url: x}\nstore: {url: \"postgres://a:b@localhost/a\"}\n", "slack: ["} {
		if _, err := LoadOnly(write(t, t.TempDir(), "config.yaml", content), nil, "store"); err == nil {
			t.Errorf("%q is accepted", content)
		}
	}
}
