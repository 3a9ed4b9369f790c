package app

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/prodaccess/prodaccess/policy"
)

// policyFile holds the policy in force.
type policyFile struct {
	path    string
	current atomic.Pointer[policy.Policy]
}

// openPolicy loads the policy for the first time; without one nothing can be decided.
func openPolicy(path string) (*policyFile, []policy.Warning, error) {
	f := &policyFile{path: path}
	p, warnings, err := f.read()
	if err != nil {
		return nil, nil, err
	}
	f.current.Store(p)
	return f, warnings, nil
}

func (f *policyFile) read() (*policy.Policy, []policy.Warning, error) {
	source, err := os.ReadFile(f.path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the policy: %w; policy.file names it", err)
	}
	return policy.Load(source, f.path)
}

// get returns the policy in force.
func (f *policyFile) get() *policy.Policy { return f.current.Load() }

// ReloadPolicy reads the policy file again. A file that does not load leaves the old policy in force.
func (a *App) ReloadPolicy(ctx context.Context) error {
	p, warnings, err := a.policy.read()
	if err != nil {
		a.log.Error().Err(err).Msg("the policy does not load; the old one stays in force")
		return err
	}
	if p.Hash() == a.policy.get().Hash() {
		return nil
	}
	if err := a.keepPolicy(ctx, p); err != nil {
		return err
	}
	a.policy.current.Store(p)
	a.sayPolicy(p, warnings)
	return nil
}

func (a *App) sayPolicy(p *policy.Policy, warnings []policy.Warning) {
	a.log.Info().Str("policy", p.Hash()).Int("warnings", len(warnings)).Msg("policy in force")
	for _, w := range warnings {
		a.log.Warn().Str("file", a.policy.path).Msg(w.String())
	}
}
