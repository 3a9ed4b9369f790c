package bot

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/outbox"
)

// fakeHomes keeps in memory what the store keeps of Homes.
type fakeHomes struct {
	mu   sync.Mutex
	rows map[string]*fakeHome
	// wanted is told of every round that is asked for, outside the lock.
	wanted func(at time.Time)
	// rounds counts them; waiting is what HomesWanted says.
	rounds  int
	waiting bool
	fail    error
}

type fakeHome struct {
	opened, checked, stale time.Time
	shows                  string
}

func newFakeHomes() *fakeHomes {
	return &fakeHomes{rows: map[string]*fakeHome{}, wanted: func(time.Time) {}}
}

func (f *fakeHomes) HomeOpened(_ context.Context, user string, at, by, _ time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h, ok := f.rows[user]; ok {
		h.opened, h.stale = at, latest(h.stale, by)
		return f.fail
	}
	f.rows[user] = &fakeHome{opened: at, checked: at, stale: by}
	return f.fail
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (f *fakeHomes) HomeShown(_ context.Context, user, shows string, at time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h, ok := f.rows[user]; ok {
		h.shows, h.checked = shows, at
	}
	return f.fail
}

func (f *fakeHomes) HomeChecked(_ context.Context, h outbox.Home, at time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	row := f.rows[h.User]
	if row.checked = at; row.stale.Equal(h.StaleAt) {
		row.stale = time.Time{}
	}
	return f.fail
}

func (f *fakeHomes) StaleHomes(_ context.Context, since, by, checked time.Time, limit int) ([]outbox.Home, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []outbox.Home
	for user, h := range f.rows {
		if !h.stale.IsZero() && !h.stale.After(by) && !h.opened.Before(since) && !h.checked.After(checked) {
			out = append(out, outbox.Home{User: user, Shows: h.shows, StaleAt: h.stale})
		}
	}
	slices.SortFunc(out, func(a, b outbox.Home) int { return f.rows[a.User].checked.Compare(f.rows[b.User].checked) })
	return out[:min(limit, len(out))], f.fail
}

func (f *fakeHomes) WantHomes(_ context.Context, _, by time.Time) error {
	f.mu.Lock()
	for _, h := range f.rows {
		h.stale = latest(h.stale, by)
	}
	f.rounds++
	err := f.fail
	f.mu.Unlock()
	if err == nil {
		f.wanted(by)
	}
	return err
}

func (f *fakeHomes) HomesWanted(context.Context) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waiting, f.fail
}

func (f *fakeService) Operations(context.Context, string) (approvals.Operations, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.operations, f.fail["Operations"]
}

func (f *fakeService) RevokeAgain(ctx context.Context, p approvals.Press, grant string) (grants.Grant, error) {
	if err := f.err("RevokeAgain"); err != nil {
		return grants.Grant{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, g := range f.operations.Overdue {
		if g.ID == grant {
			f.operations.Overdue = slices.Delete(f.operations.Overdue, i, i+1)
			g.State, g.SecuredAt = grants.Cleanup, time.Now()
			return g, nil
		}
	}
	return grants.Grant{}, errors.New("no such grant " + grant)
}

func (f *fakeService) Settle(_ context.Context, _ approvals.Press, grant string) (grants.Grant, error) {
	if err := f.err("Settle"); err != nil {
		return grants.Grant{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.operations.LeftBehind = slices.DeleteFunc(f.operations.LeftBehind, func(g grants.Grant) bool { return g.ID == grant })
	return grants.Grant{ID: grant}, nil
}
