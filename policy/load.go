package policy

import (
	"regexp"
	"slices"
	"strings"
)

// loader reads one file into a policy.
type loader struct {
	*findings
	p *Policy
}

// Load reads a policy. It is strict: a key, word or reference that it does not know is reported with its place, and
// every fault is reported at once. The error is a [*LoadError]; warnings come with a usable policy only. References to
// a group, schedule or profile that is not defined are warnings, because they fail safe: membership counts as unknown,
// so that an allowing rule does not match and a denying one does.
func Load(source []byte, filename string) (*Policy, []Warning, error) {
	f := &findings{file: filename, lines: strings.Split(string(source), "\n")}
	p := &Policy{
		source: slices.Clone(source), hash: hashOf(source), file: filename,
		groupIndex: map[string]*group{}, scheduleIndex: map[string]int{}, profileIndex: map[string]int{},
		places: map[string]mark{},
	}
	if root := f.parse(source); len(f.faults) == 0 {
		(&loader{f, p}).file(root)
	}
	if err := f.failure(); err != nil {
		return nil, nil, err
	}
	p.asking = sequenceOf(slices.Concat(p.denying, p.allowing))
	if p.glass != nil {
		p.breaking = sequenceOf(append(slices.Clone(p.denying), p.glass))
	}
	for _, selector := range p.who.values {
		p.whoGroups = append(p.whoGroups, p.groupIndex[selector.name])
	}
	(&linter{f, p}).run()
	slices.SortStableFunc(f.warnings, func(a, b Warning) int { return comparePositions(a.Position, b.Position) })
	return p, f.warnings, nil
}

func (l *loader) file(root *node) {
	f := l.open(root, "the policy")
	if f == nil {
		return
	}
	if version := f.take("version"); version == nil {
		if _, given := f.nodes["version"]; !given {
			l.fault(root.mark, "the version is missing; begin with \"version: 1\"")
		}
	} else if version.text != "1" || version.quoted {
		l.fault(version.mark, "the version must be 1")
	}
	l.readGroups(f.take("groups"))
	l.readSchedules(f.take("schedules"))
	l.readProfiles(f.take("profiles"))
	l.readRules(f.take("rules"))
	l.readBreakGlass(f.take("break_glass"))
	l.p.operators = l.readWho(f, "operators")
	l.readTests(f.take("tests"))
	f.close()
}

// name is the form of names that appear in selectors, commands and the names of database roles.
var name = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`)

// checkName reports names that would not survive a command line or a role name.
func (l *loader) checkName(at mark, what, text string) {
	if text != "" && !name.MatchString(text) {
		l.fault(at, "%s name %q must be lower-case letters, digits, - and _, at most 40 of them", what, text)
	}
}

func (l *loader) readGroups(from *node) {
	f := l.open(from, "groups")
	if f == nil {
		return
	}
	for _, key := range f.order {
		at := f.nodes[key].at
		l.checkName(at, "the group", key)
		value := f.take(key)
		if value == nil {
			continue
		}
		g := &group{name: key, at: at, emails: map[string]bool{}}
		l.p.groups, l.p.groupIndex[key] = append(l.p.groups, g), g
		entry := l.open(value, "a group")
		if entry == nil {
			continue
		}
		for _, email := range entry.texts("emails", "nobody") {
			address := lower(email.text)
			if !looksLikeEmail(address) {
				l.fault(email.mark, "%q is not an e-mail address", email.text)
			}
			g.emails[address] = true
		}
		g.usergroup = entry.text("slack_usergroup")
		if g.usergroup != "" && !slackID.MatchString(g.usergroup) {
			l.fault(entry.nodes["slack_usergroup"].value.mark, "%q is not the ID of a Slack user group; it begins with S, "+
				"and Slack shows it under … > Copy group ID, not as the @handle", g.usergroup)
		}
		entry.close()
	}
}

var (
	slackID     = regexp.MustCompile(`^S[A-Z0-9]{1,30}$`)
	pagerDutyID = regexp.MustCompile(`^[A-Z0-9]{1,30}$`)
)

func (l *loader) readSchedules(from *node) {
	f := l.open(from, "schedules")
	if f == nil {
		return
	}
	for _, key := range f.order {
		l.checkName(f.nodes[key].at, "the schedule", key)
		entry := l.open(f.take(key), "a schedule")
		if entry == nil {
			continue
		}
		schedule := Schedule{Name: key, PagerDuty: entry.text("pagerduty_schedule")}
		switch id, given := entry.nodes["pagerduty_schedule"]; {
		case !given:
			l.fault(entry.at, "a schedule needs pagerduty_schedule, its ID in PagerDuty")
		case schedule.PagerDuty != "" && !pagerDutyID.MatchString(schedule.PagerDuty):
			l.fault(id.value.mark, "%q is not the ID of a PagerDuty schedule; it looks like PABC123 and ends the schedule's address", schedule.PagerDuty)
		}
		for _, level := range entry.texts("levels", "") {
			n := level.text
			if len(n) != 1 && n != "10" || n < "1" || n > "9" && n != "10" {
				l.fault(level.mark, "a level must be a whole number from 1 to 10, the escalation levels that count")
				continue
			}
			schedule.Levels = append(schedule.Levels, atoi(n))
		}
		entry.close()
		if len(schedule.Levels) == 0 {
			schedule.Levels = []int{1}
		}
		slices.Sort(schedule.Levels)
		schedule.Levels = slices.Compact(schedule.Levels)
		l.p.places["schedule "+key] = f.nodes[key].at
		l.p.scheduleIndex[key] = len(l.p.schedules)
		l.p.schedules = append(l.p.schedules, schedule)
	}
}

func atoi(digits string) int {
	if digits == "10" {
		return 10
	}
	return int(digits[0] - '0')
}

func texts(list []marked) []string {
	var out []string
	for _, entry := range list {
		out = append(out, entry.text)
	}
	return out
}
