package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/internal/demo"
)

func (c *command) demo() *cobra.Command {
	var page, play, interactive, noBrowser bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Try everything on this machine, without Slack",
		Long: `demo starts two Postgres servers, a sandbox that stands in for Slack and PagerDuty, and the bot.

On a terminal it then serves a page that looks and works like a small Slack, with a tour, until you interrupt it. Elsewhere
it plays the story to its end and prints it: asked, approved, used, cut off at the deadline, proven, in about a minute.
It leaves nothing behind.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if page && play || page && interactive || play && interactive {
				return errors.New("choose one of --page, --play and --interactive")
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("finding this program: %w", err)
			}
			opts := demo.Options{Binary: self, Browser: !noBrowser, In: c.in, Out: c.out}
			switch {
			case interactive:
				opts.Mode = demo.Interactive
			case page, !play && terminal(c.in) && terminal(c.out):
				opts.Mode = demo.Serve
			}
			return demo.Run(cmd.Context(), opts)
		},
	}
	cmd.Flags().BoolVar(&page, "page", false, "serve the page, on a terminal or not")
	cmd.Flags().BoolVar(&play, "play", false, "play the story in the terminal")
	cmd.Flags().BoolVar(&interactive, "interactive", false, "type in the terminal what each person does")
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "do not open a browser")
	return cmd
}

// terminal reports whether a person sits at a stream.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
