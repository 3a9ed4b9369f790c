package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

// moved changes a grant to what a test wants to find.
func (b *bundle) moved(g grants.Grant, change func(*grants.Grant)) grants.Grant {
	b.t.Helper()
	after, err := b.ChangeGrant(b.t.Context(), g.ID, func(g grants.Grant) (grants.Change, error) {
		change(&g)
		return grants.Change{Grant: g}, nil
	})
	b.must(err)
	return after
}

func ids(list []grants.Grant) []string {
	var out []string
	for _, g := range list {
		out = append(out, g.ID)
	}
	return out
}

func TestUnendedGrants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := noon.Add(2 * time.Hour)
	ending := func(deadline time.Time) grants.Grant {
		return b.moved(b.active(deadline), func(g *grants.Grant) { *g = end(*g, deadline, grants.Expired).Grant })
	}
	secured := func(attempts int) grants.Grant {
		return b.moved(ending(noon.Add(time.Minute)), func(g *grants.Grant) {
			g.State, g.SecuredAt, g.Attempts = grants.Cleanup, noon.Add(2*time.Minute), 0
			g.Attempts = attempts
		})
	}
	b.active(now.Add(time.Hour))
	late, later := ending(noon.Add(30*time.Minute)), ending(noon.Add(20*time.Minute))
	ending(now.Add(-10 * time.Second)) // a moment ago
	alarmed := b.moved(ending(now.Add(-20*time.Second)), func(g *grants.Grant) { g.AlarmedAt = now.Add(-time.Second) })
	secured(0)
	stuck := secured(3)
	overdue, failing, err := b.Unended(t.Context(), now, now.Add(-time.Minute))
	b.must(err)
	if want := []string{later.ID, late.ID, alarmed.ID}; !slices.Equal(ids(overdue), want) {
		t.Errorf("overdue are %v, want %v", ids(overdue), want)
	}
	if want := []string{stuck.ID}; !slices.Equal(ids(failing), want) {
		t.Errorf("stuck are %v, want %v", ids(failing), want)
	}
}

func TestLeftBehind(t *testing.T) {
	t.Parallel()
	b := setup(t)
	over := func(at time.Time, left ...grants.Leftover) grants.Grant {
		g := b.moved(b.active(noon.Add(time.Minute)), func(g *grants.Grant) { *g = end(*g, noon.Add(time.Minute), grants.Expired).Grant })
		g = b.moved(g, func(g *grants.Grant) { g.State, g.SecuredAt = grants.Cleanup, at })
		return b.moved(g, func(g *grants.Grant) {
			g.State, g.EndedAt = grants.Revoked, at
			g.Receipt = &grants.Receipt{Login: g.Login, Target: g.Target, VerifiedAt: at, Leftovers: left}
		})
	}
	table := grants.Leftover{Database: "orders", What: "table public.scratch", Owner: "pa_quarantine"}
	over(noon.Add(2 * time.Minute))
	first, second, third := over(noon.Add(3*time.Minute), table), over(noon.Add(4*time.Minute), table, table), over(noon.Add(5*time.Minute), table)
	look := func(limit int, want []string, wantMore int) {
		t.Helper()
		found, more, err := b.LeftBehind(t.Context(), limit)
		b.must(err)
		if !slices.Equal(ids(found), want) || more != wantMore {
			t.Errorf("left behind by %v and %d more, want %v and %d", ids(found), more, want, wantMore)
		}
	}
	look(10, []string{third.ID, second.ID, first.ID}, 0)
	look(2, []string{third.ID, second.ID}, 1)
	settled := audit.Event{At: noon, Kind: audit.LeftoversSettled, Actor: audit.Actor{Kind: "person", ID: bo.ID}, Request: second.Request, Grant: second.ID}
	refused := settled
	refused.Grant, refused.Refused = third.ID, true
	b.must(b.Record(t.Context(), []audit.Event{settled, refused}, nil))
	look(10, []string{third.ID, first.ID}, 0)
}
