package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/policy"
)

// lookAtPolicy is how often the policy file is read again. Reading it is the one way that sees every kind of change: an
// editor that writes in place or renames, and Kubernetes, which swaps a symbolic link two directories up.
const lookAtPolicy = time.Second

// policyFile holds the policy in force.
type policyFile struct {
	path    string
	current atomic.Pointer[policy.Policy]
	// reload is held while a file that was read is put in force or rejected.
	reload sync.Mutex
}

// openPolicy loads the policy for the first time; without one nothing can be decided.
func openPolicy(path string) (*policyFile, []policy.Warning, error) {
	f := &policyFile{path: path}
	look := f.look()
	if look.err != nil {
		return nil, nil, look.err
	}
	p, warnings, err := policy.Load(look.source, path)
	if err != nil {
		return nil, nil, err
	}
	f.current.Store(p)
	return f, warnings, nil
}

// get returns the policy in force.
func (f *policyFile) get() *policy.Policy { return f.current.Load() }

// look is one reading of the file.
type look struct {
	source []byte
	// hash stands for what was read, or for why nothing was.
	hash string
	err  error
}

func (f *policyFile) look() look {
	source, err := os.ReadFile(f.path)
	if err != nil {
		err = fmt.Errorf("reading the policy: %w; policy.file names it", err)
		return look{err: err, hash: digestOf([]byte(err.Error()))}
	}
	return look{source: source, hash: digestOf(source)}
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// watcher decides, look by look, when a file is to be tried.
type watcher struct{ last, settled string }

// changed says whether a look shows something new that has stopped changing: two looks in a row that saw the same. An
// editor that is half way through writing must neither be rejected nor, worse, be put in force.
func (w *watcher) changed(hash string) bool {
	steady := hash == w.last
	w.last = hash
	return steady && hash != w.settled
}

// done says that what was seen needs no more attention.
func (w *watcher) done(hash string) { w.settled = hash }

// watchPolicy puts a changed policy file in force, or says that it cannot, until the app stops.
func (a *App) watchPolicy() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w := watcher{settled: a.policy.get().Hash()}
		for {
			wait(ctx, lookAtPolicy)
			if ctx.Err() != nil {
				return
			}
			seen := a.policy.look()
			if !w.changed(seen.hash) {
				continue
			}
			// What could not be written down is tried again at the next look.
			if err := a.usePolicy(ctx, seen); err == nil || errors.As(err, new(*rejected)) {
				w.done(seen.hash)
			}
		}
	}()
	a.lifecycle.onStop("policy file", func(context.Context) error { cancel(); <-done; return nil })
}

// rejected means that a file cannot be used and that this is on record.
type rejected struct{ why string }

// Error implements error.
func (r *rejected) Error() string {
	return "the policy file does not load, the one before stays in force: " + r.why
}

// ReloadPolicy reads the policy file at once. A file that does not load leaves the old policy in force; that is an audit
// event and is said in the security channel, once for all replicas.
func (a *App) ReloadPolicy(ctx context.Context) error { return a.usePolicy(ctx, a.policy.look()) }

// usePolicy puts what was read in force. An error says why the old policy stays; it is a *rejected when the file is at fault.
func (a *App) usePolicy(ctx context.Context, seen look) (err error) {
	a.policy.reload.Lock()
	defer a.policy.reload.Unlock()
	defer func() {
		if ctx.Err() == nil {
			a.health.set("policy file", err)
		}
	}()
	inForce := a.policy.get().Hash()
	if seen.err == nil && seen.hash == inForce {
		return nil
	}
	p, warnings, err := a.loadLook(seen)
	if err != nil {
		return a.rejectPolicy(ctx, seen.hash, inForce, err)
	}
	if err := a.keepPolicy(ctx, p); err != nil {
		return err
	}
	a.policy.current.Store(p)
	a.sayPolicy(p, warnings)
	return nil
}

func (a *App) loadLook(seen look) (*policy.Policy, []policy.Warning, error) {
	if seen.err != nil {
		return nil, nil, seen.err
	}
	return policy.Load(seen.source, a.policy.path)
}

func (a *App) rejectPolicy(ctx context.Context, hash, inForce string, why error) error {
	reason, faults := firstFault(why)
	_, err := a.store.RecordRejection(ctx, audit.Event{
		At: a.now(), Kind: audit.PolicyRejected, Actor: audit.System("app"), Source: "app", Policy: inForce, Reason: reason,
		Detail: map[string]string{"rejected": hash, "faults": strconv.Itoa(faults)},
	}, []jobs.Job{{Kind: jobs.Finding}})
	if err != nil {
		return errors.Join(why, err)
	}
	a.log.Error().Err(why).Msg("the policy does not load; the old one stays in force")
	return &rejected{reason}
}

// firstFault is the first thing wrong with a file, on one line, and how many there are.
func firstFault(err error) (string, int) {
	bad, ok := errors.AsType[*policy.LoadError](err)
	if !ok || len(bad.Faults) == 0 {
		return err.Error(), 1
	}
	at := bad.Faults[0].Position
	at.File = filepath.Base(at.File)
	return at.String() + ": " + bad.Faults[0].Text, len(bad.Faults)
}

func (a *App) sayPolicy(p *policy.Policy, warnings []policy.Warning) {
	var targets []policy.Target
	for _, t := range a.cfg.Targets {
		targets = append(targets, policy.Target{Name: t.Name, Engine: t.Engine, Environment: t.Environment})
	}
	warnings = append(warnings, p.CheckTargets(targets)...)
	a.log.Info().Str("policy", p.Hash()).Int("warnings", len(warnings)).Msg("policy in force")
	for _, w := range warnings {
		a.log.Warn().Str("file", a.policy.path).Msg(w.String())
	}
	if deaf := DeafPager(a.cfg, p); deaf != "" {
		a.log.Warn().Msg(deaf)
	}
}
