package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/app"
	"github.com/prodaccess/prodaccess/internal/config"
	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/policy"
)

func (c *command) targets() *cobra.Command {
	parent := &cobra.Command{
		Use:   "targets",
		Short: "Prepare databases for the policy's profiles, and find drift",
		Long: `A target is prepared once: one access role for each profile, a quarantine role, and no access for PUBLIC.

plan prints the SQL that is missing, for a DBA to read or to pipe into psql, mariadb or mysql; apply runs it; check finds what
differs. All three may be run at any time. Steps that need more rights than prodaccess's own login has are run with
--as-file FILE, which holds the URL of somebody who has them, or by hand:

  postgres://dba:PASSWORD@HOST/DATABASE?sslmode=verify-full    PostgreSQL
  mysql://root:PASSWORD@HOST:3306/?tls=true                    MySQL and MariaDB

On MySQL and MariaDB plan needs that URL the first time: it makes prodaccess's own login too, locked and without a password.`,
	}
	var as, asFile string
	parent.PersistentFlags().StringVar(&as, "as", "", "connect with this URL instead of the target's admin_url (postgres://… or mysql://…)")
	parent.PersistentFlags().StringVar(&asFile, "as-file", "", "read that URL from a file, which keeps its password off the command line")
	url := func() (secret.String, error) {
		if asFile == "" {
			// A variable that is not set would otherwise quietly mean admin_url.
			if parent.PersistentFlags().Changed("as") && as == "" {
				return secret.String{}, errors.New("--as is empty; give it a URL, or leave it out to connect with admin_url")
			}
			return secret.New(as), nil
		}
		text, err := os.ReadFile(asFile)
		if err != nil {
			return secret.String{}, fmt.Errorf("reading --as-file: %w", err)
		}
		return secret.New(trim(string(text))), nil
	}
	var least bool
	leastPrivilege := func(cmd *cobra.Command) {
		cmd.Flags().BoolVar(&least, "least-privilege", false, "let the administrator act through functions, with no rights of its own (PostgreSQL); once that is applied, it stays so without the flag")
	}
	plan := &cobra.Command{
		Use: "plan [TARGET…]", Short: "Print the SQL that is missing",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.eachTarget(cmd.Context(), args, url, func(ctx context.Context, p app.Preparer, target string, profiles []grants.Profile) error {
				prep, err := app.Plan(ctx, p, profiles, least)
				if err != nil {
					return err
				}
				c.printPlan(prep)
				return nil
			})
		},
	}
	var yes bool
	apply := &cobra.Command{
		Use: "apply [TARGET…]", Short: "Run the SQL that is missing, in one transaction for each database",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.eachTarget(cmd.Context(), args, url, func(ctx context.Context, p app.Preparer, target string, profiles []grants.Profile) error {
				prep, err := app.Plan(ctx, p, profiles, least)
				if err != nil {
					return err
				}
				// A problem stands in the way of one profile, not of the others: it is said whatever becomes of those.
				for _, problem := range prep.Problems {
					if yes { // a plan that is only printed has them
						say(c.out, "%s: PROBLEM: %s", target, problem)
					}
				}
				switch {
				case !yes:
					c.printPlan(prep)
					say(c.out, "-- %s: nothing was applied; add --yes to run these %d statements.", target, len(prep.Steps))
				case len(prep.Steps) == 0:
					say(c.out, "%s: nothing is missing.", target)
				default:
					if err := p.Apply(ctx, prep); err != nil {
						return err
					}
					say(c.out, "%s: %d statements applied.", target, len(prep.Steps))
				}
				if len(prep.Problems) > 0 {
					return findings{len(prep.Problems)}
				}
				return nil
			})
		},
	}
	leastPrivilege(plan)
	leastPrivilege(apply)
	apply.Flags().BoolVar(&yes, "yes", false, "run the statements")
	var asJSON bool
	check := &cobra.Command{
		Use: "check [TARGET…]", Short: "Find what differs from the policy; exit code 2 when something does",
		RunE: func(cmd *cobra.Command, args []string) error {
			all := map[string][]grants.Finding{}
			total := 0
			err := c.eachTarget(cmd.Context(), args, url, func(ctx context.Context, p app.Preparer, target string, profiles []grants.Profile) error {
				found, err := p.Check(ctx, profiles)
				if err != nil {
					return err
				}
				drift := 0
				for _, f := range found {
					if !f.Advice {
						drift++
					}
				}
				all[target], total = found, total+drift
				if asJSON {
					return nil
				}
				if drift == 0 {
					say(c.out, "%s: as the policy wants it.", target)
				}
				for _, f := range found {
					kind := ""
					if f.Advice {
						kind = "advice: "
					}
					say(c.out, "%s: %s%s%s", target, kind, in(f.Database), f.What)
					if f.Mend != "" {
						say(c.out, "    mend: %s", f.Mend)
					}
				}
				return nil
			})
			if asJSON {
				encoder := json.NewEncoder(c.out)
				encoder.SetIndent("", "  ")
				err = errors.Join(err, encoder.Encode(all))
			}
			if err == nil && total > 0 {
				return findings{total}
			}
			return err
		},
	}
	check.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	parent.AddCommand(plan, apply, check, c.inventory(), c.trust(), c.sweep())
	return parent
}

// eachTarget runs f on every configured target, or on those named, and goes on after a failure.
func (c *command) eachTarget(ctx context.Context, names []string, as func() (secret.String, error),
	f func(context.Context, app.Preparer, string, []grants.Profile) error,
) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	url, err := as()
	if err != nil {
		return err
	}
	p, _, err := c.readPolicy(cfg.Policy.File)
	if err != nil {
		return err
	}
	if err := configured(cfg, names); err != nil {
		return err
	}
	chosen := slices.DeleteFunc(slices.Clone(cfg.Targets), func(t config.Target) bool { return len(names) > 0 && !slices.Contains(names, t.Name) })
	if err := ofOne(chosen, url); err != nil {
		return err
	}
	var errs []error
	for _, target := range chosen {
		preparer, err := app.OpenPreparer(ctx, cfg, target.Name, url)
		if err == nil {
			err = f(ctx, preparer, target.Name, app.Profiles(p, target.Engine))
			preparer.Close()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", target.Name, err))
		}
	}
	return errors.Join(errs...)
}

// ofOne refuses a URL that is given instead of admin_url where it is not plain whose it is: it leads to one server, and the plan
// of another target would be made, applied and found as it should be there.
func ofOne(chosen []config.Target, url secret.String) error {
	if url.Empty() || len(chosen) == 0 {
		return nil
	}
	if len(chosen) > 1 {
		return fmt.Errorf("--as leads to one server, and this is about %d targets: name the one that it belongs to (%s …)", len(chosen), chosen[0].Name)
	}
	if err := chosen[0].CheckURL(url); err != nil {
		return fmt.Errorf("the URL of --as %w", err)
	}
	return nil
}

// configured refuses names that no target has.
func configured(cfg config.Config, names []string) error {
	known := targetNames(cfg)
	for _, name := range names {
		if !slices.Contains(known, name) {
			if near, ok := policy.Nearest(name, known); ok {
				return fmt.Errorf("no target is called %q; did you mean %q?", name, near)
			}
			return fmt.Errorf("no target is called %q; the configuration has %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

func targetNames(cfg config.Config) []string {
	names := make([]string, 0, len(cfg.Targets))
	for _, t := range cfg.Targets {
		names = append(names, t.Name)
	}
	return names
}

// printPlan prints SQL that psql understands, each database's statements after a \connect; or, where statements belong to
// no database, the programs mysql and mariadb.
func (c *command) printPlan(prep grants.Preparation) {
	say(c.out, "-- %s: %d statements", prep.Target, len(prep.Steps))
	for _, problem := range prep.Problems {
		say(c.out, "-- PROBLEM: %s", problem)
	}
	database := ""
	for _, step := range prep.Steps {
		if step.Database != database {
			if database != "" {
				say(c.out, "COMMIT;")
			}
			database = step.Database
			// In one transaction nothing is half done, and nobody sees more for a moment. The names in conditions and masks
			// mean what they meant when the plan was made, whatever this session's own search_path is.
			say(c.out, "\\connect %s\nBEGIN;\nSET LOCAL search_path = pg_catalog, pg_temp;", psqlName(database))
		}
		if step.Database == "" && strings.Contains(step.SQL, ";") {
			say(c.out, "-- %s\nDELIMITER //\n%s//\nDELIMITER ;", step.Why, step.SQL)
			continue
		}
		say(c.out, "-- %s\n%s;", step.Why, step.SQL)
	}
	if database != "" {
		say(c.out, "COMMIT;")
	}
}

// psqlName quotes a database's name for psql's \connect.
func psqlName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func in(database string) string {
	if database == "" {
		return ""
	}
	return "in database " + database + ": "
}
