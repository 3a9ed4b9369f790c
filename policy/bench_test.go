package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// bigPolicy has 1,000 rules and 5,000 people in 100 groups, and a last rule for everybody.
func bigPolicy(rules int) string {
	var out strings.Builder
	out.WriteString("version: 1\ngroups:\n")
	for g := range 100 {
		fmt.Fprintf(&out, "  g%d:\n    slack_usergroup: S%d\n    emails:\n", g, g)
		for i := range 50 {
			fmt.Fprintf(&out, "      - person%d@example.com\n", g*50+i)
		}
	}
	out.WriteString("schedules:\n")
	for s := range 20 {
		fmt.Fprintf(&out, "  s%d: { pagerduty_schedule: P%d }\n", s, s)
	}
	out.WriteString("profiles:\n")
	for p := range 20 {
		fmt.Fprintf(&out, "  - { name: p%d, risk: low, grants: [{ schema: public, tables: \"*\", privileges: [select] }] }\n", p)
	}
	out.WriteString("rules:\n")
	for r := range rules - 1 {
		fmt.Fprintf(&out, "  - name: rule %d\n    who: [group:g%d, group:g%d, oncall:s%d]\n", r, 1+r%99, 1+(r*7)%99, r%20)
		if r%2 == 0 {
			fmt.Fprintf(&out, "    targets: [env:e%d, t%d-*]\n", r%5, r)
		}
		if r%3 == 0 {
			fmt.Fprintf(&out, "    profiles: [p%d, p%d]\n", r%20, (r+1)%20)
		}
		if r%10 == 0 {
			fmt.Fprintf(&out, "    hours: { days: mon-fri, from: \"%02d:00\", to: \"18:00\", timezone: Europe/Paris }\n", r%17)
		}
		switch {
		case r%20 == 19:
			fmt.Fprintf(&out, "    deny: true\n")
		case r%4 == 0:
			fmt.Fprintf(&out, "    approve: automatically\n")
		default:
			fmt.Fprintf(&out, "    approvals: [{ from: [group:g%d], count: 1 }]\n", r%100)
		}
	}
	out.WriteString("  - { name: last, approvals: [{ from: [group:g0], count: 1 }] }\n")
	return out.String()
}

// bigRequest is of somebody whom no rule but the last matches, with every fact known.
func bigRequest(p *Policy) (Request, Facts) {
	facts := Facts{Usergroups: map[string]Membership{}, Schedules: map[string]Standing{}, History: &History{}}
	for _, id := range p.Usergroups() {
		facts.Usergroups[id] = Membership{}
	}
	for _, s := range p.Schedules() {
		facts.Schedules[s.Name] = Standing{}
	}
	return Request{
		User: Person{Email: "person7@example.com"}, Target: Target{"t1-prod", "postgres", "e1"}, Profile: "p1", Duration: time.Hour, At: morning,
	}, facts
}

func BenchmarkDecide(b *testing.B) {
	for _, rules := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) {
			p := loaded(b, bigPolicy(rules))
			request, facts := bigRequest(p)
			if d := p.Decide(request, facts); d.Rule != "last" || len(d.Steps) != rules {
				b.Fatalf("%s by %q after %d steps", d.Outcome, d.Rule, len(d.Steps))
			}
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(request, facts)
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	source := []byte(bigPolicy(1000))
	b.SetBytes(int64(len(source)))
	for b.Loop() {
		if _, _, err := Load(source, "big.yaml"); err != nil {
			b.Fatal(err)
		}
	}
}

// TestDecideAllocatesLittle keeps a decision from making something for every rule it looks at.
func TestDecideAllocatesLittle(t *testing.T) {
	p := loaded(t, bigPolicy(1000))
	request, facts := bigRequest(p)
	if n := testing.AllocsPerRun(100, func() { p.Decide(request, facts) }); n > 100 {
		t.Errorf("a decision over 1,000 rules makes %.0f allocations", n)
	}
}
