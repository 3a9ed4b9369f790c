package config

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

const exampleFile = "../../config.example.yaml"

// exampleSecrets are what the example leaves to the environment.
var exampleSecrets = []string{
	"PRODACCESS_SLACK_BOT_TOKEN=xoxb-placeholder",
	"PRODACCESS_SLACK_APP_TOKEN=xapp-placeholder",
	"PRODACCESS_STORE_URL=postgres://prodaccess_service:placeholder@store.internal/prodaccess?sslmode=verify-full",
	"PRODACCESS_TARGETS_0_ADMIN_URL=postgres://prodaccess_admin:placeholder@orders.db.internal/postgres?sslmode=verify-full",
}

func TestExampleLoads(t *testing.T) {
	t.Parallel()
	cfg, err := Load(exampleFile, exampleSecrets)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Targets[0].Name != "orders-prod" || cfg.Targets[0].AdminURL.Empty() {
		t.Errorf("the target was not read: %+v", cfg.Targets[0])
	}
}

// What is not commented out in the example, apart from names and addresses, is the default; so nobody has to wonder.
func TestExampleShowsTheDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := Load(exampleFile, exampleSecrets)
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Slack.BotToken, want.Slack.AppToken = cfg.Slack.BotToken, cfg.Slack.AppToken
	want.Slack.ApprovalsChannel, want.Slack.AuditChannel = "C0000000001", "C0000000002"
	want.Store.URL = cfg.Store.URL
	want.Targets = cfg.Targets
	want.Policy.File = "../../policy.yaml"
	want.fill()
	if diff := cmp.Diff(want, cfg, cmp.Exporter(exportAll)); diff != "" {
		t.Errorf("the example differs from the defaults (-default +example):\n%s", diff)
	}
}

var commentedKey = regexp.MustCompile(`(?m)^( *)# ( *(?:- )?[a-z_]+:(?: .*)?)$`)

// TestExampleHasEveryKey puts commented-out keys back and compares the keys with the Config type's.
func TestExampleHasEveryKey(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	// Sentences end up as keys too when their first word is followed by a colon: "socket: prodaccess connects …".
	whole := regexp.MustCompile(`(?m)^\s*# (socket|http): .*\n`).ReplaceAllString(string(text), "")
	whole = commentedKey.ReplaceAllString(whole, "$1$2")
	var document any
	if err := yaml.Unmarshal([]byte(whole), &document); err != nil {
		t.Fatalf("with its commented-out keys the example is not YAML: %v\n%s", err, whole)
	}
	found := map[string]bool{}
	collect(document, "", found)
	want := map[string]bool{}
	for _, key := range Keys() {
		want[key] = true
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(found))); diff != "" {
		t.Errorf("the example's keys differ from the configuration's (-configuration +example):\n%s", diff)
	}
}

func collect(value any, path string, into map[string]bool) {
	switch value := value.(type) {
	case map[string]any:
		for key, below := range value {
			collect(below, join(path, key), into)
		}
	case []any:
		if len(value) > 0 {
			if _, ok := value[0].(map[string]any); ok {
				for _, entry := range value {
					collect(entry, path+"[]", into)
				}
				return
			}
		}
		into[path] = true
	default:
		into[path] = true
	}
}

func TestEveryKeyHasAVariableOfItsOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, key := range Keys() {
		name := EnvName(strings.ReplaceAll(key, "[]", ".0"))
		if other, twice := seen[name]; twice {
			t.Errorf("%s is the variable of %s and of %s", name, key, other)
		}
		seen[name] = key
	}
}
