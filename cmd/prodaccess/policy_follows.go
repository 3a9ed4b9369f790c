package main

import (
	"fmt"
	"strings"

	"github.com/prodaccess/prodaccess/policy"
)

// follows says what a decision has to come after it: who answers when nobody does, how long things wait, how far access can
// be extended, who reviews. What the policy leaves to the configuration is not mentioned.
func follows(d policy.Decision) []string {
	var out []string
	for _, step := range d.Escalations {
		out = append(out, fmt.Sprintf("After %s without an answer also: %s.", policy.FormatDuration(step.After), strings.Join(step.To, ", ")))
	}
	if w := d.Waits; w.Remind > 0 {
		out = append(out, fmt.Sprintf("Whoever may approve is reminded after %s, then ever more seldom.", policy.FormatDuration(w.Remind)))
	}
	orSooner := ""
	if d.Waits.OrSooner {
		orSooner = ", or sooner if the configuration says so"
	}
	if w := d.Waits; w.Answer > 0 {
		out = append(out, fmt.Sprintf("It lapses after %s without approval%s.", policy.FormatDuration(w.Answer), orSooner))
	}
	if w := d.Waits; w.Take > 0 {
		out = append(out, fmt.Sprintf("It must be taken within %s%s.", policy.FormatDuration(w.Take), orSooner))
	}
	switch e := d.Extend; {
	case e == nil:
	case e.Times == 0:
		out = append(out, "It cannot be extended.")
	default:
		out = append(out, fmt.Sprintf("It can be extended %s, to %s in all.", times(e.Times), policy.FormatDuration(e.Total)))
	}
	if b := d.Budget; b != nil {
		out = append(out, fmt.Sprintf("It draws on a budget of %d since %s.", b.Grants, b.Since.UTC().Format("2006-01-02 15:04 MST")))
	}
	if r := d.Review; r != nil {
		out = append(out, fmt.Sprintf("Review: within %s, by one of %s; told at once: %s.", policy.FormatDuration(r.Within), strings.Join(r.Reviewers, ", "), strings.Join(r.Notify, ", ")))
		if r.Escalate != nil {
			out = append(out, fmt.Sprintf("After %s also: %s.", policy.FormatDuration(r.Escalate.After), strings.Join(r.Escalate.To, ", ")))
		}
	}
	return out
}

// times is "once", "twice" or "3 times".
func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}
