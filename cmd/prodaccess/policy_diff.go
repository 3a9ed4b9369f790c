package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/policy"
)

func (c *command) policyDiff() *cobra.Command {
	var asJSON, fail bool
	var targets targetFlags
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say what got wider and what got narrower, for whom, where",
		Long: `diff compares what two policies offer to everybody: every address and everybody else, in every combination of Slack
user groups and on-call schedules, at every time: requests, with who may answer late, how long things wait and how far
access is extended, and breaking glass. With a configuration it looks at the targets listed there; without one at targets
made up from the names and environments in both files.

With --fail-on-widening the exit code is 2 when anybody could get anything that they could not get before.`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			known, err := c.policyTargets(targets)
			if err != nil {
				return err
			}
			before, _, err := c.readPolicy(args[0])
			if err != nil {
				return err
			}
			after, _, err := c.readPolicy(args[1])
			if err != nil {
				return err
			}
			comparison := policy.Diff(before, after, known)
			wider := comparison.Wider()
			if asJSON {
				err := c.printJSON(struct {
					Old   string `json:"old"`
					New   string `json:"new"`
					Wider bool   `json:"wider"`
					policy.Comparison
				}{before.Hash(), after.Hash(), wider, comparison})
				if err != nil {
					return err
				}
			} else {
				c.printComparison(comparison, before.Hash() == after.Hash())
			}
			if fail && wider {
				return findings{1}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&fail, "fail-on-widening", false, "exit with 2 when something got wider")
	targets.add(cmd)
	return cmd
}

// direction is what a change is, in a heading; what is both stands with what is wider, because that is what to look at.
func direction(wider, narrower bool) string {
	switch {
	case wider && narrower:
		return "WIDER AND NARROWER"
	case wider:
		return "WIDER"
	default:
		return "NARROWER"
	}
}

func (c *command) printComparison(comparison policy.Comparison, same bool) {
	wider, narrower := 0, 0
	tally := func(isWider, isNarrower bool) {
		if isWider {
			wider++
		}
		if isNarrower {
			narrower++
		}
	}
	for _, d := range comparison.Profiles {
		tally(d.Wider, d.Narrower)
		say(c.out, "%-8s  profile %s, for whoever gets it\n          %s\n", direction(d.Wider, d.Narrower), d.Profile, d.What)
	}
	for _, d := range comparison.Differences {
		tally(d.Wider, d.Narrower)
	}
	for _, g := range grouped(comparison.Differences) {
		d := g.Difference
		when := ""
		if d.When != "" {
			when = ", " + d.When
		}
		what := d.Profile
		if d.BreakGlass {
			what = "breaking glass for " + d.Profile
		}
		say(c.out, "%-8s  %s%s", direction(d.Wider, d.Narrower), what, when)
		say(c.out, "          on   %s\n          for  %s", strings.Join(g.targets, "; "), strings.Join(g.who, "\n               "))
		say(c.out, "          was  %s\n          now  %s\n", withRule(d.Old, d.OldRule), withRule(d.New, d.NewRule))
	}
	for _, what := range comparison.Inexact {
		say(c.out, "%-8s  %s\n          depends on too many groups and schedules to compare everybody; it counts as wider\n", "UNCLEAR", what)
	}
	switch {
	case same:
		say(c.out, "The files are the same.")
	case wider+narrower+len(comparison.Inexact) == 0:
		say(c.out, "Nobody gets more or less than before.")
	default:
		text := fmt.Sprintf("%d wider, %d narrower", wider, narrower)
		if n := len(comparison.Inexact); n > 0 {
			text += fmt.Sprintf(", %d unclear", n)
		}
		say(c.out, "%s, counting each crowd, target and profile.", text)
	}
}

// group is a change that is the same for several people on several targets.
type group struct {
	policy.Difference
	who, targets []string
}

// grouped puts together what reads the same: first the people of one target, then targets with the same people.
func grouped(differences []policy.Difference) []group {
	var byTarget []group
	of := map[policy.Difference]int{}
	for _, d := range differences {
		who := d.Who
		d.Who = ""
		i, ok := of[d]
		if !ok {
			i = len(byTarget)
			of[d] = i
			byTarget = append(byTarget, group{Difference: d, targets: []string{d.Target}})
		}
		byTarget[i].who = append(byTarget[i].who, who)
	}
	type key struct {
		policy.Difference
		who string
	}
	var out []group
	places := map[key]int{}
	for _, g := range byTarget {
		k := key{g.Difference, strings.Join(g.who, "; ")}
		k.Target = ""
		if i, ok := places[k]; ok {
			out[i].targets = append(out[i].targets, g.targets...)
			continue
		}
		places[k] = len(out)
		out = append(out, g)
	}
	return out
}

// withRule names the rule behind an answer.
func withRule(words, rule string) string {
	if rule == "" {
		return words + "  (no rule)"
	}
	return fmt.Sprintf("%s  (rule %q)", words, rule)
}
