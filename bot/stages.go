package bot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
)

// inWords says who must agree, and in which order where there is one: "first one of @dba, then one of @security".
func inWords(list []policy.Requirement, inOrder bool) string {
	if !inOrder || len(list) < 2 {
		return requirements(list)
	}
	words := make([]string, len(list))
	for i, r := range list {
		words[i] = requirement(r)
	}
	return "first " + strings.Join(words, ", then ")
}

// needs says whose approval a pending request still needs.
func needs(c approvals.Case) string { return inWords(c.Waiting(), c.Request.Decision.InOrder) }

// stages lists what had to be approved and what of it is; empty where one approval is all there is to it.
func stages(c approvals.Case) string {
	all := c.Request.Decision.Approvals
	if len(all) == 0 || (len(all) == 1 && all[0].Count < 2) {
		return ""
	}
	open := c.Waiting()
	first := true
	var lines []string
	for i, r := range all {
		mark := "✅ " + requirement(r)
		switch {
		// After an escalation more people may fill what is open.
		case len(open) > 0 && len(open[0].From) >= len(r.From) && slices.Equal(open[0].From[:len(r.From)], r.From) && open[0].Count <= r.Count:
			mark = "▫️ " + requirement(r)
			if done := r.Count - open[0].Count; done > 0 {
				mark += fmt.Sprintf(", %d of %d given", done, r.Count)
			}
			if c.Request.Decision.InOrder && len(all) > 1 {
				mark += map[bool]string{true: ": asked now", false: ": afterwards"}[first]
			}
			first, open = false, open[1:]
		case c.Request.State != approvals.Pending && c.Request.ApprovedAt.IsZero():
			mark = "▫️ " + requirement(r)
		}
		lines = append(lines, mrkdwn(mark, 250))
		if i == 7 && len(all) > 8 {
			lines = append(lines, fmt.Sprintf("and %d more", len(all)-8))
			break
		}
	}
	return strings.Join(lines, "\n")
}

// answerWords is one person's answer, with what it was to when that was less, and whether it was taken back.
func answerWords(c approvals.Case, a approvals.Approval) string {
	out := person(a.By) + " approved"
	if a.Verdict == approvals.No {
		out = person(a.By) + " said no"
	} else if less := instead(c.Request, a.Less); less != "" {
		out += " for less: " + less
	}
	out += " " + at(a.At)
	if !a.WithdrawnAt.IsZero() {
		out += ", and withdrew it " + at(a.WithdrawnAt)
	}
	return out
}

// instead says what an approver agreed to instead of what was asked for: "1h instead of 4h".
func instead(r approvals.Request, less *approvals.Less) string {
	if less == nil {
		return ""
	}
	var out []string
	if less.Duration > 0 {
		out = append(out, lasting(less.Duration)+" instead of "+lasting(asked(r)))
	}
	if less.Profile != "" && less.Profile != r.Profile {
		out = append(out, mrkdwn(less.Profile, 100)+" instead of "+mrkdwn(r.Profile, 100))
	}
	return both(out)
}

// asked is for how long a request asked; the policy's default stands in where it named no time.
func asked(r approvals.Request) time.Duration {
	if r.Duration > 0 {
		return r.Duration
	}
	return r.Decision.Duration
}

// accessWords is the profile that is, or would be, given.
func accessWords(r approvals.Request) string {
	if given := r.Access(); given != r.Profile {
		return given + " instead of " + r.Profile
	}
	return r.Profile
}

// lengthWords is for how long it is, or would be, given.
func lengthWords(r approvals.Request) string {
	if given := r.Length(); given != asked(r) {
		return lasting(given) + " instead of " + lasting(asked(r))
	}
	return lasting(r.Length())
}

// standingYes says whether somebody's approval counts now and could be taken back.
func standingYes(c approvals.Case) bool {
	return slices.ContainsFunc(c.Approvals, func(a approvals.Approval) bool { return a.Verdict == approvals.Yes && a.WithdrawnAt.IsZero() })
}

// extensionWords say how the access may be extended; empty where the policy does not speak of it.
func extensionWords(d policy.Decision) string {
	switch e := d.Extend; {
	case e == nil:
		return ""
	case e.Times <= 0:
		return "It cannot be extended."
	case e.Total > 0:
		return fmt.Sprintf("It may be extended %s, to %s in all.", times(e.Times), lasting(e.Total))
	default:
		return fmt.Sprintf("It may be extended %s.", times(e.Times))
	}
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}
