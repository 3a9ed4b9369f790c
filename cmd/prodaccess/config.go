package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/internal/config"
)

func (c *command) config() *cobra.Command {
	parent := &cobra.Command{Use: "config", Short: "Look at the configuration"}
	parent.AddCommand(&cobra.Command{
		Use:   "check",
		Short: "Say everything that is wrong with the configuration, and how to mend it",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := c.load()
			if faults, ok := errors.AsType[config.Faults](err); ok {
				say(c.out, "%s", faults)
				return findings{len(faults)}
			}
			if err != nil {
				return err
			}
			say(c.out, "The configuration is complete: %d targets, Slack by %s, policy %s.", len(cfg.Targets), cfg.Slack.Mode, cfg.Policy.File)
			return nil
		},
	})
	return parent
}
