package acceptance

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/internal/stage"
)

// runs the binary with a configuration file of this text, and returns what it printed and its exit code.
func runs(t *testing.T, config string, args ...string) (string, int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append(args, "--config", file)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, _ := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%v did not end; it printed:\n%s", args, out)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// A wrong configuration is refused whole: everything that is wrong, each with its key, in one go.
func TestServeSaysEverythingThatIsWrongAtOnce(t *testing.T) {
	t.Parallel()
	out, code := runs(t, `
slack: { mode: pigeon, bot_token: xoxp-1-not-a-bot, approvals_channel: "#approvals", chanel: C0AUDIT }
store: { url: "postgres://service:hidden-password@db.internal/prodaccess?sslmode=disable" }
http: { listen: nowhere }
digest: { schedule: "every morning", timezone: Mars/Olympus }
sweep: { schedule: "@every now" }
alarm: { after: 2h }
targets:
  - name: Orders Prod
    engine: oracle
    admin_url: "postgres://admin:hidden-password@orders.internal/orders?sslmode=prefer"
    connect: { port: 99999 }
log: { level: chatty }
`, "serve")
	if code == 0 {
		t.Fatalf("serve with a wrong configuration ended with 0:\n%s", out)
	}
	for _, key := range []string{
		"slack.mode", "slack.bot_token", "slack.approvals_channel", "slack.audit_channel", "chanel", "store.url", "http.listen", "digest.schedule",
		"digest.timezone", "sweep.schedule", "alarm.after", "targets[0].name", "targets[0].engine", "targets[0].admin_url", "targets[0].databases",
		"targets[0].connect.host", "targets[0].connect.port", "targets[0].environment", "log.level",
	} {
		if !strings.Contains(out, key) {
			t.Errorf("nothing is said about %s", key)
		}
	}
	if strings.Contains(out, "hidden-password") {
		t.Error("a password was printed")
	}
	if strings.Contains(out, "goroutine ") {
		t.Error("a stack trace was printed")
	}
	if t.Failed() {
		t.Logf("it printed:\n%s", out)
	}
}

const complete = `
slack: { mode: socket, bot_token: xoxb-1, app_token: xapp-1, approvals_channel: C0APPROVALS, audit_channel: C0AUDIT }
store: { url: "postgres://service:hidden-password@STORE" }
targets:
  - { name: orders-prod, environment: production, admin_url: "postgres://admin:hidden-password@TARGET", databases: [orders],
      connect: { host: PEOPLE } }
`

// Plain-text connections to anything but loopback are refused, unless the configuration says so by name.
func TestPlainTextIsRefusedUnlessAllowedByName(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		store, target, people string
		refused               string // the key at fault
	}{
		"encrypted":                     {"db.internal/p?sslmode=verify-full", "o.internal/o?sslmode=require", "o.internal", ""},
		"loopback":                      {"127.0.0.1/p?sslmode=disable", "localhost/o?sslmode=disable", "127.0.0.1, sslmode: disable", ""},
		"the store in plain text":       {"db.internal/p?sslmode=disable", "o.internal/o?sslmode=require", "o.internal", "store.url"},
		"the store if it must be":       {"db.internal/p?sslmode=prefer", "o.internal/o?sslmode=require", "o.internal", "store.url"},
		"the store without a word":      {"db.internal/p", "o.internal/o?sslmode=require", "o.internal", "store.url"},
		"a target in plain text":        {"db.internal/p?sslmode=require", "o.internal/o?sslmode=disable", "o.internal", "targets[0].admin_url"},
		"people in plain text":          {"db.internal/p?sslmode=require", "o.internal/o?sslmode=require", "o.internal, sslmode: disable", "targets[0].connect.sslmode"},
		"loopback that is none":         {"127.0.0.1.evil.internal/p?sslmode=disable", "o.internal/o?sslmode=require", "o.internal", "store.url"},
		"another host in the parameter": {"127.0.0.1/p?sslmode=disable&host=db.internal", "o.internal/o?sslmode=require", "o.internal", "store.url"},
	} {
		text := strings.NewReplacer("STORE", c.store, "TARGET", c.target, "PEOPLE", c.people).Replace(complete)
		out, code := runs(t, text, "config", "check")
		switch {
		case c.refused == "" && code != 0:
			t.Errorf("%s: refused:\n%s", name, out)
		case c.refused != "" && (code == 0 || !strings.Contains(out, c.refused)):
			t.Errorf("%s: exit code %d, and about %s it said:\n%s", name, code, c.refused, out)
		case strings.Contains(out, "hidden-password"):
			t.Errorf("%s: a password was printed", name)
		}
		if c.refused == "" {
			continue
		}
		if out, code := runs(t, text, "serve"); code == 0 || !strings.Contains(out, c.refused) {
			t.Errorf("%s: serve ended with %d:\n%s", name, code, out)
		}
		allowed := strings.NewReplacer("store: {", "store: { allow_plaintext: true,", "{ name:", "{ allow_plaintext: true, name:").Replace(text)
		if out, code := runs(t, allowed, "config", "check"); code != 0 && !strings.Contains(name, "another host") {
			t.Errorf("%s: refused though it is allowed by name:\n%s", name, out)
		}
	}
}

// What only a person can mend stops the start, with words.
func TestServeRefusesAStoreThatIsNotSetUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{})
	service := w.Conf.ServiceURL
	for _, c := range []struct {
		name, url string
		words     []string
	}{
		{"a wrong password", w.Store.UserURL("prodaccess_service", "wrong-password", "prodaccess"), []string{"password", "prodaccess_service"}},
		{"a database that is not there", strings.Replace(service, "/prodaccess?", "/nowhere?", 1), []string{"nowhere"}},
		{"a database without a schema", strings.Replace(service, "/prodaccess?", "/postgres?", 1), []string{"prodaccess migrate up"}},
		{"the owner's login", w.Conf.OwnerURL, []string{"owns", "audit_events", "give the service a login of its own"}},
		{"a superuser", w.Store.URL("prodaccess"), []string{"superuser"}},
	} {
		w.Conf.ServiceURL = c.url
		if err := w.WriteConfig(); err != nil {
			t.Fatal(err)
		}
		b, err := w.Launch()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		code, err := b.Exited(ctx)
		cancel()
		if err != nil || code == 0 {
			t.Errorf("%s: exit code %d, %v:\n%s", c.name, code, err, b.Log())
			continue
		}
		if !hasAll(b.Log(), c.words) {
			t.Errorf("%s: it does not say %q:\n%s", c.name, c.words, b.Log())
		}
		if strings.Contains(b.Log(), "wrong-password") || strings.Contains(b.Log(), "stage-owner") || strings.Contains(b.Log(), "goroutine ") {
			t.Errorf("%s: a password or a stack trace was printed:\n%s", c.name, b.Log())
		}
	}
}

// A policy that does not load stops the start: nothing can be decided without one.
func TestServeRefusesAPolicyThatDoesNotLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{})
	w.policy("approve: automatically", "aprove: automatically")
	b, err := w.Launch()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	code, err := b.Exited(ctx)
	if err != nil || code == 0 || !hasAll(b.Log(), []string{"policy.yaml:", "aprove"}) {
		t.Errorf("exit code %d, %v:\n%s", code, err, b.Log())
	}
}

// What may come back by itself is waited for: the bot starts, says what is missing, and goes on when it is there.
func TestServeStartsWithoutSlackPagerDutyAndTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{Sweep: "@every 2s"})
	w.Slack.Down(true)
	w.PagerDuty.Down(true)
	w.Target.Kill()
	b, err := w.Launch()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, words := range []string{"prodaccess is ready", `"part":"slack"`, `"part":"pagerduty schedule payments"`, `"part":"target orders-prod"`} {
		if err := b.WaitsForLog(ctx, words); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Count(b.Log(), `"message":"does not work; trying again"`) < 3 {
		t.Errorf("the log does not say that three parts do not work:\n%s", b.Log())
	}
	w.Slack.Heal()
	w.PagerDuty.Heal()
	w.restart(w.Target)
	if err := w.Slack.WaitsForApp(ctx); err != nil {
		t.Fatal(err)
	}
	w.connect(second(w.gets("bo", "1h", "everything came back")))
}

// A token that Slack refuses is for a person to mend: the log says which, and deadlines are kept meanwhile.
func TestServeSaysThatSlackRefusesItsToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{})
	b := w.serve()
	id, _ := w.gets("bo", "1h", "the token is revoked meanwhile")
	b.Kill()
	w.Environ("PRODACCESS_SLACK_BOT_TOKEN=xoxb-wrong", "PRODACCESS_SLACK_APP_TOKEN=xapp-wrong")
	b, err := w.Launch()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, words := range []string{"prodaccess is ready", `"part":"slack"`, `"part":"slack socket"`, "invalid_auth"} {
		if err := b.WaitsForLog(ctx, words); err != nil {
			t.Fatal(err)
		}
	}
	w.comesDue(id)
	w.becomes(id, "revoked")
	if strings.Contains(b.Log(), "xoxb-wrong") || strings.Contains(b.Log(), "xapp-wrong") {
		t.Error("a token is in the log")
	}
}

func second[A, B any](_ A, b B) B { return b }
