package policy

import (
	"regexp"
)

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
		f.notYet("in_order")
		f.known = append(f.known, "count")
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
