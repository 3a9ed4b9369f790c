package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/internal/app"
	"github.com/prodaccess/prodaccess/internal/config"
)

func (c *command) doctor() *cobra.Command {
	var asJSON, noRehearsal bool
	cmd := &cobra.Command{
		Use:   "doctor [TARGET…]",
		Short: "Try everything prodaccess needs, and say how to mend what does not work; exit code 2 when something does not",
		Long: `doctor tries everything prodaccess needs: the configuration, the policy, the store, Slack, PagerDuty and every target, or
those named. It posts nothing in Slack. On each target it rehearses: it makes a throw-away login, logs in with it where people
are told to connect, ends its session, takes it back and looks whether anything is left. It may be run at any time, beside a
running prodaccess.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := c.load()
			if faults, ok := errors.AsType[config.Faults](err); ok {
				if asJSON {
					wrong := make([]app.Diagnosis, len(faults))
					for i, f := range faults {
						wrong[i] = app.Diagnosis{Part: "configuration", What: "the configuration is complete", Wrong: f.String()}
					}
					if err := c.printJSON(wrong); err != nil {
						return err
					}
				} else {
					say(c.out, "%s", c.withHint(faults))
				}
				return findings{len(faults)}
			}
			if err != nil {
				return err
			}
			targets, err := known(cfg, args)
			if err != nil {
				return err
			}
			var all []app.Diagnosis
			wrong := 0
			app.Doctor{Config: cfg, Targets: targets, Rehearse: !noRehearsal, Tell: func(d app.Diagnosis) {
				all = append(all, d)
				if d.Wrong != "" {
					wrong++
				}
				if !asJSON {
					c.diagnosed(d)
				}
			}}.Examine(cmd.Context())
			if asJSON {
				if err := c.printJSON(all); err != nil {
					return err
				}
			}
			if wrong > 0 {
				if !asJSON {
					say(c.out, "\nWrong: %d. Warnings change nothing about the exit code.", wrong)
				}
				return findings{wrong}
			}
			if !asJSON {
				say(c.out, "\nEverything works.")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&noRehearsal, "no-rehearsal", false, "make no login on the targets")
	return cmd
}

func (c *command) diagnosed(d app.Diagnosis) {
	mark := "ok   "
	switch {
	case d.Wrong != "":
		mark = "WRONG"
	case d.Warning:
		mark = "warn "
	}
	say(c.out, "%s %s: %s", mark, d.Part, d.What)
	if d.Wrong != "" {
		say(c.out, "      but: %s", d.Wrong)
	}
	if d.Mend != "" {
		say(c.out, "      mend: %s", d.Mend)
	}
}

// known checks names of targets; none means all of them.
func known(cfg config.Config, names []string) ([]string, error) {
	if err := configured(cfg, names); err != nil || len(names) == 0 {
		return nil, err
	}
	return names, nil
}
