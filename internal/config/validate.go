package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the container has no time zone database

	"github.com/robfig/cron/v3"

	"github.com/prodaccess/prodaccess/internal/secret"
)

var (
	slackCommand = regexp.MustCompile(`^/[a-z0-9_-]{1,31}$`)
	slackChannel = regexp.MustCompile(`^[CG][A-Z0-9]{2,}$`)
	email        = regexp.MustCompile(`^[^@\s]+@[^@\s]+$`)
	routingKey   = regexp.MustCompile(`^[0-9A-Za-z]{32}$`)
	plainName    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
)

// checks collects the faults of a whole configuration.
type checks struct{ faults Faults }

// Validate says everything that is wrong with the values of a configuration, taken together. [Load] has called it.
func (c Config) Validate() Faults {
	var v checks
	v.slack(c.Slack)
	v.pagerDuty(c.PagerDuty)
	v.store(c.Store)
	v.add("http.listen")(checkListen(c.HTTP.Listen))
	if c.Policy.File == "" {
		v.missing("policy.file", "Name the policy file.")
	}
	v.durations(c)
	if n := c.Requests.MostPending; n < 1 || n > 10_000 {
		v.fault("requests.most_pending", fmt.Sprintf("is %d", n), "Use a number from 1 to 10000.")
	}
	if n := c.Grants.ConnectionLimit; n < 1 || n > 1000 {
		v.fault("grants.connection_limit", fmt.Sprintf("is %d", n), "Use a number from 1 to 1000.")
	}
	v.schedule("digest.schedule", c.Digest.Schedule, longestDigest,
		`It says what happened since the one before: let it come once a month at least, such as "0 9 * * *".`)
	if zone := c.Digest.Timezone; zone == "" || zone == "Local" {
		v.fault("digest.timezone", "is not a time zone", "Use a name such as UTC or Europe/Paris.")
	} else if _, err := time.LoadLocation(zone); err != nil {
		v.fault("digest.timezone", "is "+shown(zone)+", which is no time zone", "Use a name such as UTC or Europe/Paris.")
	}
	v.schedule("sweep.schedule", c.Sweep.Schedule, longestSweep,
		`It finds logins that nobody should have, whatever else fails: let it run often, such as "@every 1m".`)
	v.targets(c.Targets)
	v.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	v.oneOf("log.format", c.Log.Format, "json", "console")
	return v.faults
}

func (v *checks) slack(s Slack) {
	v.oneOf("slack.mode", s.Mode, ModeSocket, ModeHTTP)
	v.token("slack.bot_token", s.BotToken, "xoxb-", "Copy the Bot User OAuth Token from your app's page OAuth & Permissions.")
	switch s.Mode {
	case ModeSocket:
		v.token("slack.app_token", s.AppToken, "xapp-",
			"Make an app-level token with the scope connections:write on your app's page Basic Information; Socket Mode needs it.")
	case ModeHTTP:
		v.token("slack.signing_secret", s.SigningSecret, "",
			"Copy the Signing Secret from your app's page Basic Information; receiving over HTTP needs it.")
	}
	v.add("slack.api_url")(checkAPIURL(s.APIURL, "slack.allow_plaintext", s.AllowPlaintext))
	if !strings.HasSuffix(s.APIURL, "/") {
		v.fault("slack.api_url", "does not end with a slash", "Add the slash: names of methods are put behind it.")
	}
	if !slackCommand.MatchString(s.Command) {
		v.fault("slack.command", "is not a slash command", "Write it as /prodaccess: a slash, then lower-case letters, digits, - or _.")
	}
	v.channel("slack.approvals_channel", s.ApprovalsChannel, true)
	v.channel("slack.audit_channel", s.AuditChannel, true)
	v.channel("slack.security_channel", s.SecurityChannel, false)
}

func (v *checks) channel(key, id string, required bool) {
	const fix = "Copy the channel's ID from the bottom of its details in Slack: it looks like C0123456789."
	switch {
	case id == "" && required:
		v.missing(key, fix)
	case id != "" && !slackChannel.MatchString(id):
		v.fault(key, "is "+shown(id)+", which is not a channel's ID", fix)
	}
}

func (v *checks) token(key string, token secret.String, prefix, fix string) {
	switch {
	case token.Empty():
		v.missing(key, fix)
	case !strings.HasPrefix(token.Reveal(), prefix):
		v.fault(key, "does not begin with "+prefix, fix)
	case strings.ContainsAny(token.Reveal(), " \t\r\n"):
		v.fault(key, "contains white space", fix)
	}
}

func (v *checks) pagerDuty(p PagerDuty) {
	v.add("pagerduty.api_url")(checkAPIURL(p.APIURL, "pagerduty.allow_plaintext", p.AllowPlaintext))
	v.add("pagerduty.events_url")(checkAPIURL(p.EventsURL, "pagerduty.allow_plaintext", p.AllowPlaintext))
	if !p.RoutingKey.Empty() && !routingKey.MatchString(p.RoutingKey.Reveal()) {
		v.fault("pagerduty.routing_key", "is not 32 letters and digits",
			"Copy the Integration Key of an Events API v2 integration from the service's page in PagerDuty; a REST API key is something else.")
	}
	seen := map[string]bool{}
	for i, override := range p.Overrides {
		key := fmt.Sprintf("pagerduty.overrides[%d]", i)
		address := strings.ToLower(override.Email)
		switch {
		case !email.MatchString(address):
			v.fault(key+".email", "is not an e-mail address", "Write the person's address in Slack.")
		case seen[address]:
			v.fault(key+".email", "is the address of an earlier entry too", "Keep one entry for each person.")
		}
		seen[address] = true
		if override.User == "" {
			v.missing(key+".user", "Write the person's user ID in PagerDuty: the end of the address of their profile.")
		}
	}
}

func (v *checks) store(s Store) {
	if s.URL.Empty() {
		v.missing("store.url", "Write the URL of prodaccess's own database: postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full.")
	} else {
		v.database("store.url", enginePostgres, s.URL, "store.allow_plaintext", s.AllowPlaintext)
	}
	if !s.MigrateURL.Empty() {
		v.database("store.migrate_url", enginePostgres, s.MigrateURL, "store.allow_plaintext", s.AllowPlaintext)
	}
}

func (v *checks) targets(targets []Target) {
	if len(targets) == 0 {
		v.missing("targets", "List at least one database cluster.")
	}
	first := map[string]int{}
	for i, t := range targets {
		key := fmt.Sprintf("targets[%d]", i)
		v.name(key+".name", t.Name)
		if j, twice := first[t.Name]; twice && t.Name != "" {
			v.fault(key+".name", fmt.Sprintf("is the name of targets[%d] too", j), "Give each target a name of its own.")
		} else {
			first[t.Name] = i
		}
		v.target(key, t)
	}
}

func (v *checks) target(key string, t Target) {
	v.oneOf(key+".engine", t.Engine, enginePostgres, engineMySQL)
	v.name(key+".environment", t.Environment)
	plaintextKey := key + ".allow_plaintext"
	if t.AdminURL.Empty() {
		v.missing(key+".admin_url", "Write the URL of prodaccess's administrator login on it.")
	} else {
		v.database(key+".admin_url", t.Engine, t.AdminURL, plaintextKey, t.AllowPlaintext)
	}
	if len(t.Databases) == 0 {
		v.missing(key+".databases", "List the databases that people may connect to; the first is the default.")
	}
	for i, name := range t.Databases {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			v.fault(fmt.Sprintf("%s.databases[%d]", key, i), "is not the name of a database", "Write a name.")
		} else if slices.Index(t.Databases, name) < i {
			v.fault(fmt.Sprintf("%s.databases[%d]", key, i), "is listed twice", "Remove one of them.")
		}
	}
	v.connect(key+".connect", t, plaintextKey)
	for i, node := range t.Nodes {
		nodeKey := fmt.Sprintf("%s.nodes[%d].url", key, i)
		if node.URL.Empty() {
			v.missing(nodeKey, "Write the URL of prodaccess's administrator login on the replica.")
		} else {
			v.database(nodeKey, t.Engine, node.URL, plaintextKey, t.AllowPlaintext)
		}
	}
}

func (v *checks) connect(key string, t Target, plaintextKey string) {
	c := t.Connect
	if c.Host == "" {
		v.missing(key+".host", "Write the host that people connect to.")
	} else if !hostName.MatchString(c.Host) && !strings.Contains(c.Host, ":") || strings.ContainsAny(c.Host, "/@ ") {
		v.fault(key+".host", "is not a host", "Write a host name or an address, without a port.")
	}
	unknownEngine := c.Port == 0 && t.Engine != enginePostgres && t.Engine != engineMySQL // hence no default either
	if (c.Port < 1 || c.Port > 65535) && !unknownEngine {
		v.fault(key+".port", fmt.Sprintf("is %d", c.Port), "Use a port from 1 to 65535.")
	}
	v.oneOf(key+".sslmode", c.SSLMode, slices.Concat(encrypted, plaintext)...)
	if slices.Contains(plaintext, c.SSLMode) && c.Host != "" && !isLoopback(c.Host) && !t.AllowPlaintext {
		v.fault(key+".sslmode", "tells people to connect in plain text",
			"Use verify-full (or at least require), or set "+plaintextKey+": true if that is meant.")
	}
}

// durations checks what a duration's own shape does not say.
func (v *checks) durations(c Config) {
	for _, d := range []struct {
		key        string
		is, atMost time.Duration
	}{
		{"requests.lapse_after", c.Requests.LapseAfter, 30 * 24 * time.Hour},
		{"requests.activate_within", c.Requests.ActivateWithin, 7 * 24 * time.Hour},
		{"grants.grace", c.Grants.Grace, 10 * time.Minute},
		{"alarm.after", c.Alarm.After, time.Minute}, // an overdue grant is shouted about within a minute, that is a promise
		{"shutdown_timeout", c.ShutdownTimeout, 10 * time.Minute},
	} {
		switch {
		case d.is < time.Second:
			v.fault(d.key, "is shorter than a second", "Write a duration of at least 1s.")
		case d.is > d.atMost:
			v.fault(d.key, "is longer than "+d.atMost.String(), "Use at most that.")
		}
	}
}

// The longest that a schedule may rest. A month has 31 days, and an hour more where the clocks go back.
const (
	longestDigest = 31*24*time.Hour + time.Hour
	longestSweep  = time.Hour
)

// schedule refuses what is none, and what rests for longer than it may: "0 0 31 2 *" never comes.
func (v *checks) schedule(key, spec string, longest time.Duration, fix string) {
	schedule, err := parseSchedule(spec)
	if err != nil {
		v.fault(key, "is "+shown(spec)+", which is not a schedule",
			`Write five fields (minute, hour, day, month, weekday) such as "0 9 * * *", or "@every 1m".`)
		return
	}
	// From each moment of a year that lies so far from the one before: a rest of twice that length hides from none of them.
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for year := at.AddDate(1, 0, 0); at.Before(year); at = at.Add(longest) {
		if next := schedule.Next(at); next.IsZero() || next.Sub(at) > longest {
			v.fault(key, "is "+shown(spec)+", which rests for longer than "+rest(longest), fix)
			return
		}
	}
}

func rest(d time.Duration) string {
	if d > 24*time.Hour {
		return "a month"
	}
	return "an hour"
}

// parseSchedule keeps cron's panics to itself: it cuts some malformed schedules out of range ("TZ=UTC").
func parseSchedule(spec string) (schedule cron.Schedule, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			schedule, err = nil, errors.New("malformed schedule")
		}
	}()
	return cron.ParseStandard(spec)
}

func (v *checks) name(key, name string) {
	const fix = "Use lower-case letters, digits and dashes, such as orders-prod."
	switch {
	case name == "":
		v.missing(key, fix)
	case !plainName.MatchString(name):
		v.fault(key, "is "+shown(name)+", which is not a name here", fix)
	}
}

func (v *checks) database(key, engine string, url secret.String, plaintextKey string, allowPlaintext bool) {
	v.add(key)(checkDatabaseURL(engine, url.Reveal(), plaintextKey, allowPlaintext))
}

func (v *checks) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		v.fault(key, "is "+shown(value), "Use one of "+strings.Join(allowed, ", ")+".")
	}
}

func (v *checks) missing(key, fix string) {
	v.fault(key, "is missing", fix)
}

// add takes the result of a check.
func (v *checks) add(key string) func(problem, fix string) {
	return func(problem, fix string) {
		if problem != "" {
			v.fault(key, problem, fix)
		}
	}
}

func (v *checks) fault(key, problem, fix string) {
	v.faults = append(v.faults, Fault{Key: key, Problem: problem, Fix: fix})
}
