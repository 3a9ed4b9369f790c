package policy

import (
	"regexp"
)

func (l *loader) readEffect(f *fields, r *rule) {
	r.automatic = f.oneOf("approve", "automatically") != ""
	r.approvals = l.readApprovals(f.take("approvals"))
	r.inOrder = f.yes("in_order")
	r.maxDuration = f.duration("max_duration")
	r.defaultDuration = f.duration("default_duration")
	l.readStart(f, r)
	r.waits = Waits{Answer: f.duration("lapse_after"), Take: f.duration("activate_within"), Remind: f.duration("remind_every")}
	r.escalate = l.readEscalations(f.take("escalate"))
	r.extend = l.readExtend(f.take("extend"))
	r.require = l.readRequire(f.take("require"))
	r.budget = l.readBudget(f.take("budget"), r)
	r.advice = f.text("advice")
	l.contradictions(f, r)
}

// contradictions reports keys that cannot be meant together.
func (l *loader) contradictions(f *fields, r *rule) {
	_, automatic := f.nodes["approve"]
	_, approvals := f.nodes["approvals"]
	refuse := func(text string, keys ...string) {
		for _, key := range keys {
			if given, ok := f.nodes[key]; ok {
				l.fault(given.at, text, key)
			}
		}
	}
	switch {
	case r.deny:
		refuse("a rule that denies cannot have %s", "approve", "approvals", "max_duration", "default_duration", "require", "budget",
			"in_order", "lapse_after", "activate_within", "remind_every", "escalate", "extend", "start_within")
	case automatic && approvals:
		l.fault(f.nodes["approve"].at, "a rule has either approve or approvals; write two rules")
	case !automatic && !approvals:
		l.fault(f.at, "the rule %q says nothing; write deny: true, approve: automatically, or approvals", r.name)
	case automatic:
		refuse("a rule that approves automatically waits for nobody, so it cannot have %s", "in_order", "lapse_after", "remind_every", "escalate")
	case r.budget != nil:
		l.fault(f.nodes["budget"].at, "budget counts automatic approvals; it needs approve: automatically")
	}
	if r.maxDuration > 0 && r.defaultDuration > r.maxDuration {
		l.fault(f.nodes["default_duration"].at, "default_duration is longer than max_duration")
	}
	if r.extend != nil && r.extend.Times > 0 && r.extend.Total > 0 && r.extend.Total < r.maxDuration {
		l.fault(f.nodes["extend"].at, "the total of extend is shorter than max_duration; it counts from when the access is taken")
	}
	if lapse := r.waits.Answer; lapse > 0 {
		if n := len(r.escalate); n > 0 && r.escalate[n-1].After >= lapse {
			l.fault(f.nodes["escalate"].at, "the request lapses after %s, before it escalates after %s", FormatDuration(lapse), FormatDuration(r.escalate[n-1].After))
		}
		if r.waits.Remind >= lapse {
			l.fault(f.nodes["remind_every"].at, "the request lapses after %s, before anybody is reminded", FormatDuration(lapse))
		}
	}
}

func (l *loader) readApprovals(from *node) []Requirement {
	if from == nil || !l.isList(from, "approvals") {
		return nil
	}
	if len(from.items) == 0 {
		l.fault(from.mark, "approvals is empty; say who must agree, or write approve: automatically")
	}
	var out []Requirement
	for _, item := range from.items {
		f := l.open(item, "an approval")
		if f == nil {
			continue
		}
		requirement := Requirement{From: l.readWho(f, "from"), Count: 1}
		if _, given := f.nodes["from"]; !given {
			l.fault(f.at, "an approval needs from, the people who may give it, as in [group:dba]")
		}
		if _, given := f.nodes["count"]; given {
			requirement.Count = f.number("count", 1, 20)
		}
		if given, misplaced := f.nodes["in_order"]; misplaced {
			l.fault(given.at, "in_order is a key of the rule, beside approvals, not of one approval")
		}
		f.known = append(f.known, "count", "in_order")
		f.close()
		out = append(out, requirement)
	}
	return out
}

func (l *loader) readRequire(from *node) *demand {
	f := l.open(from, "require")
	if f == nil {
		return nil
	}
	out := &demand{reason: f.number("reason", 1, 2000), message: f.text("message")}
	if pattern := f.text("ticket"); pattern != "" {
		// It must compile alone: "a)|(b" would compile between the anchors and undo them.
		if _, err := regexp.Compile(pattern); err != nil {
			l.fault(f.nodes["ticket"].value.mark, "ticket is not a regular expression: %s", err)
		} else {
			// Anchored at both ends: a pattern that merely occurs somewhere in the text would be met by accident.
			out.ticket = regexp.MustCompile(`\A(?:` + pattern + `)\z`)
		}
	}
	f.close()
	if len(f.order) == 0 {
		l.fault(f.at, "require is empty; write ticket (a pattern) or reason (the fewest characters)")
	}
	return out
}

func (l *loader) readBudget(from *node, r *rule) *budget {
	f := l.open(from, "budget")
	if f == nil {
		return nil
	}
	out := &budget{grants: f.number("grants", 1, 1000), per: f.oneOf("per", "day", "shift")}
	for _, needed := range []string{"grants", "per"} {
		if _, given := f.nodes[needed]; !given {
			l.fault(f.at, "budget needs %s, as in { grants: 5, per: shift }", needed)
		}
	}
	if out.per == "shift" {
		onCallOnly := len(r.who) > 0
		for _, id := range r.who {
			onCallOnly = onCallOnly && l.p.who.values[id].kind == "oncall"
		}
		if !onCallOnly {
			l.fault(f.nodes["per"].at, "a budget per shift needs a rule whose who is on-call schedules only; write per: day")
		}
	}
	f.close()
	return out
}
