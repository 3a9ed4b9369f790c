package config

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.yaml.in/yaml/v3"

	"github.com/prodaccess/prodaccess/internal/localpg"
)

func TestMain(m *testing.M) { os.Exit(localpg.Main(m, localpg.Options{})) }

func parse(t *testing.T, path string, into any) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", path))
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return string(text)
}

// manifest is the part of Slack's app manifest that ours uses; a key that is not here is a mistake or wants a look.
type manifest struct {
	Metadata struct {
		MajorVersion int `yaml:"major_version"`
	} `yaml:"_metadata"`
	DisplayInformation struct {
		Name, Description string
		BackgroundColor   string `yaml:"background_color"`
	} `yaml:"display_information"`
	Features struct {
		AppHome struct {
			Home     bool `yaml:"home_tab_enabled"`
			Messages bool `yaml:"messages_tab_enabled"`
			ReadOnly bool `yaml:"messages_tab_read_only_enabled"`
		} `yaml:"app_home"`
		BotUser struct {
			DisplayName  string `yaml:"display_name"`
			AlwaysOnline bool   `yaml:"always_online"`
		} `yaml:"bot_user"`
		SlashCommands []struct {
			Command, Description string
			UsageHint            string `yaml:"usage_hint"`
			ShouldEscape         *bool  `yaml:"should_escape"`
		} `yaml:"slash_commands"`
	}
	OAuthConfig struct{ Scopes struct{ Bot []string } } `yaml:"oauth_config"`
	Settings    struct {
		Events struct {
			Bot []string `yaml:"bot_events"`
		} `yaml:"event_subscriptions"`
		Interactivity struct {
			Enabled bool `yaml:"is_enabled"`
		}
		OrgDeploy     bool `yaml:"org_deploy_enabled"`
		SocketMode    bool `yaml:"socket_mode_enabled"`
		TokenRotation bool `yaml:"token_rotation_enabled"`
	}
}

func TestManifestHasWhatTheBotNeeds(t *testing.T) {
	t.Parallel()
	var m manifest
	parse(t, "slack-manifest.yaml", &m)
	want := []string{
		"channels:history", "chat:write", "commands", "groups:history", "im:history", "im:write", "metadata.message:read",
		"usergroups:read", "users:read", "users:read.email",
	}
	slices.Sort(m.OAuthConfig.Scopes.Bot)
	if !slices.Equal(m.OAuthConfig.Scopes.Bot, want) {
		t.Errorf("scopes are %v, want %v", m.OAuthConfig.Scopes.Bot, want)
	}
	if len(m.Features.SlashCommands) != 1 {
		t.Fatalf("%d commands", len(m.Features.SlashCommands))
	}
	command := m.Features.SlashCommands[0]
	if command.Command != defaults().Slack.Command || command.UsageHint == "" || command.ShouldEscape == nil || *command.ShouldEscape {
		t.Errorf("the command is %+v", command)
	}
	if !slices.Equal(m.Settings.Events.Bot, []string{"app_home_opened"}) {
		t.Errorf("events are %v", m.Settings.Events.Bot)
	}
	if !m.Features.AppHome.Home || !m.Features.AppHome.Messages {
		t.Errorf("the app's home is %+v", m.Features.AppHome)
	}
	if !m.Settings.Interactivity.Enabled || !m.Settings.SocketMode || m.Settings.OrgDeploy || m.Settings.TokenRotation {
		t.Errorf("settings are %+v", m.Settings)
	}
	if name := m.DisplayInformation.Name; name == "" || len(name) > 35 || len(m.DisplayInformation.Description) > 140 {
		t.Errorf("Slack takes names up to 35 characters and descriptions up to 140: %+v", m.DisplayInformation)
	}
}

type compose struct {
	Services map[string]struct {
		Image       string
		Command     []string
		Environment map[string]string
		Volumes     []string
		Ports       []string
		DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
		Rest        map[string]any                        `yaml:",inline"`
	}
	Volumes map[string]any
}

var composeVariable = regexp.MustCompile(`\$\{([A-Z_]+)(:[?-][^}]*)?\}`)

// TestComposeStarts loads the configuration that the containers of docker-compose.yml will see.
func TestComposeStarts(t *testing.T) {
	t.Parallel()
	var c compose
	text := parse(t, "docker-compose.yml", &c)
	values := map[string]string{
		"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "SLACK_APPROVALS_CHANNEL": "C123", "SLACK_AUDIT_CHANNEL": "C124",
		"PAGERDUTY_ROUTING_KEY": "0123456789abcdef0123456789abcdef",
	}
	example, err := os.ReadFile("../../docker/env.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range composeVariable.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(string(example), "\n"+m[1]+"=") {
			t.Errorf("docker/env.example does not have %s", m[1])
		}
	}
	for service, load := range map[string]func(environ []string) (Config, error){
		"bot":     func(environ []string) (Config, error) { return Load("../../docker/config.yaml", environ) },
		"migrate": func(environ []string) (Config, error) { return LoadOnly("../../docker/config.yaml", environ, "store") },
	} {
		var environ []string
		for name, value := range c.Services[service].Environment {
			environ = append(environ, name+"="+composeVariable.ReplaceAllStringFunc(value, func(v string) string {
				name := composeVariable.FindStringSubmatch(v)[1]
				if value, ok := values[name]; ok {
					return value
				}
				return "hunter2"
			}))
		}
		cfg, err := load(environ)
		if err != nil {
			t.Errorf("%s: %v", service, err)
		} else if (service == "migrate") == cfg.Store.MigrateURL.Empty() {
			t.Errorf("%s: the owner's login is where it should not be, or not where it should", service)
		}
	}
	for name, service := range c.Services {
		// The host may start again, and what was given out must be taken back then.
		if restarts := service.Rest["restart"] == "unless-stopped"; restarts == (name == "migrate") {
			t.Errorf("%s: restart is %v", name, service.Rest["restart"])
		}
		for other, on := range service.DependsOn {
			if _, ok := c.Services[other]; !ok || on.Condition == "" {
				t.Errorf("%s depends on %s: %+v", name, other, on)
			}
		}
		for _, port := range service.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s is published on every interface: %s", name, port)
			}
		}
		for _, volume := range service.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if strings.HasPrefix(source, "./") {
				if _, err := os.Stat(filepath.Join("../..", source)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			} else if _, ok := c.Volumes[source]; !ok && !strings.HasPrefix(source, "$") {
				t.Errorf("%s: no volume %s", name, source)
			}
		}
	}
}

// TestInitScriptsRun runs the containers' scripts against a Postgres, as the images would.
func TestInitScriptsRun(t *testing.T) {
	t.Parallel()
	srv, err := localpg.Start(t.Context(), localpg.Options{Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	superuser, err := pgx.ParseConfig(srv.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range []string{"store-init.sh", "orders-init.sh"} {
		cmd := exec.Command("sh", filepath.Join("../../docker", script))
		cmd.Env = append(os.Environ(), "PGHOST="+superuser.Host, "PGPORT="+strconv.Itoa(srv.Port()), "PGPASSWORD="+superuser.Password,
			"STORE_OWNER_PASSWORD=it's", "STORE_SERVICE_PASSWORD=b", "ORDERS_ADMIN_PASSWORD=c")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
	}
	for url, want := range map[string]bool{
		srv.UserURL("prodaccess_owner", "it's", "prodaccess"): true,
		srv.UserURL("prodaccess_service", "b", "prodaccess"):  true,
		srv.UserURL("prodaccess_service", "b", "orders"):      false,
		srv.UserURL("prodaccess_admin", "c", "orders"):        true,
		srv.UserURL("prodaccess_admin", "c", "postgres"):      true,
	} {
		conn, err := pgx.Connect(t.Context(), url)
		if (err == nil) != want {
			t.Errorf("%s: %v", url, err)
		}
		if err != nil {
			continue
		}
		defer conn.Close(t.Context())
		var super bool
		if err := conn.QueryRow(t.Context(), `SELECT rolsuper FROM pg_roles WHERE rolname = current_user`).Scan(&super); err != nil || super {
			t.Errorf("%s is a superuser: %v", url, err)
		}
	}
}
