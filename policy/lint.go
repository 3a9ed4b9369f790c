package policy

import (
	"slices"
	"strings"
)

// linter warns about what loads and is probably not meant.
type linter struct {
	*findings
	p *Policy
}

func (l *linter) run() {
	l.groups()
	l.unused()
	for _, r := range l.p.allowing {
		l.tier(r)
		l.quorum(r)
		l.escalates(r)
		l.starts(r)
	}
	l.shadows()
	l.breakGlass()
	if len(l.p.allowing) == 0 && l.p.breakGlass == nil {
		l.warn(mark{}, "no rule allows anything, so every request is denied")
	}
}

func (l *linter) groups() {
	used := map[string]bool{}
	for _, selector := range l.mentioned() {
		used[selector.String()] = true
	}
	for _, g := range l.p.groups {
		switch {
		case len(g.emails) == 0 && g.usergroup == "":
			l.warn(g.at, "nobody is in the group %s; give it emails or a slack_usergroup", g.name)
		case !used["group:"+g.name]:
			l.warn(g.at, "no rule mentions the group %s", g.name)
		}
	}
	for _, s := range l.p.schedules {
		if !used["oncall:"+s.Name] {
			l.warn(l.p.places["schedule "+s.Name], "no rule mentions the schedule %s", s.Name)
		}
	}
}

// mentioned are all selectors of people anywhere in the file but the tests.
func (l *linter) mentioned() []whoSelector {
	out := slices.Clone(l.p.who.values)
	var lists [][]string
	for _, r := range l.p.rules {
		for _, requirement := range r.approvals {
			lists = append(lists, requirement.From)
		}
		for _, step := range r.escalate {
			lists = append(lists, step.To)
		}
	}
	if b := l.p.breakGlass; b != nil {
		lists = append(lists, b.Reviewers)
		if b.Escalate != nil {
			lists = append(lists, b.Escalate.To)
		}
	}
	lists = append(lists, l.p.operators)
	for _, list := range lists {
		for _, text := range list {
			if selector, wrong := parseWho(text); wrong == "" {
				out = append(out, selector)
			}
		}
	}
	return out
}

func (l *linter) unused() {
	for _, profile := range l.p.profiles {
		used := l.p.breakGlass != nil && (len(l.p.breakGlass.Profiles) == 0 || slices.Contains(l.p.breakGlass.Profiles, profile.Name))
		for _, r := range l.p.allowing {
			used = used || r.allProfiles || r.profileSet[l.p.profileIndex[profile.Name]]
		}
		if !used {
			l.warn(l.p.places["profile "+profile.Name], "no rule lets anybody have the profile %s", profile.Name)
		}
	}
}

// tier warns about a rule that is laxer than the risk of a profile it gives.
func (l *linter) tier(r *rule) {
	asked := 0
	for _, requirement := range r.approvals {
		asked += requirement.Count
	}
	for i, profile := range l.p.profiles {
		if !r.allProfiles && !r.profileSet[i] {
			continue
		}
		tier := tiers[profile.Risk]
		switch {
		case r.automatic && tier.Approvals > 0:
			l.warn(r.at, "the rule %q approves %s automatically, and its risk is %s: that tier expects %d approval(s)", r.name, profile.Name, profile.Risk, tier.Approvals)
		case asked < tier.Approvals:
			l.warn(r.at, "the rule %q asks for %d approval(s) for %s, and its risk is %s: that tier expects %d", r.name, asked, profile.Name, profile.Risk, tier.Approvals)
		}
		longest := (&consideration{p: l.p, profile: i}).longest(r)
		if longest > tier.MaxDuration {
			l.warn(r.at, "the rule %q allows %s for %s, and its risk is %s: that tier expects at most %s", r.name,
				FormatDuration(longest), profile.Name, profile.Risk, FormatDuration(tier.MaxDuration))
		}
		l.lasting(r, profile, longest)
	}
}

// quorum warns about approvals that there are too few people to give. Slack user groups and schedules count as enough.
func (l *linter) quorum(r *rule) {
	for _, requirement := range r.approvals {
		people, countable := l.p.countable(requirement.From)
		if countable && len(people) < requirement.Count {
			l.warn(r.at, "the rule %q asks for %s, and only %d people can give it", r.name, approvalsText([]Requirement{requirement}, false), len(people))
		}
	}
}

// countable are the people that selectors mean, where the file alone says: not when a Slack user group or a schedule is
// among them. A group that is not defined is nobody.
func (p *Policy) countable(selectors []string) (people map[string]bool, ok bool) {
	people = map[string]bool{}
	for _, text := range selectors {
		selector, _ := parseWho(text)
		switch g := p.groupIndex[selector.name]; {
		case selector.kind == "user":
			people[selector.name] = true
		case selector.kind == "group" && g != nil && g.usergroup == "":
			for email := range g.emails {
				people[email] = true
			}
		case selector.kind == "group" && g == nil:
		default:
			return nil, false
		}
	}
	return people, true
}

// shadows warns about rules that can never decide: every person, target and profile they are for is taken by a denying
// rule or by an earlier one.
func (l *linter) shadows() {
	for i, r := range l.p.allowing {
		for _, other := range slices.Concat(l.p.denying, l.p.allowing[:i]) {
			if !l.covers(other, r) {
				continue
			}
			if other.deny {
				l.warn(r.at, "the rule %q never decides: everything it is for is denied by %q", r.name, other.name)
			} else {
				l.warn(r.at, "the rule %q never decides: the earlier rule %q always matches first", r.name, other.name)
			}
			break
		}
	}
}

// covers says whether a matches whenever b does, as far as the file alone shows.
func (l *linter) covers(a, b *rule) bool {
	if a.budget != nil || a.hours >= 0 && a.hours != b.hours {
		return false
	}
	if !a.allProfiles {
		if b.allProfiles {
			for i := range l.p.profiles {
				if !a.profileSet[i] {
					return false
				}
			}
		}
		for i, wanted := range b.profileSet {
			if wanted && !a.profileSet[i] {
				return false
			}
		}
	}
	if !a.allTargets && (b.allTargets && !slices.ContainsFunc(a.targets, l.everyTarget) || !all(b.targets, func(id int) bool {
		return slices.ContainsFunc(a.targets, func(other int) bool { return l.targetCovers(other, id) })
	})) {
		return false
	}
	return a.allWho || slices.ContainsFunc(a.who, l.everybody) || !b.allWho && all(b.who, func(id int) bool {
		return slices.ContainsFunc(a.who, func(other int) bool { return l.whoCovers(l.p.who.values[other], l.p.who.values[id]) })
	})
}

func all(ids []int, holds func(int) bool) bool {
	for _, id := range ids {
		if !holds(id) {
			return false
		}
	}
	return true
}

func (l *linter) everybody(id int) bool { return l.p.who.values[id].kind == "anyone" }

func (l *linter) everyTarget(id int) bool {
	s := l.p.targets.values[id]
	return strings.Trim(s.pattern, "*") == "" && s.pattern != ""
}

func (l *linter) targetCovers(a, b int) bool {
	if a == b || l.everyTarget(a) {
		return true
	}
	wide, narrow := l.p.targets.values[a], l.p.targets.values[b]
	// A star in the narrow pattern is a text the wide one must match with a star of its own, so plain matching is safe.
	return wide.environment == narrow.environment && wildcard(wide.pattern, narrow.pattern)
}

// whoCovers trusts lists of addresses only where membership of both is in the file. A rule for people on call does not
// cover one for a group, since being on call may be unknown.
func (l *linter) whoCovers(wide, narrow whoSelector) bool {
	if wide == narrow {
		return true
	}
	g := l.p.groupIndex[wide.name]
	if wide.kind != "group" || g == nil {
		return false
	}
	if narrow.kind == "user" {
		return g.emails[narrow.name]
	}
	other := l.p.groupIndex[narrow.name]
	if narrow.kind != "group" || other == nil || other.usergroup != "" && other.usergroup != g.usergroup {
		return false
	}
	for email := range other.emails {
		if !g.emails[email] {
			return false
		}
	}
	return true
}
