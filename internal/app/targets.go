package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/postgres"
	"github.com/prodaccess/prodaccess/internal/config"
	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/policy"
)

// OpenDrivers makes the driver of every configured target. Nothing is connected: a target that is down costs nothing.
func OpenDrivers(cfg config.Config, installation string) (map[string]grants.Driver, error) {
	drivers := map[string]grants.Driver{}
	var errs []error
	for i, t := range cfg.Targets {
		driver, err := openPostgres(cfg, i, installation, secret.String{})
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

func openPostgres(cfg config.Config, i int, installation string, as secret.String) (*postgres.Driver, error) {
	t := cfg.Targets[i]
	if t.Engine != "postgres" {
		return nil, fmt.Errorf("the engine %q is not supported yet; only postgres is", t.Engine)
	}
	nodes := make([]postgres.Node, 0, len(t.Nodes))
	for n, node := range t.Nodes {
		nodes = append(nodes, postgres.Node{Name: fmt.Sprintf("node %d", n+1), URL: node.URL})
	}
	return postgres.Open(postgres.Config{
		Target: Targets(cfg)[i], AdminURL: t.AdminURL, PrepareURL: as, Nodes: nodes, Installation: installation, MaxConns: 16,
	})
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

// OpenPreparer makes the driver of one target for plan, apply and check. The URL as, where it is not empty, names a login
// with more rights than prodaccess's own.
func OpenPreparer(cfg config.Config, target string, as secret.String) (Preparer, error) {
	for i, t := range cfg.Targets {
		if t.Name == target {
			return openPostgres(cfg, i, "preparation", as)
		}
	}
	return nil, fmt.Errorf("no target is called %q", target)
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
