package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/policy"
)

func (c *command) policy() *cobra.Command {
	parent := &cobra.Command{Use: "policy", Short: "Check the policy file"}
	var asJSON bool
	check := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say everything that is wrong with a policy file, with line and column",
		Long:  "check needs neither Slack nor a database. Without FILE it checks the one the configuration names.\nExit code 2 means faults; warnings alone are exit code 0.",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := c.policyFile(args)
			if err != nil {
				return err
			}
			source, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("reading the policy: %w", err)
			}
			p, warnings, err := policy.Load(source, file)
			faults, bad := errors.AsType[*policy.LoadError](err)
			if err != nil && !bad {
				return err
			}
			if asJSON {
				out := map[string]any{"file": file, "ok": !bad, "warnings": warnings}
				if bad {
					out["faults"] = faults.Faults
				} else {
					out["hash"] = p.Hash()
				}
				encoder := json.NewEncoder(c.out)
				encoder.SetIndent("", "  ")
				if err := encoder.Encode(out); err != nil {
					return err
				}
			} else if bad {
				say(c.out, "%s", faults)
			}
			if bad {
				return findings{len(faults.Faults)}
			}
			if !asJSON {
				for _, w := range warnings {
					say(c.out, "warning: %s", w)
				}
				say(c.out, "%s is a valid policy with %d profiles and %d warnings. Its hash is %s.", file, len(p.Profiles()), len(warnings), p.Hash())
			}
			return nil
		},
	}
	check.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	parent.AddCommand(check)
	return parent
}

// policyFile is the file named on the command line, or the configuration's.
func (c *command) policyFile(args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	cfg, err := c.load()
	if err != nil {
		return "", fmt.Errorf("no policy file was named, and %w", err)
	}
	return cfg.Policy.File, nil
}
