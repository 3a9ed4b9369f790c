package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/policy"
)

// BenchmarkDecide is a decision over 1,000 rules, of which only the last matches: the longest way there is.
func BenchmarkDecide(b *testing.B) {
	const rules = 1000
	p, _, err := policy.Load([]byte(manyRules(rules)), "bench.yaml")
	fatal(b, err)
	facts := policy.Facts{Usergroups: map[string]policy.Membership{}, Schedules: map[string]policy.Standing{}}
	for _, schedule := range p.Schedules() {
		facts.Schedules[schedule.Name] = policy.Standing{}
	}
	request := policy.Request{
		User:    policy.Person{Email: "person7@example.com"},
		Target:  policy.Target{Name: "t1-prod", Engine: "postgres", Environment: "e1"},
		Profile: "p1", Duration: time.Hour, At: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC),
	}
	if d := p.Decide(request, facts); d.Rule != "last" {
		b.Fatalf("%s by %q", d.Outcome, d.Rule)
	}
	for b.Loop() {
		const many = 2000
		took := make([]time.Duration, many)
		for i := range took {
			start := time.Now()
			p.Decide(request, facts)
			took[i] = time.Since(start)
		}
		p50, p99 := quantile(0.5, took), quantile(0.99, took)
		b.ReportMetric(float64(p50.Nanoseconds())/1000, "p50-µs")
		report.add("a decision over 1,000 rules", fmt.Sprintf("median %.0f µs, 99th percentile %.0f µs", float64(p50.Nanoseconds())/1000, float64(p99.Nanoseconds())/1000),
			"", "50 µs", p50 <= 50*time.Microsecond)
	}
	b.ReportMetric(0, "ns/op")
}

func manyRules(rules int) string {
	var out strings.Builder
	out.WriteString("version: 1\ngroups:\n")
	for g := range 100 {
		fmt.Fprintf(&out, "  g%d: { emails: [", g)
		for i := range 50 {
			fmt.Fprintf(&out, "person%d@example.com, ", g*50+i)
		}
		out.WriteString("] }\n")
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
		if r%4 == 0 {
			out.WriteString("    approve: automatically\n")
		} else {
			fmt.Fprintf(&out, "    approvals: [{ from: [group:g%d], count: 1 }]\n", r%100)
		}
	}
	out.WriteString("  - { name: last, approvals: [{ from: [group:g0], count: 1 }] }\n")
	return out.String()
}
