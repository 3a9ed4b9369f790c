package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

func TestGrantLivesItsLife(t *testing.T) {
	t.Parallel()
	b := setup(t)
	deadline := noon.Add(30 * time.Minute)
	g := b.active(deadline)
	step := func(what string, change func(grants.Grant) grants.Change) {
		t.Helper()
		before := g
		after, err := b.ChangeGrant(t.Context(), g.ID, func(found grants.Grant) (grants.Change, error) {
			if diff := cmp.Diff(before, found); diff != "" {
				t.Errorf("%s: found another grant than the last change returned:\n%s", what, diff)
			}
			return change(found), nil
		})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		read, err := b.Grant(t.Context(), g.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(after, read); diff != "" {
			t.Errorf("%s: what was returned is not what is read:\n%s", what, diff)
		}
		if after.Version != before.Version+1 {
			t.Errorf("%s: version %d after %d", what, after.Version, before.Version)
		}
		g = after
	}
	step("shown", func(g grants.Grant) grants.Change {
		g.ShownAt = noon.Add(2*time.Second + 123456789*time.Nanosecond) // is cut to microseconds
		return grants.Change{Grant: g}
	})
	step("failed try", func(g grants.Grant) grants.Change {
		g.Attempts, g.LastError = g.Attempts+1, "unreachable: \x00 \xff"
		return grants.Change{Grant: g}
	})
	step("ending", func(g grants.Grant) grants.Change { return end(g, noon.Add(time.Minute), grants.Released) })
	step("alarmed", func(g grants.Grant) grants.Change {
		g.AlarmedAt = noon.Add(2 * time.Minute)
		return grants.Change{Grant: g}
	})
	step("secured", func(g grants.Grant) grants.Change {
		g.State, g.SecuredAt = grants.Cleanup, noon.Add(3*time.Minute)
		g.Receipt = &grants.Receipt{Login: g.Login, OID: g.OID, Target: g.Target, SecuredAt: time.Now(), Nodes: []string{"orders-prod"}}
		return grants.Change{Grant: g}
	})
	step("revoked", func(g grants.Grant) grants.Change {
		g.State, g.EndedAt = grants.Revoked, noon.Add(4*time.Minute)
		g.Receipt.Checks = []grants.Check{{What: "no role with this name", OK: true}}
		return grants.Change{Grant: g}
	})
	c, err := b.Case(t.Context(), g.Request)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&g, c.Grant); diff != "" {
		t.Errorf("the case shows another grant:\n%s", diff)
	}
	if c.Request.Version != 2+g.Version-1 {
		t.Errorf("request at version %d after %d changes of its grant", c.Request.Version, g.Version-1)
	}
}

func TestFiftyAtOnceEachChangeAGrantOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g := b.active(noon.Add(time.Hour))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			_, err := b.ChangeGrant(t.Context(), g.ID, func(g grants.Grant) (grants.Change, error) {
				g.Attempts++
				return grants.Change{Grant: g, Events: []audit.Event{event(audit.GrantFailed, g.Request)}}, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	after, err := b.Grant(t.Context(), g.ID)
	if err != nil {
		t.Fatal(err)
	}
	if after.Attempts != 50 || after.Version != g.Version+50 {
		t.Errorf("%d of 50 changes, version %d after %d", after.Attempts, after.Version, g.Version)
	}
	if n := b.count(`SELECT count(*) FROM audit_events WHERE kind = 'grant.failed'`); n != 50 {
		t.Errorf("%d events of 50 changes", n)
	}
	c, err := b.Case(t.Context(), g.Request)
	if err != nil {
		t.Fatal(err)
	}
	if c.Request.Version != 3+50 {
		t.Errorf("request at version %d", c.Request.Version)
	}
}

func TestRefusedChangeLeavesItsEventsOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g := b.active(noon.Add(time.Hour))
	jobsBefore := b.count(`SELECT count(*) FROM river_job`)
	refusal := &approvals.Refusal{Code: approvals.NotHolder, Words: "no"}
	e := event(audit.GrantEnding, g.Request)
	e.Refused = true
	after, err := b.ChangeGrant(t.Context(), g.ID, func(g grants.Grant) (grants.Change, error) {
		c := end(g, noon, grants.Released)
		c.Events = []audit.Event{e}
		return c, refusal
	})
	if got, ok := errors.AsType[*approvals.Refusal](err); !ok || got != refusal {
		t.Fatalf("got error %v", err)
	}
	if diff := cmp.Diff(g, after); diff != "" {
		t.Errorf("the grant changed:\n%s", diff)
	}
	if n := b.count(`SELECT count(*) FROM audit_events WHERE refused`); n != 1 {
		t.Errorf("%d refused events", n)
	}
	if n := b.count(`SELECT count(*) FROM river_job`); n != jobsBefore {
		t.Errorf("%d jobs of a refused change", n-jobsBefore)
	}
	events := b.count(`SELECT count(*) FROM audit_events`)
	same, err := b.ChangeGrant(t.Context(), g.ID, func(g grants.Grant) (grants.Change, error) {
		return grants.Change{Events: []audit.Event{e}}, grants.ErrNoChange
	})
	if err != nil || same.Version != g.Version {
		t.Errorf("no change: version %d, %v", same.Version, err)
	}
	if n := b.count(`SELECT count(*) FROM audit_events`); n != events {
		t.Error("a change of nothing left an event")
	}
}

func TestNoGrantNoChange(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.Grant(t.Context(), "nobody"); !errors.Is(err, grants.ErrNotFound) {
		t.Errorf("reading: %v", err)
	}
	_, err := b.ChangeGrant(t.Context(), "nobody", func(grants.Grant) (grants.Change, error) {
		t.Error("asked to change what is not there")
		return grants.Change{}, nil
	})
	if !errors.Is(err, grants.ErrNotFound) {
		t.Errorf("changing: %v", err)
	}
}
