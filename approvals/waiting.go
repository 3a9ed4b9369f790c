package approvals

import (
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/policy"
)

// Waiting returns the requirements that are not met yet, each with how many approvals it still needs and with everybody
// who may give them now: those whom the policy names, and those to whom the request was escalated. Where approvals are
// asked for in order (Decision.InOrder), only the first of them can be answered.
func (c Case) Waiting() []policy.Requirement {
	if c.Request.State != Pending {
		return nil
	}
	return missing(c.Request.needed(), c.Approvals)
}

// Needs says in words what a pending request waits for: "one of @dba", "one of @dba, then 2 of @security", and after an
// escalation "one of @dba or, since 14:02 UTC, @managers".
func (c Case) Needs() string {
	if c.Request.State != Pending {
		return Words(nil)
	}
	return c.Request.words(missing(c.Request.Decision.Approvals, c.Approvals))
}

// needsFirst is Needs for the first requirement alone.
func (c Case) needsFirst() string {
	return c.Request.words(missing(c.Request.Decision.Approvals, c.Approvals)[:1])
}

// needed are the requirements as they may be filled now. Their indexes are those of Decision.Approvals.
func (r Request) needed() []policy.Requirement {
	if r.Escalated == 0 {
		return r.Decision.Approvals
	}
	out := slices.Clone(r.Decision.Approvals)
	for i := range out {
		for _, step := range r.escalations() {
			out[i].From = added(out[i].From, step.To)
		}
	}
	return out
}

// escalations are the steps that have happened.
func (r Request) escalations() []policy.Escalation {
	return r.Decision.Escalations[:min(r.Escalated, len(r.Decision.Escalations))]
}

// words says requirements of the decision, in their order, with who else may fill them, and since when.
func (r Request) words(requirements []policy.Requirement) string {
	if len(requirements) == 0 {
		return Words(nil)
	}
	parts := make([]string, 0, len(requirements))
	for _, requirement := range requirements {
		part := counted(requirement.Count) + " of "
		from := requirement.From
		var late []string
		for i, step := range r.escalations() {
			more := added(from, step.To)
			if i == r.Escalated-1 {
				late = more[len(from):]
			} else {
				from = more
			}
		}
		part += Selectors(from)
		if len(late) > 0 {
			part += " or, since " + r.EscalatedAt.UTC().Format("15:04") + " UTC, " + Selectors(late)
		}
		parts = append(parts, part)
	}
	if r.Decision.InOrder {
		return strings.Join(parts, ", then ")
	}
	return strings.Join(parts, " and ")
}

// added appends what is not among them yet, and leaves the list it was given alone.
func added(list, more []string) []string {
	list = slices.Clone(list)
	for _, selector := range more {
		if !slices.Contains(list, selector) {
			list = append(list, selector)
		}
	}
	return list
}
