package crowd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/sandbox"
)

// Crowd is everybody who acts.
type Crowd struct {
	stage *stage.Stage
	teams []team
	books *books
	stop  func()
}

// team is a few people who ask, the first of them on call, and one who answers.
type team struct {
	name    string
	members []*sandbox.Actor
	lead    *sandbox.Actor
}

// inTeam is how many of a team ask.
const inTeam = 4

// Gather adds teams to a stage whose bot does not serve yet, and gives it a policy for them: whoever is on call reads at once,
// the others need their team's lead, and nobody writes.
func Gather(s *stage.Stage, teams int) (*Crowd, error) {
	if teams < 2 {
		return nil, errors.New("gathering a crowd: it takes two teams, so that somebody may press what is not theirs")
	}
	c := &Crowd{stage: s, books: newBooks()}
	for i := range teams {
		t := team{name: fmt.Sprintf("team%02d", i)}
		for j := range inTeam {
			t.members = append(t.members, add(s, fmt.Sprintf("m%02d%c", i, 'a'+j)))
		}
		t.lead = add(s, fmt.Sprintf("lead%02d", i))
		s.Slack.Join(s.Conf.Approvals, t.lead.Name())
		on := s.PagerDuty.AddUser(t.members[0].Name(), address(t.members[0].Name()))
		s.PagerDuty.OnCall(sandbox.Shift{User: on, Schedule: "PABC123", Level: 1, Start: time.Now().Add(-time.Hour), End: time.Now().Add(8 * time.Hour)})
		c.teams = append(c.teams, t)
	}
	if err := os.WriteFile(filepath.Join(s.Dir(), "policy.yaml"), []byte(c.policy()), 0o600); err != nil {
		return nil, fmt.Errorf("writing the crowd's policy: %w", err)
	}
	s.Environ("PRODACCESS_REQUESTS_MOST_PENDING=10000") // they ask for more than anybody would
	c.stop = s.Slack.OnDrawn(c.books.drawn)
	return c, nil
}

// Close stops listening to the workspace.
func (c *Crowd) Close() { c.stop() }

func add(s *stage.Stage, name string) *sandbox.Actor {
	return s.Slack.AddPerson(sandbox.Person{Name: name, Email: address(name)})
}

func address(name string) string { return name + "@example.com" }

func (c *Crowd) policy() string {
	var out strings.Builder
	out.WriteString("version: 1\ngroups:\n")
	for _, t := range c.teams {
		var members []string
		for _, m := range t.members {
			members = append(members, address(m.Name()))
		}
		fmt.Fprintf(&out, "  %s: { emails: [%s] }\n  %s-lead: { emails: [%s] }\n", t.name, strings.Join(members, ", "), t.name, address(t.lead.Name()))
	}
	out.WriteString(`schedules:
  payments: { pagerduty_schedule: PABC123, levels: [1] }
profiles:
  - name: read-only
    risk: low
    max_duration: 4h
    grants: [{ schema: public, tables: "*", privileges: [select] }]
  - name: data-fix
    risk: high
    max_duration: 2h
    grants: [{ schema: public, tables: "*", privileges: [select, insert, update, delete] }]
rules:
  - name: nobody writes
    deny: true
    who: [anyone]
    profiles: [data-fix]
  - name: on-call reads at once
    who: [oncall:payments]
    profiles: [read-only]
    approve: automatically
`)
	for _, t := range c.teams {
		fmt.Fprintf(&out, "  - name: %s asks its lead\n    who: [group:%s]\n    profiles: [read-only]\n    approvals: [{ from: [group:%s-lead], count: 1 }]\n", t.name, t.name, t.name)
	}
	return out.String()
}
