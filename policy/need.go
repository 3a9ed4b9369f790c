package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// need is a requirement resolved to whom it means in its own policy, so that requirements of two policies can be compared.
type need struct {
	text  string
	count int
	// from are the people it means: addresses, Slack user groups, schedules with level, or anyone.
	from []string
	// late are those who may answer as well after some silence.
	late []latecomers
}

type latecomers struct {
	text  string
	after time.Duration
	from  []string
}

func needsOf(requirements []Requirement, escalations []Escalation, resolve func([]string) []string) []need {
	var late []latecomers
	for _, step := range escalations {
		late = append(late, latecomers{phraseOf(Requirement{From: step.To}), step.After, resolve(step.To)})
	}
	var out []need
	for _, requirement := range requirements {
		out = append(out, need{phraseOf(requirement), requirement.Count, resolve(requirement.From), late})
	}
	return out
}

// peopleOf resolves selectors to what they mean in this policy, so that requirements of two policies can be compared.
func (p *Policy) peopleOf(selectors []string) []string {
	var out []string
	for _, text := range selectors {
		selector, wrong := parseWho(text)
		switch g := p.groupIndex[selector.name]; {
		case wrong != "":
		case selector.kind == "group" && g != nil:
			for email := range g.emails {
				out = append(out, email)
			}
			if g.usergroup != "" {
				out = append(out, g.usergroup)
			}
		case selector.kind == "oncall":
			if i, ok := p.scheduleIndex[selector.name]; ok {
				for _, level := range p.schedules[i].Levels {
					out = append(out, fmt.Sprintf("%s level %d", p.schedules[i].PagerDuty, level))
				}
			}
		case selector.kind == "user":
			out = append(out, selector.name)
		case selector.kind == "anyone":
			return []string{"anyone"}
		}
	}
	return sorted(out)
}

// hears says whether somebody may answer after a silence.
func (n need) hears(who string, after time.Duration) bool {
	if slices.Contains(n.from, who) || slices.Contains(n.from, "anyone") {
		return true
	}
	return slices.ContainsFunc(n.late, func(l latecomers) bool {
		return l.after <= after && (slices.Contains(l.from, who) || slices.Contains(l.from, "anyone"))
	})
}

// covers says whether everybody who may answer the narrow need may answer this one, no later. A need from nobody is
// covered: nobody can give its approval.
func (n need) covers(narrow need) bool {
	for _, who := range narrow.from {
		if !n.hears(who, 0) {
			return false
		}
	}
	for _, late := range narrow.late {
		for _, who := range late.from {
			if !n.hears(who, late.after) {
				return false
			}
		}
	}
	return true
}

// covers says whether every text of narrow is in wide.
func covers(wide, narrow []string) bool {
	for _, one := range narrow {
		if !slices.Contains(wide, one) {
			return false
		}
	}
	return true
}

// meets says whether whoever gives the approvals in have has also given those in wanted, whatever order they come in.
// Each approval in have can stand for one in wanted.
func meets(have, wanted []need, haveInOrder, wantedInOrder bool) bool {
	switch {
	case !wantedInOrder || len(wanted) < 2:
		return fill(have, wanted)
	case haveInOrder || len(have) < 2:
		return inStep(have, wanted)
	}
	return anyOrder(have, wanted)
}

// mostNeeds bounds the sets of needs that are tried. Files with more of them in one rule are compared one by one.
const mostNeeds = 10

// fill says whether the approvals can always be shared out among the needs, whoever of those asked gives them. By Hall's
// theorem they can when for every set of needs there are as many that are sure to fill one of the set as it asks for.
func fill(have, wanted []need) bool {
	if len(wanted) > mostNeeds {
		return oneByOne(have, wanted)
	}
	for set := range 1 << len(wanted) {
		asked, sure := 0, 0
		union := need{}
		for i, w := range wanted {
			if set&(1<<i) != 0 {
				asked += w.count
				union.from, union.late = append(union.from, w.from...), append(union.late, w.late...)
			}
		}
		for _, one := range have {
			if union.covers(one) {
				sure += one.count
			}
		}
		if sure < asked {
			return false
		}
	}
	return true
}

// oneByOne takes each need for met by the one in its place only.
func oneByOne(have, wanted []need) bool {
	for i, w := range wanted {
		if i >= len(have) || !w.covers(have[i]) || have[i].count < w.count {
			return false
		}
	}
	return true
}

// inStep lets approvals that come one stage after another fill stages that are filled one after another. One that comes
// when its stage is not open yet does not count.
func inStep(have, wanted []need) bool {
	stage, filled := 0, 0
	for _, one := range have {
		for range one.count {
			if stage == len(wanted) {
				return true
			}
			if !wanted[stage].covers(one) {
				break
			}
			if filled++; filled == wanted[stage].count {
				stage, filled = stage+1, 0
			}
		}
	}
	return stage == len(wanted)
}

// anyOrder lets approvals that come in any order fill stages that are filled one after another. In the worst order all that
// cannot fill a stage come before those that can, and count for nothing, and the stage is filled by those that later stages
// would have needed. So as many as all stages up to one want together must be able to fill every one of them.
func anyOrder(have, wanted []need) bool {
	asked := 0
	for stage := range wanted {
		able := 0
		for _, one := range have {
			if !slices.ContainsFunc(wanted[:stage+1], func(w need) bool { return !w.covers(one) }) {
				able += one.count
			}
		}
		if asked += wanted[stage].count; able < asked {
			return false
		}
	}
	return true
}

// needsText is "1 from group dba and 2 from group security".
func needsText(needs []need, inOrder bool) string {
	var parts []string
	for _, n := range needs {
		parts = append(parts, fmt.Sprintf("%d from %s", n.count, n.text))
	}
	out := join(parts, "and")
	if inOrder {
		out = strings.Join(parts, ", then ")
	}
	if len(needs) > 0 {
		out += needs[0].lateText()
	}
	return out
}

// lateText is " (after 20m also group managers)".
func (n need) lateText() string {
	if len(n.late) == 0 {
		return ""
	}
	var parts []string
	for _, l := range n.late {
		parts = append(parts, fmt.Sprintf("after %s also %s", FormatDuration(l.after), l.text))
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
