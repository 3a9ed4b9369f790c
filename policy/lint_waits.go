package policy

import (
	"slices"
	"time"
)

// lasting warns about extensions that are laxer than the profile's risk, and about those that give nothing.
func (l *linter) lasting(r *rule, profile Profile, longest time.Duration) {
	tier := tiers[profile.Risk]
	if r.extend != nil && r.extend.Total > tier.MaxDuration && r.extend.Total > longest {
		l.warn(r.at, "the rule %q lets %s be extended to %s in all, and its risk is %s: that tier expects at most %s", r.name,
			profile.Name, FormatDuration(r.extend.Total), profile.Risk, FormatDuration(tier.MaxDuration))
	}
	if r.extend != nil && r.extend.Times > 0 && r.extend.Total < longest {
		l.warn(r.at, "the rule %q gives %s for up to %s, and lets it be extended to %s in all only", r.name, profile.Name,
			FormatDuration(longest), FormatDuration(r.extend.Total))
	}
	for _, step := range r.escalate {
		if slices.Contains(step.To, "anyone") && tier.Approvals > 0 {
			l.warn(r.at, "the rule %q lets anyone approve %s after %s, and its risk is %s", r.name, profile.Name, FormatDuration(step.After), profile.Risk)
		}
	}
}

// escalates warns about steps that help nobody, and about an order of one.
func (l *linter) escalates(r *rule) {
	if r.inOrder && len(r.approvals) < 2 {
		l.warn(r.at, "the rule %q asks for one approval, so in_order says nothing; write a list of them, first things first", r.name)
	}
	for _, step := range r.escalate {
		l.deserted(r.at, "the rule \""+r.name+"\" escalates to", step.To)
		known := !slices.ContainsFunc(r.approvals, func(a Requirement) bool { return !covers(a.From, step.To) })
		if known && len(step.To) > 0 {
			l.warn(r.at, "the rule %q escalates after %s to people who may answer all the time", r.name, FormatDuration(step.After))
		}
	}
}

// starts warns about a later start that nobody can have.
func (l *linter) starts(r *rule) {
	onCallOnly := len(r.who) > 0 && !slices.ContainsFunc(r.who, func(id int) bool { return l.p.who.values[id].kind != "oncall" })
	if r.startWithin > 0 && onCallOnly {
		l.warn(r.at, "the rule %q says start_within and is for people on call only: a shift is known for now only, so nobody starts later by it", r.name)
	}
}

// deserted warns where nobody would be told, as far as the file alone shows. What is not defined is warned about elsewhere.
func (l *linter) deserted(at mark, what string, selectors []string) {
	for _, text := range selectors {
		selector, _ := parseWho(text)
		if g := l.p.groupIndex[selector.name]; selector.kind == "group" && g != nil && len(g.emails) == 0 && g.usergroup == "" {
			l.warn(at, "%s %s, and nobody is in it", what, selector.phrase())
		}
	}
}

// breakGlass warns about access on nobody's word that is riskier than it should be, or that nobody else would look at.
func (l *linter) breakGlass() {
	b, r := l.p.breakGlass, l.p.glass
	if b == nil {
		return
	}
	for i, profile := range l.p.profiles {
		if !r.allProfiles && !r.profileSet[i] {
			continue
		}
		tier := tiers[profile.Risk]
		if profile.Risk == "critical" {
			l.warn(r.at, "break_glass gives %s on nobody's word, and its risk is critical", profile.Name)
		}
		if longest := (&consideration{p: l.p, profile: i}).longest(r); longest > tier.MaxDuration {
			l.warn(r.at, "break_glass gives %s for up to %s, and its risk is %s: that tier expects at most %s", profile.Name,
				FormatDuration(longest), profile.Risk, FormatDuration(tier.MaxDuration))
		}
	}
	if !slices.Contains(b.Notify, notices[0]) {
		l.warn(r.at, "broken glass is not said in the security channel; add security_channel to notify")
	}
	l.deserted(r.at, "break_glass is reviewed by", b.Reviewers)
	if b.Escalate != nil {
		l.deserted(r.at, "a review of break_glass escalates to", b.Escalate.To)
	}
	l.reviewers(b, r)
	for _, other := range l.p.denying {
		if l.covers(other, r) {
			l.warn(r.at, "break_glass lets nobody do anything: everything it is for is denied by %q", other.name)
			break
		}
	}
}

// reviewers warns when all who may review broken glass may break it: they would be reviewing each other, or a single one
// nobody else.
func (l *linter) reviewers(b *BreakGlass, r *rule) {
	people, countable := l.p.countable(b.Reviewers)
	breaks := func(text string) bool {
		selector, _ := parseWho(text)
		return slices.ContainsFunc(r.who, func(id int) bool { return l.everybody(id) || l.whoCovers(l.p.who.values[id], selector) })
	}
	everyone := !slices.ContainsFunc(b.Reviewers, func(text string) bool { return !breaks(text) })
	if countable {
		everyone = len(people) > 0
		for email := range people {
			everyone = everyone && breaks("user:"+email)
		}
	}
	switch {
	case countable && len(people) == 0:
		l.warn(r.at, "nobody can review broken glass; give the reviewers people")
	case everyone && countable && len(people) == 1:
		l.warn(r.at, "only one person may review broken glass, and may break it too; then nobody else could review it")
	case everyone:
		l.warn(r.at, "everybody who may review broken glass may break it as well; add reviewers who cannot")
	}
}
