package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/internal/app"
	"github.com/prodaccess/prodaccess/internal/config"
	"github.com/prodaccess/prodaccess/policy"
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
				say(c.out, "%s", c.withHint(faults))
				return findings{len(faults)}
			}
			if err != nil {
				return err
			}
			// A policy that does not load is for `policy check`.
			if source, err := os.ReadFile(cfg.Policy.File); err == nil {
				if p, _, err := policy.Load(source, cfg.Policy.File); err == nil {
					if deaf := app.DeafPager(cfg, p); deaf != "" {
						say(c.out, "warning: %s", deaf)
					}
				}
			}
			say(c.out, "The configuration is complete: %s, Slack by %s, policy %s.", count(len(cfg.Targets), "target"), cfg.Slack.Mode, cfg.Policy.File)
			return nil
		},
	})
	return parent
}
