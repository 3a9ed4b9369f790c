package policy

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestHeldBackInEveryKey makes it unknown whether the first rule matches, so that the second decides together with it.
func TestHeldBackInEveryKey(t *testing.T) {
	t.Parallel()
	const file = `
version: 1
groups: { g: { slack_usergroup: S0G }, a: { emails: [a@example.com] }, b: { emails: [b@example.com] }, m: { emails: [m@example.com] } }
profiles: [{ name: r, risk: low, max_duration: 4h, grants: [{ schema: public, tables: "*", privileges: [select] }] }]
rules:
  - { name: first, who: group:g, %s }
  - { name: second, %s }
`
	from := func(groups ...string) string {
		var parts []string
		for _, g := range groups {
			parts = append(parts, "{ from: group:"+g+" }")
		}
		return "approvals: [" + strings.Join(parts, ", ") + "]"
	}
	const at = "approve: automatically"
	for _, test := range []struct {
		name, first, second string
		want                string
	}{
		{"neither says", from("a"), from("b"), "1 approval from group a and 1 from group b"},
		{"in order", from("a", "b") + ", in_order: true", from("b", "a"), "1 approval from group a, then 1 from group b"},
		{"in another order", from("a", "b") + ", in_order: true", from("b", "a") + ", in_order: true", "1 approval from group a, then 1 from group b, then 1 from group b, then 1 from group a"},
		{"part of the order", from("a", "b", "m") + ", in_order: true", from("a", "m") + ", in_order: true", "1 approval from group a, then 1 from group b, then 1 from group m"},
		{"the second's order stands first", from("m", "a"), from("a", "b") + ", in_order: true", "1 approval from group a, then 1 from group b, then 1 from group m"},
		{"twice the same people in order", from("a", "b", "a") + ", in_order: true", from("a"), "1 approval from group a, then 1 from group b, then 1 from group a"},
		{"at once by the first", at, from("a", "b") + ", in_order: true", "1 approval from group a, then 1 from group b"},

		{"the shorter waits", from("a") + ", lapse_after: 1h, activate_within: 9m, remind_every: 3m", from("a") + ", lapse_after: 2h, activate_within: 5m, remind_every: 2m", "1 approval from group a; waits 1h 5m 2m"},
		{"one waits", from("a") + ", lapse_after: 1h", from("a"), "1 approval from group a; waits 1h 0s 0s or sooner"},
		{"the other waits", from("a"), from("a") + ", activate_within: 5m", "1 approval from group a; waits 0s 5m 0s or sooner"},
		{"nobody to wait for", at + ", activate_within: 5m", from("a") + ", activate_within: 7m, lapse_after: 1h", "1 approval from group a; waits 1h 5m 0s"},
		{"one reminds", from("a") + ", remind_every: 3m", from("a"), "1 approval from group a; waits 0s 0s 3m"},
		{"at once, both", at + ", activate_within: 5m", at, "at once; waits 0s 5m 0s or sooner"},

		{"both escalate", from("a") + ", escalate: { after: 20m, to: [group:m, group:b] }", from("a") + ", escalate: { after: 30m, to: [group:m] }", "1 approval from group a; after 30m group m"},
		{"one escalates", from("a") + ", escalate: { after: 20m, to: [group:m] }", from("a"), "1 approval from group a"},
		{"to others", from("a") + ", escalate: { after: 20m, to: [group:m] }", from("a") + ", escalate: { after: 20m, to: [group:b] }", "1 approval from group a"},
		{"step by step", from("a") + ", escalate: [{ after: 5m, to: [group:m] }, { after: 50m, to: [group:b] }]", from("a") + ", escalate: [{ after: 10m, to: [group:b] }, { after: 20m, to: [group:m] }]", "1 approval from group a; after 20m group m; after 50m group b"},
		{"nobody to escalate over", at, from("a") + ", escalate: { after: 20m, to: [group:m] }", "1 approval from group a; after 20m group m"},

		{"both extend", from("a") + ", extend: { times: 3, total: 5h }", from("a") + ", extend: { times: 1, total: 9h }", "1 approval from group a; once to 5h"},
		{"one extends", from("a") + ", extend: { times: 3, total: 5h }", from("a"), "1 approval from group a"},
		{"at once, and people extend", at, from("a") + ", extend: { times: 3, total: 9h }", "1 approval from group a; 3 times to 4h"},
		{"at once, both", at + ", extend: { times: 3, total: 9h }", at, "at once; 3 times to 4h"},
		{"at once, never", at + ", extend: { times: 0 }", at, "at once; never to 0s"},
	} {
		p := loaded(t, fmt.Sprintf(file, test.first, test.second))
		d := request(t, p, "ana", "r", noSlack("S0G")).decide()
		got := []string{"at once"}
		if d.Outcome == NeedsApproval {
			got = []string{approvalsText(d.Approvals, d.InOrder)}
		}
		if d.Waits != (Waits{}) {
			got = append(got, fmt.Sprintf("waits %s %s %s", FormatDuration(d.Waits.Answer), FormatDuration(d.Waits.Take), FormatDuration(d.Waits.Remind)))
			if d.Waits.OrSooner {
				got[len(got)-1] += " or sooner"
			}
		}
		for _, e := range d.Escalations {
			got = append(got, "after "+FormatDuration(e.After)+" "+phraseOf(Requirement{From: e.To}))
		}
		if d.Extend != nil {
			got = append(got, fmt.Sprintf("%s to %s", times(d.Extend.Times), FormatDuration(d.Extend.Total)))
		}
		if text := strings.Join(got, "; "); text != test.want {
			t.Errorf("%s: got %q, wanted %q", test.name, text, test.want)
		}
	}
}

func (a *ask) decide() Decision { return a.p.Decide(a.Request, a.Facts) }

// TestSpend is carried by automatic approvals, so that whoever records them can count under a lock.
func TestSpend(t *testing.T) {
	t.Parallel()
	p := loaded(t, world)
	shift := request(t, p, "eve", "read-only", onCall("backup", 2)).decided(Approved, "on-call five").Budget
	if want := (&Spend{2, morning.Add(-time.Hour)}); !reflect.DeepEqual(shift, want) {
		t.Errorf("per shift: %+v", shift)
	}
	day := request(t, p, "sue", "support", with("customer_id", "1")).decided(Approved, "support").Budget
	if want := (&Spend{1, morning.Add(-24 * time.Hour)}); !reflect.DeepEqual(day, want) {
		t.Errorf("per day: %+v", day)
	}
	if got := request(t, p, "eve", "read-only", onCall("payments", 1)).decided(Approved, "on-call reads at once").Budget; got != nil {
		t.Errorf("without a budget: %+v", got)
	}
}
