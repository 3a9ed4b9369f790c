package config

import (
	"time"

	"github.com/prodaccess/prodaccess/internal/secret"
)

// Config is everything an operator can choose, except the policy. config.example.yaml explains each key.
type Config struct {
	Slack           Slack         `mapstructure:"slack"`
	PagerDuty       PagerDuty     `mapstructure:"pagerduty"`
	Store           Store         `mapstructure:"store"`
	HTTP            HTTP          `mapstructure:"http"`
	Policy          Policy        `mapstructure:"policy"`
	Requests        Requests      `mapstructure:"requests"`
	Grants          Grants        `mapstructure:"grants"`
	Alarm           Alarm         `mapstructure:"alarm"`
	Digest          Digest        `mapstructure:"digest"`
	Sweep           Sweep         `mapstructure:"sweep"`
	Targets         []Target      `mapstructure:"targets"`
	Log             Log           `mapstructure:"log"`
	ShutdownTimeout time.Duration `mapstructure:"shutdown_timeout"` // how long serve waits for work in hand
}

// The ways events come from Slack.
const (
	ModeSocket = "socket" // Socket Mode: prodaccess connects to Slack; no public address is needed
	ModeHTTP   = "http"   // Slack connects to http.listen and signs what it sends
)

// Slack is the workspace. A missing security channel is the audit channel.
type Slack struct {
	Mode             string        `mapstructure:"mode"`
	BotToken         secret.String `mapstructure:"bot_token"`
	AppToken         secret.String `mapstructure:"app_token"`      // ModeSocket
	SigningSecret    secret.String `mapstructure:"signing_secret"` // ModeHTTP
	APIURL           string        `mapstructure:"api_url"`        // ends with a slash
	AllowPlaintext   bool          `mapstructure:"allow_plaintext"`
	Command          string        `mapstructure:"command"` // begins with a slash
	ApprovalsChannel string        `mapstructure:"approvals_channel"`
	AuditChannel     string        `mapstructure:"audit_channel"`
	SecurityChannel  string        `mapstructure:"security_channel"`
}

// PagerDuty says who is on call, and wakes people when glass is broken. Without a token nobody is on call, and policies ask
// people; without a routing key nobody is woken.
type PagerDuty struct {
	Token          secret.String `mapstructure:"token"`
	APIURL         string        `mapstructure:"api_url"`
	RoutingKey     secret.String `mapstructure:"routing_key"` // of a service's Events API v2 integration
	EventsURL      string        `mapstructure:"events_url"`
	AllowPlaintext bool          `mapstructure:"allow_plaintext"`
	Overrides      []Override    `mapstructure:"overrides"`
}

// Override says which PagerDuty user a Slack user is, where their e-mail addresses differ.
type Override struct {
	Email string `mapstructure:"email"` // in Slack
	User  string `mapstructure:"user"`  // PagerDuty's user id
}

// Store is prodaccess's own Postgres.
type Store struct {
	URL            secret.String `mapstructure:"url"`         // the service's login
	MigrateURL     secret.String `mapstructure:"migrate_url"` // the owner's login; only `migrate` uses it
	AllowPlaintext bool          `mapstructure:"allow_plaintext"`
}

// HTTP is where prodaccess itself listens.
type HTTP struct {
	Listen string `mapstructure:"listen"` // host:port
}

// Policy names the policy file.
type Policy struct {
	File string `mapstructure:"file"`
}

// Requests says how long a request stays open, and how many one person may have waiting.
type Requests struct {
	LapseAfter     time.Duration `mapstructure:"lapse_after"`     // without an answer
	ActivateWithin time.Duration `mapstructure:"activate_within"` // after the last approval
	MostPending    int           `mapstructure:"most_pending"`    // of one person, for an answer
}

// Grants bounds every login.
type Grants struct {
	ConnectionLimit int           `mapstructure:"connection_limit"`
	Grace           time.Duration `mapstructure:"grace"` // between the deadline and the database's own VALID UNTIL
}

// Alarm says when an overdue revocation is shouted about.
type Alarm struct {
	After time.Duration `mapstructure:"after"`
}

// Digest is the daily summary: a standard cron schedule, read in a time zone of the IANA database.
type Digest struct {
	Schedule string `mapstructure:"schedule"`
	Timezone string `mapstructure:"timezone"`
}

// Sweep is when every target is compared with the store.
type Sweep struct {
	Schedule string `mapstructure:"schedule"`
}

// Target is one database cluster.
type Target struct {
	Name           string        `mapstructure:"name"`
	Engine         string        `mapstructure:"engine"`
	Environment    string        `mapstructure:"environment"`
	AdminURL       secret.String `mapstructure:"admin_url"`
	AllowPlaintext bool          `mapstructure:"allow_plaintext"`
	Databases      []string      `mapstructure:"databases"`
	Connect        Connect       `mapstructure:"connect"`
	Nodes          []Node        `mapstructure:"nodes"`
}

// Connect is what people are told.
type Connect struct {
	Host    string `mapstructure:"host"`
	Port    int    `mapstructure:"port"`
	SSLMode string `mapstructure:"sslmode"`
}

// Node is a replica, where sessions have to be ended as well.
type Node struct {
	URL secret.String `mapstructure:"url"`
}

// Log is how the log is written.
type Log struct {
	Level  string `mapstructure:"level"`
	Format string `mapstructure:"format"` // json or console
}
