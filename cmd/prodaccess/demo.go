package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/internal/demo"
)

func (c *command) demo() *cobra.Command {
	var interactive bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play the whole story on this machine, without Slack",
		Long: `demo starts two Postgres servers, a sandbox that stands in for Slack and PagerDuty, and the bot, and plays the story: asked,
approved, used, cut off at the deadline, proven. It takes about a minute and leaves nothing behind.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("finding this program: %w", err)
			}
			return demo.Run(cmd.Context(), demo.Options{Binary: self, Interactive: interactive, In: c.in, Out: c.out})
		},
	}
	cmd.Flags().BoolVar(&interactive, "interactive", false, "leave everything running and play it yourself")
	return cmd
}
