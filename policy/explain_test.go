package policy

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	p := loaded(t, world)
	a := request(t, p, "ana", "read-only", noPagerDuty("payments"))
	e := p.Explain(a.Request, a.Facts)
	var got []string
	for _, r := range e.Rules {
		decides := ""
		if r.Decides {
			decides = " [decides]"
		}
		got = append(got, fmt.Sprintf("%s (%s): %s%s: %s", r.Rule, r.Says, r.Matches, decides, r.Would))
	}
	want := []string{
		"contractors never write (denies): no: who: it is for group contractors; profiles: the profile is not among data-fix, ddl",
		"frozen (denies): no: targets: the target is not among *-frozen",
		"on-call reads at once (approves at once): unknown: who: it is not known whether ana@example.com is on call for payments, because PagerDuty did not answer within 2 s",
		"on-call five (approves at once): no: who: it is for whoever is on call for backup; budget: without a shift there is nothing to count",
		"staging is free (approves at once): no: targets: the target is not among env:staging",
		"backend reads (needs 1 approval from group dba): yes [decides]: ",
		"fixes (needs 2 approvals from group dba): no: profiles: the profile is not among data-fix",
		"schema changes (needs 1 approval from group dba and 1 from group security or whoever is on call for payments): no: profiles: the profile is not among ddl",
		"support (approves at once): no: who: it is for sue@example.com; profiles: the profile is not among support",
		"everybody asks security (needs 1 approval from group security): no: profiles: the profile is not among support",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if e.Rules[0].Line == 0 || e.Decision.Rule != "backend reads" {
		t.Errorf("got %+v", e.Decision)
	}
	// A profile that does not exist has no rule to explain it, and nothing breaks.
	a = request(t, p, "ana", "nothing")
	if e := p.Explain(a.Request, a.Facts); e.Decision.Outcome != Denied || len(e.Rules) != len(p.rules) {
		t.Errorf("got %+v", e)
	}
}

func TestExplainSaysWhatRulesDo(t *testing.T) {
	t.Parallel()
	p := loaded(t, shop)
	a := request(t, p, "dora", "write", lasting(0), because("the shop is down"))
	var got []string
	for _, e := range []Explanation{p.Explain(a.Request, a.Facts), p.ExplainBreakGlass(a.Request, a.Facts)} {
		for _, r := range e.Rules {
			text := r.Rule + ": " + r.Says
			if r.Decides {
				text += " [decides]"
			}
			got = append(got, text)
		}
	}
	want := []string{
		"contractors never write: denies",
		"on call: approves at once, extended twice, to 5h in all",
		"staging: approves at once",
		"never longer: approves at once, never extended",
		"reading: needs 1 approval from group dba, after 20m also group managers, after 1h also group security or bo@example.com, extended once, to 8h in all",
		"writing: needs 2 approvals from group dba [decides]",
		"schema: needs 1 approval from group dba, then 2 from group security, extended once, to 1h30m in all",
		"contractors never write: denies",
		"break-glass: gives access at once for up to 45m, reviewed within 8h by group security, after 4h also group managers [decides]",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if none := loaded(t, world).ExplainBreakGlass(a.Request, a.Facts); len(none.Rules) != 0 || none.Decision.Why == "" {
		t.Errorf("without a section: %+v", none)
	}
}

// TestExplanationsAgree holds explanations against decisions: each step's match is the explanation's.
func TestExplanationsAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, request, facts := drawWorld(t).load(t), drawRequest(t), drawFacts(t)
		facts = forget(t, facts, &request.User)
		e := p.Explain(request, facts)
		if rapid.Bool().Draw(t, "break glass") {
			e = p.ExplainBreakGlass(request, facts)
		}
		matches := map[string]string{}
		for _, r := range e.Rules {
			matches[r.Rule] = r.Matches
			if (r.Would == "") != (r.Matches == "yes") {
				t.Fatalf("%+v", r)
			}
		}
		for _, s := range e.Decision.Steps {
			want := "no"
			if s.Unknown {
				want = "unknown"
			} else if s.Matched {
				want = "yes"
			}
			if _, explained := matches[s.Rule]; !explained || matches[s.Rule] != want {
				t.Fatalf("the step says %s and the explanation %s: %+v", want, matches[s.Rule], s)
			}
		}
	})
}
