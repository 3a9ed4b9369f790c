package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"time"
)

// Policy is one loaded file. It does not change after loading and is safe for concurrent use.
type Policy struct {
	source []byte
	hash   string
	file   string

	groups     []*group
	schedules  []Schedule
	profiles   []Profile
	rules      []*rule
	breakGlass *BreakGlass
	operators  []string
	tests      []selfTest

	groupIndex    map[string]*group
	scheduleIndex map[string]int
	profileIndex  map[string]int

	// places are where schedules and profiles are defined, for warnings.
	places map[string]mark

	// Selectors and hours are interned, so that a decision looks at each once however many rules share it.
	who interned[whoSelector]
	// whoGroups are the groups of the selectors in who, by number; nil where a selector is not of a defined group.
	whoGroups []*group
	targets   interned[targetSelector]
	hours     interned[hoursKey]
	windows   [][]window
	// denying and allowing are the rules in the order of the file.
	denying, allowing []*rule
	// glass is the break_glass section as a rule; nil when the file has none.
	glass *rule
	// asking and breaking are the rules as decisions on requests and on broken glass look at them.
	asking, breaking sequence
}

// sequence is rules in the order in which a decision looks at them, those that deny first; steps are what it says of each
// that is not for the person who asks.
type sequence struct {
	rules []*rule
	steps []Step
}

func sequenceOf(rules []*rule) sequence {
	out := sequence{rules: rules}
	for _, r := range rules {
		out.steps = append(out.steps, Step{Rule: r.name, Why: r.notWho})
	}
	return out
}

// Hash is the SHA-256 of the source, in hexadecimal. Decisions and audit events carry it.
func (p *Policy) Hash() string { return p.hash }

// Source is a copy of the bytes the policy was loaded from.
func (p *Policy) Source() []byte { return slices.Clone(p.source) }

// Profile finds a profile by its exact name.
func (p *Policy) Profile(name string) (Profile, bool) {
	i, ok := p.profileIndex[name]
	if !ok {
		return Profile{}, false
	}
	return p.profiles[i].clone(), true
}

// Profiles are all profiles in the order of the file.
func (p *Policy) Profiles() []Profile {
	out := make([]Profile, len(p.profiles))
	for i, profile := range p.profiles {
		out[i] = profile.clone()
	}
	return out
}

// Schedules are all on-call schedules in the order of the file.
func (p *Policy) Schedules() []Schedule {
	out := make([]Schedule, len(p.schedules))
	for i, schedule := range p.schedules {
		out[i] = schedule
		out[i].Levels = slices.Clone(schedule.Levels)
	}
	return out
}

// Usergroups are the IDs of all Slack user groups the policy names, sorted, each once.
func (p *Policy) Usergroups() []string {
	var out []string
	for _, g := range p.groups {
		if g.usergroup != "" {
			out = append(out, g.usergroup)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Group is a named set of people: those whose address is listed and those in the Slack user group.
type Group struct {
	Name string
	// Emails are lower-case and sorted.
	Emails []string
	// SlackUsergroup is an ID such as S0DBA; empty when the group is a list of addresses only.
	SlackUsergroup string
}

// Groups are all groups in the order of the file.
func (p *Policy) Groups() []Group {
	out := make([]Group, len(p.groups))
	for i, g := range p.groups {
		out[i] = Group{Name: g.name, Emails: slices.Sorted(maps.Keys(g.emails)), SlackUsergroup: g.usergroup}
	}
	return out
}

// BreakGlass is who may have access at once, approved by nobody and reviewed afterwards.
type BreakGlass struct {
	Who, Profiles, Targets []string
	// MaxDuration, ReviewWithin and Remind are never 0 after loading.
	MaxDuration, ReviewWithin, Remind time.Duration
	// Reviewers are selectors; Notify says where it is said at once: security_channel, pagerduty. Neither is ever empty.
	Reviewers, Notify []string
	// Escalate is who is told, and may close the review as well, when it stays open; nil for nobody.
	Escalate *Escalation
}

// Operators are the selectors of those who may revoke anybody's access, besides those who could have approved it; empty
// when the file names none.
func (p *Policy) Operators() []string { return slices.Clone(p.operators) }

// BreakGlass is the file's break_glass section, if it has one.
func (p *Policy) BreakGlass() (BreakGlass, bool) {
	if p.breakGlass == nil {
		return BreakGlass{}, false
	}
	b := *p.breakGlass
	for _, list := range []*[]string{&b.Who, &b.Profiles, &b.Targets, &b.Reviewers, &b.Notify} {
		*list = slices.Clone(*list)
	}
	b.Escalate = b.Escalate.clone()
	return b, true
}

func hashOf(source []byte) string {
	sum := sha256.Sum256(source)
	return hex.EncodeToString(sum[:])
}
