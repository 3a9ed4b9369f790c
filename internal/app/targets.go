package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/mysql"
	"github.com/prodaccess/prodaccess/grants/postgres"
	"github.com/prodaccess/prodaccess/internal/config"
	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/store"
)

// OpenDrivers makes the driver of every configured target. Nothing is connected: a target that is down costs nothing.
func OpenDrivers(cfg config.Config, installation string) (map[string]grants.Driver, error) {
	drivers := map[string]grants.Driver{}
	var errs []error
	for i, t := range cfg.Targets {
		driver, err := openTarget(cfg, i, installation, secret.String{})
		if err != nil {
			errs = append(errs, fmt.Errorf("target %s: %w", t.Name, err))
			continue
		}
		drivers[t.Name] = driver
	}
	if len(errs) > 0 {
		closeDrivers(drivers)
		return nil, errors.Join(errs...)
	}
	return drivers, nil
}

func closeDrivers(drivers map[string]grants.Driver) {
	for _, d := range drivers {
		d.Close()
	}
}

// engine is what a target's driver can do: give out logins, and prepare the target for that.
type engine interface {
	grants.Driver
	Preparer
}

// openTarget makes the driver of a target's engine. The URL as, where it is not empty, is what it prepares with.
func openTarget(cfg config.Config, i int, installation string, as secret.String) (engine, error) {
	const most = 16
	t := cfg.Targets[i]
	node := func(n int) string { return fmt.Sprintf("node %d", n+1) }
	switch t.Engine {
	case "postgres":
		nodes := make([]postgres.Node, 0, len(t.Nodes))
		for n, at := range t.Nodes {
			nodes = append(nodes, postgres.Node{Name: node(n), URL: at.URL})
		}
		return opened(postgres.Open(postgres.Config{
			Target: Targets(cfg)[i], AdminURL: t.AdminURL, PrepareURL: as, Nodes: nodes, Installation: installation, MaxConns: most,
		}))
	case "mysql":
		nodes := make([]mysql.Node, 0, len(t.Nodes))
		for n, at := range t.Nodes {
			nodes = append(nodes, mysql.Node{Name: node(n), URL: at.URL})
		}
		return opened(mysql.Open(mysql.Config{
			Target: Targets(cfg)[i], AdminURL: t.AdminURL, PrepareURL: as, Nodes: nodes, Installation: installation, MaxConns: most,
		}))
	}
	return nil, fmt.Errorf("the engine %q is not known; there are postgres and mysql", t.Engine)
}

// opened keeps a nil driver from becoming an interface that is not nil.
func opened[D engine](driver D, err error) (engine, error) {
	if err != nil {
		return nil, err
	}
	return driver, nil
}

// Preparer prepares a target for the policy's profiles.
type Preparer interface {
	// Plan compares the target with the profiles and lists what is missing. It changes nothing.
	Plan(ctx context.Context, profiles []grants.Profile) (grants.Preparation, error)
	// Apply runs a plan; running it again does nothing.
	Apply(ctx context.Context, prep grants.Preparation) error
	// Check lists everything that differs from the profiles, and reach beyond them.
	Check(ctx context.Context, profiles []grants.Profile) ([]grants.Finding, error)
	Close()
}

// LeastPrivileged is a Preparer of an engine on which prodaccess's own login can do without rights of its own.
type LeastPrivileged interface {
	// PlanLeastPrivilege is Plan, and what leads to that. Once it is applied, Plan and Check go on with it.
	PlanLeastPrivilege(ctx context.Context, profiles []grants.Profile) (grants.Preparation, error)
}

// Plan is p's plan, or that for an administrator without rights of its own.
func Plan(ctx context.Context, p Preparer, profiles []grants.Profile, leastPrivilege bool) (grants.Preparation, error) {
	if !leastPrivilege {
		return p.Plan(ctx, profiles)
	}
	can, ok := p.(LeastPrivileged)
	if !ok {
		return grants.Preparation{}, errors.New("only on PostgreSQL can the administrator act through functions; leave --least-privilege out, or name the targets it is for")
	}
	return can.PlanLeastPrivilege(ctx, profiles)
}

// OpenPreparer makes the driver of one target for plan, apply and check. The URL as, where it is not empty, names a login
// with more rights than prodaccess's own.
//
// It knows its installation by the store. Where that does not answer, it takes every login for another's, and does not register
// the installation with functions that the administrator acts through.
func OpenPreparer(ctx context.Context, cfg config.Config, target string, as secret.String) (Preparer, error) {
	for i, t := range cfg.Targets {
		if t.Name == target {
			return openTarget(cfg, i, installationOf(ctx, cfg, grants.UnknownInstallation), as)
		}
	}
	return nil, fmt.Errorf("no target is called %q", target)
}

// installationOf is the identity that the store gives, or otherwise.
func installationOf(ctx context.Context, cfg config.Config, otherwise string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	st, err := store.Open(ctx, store.Config{URL: cfg.Store.URL, Now: time.Now, Log: zerolog.Nop(), MaxConns: 1})
	if err != nil {
		return otherwise
	}
	defer st.Close()
	id, err := st.Installation(ctx)
	if err != nil {
		return otherwise
	}
	return id
}

// Profiles are a policy's profiles for an engine, in a driver's words.
func Profiles(p *policy.Policy, engine string) []grants.Profile {
	var out []grants.Profile
	for _, profile := range p.Profiles() {
		if len(profile.Engines) > 0 && !slices.Contains(profile.Engines, engine) {
			continue
		}
		g := grants.Profile{
			Name: profile.Name, Version: profile.Version(), Engines: profile.Engines,
			ConnectionLimit: profile.ConnectionLimit, StatementTimeout: profile.StatementTimeout,
			LockTimeout: profile.LockTimeout, IdleInTransactionTimeout: profile.IdleInTransactionTimeout, MemberOf: profile.MemberOf,
			Longest: p.Longest(profile.Name),
		}
		for _, parameter := range profile.Parameters {
			g.Parameters = append(g.Parameters, grants.Parameter{Name: parameter.Name, Type: parameter.Type, Required: parameter.Required})
		}
		for _, what := range profile.Grants {
			g.Privileges = append(g.Privileges, grants.Privilege{
				Schema: what.Schema, Tables: what.Tables, Sequences: what.Sequences, Functions: what.Functions,
				Columns: what.Columns, Privileges: what.Privileges, Rows: what.Rows, Mask: what.Mask,
			})
		}
		out = append(out, g)
	}
	return out
}
