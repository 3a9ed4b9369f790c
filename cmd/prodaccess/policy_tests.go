package main

import (
	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/policy"
)

func (c *command) policyTest() *cobra.Command {
	var asJSON bool
	var targets targetFlags
	cmd := &cobra.Command{
		Use:   "test [FILE]",
		Short: "Run the policy file's own tests",
		Long: `test runs what stands under "tests" in the policy file. Without FILE it takes the one the configuration names.
Targets that a test names have the engine and environment of the configuration, if there is one.
Exit code 2 means that a test failed.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := c.policyFile(args)
			if err != nil {
				return err
			}
			known, err := c.policyTargets(targets)
			if err != nil {
				return err
			}
			p, _, err := c.readPolicy(file)
			if err != nil {
				return err
			}
			results, failed := p.Test(known...), 0
			for _, result := range results {
				if !result.OK {
					failed++
				}
			}
			if asJSON {
				err = c.printJSON(map[string]any{"file": file, "hash": p.Hash(), "ok": failed == 0, "failed": failed, "tests": results})
			} else {
				c.printTests(file, results, failed)
			}
			if err == nil && failed > 0 {
				return findings{failed}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, every decision with its steps")
	targets.add(cmd)
	return cmd
}

// printTests prints failing tests as a diff: - is what the file expects, + is what is so.
func (c *command) printTests(file string, results []policy.TestResult, failed int) {
	for _, result := range results {
		if result.OK {
			say(c.out, "ok    %s", result.Name)
			continue
		}
		say(c.out, "FAIL  %s (%s)", result.Name, result.Position)
		for _, m := range result.Differences {
			if m.What == "" {
				say(c.out, "      ! %s", m.Got)
				continue
			}
			say(c.out, "      - %s: %s\n      + %s: %s", m.What, m.Expected, m.What, m.Got)
			if m.Why != "" {
				say(c.out, "        %s", m.Why)
			}
		}
	}
	switch {
	case len(results) == 0:
		say(c.out, "%s has no tests. Write some under \"tests\": each says who asks for what, and what the answer must be.", file)
	case failed == 0:
		say(c.out, "\n%s passed.", count(len(results), "test"))
	default:
		say(c.out, "\n%d of %s failed. Lines with - are what the file expects, lines with + are what it does.", failed, count(len(results), "test"))
	}
}
