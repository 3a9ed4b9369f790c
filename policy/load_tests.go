package policy

import (
	"time"
)

func (l *loader) readTests(from *node) {
	if from == nil || !l.isList(from, "tests") {
		return
	}
	for _, item := range from.items {
		f := l.open(item, "a test")
		if f == nil {
			continue
		}
		test := selfTest{name: f.text("name"), at: f.at}
		for _, needed := range []string{"name", "given", "request", "expect"} {
			if _, there := f.nodes[needed]; !there {
				l.fault(f.at, "a test needs %s", needed)
			}
		}
		l.readGiven(f.take("given"), &test)
		l.readTestRequest(f.take("request"), &test)
		l.readExpect(f.take("expect"), &test)
		f.close()
		l.p.tests = append(l.p.tests, test)
	}
}

func (l *loader) readGiven(from *node, test *selfTest) {
	f := l.open(from, "given")
	if f == nil {
		return
	}
	// A Wednesday at noon, far from every clock change, for tests to which the time does not matter.
	test.request.At = time.Date(2026, time.March, 4, 12, 0, 0, 0, time.UTC)
	if at, ok := f.instant("at"); ok {
		test.request.At = at
	}
	if end, ok := f.instant("shift_ends"); ok {
		test.given.ShiftEnds = end
	}
	test.request.User.Email = lower(f.text("user"))
	if _, there := f.nodes["user"]; !there {
		l.fault(f.at, "given needs user, an e-mail address")
	} else if email := test.request.User.Email; email != "" && !looksLikeEmail(email) {
		l.fault(f.nodes["user"].value.mark, "%q is not an e-mail address", email)
	}
	for _, entry := range f.texts("on_call", "nothing") {
		if wrong := l.p.wrongSchedule(entry.text); wrong != "" {
			l.fault(entry.mark, "%s", wrong)
		}
		test.given.OnCall = append(test.given.OnCall, entry.text)
	}
	for _, entry := range f.texts("groups", "none") {
		if wrong := l.p.wrongGroup(entry.text); wrong != "" {
			l.fault(entry.mark, "%s", wrong)
		}
		test.given.Groups = append(test.given.Groups, entry.text)
	}
	for _, entry := range f.texts("unknown", "nothing") {
		selector, wrong := parseWho(entry.text)
		if wrong != "" || selector.kind != "group" && selector.kind != "oncall" {
			l.fault(entry.mark, "write group:NAME or oncall:SCHEDULE, whose answer is then not known")
			continue
		}
		test.given.Unknown = append(test.given.Unknown, entry.text)
	}
	test.given.Used = l.readUsed(f.take("used"))
	f.close()
}

// readUsed reads how many automatic approvals the person already had, by rule.
func (l *loader) readUsed(from *node) map[string]int {
	f := l.open(from, "used")
	if f == nil {
		return nil
	}
	out := map[string]int{}
	for _, key := range f.order {
		if wrong := l.p.wrongRule(key); wrong != "" {
			l.fault(f.nodes[key].at, "%s", wrong)
		}
		out[key] = f.number(key, 0, 1000)
	}
	return out
}

func (l *loader) readTestRequest(from *node, test *selfTest) {
	f := l.open(from, "request")
	if f == nil {
		return
	}
	r := &test.request
	r.Target = Target{Name: f.text("target"), Engine: f.text("engine"), Environment: f.text("environment")}
	r.Profile, r.Duration = f.text("profile"), f.duration("duration")
	r.Ticket, r.Reason = f.text("ticket"), f.text("reason")
	r.StartsAt, _ = f.instant("start")
	if params := l.open(f.take("params"), "params"); params != nil {
		r.Params = map[string]string{}
		for _, key := range params.order {
			r.Params[key] = params.text(key)
		}
	}
	test.breakGlass, test.extend = f.yes("break_glass"), l.readTestExtend(f.take("extend"))
	for _, needed := range []string{"target", "profile"} {
		if _, there := f.nodes[needed]; !there {
			l.fault(f.at, "a test's request needs %s", needed)
		}
	}
	if test.breakGlass && test.extend != nil {
		l.fault(f.nodes["extend"].at, "broken glass is never extended; write two tests")
	}
	f.close()
}

// readTestExtend reads a wish for more time: { to: 4h, before: 1, at: 2026-03-04T15:00:00Z }.
func (l *loader) readTestExtend(from *node) *testedExtension {
	f := l.open(from, "extend")
	if f == nil {
		return nil
	}
	out := &testedExtension{to: f.duration("to"), before: f.number("before", 0, 1000)}
	out.at, _ = f.instant("at")
	if _, given := f.nodes["to"]; !given {
		l.fault(f.at, "extend needs to, how long the access is to last in all")
	}
	f.close()
	return out
}

func (l *loader) readExpect(from *node, test *selfTest) {
	f := l.open(from, "expect")
	if f == nil {
		return
	}
	e := &test.expect
	e.outcome = Outcome(f.oneOf("outcome", string(Approved), string(NeedsApproval), string(Denied)))
	if given := f.take("rule"); given != nil {
		rule := f.scalar(given, "rule")
		if rule == "none" {
			rule = ""
		} else if wrong := l.p.wrongRule(rule); rule != "" && rule != BreakGlassRule && wrong != "" {
			l.fault(given.mark, "%s", wrong)
		}
		e.rule = &rule
	}
	if given := f.take("approvals"); given != nil {
		e.approvals, e.approvalsGiven = l.readApprovals(given), true
	}
	if inOrder := f.yes("in_order"); f.nodes["in_order"].value != nil {
		e.inOrder = &inOrder
	}
	e.duration, e.most = f.duration("duration"), f.duration("max_duration")
	e.ahead = f.duration("start_within")
	e.waits = Waits{Answer: f.duration("lapse_after"), Take: f.duration("activate_within"), Remind: f.duration("remind_every")}
	e.escalate, e.extend = l.readEscalations(f.take("escalate")), l.readExtend(f.take("extend"))
	e.reviewers, e.reviewWithin = l.readWho(f, "reviewers"), f.duration("review_within")
	if len(f.order) == 0 {
		l.fault(f.at, "expect is empty; write at least outcome: approved, needs-approval or denied")
	}
	f.close()
}

func (f *fields) instant(key string) (time.Time, bool) {
	from := f.take(key)
	if from == nil {
		return time.Time{}, false
	}
	text := f.scalar(from, key)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil && text != "" {
		f.fault(from.mark, "%s must be a time such as 2026-03-02T03:00:00Z, not %q", key, text)
	}
	return at, err == nil
}
