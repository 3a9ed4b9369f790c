package policy

import (
	"slices"
	"time"
)

// notices are where broken glass can be said.
var notices = []string{"security_channel", "pagerduty"}

// readBreakGlass reads the section twice: as what others may know of it, and as a rule of its own kind, so that it matches
// by the same code as every other.
func (l *loader) readBreakGlass(from *node) {
	f := l.open(from, "break_glass")
	if f == nil {
		return
	}
	r := &rule{name: BreakGlassRule, at: f.at, hours: -1}
	l.readMatch(f, r)
	r.maxDuration, r.require = f.duration("max_duration"), l.readRequire(f.take("require"))
	b := &BreakGlass{
		ReviewWithin: f.duration("review_within"), Reviewers: l.readWho(f, "reviewers"),
		Remind: f.duration("remind_every"), Notify: l.readNotify(f),
	}
	if given := f.take("escalate"); given != nil {
		if step, ok := l.readEscalation(given); ok {
			b.Escalate = &step
		}
	}
	f.close()
	for _, needed := range []string{"who", "reviewers"} {
		if _, given := f.nodes[needed]; !given {
			l.fault(f.at, "break_glass needs %s", needed)
		}
	}
	if r.maxDuration == 0 {
		r.maxDuration = time.Hour
	}
	if b.ReviewWithin == 0 {
		b.ReviewWithin = 24 * time.Hour
	}
	switch {
	case b.Remind == 0:
		b.Remind = max(b.ReviewWithin/4, time.Second)
	case b.Remind >= b.ReviewWithin:
		l.fault(f.nodes["remind_every"].at, "the review is due after %s, before anybody is reminded", FormatDuration(b.ReviewWithin))
	}
	for _, id := range r.who {
		b.Who = append(b.Who, l.p.who.values[id].String())
	}
	for _, id := range r.targets {
		b.Targets = append(b.Targets, l.p.targets.values[id].String())
	}
	b.Profiles, b.MaxDuration = slices.Clone(r.profiles), r.maxDuration
	r.explain(l.p)
	l.p.breakGlass, l.p.glass = b, r
}

func (l *loader) readNotify(f *fields) []string {
	var out []string
	for _, entry := range f.texts("notify", "") {
		if !slices.Contains(notices, entry.text) {
			l.fault(entry.mark, "notify takes %s, not %q%s", either(notices), entry.text, didYouMean(entry.text, notices))
		}
		out = append(out, entry.text)
	}
	if out == nil {
		out = []string{notices[0]}
	}
	return out
}
