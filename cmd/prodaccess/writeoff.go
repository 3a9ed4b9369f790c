package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/app"
)

// writeOff ends a grant whose cluster is gone for good.
func (c *command) writeOff() *cobra.Command {
	var yes bool
	var reason string
	cmd := &cobra.Command{
		Use: "write-off GRANT", Short: "End a grant whose cluster is gone for good, without proof", Args: cobra.ExactArgs(1),
		Long: `A revocation is tried for ever. When the cluster that a grant was issued on will never answer again, because its target left
the configuration or another cluster has taken its place, write-off ends the grant. Nothing is verified: the receipt and the
audit log say so, with the reason and with who decided. Should the cluster come back, the sweep finds its login.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return errors.New("say why with --reason; it is recorded and shown on the receipt")
			}
			return c.withGrants(cmd.Context(), nil, func(s *grants.Service, _ []string) error {
				g, err := s.Grant(cmd.Context(), args[0])
				switch {
				case errors.Is(err, grants.ErrNotFound):
					return fmt.Errorf("no grant is called %q; prodaccess grants list names those that are not over", args[0])
				case err != nil:
					return err
				case g.Live():
					return fmt.Errorf("grant %s is %s until %s; only what should be over and cannot be taken back is written off", g.ID, g.State, instant(g.Deadline))
				case g.State == grants.Revoked:
					return fmt.Errorf("grant %s is over since %s; there is nothing to write off", g.ID, instant(g.EndedAt))
				}
				why, err := s.Vanished(cmd.Context(), g)
				if err != nil {
					return err
				}
				say(c.out, "%s: login %s on %s, %s, due %s: %s.", g.ID, g.Login, g.Target, g.State, instant(g.End()), why)
				if !yes {
					say(c.out, "Nothing was changed; add --yes to write it off.")
					return nil
				}
				if g, err = s.WriteOff(cmd.Context(), g.ID, app.Operator(), "cli", reason); err != nil {
					return err
				}
				say(c.out, "%s: %s.", g.ID, g.Receipt.WrittenOff)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "write it off")
	cmd.Flags().StringVar(&reason, "reason", "", "why; recorded, and shown on the receipt")
	return cmd
}

// instant is a time as these commands print it.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
