package policy

import (
	"reflect"
	"strings"
	"testing"
)

func TestMayApprove(t *testing.T) {
	t.Parallel()
	p := loaded(t, world)
	dba, guards := Requirement{From: []string{"group:dba"}, Count: 1}, Requirement{From: []string{"group:security", "oncall:payments"}, Count: 1}
	for _, test := range []struct {
		name        string
		requirement Requirement
		user        string
		changes     []change
		ok, unknown bool
		why         string
	}{
		{"a DBA", dba, "dora", []change{member("S0DBA")}, true, false, "dora@example.com is in group dba"},
		{"somebody else", dba, "eve", nil, false, false, "only group dba may approve this"},
		{"Slack does not answer", dba, "dora", []change{noSlack("S0DBA")}, false, true, "because Slack did not answer"},
		{"nobody asked Slack", dba, "dora", []change{func(a *ask) { a.Usergroups = nil }}, false, true, "not looked up"},
		{"in one of two", guards, "sam", []change{noSlack("S0SEC"), noPagerDuty("payments")}, true, false, "sam@example.com is in group security"},
		{"on call", guards, "eve", []change{onCall("payments", 1)}, true, false, "eve@example.com is on call for payments until 2026-03-04 14:00 UTC"},
		{"on another level", guards, "eve", []change{onCall("payments", 3)}, false, false, "only group security or whoever is on call for payments may approve this"},
		{"one of two unknown", guards, "eve", []change{noPagerDuty("payments")}, false, true, "PagerDuty did not answer"},
		{"a group that is gone", Requirement{From: []string{"group:gone"}}, "eve", nil, false, true, "no such group"},
		{"nobody at all", Requirement{}, "eve", nil, false, false, "only"},
		{"nonsense", Requirement{From: []string{"everybody", "", "group:"}}, "eve", nil, false, false, "only"},
		{"by name", Requirement{From: []string{"user:EVE@example.com"}}, "Eve", nil, true, false, "it is for eve@example.com"},
		{"anyone", Requirement{From: []string{"anyone"}}, "eve", nil, true, false, "anyone"},
	} {
		a := request(t, p, test.user, "read-only", test.changes...)
		got := p.MayApprove(test.requirement, a.User, a.Facts)
		if got.OK != test.ok || got.Unknown != test.unknown || !strings.Contains(got.Why, test.why) || got.Why == "" {
			t.Errorf("%s: got %+v", test.name, got)
		}
	}
}

func TestLookups(t *testing.T) {
	t.Parallel()
	p := loaded(t, world)
	names := func(l Lookups) []string {
		out := append([]string{}, l.Usergroups...)
		for _, s := range l.Schedules {
			out = append(out, s.Name)
		}
		if l.History {
			out = append(out, "history")
		}
		return out
	}
	for _, test := range []struct {
		user, profile, target, environment string
		want                               []string
	}{
		{"ana", "read-only", "orders-prod", "production", []string{"payments", "backup", "history"}},
		{"ana", "read-only", "orders", "staging", []string{"backup"}},
		{"ana", "data-fix", "orders", "production", []string{"S0CON"}},
		{"cy", "data-fix", "orders", "production", []string{}},
		{"ana", "nothing", "orders", "production", []string{}},
		{"ana", "support", "orders-prod", "production", []string{"history"}},
	} {
		got := names(p.Lookups(request(t, p, test.user, test.profile, on(test.target, test.environment)).Request))
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s for %s on %s looks up %v, wanted %v", test.user, test.profile, test.target, got, test.want)
		}
	}
	got := names(p.ApproverLookups([]Requirement{{From: []string{"group:dba", "group:backend", "group:gone"}}, {From: []string{"group:dba", "oncall:payments", "user:a@b"}}}))
	if !reflect.DeepEqual(got, []string{"S0DBA", "payments"}) {
		t.Errorf("approvers look up %v", got)
	}
	if got := p.Usergroups(); !reflect.DeepEqual(got, []string{"S0CON", "S0DBA", "S0SEC"}) {
		t.Errorf("user groups are %v", got)
	}
	if got := p.Schedules(); len(got) != 2 || !reflect.DeepEqual(got[0].Levels, []int{1}) || !reflect.DeepEqual(got[1].Levels, []int{1, 2}) {
		t.Errorf("schedules are %+v", got)
	}
	if got := p.Groups(); got[2].Name != "backend" || !reflect.DeepEqual(got[2].Emails, []string{"ana@example.com", "bo@example.com"}) || got[0].SlackUsergroup != "S0DBA" {
		t.Errorf("groups are %+v", got)
	}
}

// TestCopies changes what the accessors give out; the policy must not change with it.
func TestCopies(t *testing.T) {
	t.Parallel()
	p := loaded(t, world)
	profile, _ := p.Profile("read-only")
	profile.Grants[0].Tables[0], profile.Engines[0] = "changed", "changed"
	p.Profiles()[0].Grants[0].Privileges[0] = "changed"
	p.Schedules()[0].Levels[0] = 9
	p.Source()[0] = 'x'
	again, _ := p.Profile("read-only")
	if again.Grants[0].Tables[0] != "*" || again.Engines[0] != "postgres" || again.Grants[0].Privileges[0] != "select" ||
		p.Schedules()[0].Levels[0] != 1 || string(p.Source()) != world {
		t.Error("the policy changed from outside")
	}
	if _, ok := p.Profile("gone"); ok {
		t.Error("a profile that is not there was found")
	}
}
