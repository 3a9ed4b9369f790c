package policy

// readEscalations reads one step or a list of them, each after a longer silence than the one before.
func (l *loader) readEscalations(from *node) []Escalation {
	if from == nil {
		return nil
	}
	items := []*node{from}
	if from.kind == listNode {
		items = from.items
		if len(items) == 0 {
			l.fault(from.mark, "escalate is empty; write { after: 20m, to: [group:NAME] } or leave the key out")
		}
	}
	var out []Escalation
	for _, item := range items {
		step, ok := l.readEscalation(item)
		if !ok {
			continue
		}
		if n := len(out); n > 0 && step.After > 0 && step.After <= out[n-1].After {
			l.fault(item.mark, "the steps of escalate must come later and later, and %s is not after %s", FormatDuration(step.After), FormatDuration(out[n-1].After))
		}
		out = append(out, step)
	}
	return out
}

func (l *loader) readEscalation(from *node) (Escalation, bool) {
	f := l.open(from, "escalate")
	if f == nil {
		return Escalation{}, false
	}
	step := Escalation{After: f.duration("after"), To: l.readWho(f, "to")}
	for _, needed := range []string{"after", "to"} {
		if _, given := f.nodes[needed]; !given {
			l.fault(f.at, "escalate needs %s, as in { after: 20m, to: [group:NAME] }", needed)
		}
	}
	f.close()
	return step, true
}

// mostExtensions bounds extend.times; whoever needs more needs a longer max_duration.
const mostExtensions = 100

func (l *loader) readExtend(from *node) *Extend {
	f := l.open(from, "extend")
	if f == nil {
		return nil
	}
	out := &Extend{Times: f.number("times", 0, mostExtensions), Total: f.duration("total")}
	_, times := f.nodes["times"]
	_, total := f.nodes["total"]
	switch {
	case !times:
		l.fault(f.at, "extend needs times, as in { times: 2, total: 8h }; 0 means never")
	case out.Times > 0 && !total:
		l.fault(f.at, "extend needs total, the longest the access may last in all, as in { times: 2, total: 8h }")
	case out.Times == 0 && total:
		l.fault(f.nodes["total"].at, "extend says 0 times, so leave its total out")
	}
	f.close()
	return out
}
