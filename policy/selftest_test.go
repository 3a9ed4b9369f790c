package policy

import (
	"strings"
	"testing"
)

// TestSelfTests runs tests of a file that say everything a test can say: those under "holds" pass, and each under "fails"
// says what is otherwise.
func TestSelfTests(t *testing.T) {
	t.Parallel()
	const reading = "request: { target: orders-prod, environment: production, profile: read }"
	const schema = "request: { target: orders-prod, environment: production, profile: ddl }"
	glassOf := func(more string) string {
		return "request: { target: orders-prod, environment: production, profile: read, break_glass: true, reason: all is on fire" + more + " }"
	}
	extendTo := func(what string) string {
		return "request: { target: orders-prod, environment: production, profile: read, duration: 1h, extend: { " + what + " } }"
	}
	const ana, night = "given: { user: ana@example.com }", "given: { user: ana@example.com, on_call: [payments], shift_ends: 2026-03-04T14:00:00Z }"
	for _, test := range []struct{ given, request, expect, differs string }{
		{ana, reading, "{ outcome: needs-approval, rule: reading, approvals: [{ from: group:dba }], lapse_after: 4h, remind_every: 10m, extend: { times: 1, total: 8h } }", ""},
		{ana, reading, "{ escalate: [{ after: 20m, to: group:managers }, { after: 1h, to: [\"user:bo@example.com\", group:security] }], in_order: false }", ""},
		{ana, reading, "{ escalate: { after: 20m, to: group:managers } }", "escalate: expected after 20m also group managers, got after 20m also group managers, after 1h also group security or bo@example.com"},
		{ana, schema, "{ escalate: { after: 20m, to: group:managers } }", "escalate: expected after 20m also group managers, got none"},
		{ana, reading, "{ lapse_after: 5h, activate_within: 5m, remind_every: 1m }", "lapse_after: expected 5h, got 4h; activate_within: expected 5m, got none; remind_every: expected 1m, got 10m"},
		{ana, reading, "{ extend: { times: 2, total: 8h } }", "extend: expected twice, to 8h in all, got once, to 8h in all"},
		{"given: { user: mia@example.com }", reading, "{ extend: { times: 0 }, outcome: approved }", ""},
		{ana, "request: { target: scratch-1, environment: production, profile: read }", "{ extend: { times: 0 }, outcome: approved }", "extend: expected never, got none"},

		{ana, schema, "{ in_order: true, approvals: [{ from: group:dba }, { from: group:security, count: 2 }] }", ""},
		{ana, schema, "{ approvals: [{ from: group:security, count: 2 }, { from: group:dba }] }", ""},
		{ana, schema, "{ in_order: true, approvals: [{ from: group:security, count: 2 }, { from: group:dba }] }", "approvals: expected 2 approvals from group security, then 1 from group dba, got 1 approval from group dba, then 2 from group security"},
		{ana, schema, "{ in_order: false }", "in_order: expected false, got true"},

		{ana, extendTo("to: 8h"), "{ outcome: approved, rule: reading, max_duration: 8h, duration: 8h }", ""},
		{ana, extendTo("to: 9h"), "{ outcome: denied }", ""},
		{ana, extendTo("to: 8h, before: 1"), "{ outcome: approved }", "outcome: expected approved, got denied: The access was extended once already"},
		{night, extendTo("to: 3h, before: 1, at: 2026-03-04T13:30:00Z"), "{ outcome: approved, rule: on call }", ""},
		{night, extendTo("to: 3h, before: 1, at: 2026-03-04T14:30:00Z"), "{ outcome: denied, rule: reading }", ""},
		{"given: { user: eve@example.com }", extendTo("to: 3h"), "{ outcome: denied }", "there is nothing to extend: the request is denied. No rule lets this person have read"},

		{"given: { user: dora@example.com }", glassOf(""), "{ outcome: approved, rule: break-glass, duration: 45m, reviewers: [group:security], review_within: 8h }", ""},
		{"given: { user: dora@example.com }", glassOf(", duration: 2h"), "{ outcome: denied, rule: break-glass, max_duration: 45m }", ""},
		{"given: { user: dora@example.com }", glassOf(""), "{ reviewers: [group:managers], review_within: 9h }", "reviewers: expected group:managers, got group:security; review_within: expected 9h, got 8h"},
		{ana, glassOf(""), "{ outcome: denied, rule: none }", ""},
		{ana, reading, "{ reviewers: [group:security], review_within: 9h }", "reviewers: expected group:security, got none; review_within: expected 9h, got none"},
	} {
		p := loaded(t, shop+"tests:\n  - name: t\n    "+test.given+"\n    "+test.request+"\n    expect: "+test.expect+"\n")
		results := p.Test()
		var got []string
		for _, m := range results[0].Differences {
			got = append(got, m.String())
		}
		if text := strings.Join(got, "; "); len(results) != 1 || results[0].OK != (test.differs == "") || (text == "") != (test.differs == "") || !strings.HasPrefix(text, test.differs) {
			t.Errorf("%s, %s: got %q, wanted %q", test.request, test.expect, text, test.differs)
		}
	}
}
