package stage

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/internal/localpg"
	"github.com/prodaccess/prodaccess/sandbox"
)

// Options say what the world is like.
type Options struct {
	// Binary is the prodaccess executable. Required.
	Binary string
	// HTTP makes Slack call the bot over signed HTTP instead of Socket Mode.
	HTTP bool
	// RateLimits enforces Slack's rate limits.
	RateLimits bool
	// AckWithin is how long Slack waits for an answer and for a window; 0 is its own three seconds.
	AckWithin time.Duration
	// Digest is the cron schedule of the digest; empty is once a day.
	Digest string
	// Sweep is the cron schedule of the sweep; empty is once a minute.
	Sweep string
	// Settings of the target's Postgres, for example log_statement.
	Settings map[string]string
	// Durable keeps fsync on, as benchmarks need it.
	Durable bool
	// Step is told what is being done, in words for a person.
	Step func(string)
	// Environ is added to the environment of the bot.
	Environ []string
}

// Stage is a running world, without a bot until Serve.
type Stage struct {
	opts Options
	dir  string

	Slack     *sandbox.Workspace
	PagerDuty *sandbox.PagerDuty
	// Store and Target are two servers, so that one can be down without the other.
	Store, Target *localpg.Server
	// Conf is what the next bot is configured with; tests change it, for example to put a proxy in between.
	Conf Conf

	mu   sync.Mutex
	bots []*Bot
}

// Conf is what config.yaml is written from.
type Conf struct {
	OwnerURL, ServiceURL, AdminURL string
	Approvals, Audit, Security     string // channel IDs
	Digest, Sweep                  string
	SlackAPI, PagerDutyAPI         string
	Overdue                        string
}

//go:embed policy.yaml
var policyYAML string

//go:embed orders.sql
var ordersSQL string

// Passwords of the stage's own logins. They open servers that live for a test and listen on loopback only.
const (
	ownerPassword   = "stage-owner"
	servicePassword = "stage-service"
	adminPassword   = "stage-admin"
)

// Open builds the world. On an error everything that was up is taken down.
func Open(ctx context.Context, opts Options) (_ *Stage, err error) {
	if opts.Binary == "" {
		return nil, errors.New("opening the stage: no binary was given")
	}
	if opts.Step == nil {
		opts.Step = func(string) {}
	}
	dir, err := os.MkdirTemp("", "prodaccess-stage-")
	if err != nil {
		return nil, fmt.Errorf("opening the stage: %w", err)
	}
	s := &Stage{opts: opts, dir: dir}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	opts.Step("starting a Postgres for prodaccess's own state, and one that plays production")
	started := make(chan error, 2)
	go func() {
		var err error
		s.Store, err = localpg.Start(ctx, localpg.Options{Fast: !opts.Durable})
		started <- err
	}()
	go func() {
		var err error
		s.Target, err = localpg.Start(ctx, localpg.Options{Fast: !opts.Durable, Fresh: true, Settings: opts.Settings})
		started <- err
	}()
	if err := errors.Join(<-started, <-started); err != nil {
		return nil, fmt.Errorf("starting Postgres: %w", err)
	}
	opts.Step("filling the orders database: customers, orders, card numbers")
	if err := s.fillTarget(ctx); err != nil {
		return nil, err
	}
	opts.Step("making the two logins of the store: one that owns it, one that serves")
	if err := s.fillStore(ctx); err != nil {
		return nil, err
	}
	opts.Step("opening the sandbox: a workspace with five people, and a PagerDuty with ana on call")
	if err := s.openSandbox(); err != nil {
		return nil, err
	}
	if err := s.WriteConfig(); err != nil {
		return nil, err
	}
	opts.Step("prodaccess migrate up")
	if out, err := s.Run(ctx, "migrate", "up"); err != nil {
		return nil, fmt.Errorf("migrating the store: %w\n%s", err, out)
	}
	opts.Step("prodaccess targets apply: one access role for each profile")
	dba := filepath.Join(dir, "dba-url")
	if err := os.WriteFile(dba, []byte(s.Target.URL("orders")), 0o600); err != nil {
		return nil, err
	}
	if out, err := s.Run(ctx, "targets", "apply", "--yes", "--as-file", dba); err != nil {
		return nil, fmt.Errorf("preparing the target: %w\n%s", err, out)
	}
	return s, nil
}

// Dir is where the stage keeps its files: config.yaml, policy.yaml, the bot's logs.
func (s *Stage) Dir() string { return s.dir }

// ConfigFile is the configuration of the bot.
func (s *Stage) ConfigFile() string { return filepath.Join(s.dir, "config.yaml") }

// Close takes the world down, bots first.
func (s *Stage) Close() {
	s.mu.Lock()
	bots := s.bots
	s.bots = nil
	s.mu.Unlock()
	for _, b := range bots {
		b.Kill()
	}
	if s.Slack != nil {
		s.Slack.Close()
	}
	if s.PagerDuty != nil {
		s.PagerDuty.Close()
	}
	for _, server := range []*localpg.Server{s.Store, s.Target} {
		if server != nil {
			server.Stop()
		}
	}
	_ = os.RemoveAll(s.dir)
}

// Run runs a command of the binary to its end and returns what it printed.
func (s *Stage) Run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.opts.Binary, append(args, "--config", s.ConfigFile())...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *Stage) fillTarget(ctx context.Context) error {
	if err := s.Target.CreateDatabase(ctx, "orders", ""); err != nil {
		return fmt.Errorf("creating the orders database: %w", err)
	}
	// The first statements are what a DBA runs once: see docs/operating.md, "A target".
	sql := "CREATE ROLE prodaccess_admin LOGIN CREATEROLE PASSWORD '" + s.kept(adminPassword) + "';\n" +
		"GRANT pg_signal_backend TO prodaccess_admin;\n" + ordersSQL
	return s.ExecTarget(ctx, sql)
}

func (s *Stage) fillStore(ctx context.Context) error {
	sql := "CREATE ROLE prodaccess_owner LOGIN PASSWORD '" + s.kept(ownerPassword) + "';\n" +
		"CREATE ROLE prodaccess_service LOGIN PASSWORD '" + s.kept(servicePassword) + "';"
	if err := execute(ctx, s.Store.URL("postgres"), sql); err != nil {
		return fmt.Errorf("making the store's logins: %w", err)
	}
	return execute(ctx, s.Store.URL("postgres"), "CREATE DATABASE prodaccess OWNER prodaccess_owner")
}

// kept is what the servers keep instead of a password. Where benchmarks measure it is what anybody's servers keep.
func (s *Stage) kept(password string) string {
	if s.opts.Durable {
		return password
	}
	return localpg.Verifier(password)
}

// ExecTarget runs SQL in the orders database as its superuser.
func (s *Stage) ExecTarget(ctx context.Context, sql string) error {
	return execute(ctx, s.Target.URL("orders"), sql)
}

func execute(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql)
	return err
}

func (s *Stage) openSandbox() (err error) {
	if s.Slack, err = sandbox.New(sandbox.Options{NoRateLimits: !s.opts.RateLimits, AckWithin: s.opts.AckWithin}); err != nil {
		return err
	}
	for _, p := range []struct{ name, title string }{
		{"ana", "backend, on call"}, {"bo", "backend"}, {"dora", "DBA"}, {"sam", "security"}, {"cy", "contractor"},
	} {
		s.Slack.AddPerson(sandbox.Person{
			Name: p.name, RealName: strings.ToUpper(p.name[:1]) + p.name[1:], Title: p.title, Email: p.name + "@example.com",
		})
	}
	if s.PagerDuty, err = sandbox.NewPagerDuty(sandbox.PagerDutyOptions{}); err != nil {
		return err
	}
	ana := s.PagerDuty.AddUser("Ana", "ana@example.com")
	now := time.Now()
	s.PagerDuty.OnCall(sandbox.Shift{User: ana, Schedule: "PABC123", Level: 1, Start: now.Add(-time.Hour), End: now.Add(8 * time.Hour)})
	s.Conf = Conf{
		OwnerURL:   s.Store.UserURL("prodaccess_owner", ownerPassword, "prodaccess"),
		ServiceURL: s.Store.UserURL("prodaccess_service", servicePassword, "prodaccess"),
		AdminURL:   s.Target.UserURL("prodaccess_admin", adminPassword, "orders"),
		Approvals:  s.Slack.AddChannel("approvals", "ana", "bo", "dora", "sam", "cy"),
		Audit:      s.Slack.AddChannel("audit", "dora", "sam"),
		Security:   s.Slack.AddChannel("security", "dora", "sam"),
		Digest:     s.opts.Digest, Sweep: s.opts.Sweep,
		SlackAPI: s.Slack.APIURL(), PagerDutyAPI: s.PagerDuty.URL(),
		Overdue: "45s",
	}
	return nil
}

// WriteConfig writes config.yaml from Conf, and the policy.
func (s *Stage) WriteConfig() error {
	mode := "socket"
	if s.opts.HTTP {
		mode = "http"
	}
	digest, sweep := s.Conf.Digest, s.Conf.Sweep
	if digest == "" {
		digest = "0 9 * * *"
	}
	if sweep == "" {
		sweep = "@every 1m"
	}
	text := fmt.Sprintf(`slack:
  mode: %s
  bot_token: %q
  app_token: %q
  signing_secret: %q
  api_url: %q
  approvals_channel: %s
  audit_channel: %s
  security_channel: %s
pagerduty: { token: %q, api_url: %q, routing_key: %q, events_url: %q }
store: { url: %q, migrate_url: %q }
http: { listen: "127.0.0.1:0" }
policy: { file: policy.yaml }
digest: { schedule: %q, timezone: UTC }
sweep: { schedule: %q }
alarm: { after: %s }
targets:
  - name: orders-prod
    engine: postgres
    environment: production
    admin_url: %q
    databases: [orders]
    connect: { host: 127.0.0.1, port: %d, sslmode: disable }
log: { level: info, format: json }
`, mode, s.Slack.BotToken(), s.Slack.AppToken(), s.Slack.SigningSecret(), s.Conf.SlackAPI, s.Conf.Approvals, s.Conf.Audit, s.Conf.Security,
		s.PagerDuty.Token(), s.Conf.PagerDutyAPI, s.PagerDuty.RoutingKey(), s.Conf.PagerDutyAPI, s.Conf.ServiceURL, s.Conf.OwnerURL, digest, sweep, s.Conf.Overdue, s.Conf.AdminURL, s.Target.Port())
	return errors.Join(
		os.WriteFile(s.ConfigFile(), []byte(text), 0o600),
		os.WriteFile(filepath.Join(s.dir, "policy.yaml"), []byte(policyYAML), 0o600),
	)
}

// Person is somebody of the workspace.
func (s *Stage) Person(name string) *sandbox.Actor { return s.Slack.Person(name) }

// Logs copies everything the bots wrote so far.
func (s *Stage) Logs() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all strings.Builder
	for _, b := range s.bots {
		_, _ = io.WriteString(&all, b.Log())
	}
	return all.String()
}
