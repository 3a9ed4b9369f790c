package policy

import (
	"testing"
	"time"
)

func TestLongest(t *testing.T) {
	t.Parallel()
	p, _, err := Load([]byte(`version: 1
groups: { security: { emails: [sec@example.com] } }
profiles:
  - { name: reads, risk: low, max_duration: 4h, grants: [{ schema: public, tables: "*", privileges: [select] }] }
  - { name: extended, risk: low, max_duration: 1h, grants: [{ schema: public, tables: "*", privileges: [select] }] }
  - { name: glass, risk: low, grants: [{ schema: public, tables: "*", privileges: [select] }] }
  - { name: nobody, risk: low, grants: [{ schema: public, tables: "*", privileges: [select] }] }
rules:
  - { name: short, who: [anyone], profiles: [reads], approve: automatically, max_duration: 2h }
  - { name: long, who: [anyone], profiles: [reads], approvals: [{ from: [group:security] }], max_duration: 6h }
  - { name: again, who: [anyone], profiles: [extended], approve: automatically, extend: { times: 3, total: 9h } }
  - { name: never, deny: true, who: [anyone], profiles: [nobody] }
break_glass: { who: [anyone], profiles: [glass], max_duration: 45m, review_within: 24h, reviewers: [group:security], notify: [security_channel] }
`), "policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for profile, want := range map[string]time.Duration{
		"reads": 4 * time.Hour, "extended": 9 * time.Hour, "glass": 45 * time.Minute, "nobody": 0, "unknown": 0,
	} {
		if got := p.Longest(profile); got != want {
			t.Errorf("%s: %s instead of %s", profile, got, want)
		}
	}
}
