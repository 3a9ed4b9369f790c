package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// rule is one loaded rule. Numbers refer to the policy's interned selectors; nil with its all flag means "everything".
type rule struct {
	name string
	at   mark
	deny bool

	who, targets       []int
	allWho, allTargets bool
	profiles           []string
	allProfiles        bool
	// profileSet is by number of the profile; one that is not defined has none.
	profileSet []bool
	// hours is the number of its windows, -1 when it holds at any time.
	hours int

	automatic                    bool
	approvals                    []Requirement
	inOrder                      bool
	maxDuration, defaultDuration time.Duration
	// startWithin is how far ahead access may begin, 0 where the rule does not say; atOnceOnly that it may not.
	startWithin time.Duration
	atOnceOnly  bool
	waits       Waits
	escalate    []Escalation
	// extend is nil where the rule does not speak of it.
	extend  *Extend
	require *demand
	budget  *budget
	advice  string

	// What a step says when the rule does not match; made once, because a decision may look at a thousand rules.
	notWho, notTarget, notProfile, notHours string
}

// demand is what a rule requires of the request's text.
type demand struct {
	ticket *regexp.Regexp
	reason int
	// message is the file's own text for people; may be empty.
	message string
}

// budget is how many automatic approvals one person gets from a rule before a person is asked.
type budget struct {
	grants int
	// per is day (the last 24 hours) or shift (since the shift began).
	per string
}

func (l *loader) readRules(from *node) {
	if from == nil || !l.isList(from, "rules") {
		return
	}
	names := map[string]bool{}
	for i, item := range from.items {
		f := l.open(item, "a rule")
		if f == nil {
			continue
		}
		r := &rule{name: f.text("name"), at: f.at, hours: -1}
		if _, given := f.nodes["name"]; !given {
			l.fault(f.at, "a rule needs a name; decisions and the audit log refer to it")
			r.name = fmt.Sprintf("rule %d", i+1)
		} else if names[r.name] {
			l.fault(f.nodes["name"].value.mark, "the rule %q is there twice; decisions refer to rules by name", r.name)
		}
		if r.name == BreakGlassRule {
			l.fault(f.nodes["name"].value.mark, "no rule may be called %q; decisions say that of the break_glass section", r.name)
		}
		names[r.name] = true
		r.deny = f.yes("deny")
		l.readMatch(f, r)
		l.readWhen(f, r)
		l.readEffect(f, r)
		f.close()
		r.explain(l.p)
		l.p.rules = append(l.p.rules, r)
		if r.deny {
			l.p.denying = append(l.p.denying, r)
		} else {
			l.p.allowing = append(l.p.allowing, r)
		}
	}
}

func (l *loader) readMatch(f *fields, r *rule) {
	for _, text := range l.readWho(f, "who") {
		selector, _ := parseWho(text)
		r.who = append(r.who, l.p.who.id(selector))
	}
	for _, target := range l.readTargets(f) {
		r.targets = append(r.targets, l.p.targets.id(parseTarget(target.text)))
	}
	r.profiles = texts(f.texts("profiles", ""))
	l.knownProfiles(f, r.profiles)
	_, who := f.nodes["who"]
	_, targets := f.nodes["targets"]
	_, profiles := f.nodes["profiles"]
	r.allWho, r.allTargets, r.allProfiles = !who, !targets, !profiles
	r.profileSet = make([]bool, len(l.p.profiles))
	for _, profile := range r.profiles {
		if i, ok := l.p.profileIndex[profile]; ok {
			r.profileSet[i] = true
		}
	}
}

func (l *loader) readWhen(f *fields, r *rule) {
	if windows := l.readHours(f.take("hours")); len(windows) > 0 {
		before := len(l.p.hours.values)
		r.hours = l.p.hours.id(hoursKey(describeWindows(windows)))
		if r.hours == before {
			l.p.windows = append(l.p.windows, windows)
		}
	}
}

func describeWindows(windows []window) string {
	var out []string
	for _, w := range windows {
		out = append(out, w.String())
	}
	return strings.Join(out, "; ")
}

// explain prepares what steps say.
func (r *rule) explain(p *Policy) {
	var who, targets []string
	for _, id := range r.who {
		who = append(who, p.who.values[id].phrase())
	}
	for _, id := range r.targets {
		targets = append(targets, p.targets.values[id].String())
	}
	r.notWho = "it is for " + either(who)
	r.notTarget = "the target is not among " + strings.Join(targets, ", ")
	r.notProfile = "the profile is not among " + strings.Join(r.profiles, ", ")
	if r.hours >= 0 {
		r.notHours = "it holds only " + string(p.hours.values[r.hours])
	}
}

// readWho reads selectors of people, each written as the policy will show it.
func (l *loader) readWho(f *fields, key string) []string {
	var out []string
	for _, entry := range f.texts(key, "") {
		selector, wrong := parseWho(entry.text)
		if wrong != "" {
			l.fault(entry.mark, "%q is not somebody: %s", entry.text, wrong)
			continue
		}
		l.knownWho(entry.mark, selector)
		out = append(out, selector.String())
	}
	return out
}

// knownWho warns about names that are not defined. The file still loads: such a name is an unknown fact, which never
// helps the requester.
func (l *loader) knownWho(at mark, selector whoSelector) {
	switch selector.kind {
	case "group":
		if l.p.groupIndex[selector.name] == nil {
			var names []string
			for _, g := range l.p.groups {
				names = append(names, g.name)
			}
			l.warn(at, "no group is called %q%s; until it is defined this cannot allow anybody, and a rule that denies it denies everybody",
				selector.name, didYouMean(selector.name, names))
		}
	case "oncall":
		if _, ok := l.p.scheduleIndex[selector.name]; !ok {
			var names []string
			for _, s := range l.p.schedules {
				names = append(names, s.Name)
			}
			l.warn(at, "no schedule is called %q%s; until it is defined this cannot allow anybody, and a rule that denies it denies everybody",
				selector.name, didYouMean(selector.name, names))
		}
	}
}

func (l *loader) readTargets(f *fields) []marked {
	out := f.texts("targets", "")
	return slices.DeleteFunc(out, func(entry marked) bool {
		kind, name, qualified := strings.Cut(entry.text, ":")
		if qualified && (kind != "env" || name == "") {
			l.fault(entry.mark, "%q is not a target: write a name, a pattern such as orders-*, or env:NAME", entry.text)
			return true
		}
		return false
	})
}

func (l *loader) knownProfiles(f *fields, names []string) {
	var known []string
	for _, p := range l.p.profiles {
		known = append(known, p.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			l.warn(f.nodes["profiles"].at, "no profile is called %q%s; the rule can never apply to it", name, didYouMean(name, known))
		}
	}
}
