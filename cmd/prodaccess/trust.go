package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/app"
)

// withGrants runs f with the grant service on the configured store and targets, and with the names given, or of all targets.
func (c *command) withGrants(ctx context.Context, names []string, f func(s *grants.Service, targets []string) error) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if err := configured(cfg, names); err != nil {
		return err
	}
	if len(names) == 0 {
		names = targetNames(cfg)
	}
	service, done, err := app.OpenGrants(ctx, cfg)
	if err != nil {
		return err
	}
	defer done()
	return f(service, names)
}

// trust accepts that another cluster is a target from now on.
func (c *command) trust() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "trust TARGET", Short: "Accept that another cluster answers under a target's name", Args: cobra.ExactArgs(1),
		Long: `A target is the cluster that answered under its name when it was first used. When another one does, nobody is given a login
on it until somebody has looked: trust shows which cluster is known and which one answers, and with --yes accepts it. That is
recorded in the audit log.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withGrants(cmd.Context(), args, func(s *grants.Service, _ []string) error {
				target := args[0]
				trusted, answers, err := s.Identity(cmd.Context(), target)
				if err != nil {
					return err
				}
				switch {
				case trusted == answers:
					say(c.out, "%s: the cluster that answers (%s) is the one that is trusted. There is nothing to do.", target, answers)
					return nil
				case trusted == "":
					say(c.out, "%s: no cluster is trusted yet; %s answers.", target, answers)
				default:
					say(c.out, "%s: the cluster %s is trusted, but %s answers.", target, trusted, answers)
				}
				if !yes {
					say(c.out, "Nothing was changed; add --yes to give out logins on %s from now on.", answers)
					return nil
				}
				if err := s.Trust(cmd.Context(), target, trusted, answers, app.Operator(), "cli"); err != nil {
					return err
				}
				say(c.out, "%s: %s is trusted now.", target, answers)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "accept the cluster that answers")
	return cmd
}

// sweep decides on logins that a restored store does not know.
func (c *command) sweep() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "sweep [TARGET…]", Short: "Decide on logins that the store lost when it was restored from a backup",
		Long: `A store that was restored from a backup does not know the logins that were issued since. They may be in use, so the sweep
leaves them alone until their own end comes. sweep lists them; with --yes it locks them out, ends their sessions, drops them
and lets each target remember the store as it is now. That is recorded in the audit log.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withGrants(cmd.Context(), args, func(s *grants.Service, targets []string) error {
				var errs []error
				total := 0
				for _, target := range targets {
					n, err := c.sweepOne(cmd.Context(), s, target, yes)
					if total += n; err != nil {
						errs = append(errs, fmt.Errorf("%s: %w", target, err))
					}
				}
				if err := errors.Join(errs...); err != nil {
					return err
				}
				if total > 0 && !yes {
					say(c.out, "Nothing was changed; add --yes to lock out and drop these %d logins.", total)
					return findings{total}
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "lock out and drop the logins that are listed")
	return cmd
}

func (c *command) sweepOne(ctx context.Context, s *grants.Service, target string, yes bool) (int, error) {
	unknown, err := s.Unknown(ctx, target)
	if err != nil {
		return 0, err
	}
	if len(unknown) == 0 {
		say(c.out, "%s: the store knows every login.", target)
		return 0, nil
	}
	for _, login := range unknown {
		until := "without an end"
		if !login.ValidUntil.IsZero() {
			until = "until " + instant(login.ValidUntil)
		}
		say(c.out, "%s: %s (grant %s, %s)", target, login.Name, login.Stamp.Grant, until)
	}
	if !yes {
		return len(unknown), nil
	}
	if err := s.TakeUnknown(ctx, target, unknown, app.Operator(), "cli"); err != nil {
		return len(unknown), err
	}
	say(c.out, "%s: %d logins were locked out and dropped.", target, len(unknown))
	return len(unknown), nil
}
