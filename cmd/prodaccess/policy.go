package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/internal/config"
	"github.com/prodaccess/prodaccess/policy"
)

func (c *command) policy() *cobra.Command {
	parent := &cobra.Command{
		Use:   "policy",
		Short: "Check, test, explain, compare and replay policies",
		Long: `These commands read a policy file and change nothing. All but replay work without Slack, a database and secrets.

A FILE of "-" is the standard input, so that an older version can come from elsewhere:
  git show main:policy.yaml | prodaccess policy diff - policy.yaml`,
	}
	parent.AddCommand(c.policyCheck(), c.policyTest(), c.policyExplain(), c.policyDiff(), c.policyReplay())
	return parent
}

func (c *command) policyCheck() *cobra.Command {
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
			p, warnings, err := c.readPolicy(file)
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
				if err := c.printJSON(out); err != nil {
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
	return check
}

// policyFile is the file named on the command line, or the configuration's.
func (c *command) policyFile(args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	cfg, err := config.LoadOnly(c.configFile, os.Environ(), "policy")
	if err != nil {
		return "", fmt.Errorf("no policy file was named, and %w", err)
	}
	return cfg.Policy.File, nil
}

// readPolicy loads a policy file; "-" is the standard input.
func (c *command) readPolicy(file string) (*policy.Policy, []policy.Warning, error) {
	var source []byte
	var err error
	if file == "-" {
		source, err = io.ReadAll(c.in)
	} else {
		source, err = os.ReadFile(file)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("reading the policy: no such file: %s; name another on the command line or as policy.file in the configuration", file)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading the policy: %w", err)
	}
	return policy.Load(source, file)
}

func (c *command) printJSON(v any) error {
	encoder := json.NewEncoder(c.out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// targetFlags say where the commands that need targets learn about them.
type targetFlags struct{ from string }

func (t *targetFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.from, "targets-from", "", "configuration file that lists the targets; the one of --config if left out")
}

// targets are the configured targets as rules see them; none without a configuration.
func (c *command) policyTargets(t targetFlags) ([]policy.Target, error) {
	file := t.from
	if file == "" {
		file = c.configFile
	}
	if file == "" {
		return nil, nil
	}
	configured, err := config.LoadTargets(file, os.Environ())
	if err != nil {
		return nil, err
	}
	out := make([]policy.Target, 0, len(configured))
	for _, target := range configured {
		out = append(out, policy.Target{Name: target.Name, Engine: target.Engine, Environment: target.Environment})
	}
	return out, nil
}

// count is "1 test" or "3 tests".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%s %ss", thousands(n), noun)
}

// thousands writes a number as people read it: 12,345.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
