package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/app"
	"github.com/prodaccess/prodaccess/store"
)

// listed is a standing login as --json prints it.
type listed struct {
	Target     string       `json:"target"`
	Login      string       `json:"login"`
	Power      grants.Power `json:"power"`
	Why        []string     `json:"why"`
	Sessions   int          `json:"sessions"`
	ValidUntil time.Time    `json:"valid_until,omitzero"`
	// Since is when prodaccess first saw it, LastSeen when it last saw a session of it; absent while that is not known.
	Since    time.Time `json:"since,omitzero"`
	LastSeen time.Time `json:"last_seen,omitzero"`
}

func (c *command) inventory() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inventory [TARGET…]",
		Short: "List every login that reaches data and no grant explains",
		Long: `inventory lists the logins that reach data and that prodaccess did not give out: superusers, owners, members, whoever has
a privilege on a table, with why, and when prodaccess last saw a session of theirs. It changes nothing.

A running prodaccess looks every ten minutes and says in the daily digest how many there are and what changed.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			names, err := known(cfg, args)
			if err != nil {
				return err
			}
			if names == nil {
				for _, t := range cfg.Targets {
					names = append(names, t.Name)
				}
			}
			all := []listed{}
			var errs []error
			for _, target := range names {
				found, remembered, why, err := app.Inventory(cmd.Context(), cfg, target)
				if err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", target, err))
					continue
				}
				if why != nil {
					say(c.err, "%s: when logins were last seen is not known: %s", target, why)
				}
				if !asJSON {
					say(c.out, "%s: %s that no grant explains", target, count(len(found), "login"))
				}
				for _, s := range found {
					l := list(target, s, remembered[s.Login])
					all = append(all, l)
					if !asJSON {
						c.inventoried(l)
					}
				}
			}
			if asJSON {
				encoder := json.NewEncoder(c.out)
				encoder.SetIndent("", "  ")
				errs = append(errs, encoder.Encode(all))
			}
			return errors.Join(errs...)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func list(target string, s grants.Standing, k store.Known) listed {
	l := listed{
		Target: target, Login: s.Login, Power: s.Power, Why: s.Why, Sessions: s.Sessions, ValidUntil: s.ValidUntil, Since: k.Since, LastSeen: k.Connected,
	}
	if s.Sessions > 0 {
		l.LastSeen = time.Now().UTC().Truncate(time.Second)
	}
	return l
}

func (c *command) inventoried(l listed) {
	seen := "never seen connected"
	switch {
	case l.Sessions > 0:
		seen = count(l.Sessions, "session") + " now"
	case !l.LastSeen.IsZero():
		seen = "last seen " + l.LastSeen.Format(time.RFC3339)
	}
	if !l.ValidUntil.IsZero() {
		seen += ", password accepted until " + l.ValidUntil.Format(time.RFC3339)
	}
	say(c.out, "  %-13s  %-24s  %s", l.Power, l.Login, seen)
	say(c.out, "                 %s", strings.Join(l.Why, "; "))
}
