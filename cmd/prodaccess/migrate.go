package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/internal/config"
	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/migrations"
)

func (c *command) migrate() *cobra.Command {
	parent := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the store's schema up to date",
		Long: `migrate works with the owner's login (store.migrate_url), which serve never uses. The service's login (store.url) gets
exactly the rights it needs: it can add to the audit log and read it, and cannot change or delete what is there.`,
	}
	up := &cobra.Command{
		Use: "up", Short: "Apply every migration that is missing, and give the service its rights", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			owner, service, err := c.logins()
			if err != nil {
				return err
			}
			return migrations.Up(cmd.Context(), owner, service, func(line string) { say(c.out, "%s", line) })
		},
	}
	var to int64
	var yes bool
	down := &cobra.Command{
		Use: "down --to VERSION", Short: "Take migrations back; what they held is lost", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			owner, _, err := c.logins()
			if err != nil {
				return err
			}
			applied, err := migrations.Status(cmd.Context(), owner)
			if err != nil {
				return err
			}
			back, err := takenBack(applied, to)
			if err != nil {
				return err
			}
			if !yes {
				for _, m := range back {
					say(c.out, "would take back %s", m.Name)
				}
				say(c.out, "What these made is lost with what it holds. Nothing was done; add --yes to do it.")
				return nil
			}
			return migrations.Down(cmd.Context(), owner, to, func(line string) { say(c.out, "%s", line) })
		},
	}
	down.Flags().Int64Var(&to, "to", 0, "the version to go back to; 0 empties the database")
	down.Flags().BoolVar(&yes, "yes", false, "do it")
	_ = down.MarkFlagRequired("to")
	status := &cobra.Command{
		Use: "status", Short: "List migrations and when they were applied", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			owner, _, err := c.logins()
			if err != nil {
				return err
			}
			applied, err := migrations.Status(cmd.Context(), owner)
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
			missing := 0
			for _, m := range applied {
				when := "missing"
				if m.At.IsZero() {
					missing++
				} else {
					when = m.At.UTC().Format(time.RFC3339)
				}
				fmt.Fprintf(table, "%d\t%s\t%s\n", m.Version, m.Name, when)
			}
			if err := table.Flush(); err != nil {
				return err
			}
			if missing > 0 {
				return findings{missing}
			}
			return nil
		},
	}
	parent.AddCommand(up, down, status)
	return parent
}

// takenBack are the migrations that going back to a version undoes, the newest first. Where there is none the version is a slip.
func takenBack(applied []migrations.Applied, to int64) (back []migrations.Applied, err error) {
	at := int64(0)
	for _, m := range applied {
		if m.At.IsZero() {
			continue
		}
		at = max(at, m.Version)
		if m.Version > to {
			back = append([]migrations.Applied{m}, back...)
		}
	}
	switch {
	case to < 0:
		return nil, fmt.Errorf("--to %d is no version; 0 empties the database", to)
	case at == 0:
		return nil, errors.New("the database is empty: there is nothing to take back")
	case len(back) == 0:
		return nil, fmt.Errorf("the schema is at version %d: going down to %d takes nothing back", at, to)
	}
	return back, nil
}

// logins are the owner's URL and the name of the service's login. Both are needed: a service that owned its tables could
// rewrite its audit log.
func (c *command) logins() (owner secret.String, service string, err error) {
	cfg, err := config.LoadOnly(c.configFile, os.Environ(), "store")
	if err != nil {
		return secret.String{}, "", err
	}
	u, err := url.Parse(cfg.Store.URL.Reveal())
	if err != nil || u.User == nil || u.User.Username() == "" {
		return secret.String{}, "", errors.New("store.url names no login; write it as postgres://LOGIN:PASSWORD@HOST/DATABASE")
	}
	if cfg.Store.MigrateURL.Empty() {
		return secret.String{}, "", errors.New("store.migrate_url is missing: migrate needs the login that owns the tables, " +
			"which must not be the service's own; see docs/operating.md, \"Two logins\"")
	}
	return cfg.Store.MigrateURL, u.User.Username(), nil
}
