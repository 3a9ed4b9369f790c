package config

import "time"

// defaults is what holds where nothing is said. Entries of lists get theirs in fill, since they depend on what is there.
func defaults() Config {
	return Config{
		Slack: Slack{
			Mode:    ModeSocket,
			APIURL:  "https://slack.com/api/",
			Command: "/prodaccess",
		},
		PagerDuty:       PagerDuty{APIURL: "https://api.pagerduty.com", EventsURL: "https://events.pagerduty.com"},
		HTTP:            HTTP{Listen: "127.0.0.1:8080"},
		Policy:          Policy{File: "policy.yaml"},
		Requests:        Requests{LapseAfter: 24 * time.Hour, ActivateWithin: 30 * time.Minute, MostPending: 20},
		Grants:          Grants{ConnectionLimit: 10, Grace: 30 * time.Second},
		Alarm:           Alarm{After: 45 * time.Second},
		Digest:          Digest{Schedule: "0 9 * * *", Timezone: "UTC"},
		Sweep:           Sweep{Schedule: "@every 1m"},
		Log:             Log{Level: "info", Format: "json"},
		ShutdownTimeout: 20 * time.Second,
	}
}

// fill completes what depends on other keys.
func (c *Config) fill() {
	if c.Slack.SecurityChannel == "" {
		c.Slack.SecurityChannel = c.Slack.AuditChannel
	}
	for i := range c.Targets {
		t := &c.Targets[i]
		if t.Engine == "" {
			t.Engine = enginePostgres
		}
		if t.Connect.Port == 0 {
			t.Connect.Port = map[string]int{enginePostgres: 5432, engineMySQL: 3306}[t.Engine]
		}
		if t.Connect.SSLMode == "" {
			t.Connect.SSLMode = "verify-full"
		}
	}
}
