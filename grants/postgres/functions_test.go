package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/grantstest"
	"github.com/prodaccess/prodaccess/internal/localpg"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// Everything a driver promises, with an administrator that has neither CREATEROLE nor pg_signal_backend.
func TestConformanceWithLeastPrivilege(t *testing.T) {
	t.Parallel()
	onEachWithFunctions(t, func(t *testing.T, c *cluster) {
		powerless(t, c)
		c.register(t, grantstest.Installation)
		grantstest.Exercise(t, fixture{c})
		if _, through := (*c.open(t, nil).mustKnow(t)).(byFunctions); !through {
			t.Error("the suite did not go through the functions")
		}
	})
}

// mustKnow is the door a driver finds open.
func (d *Driver) mustKnow(t *testing.T) *door {
	t.Helper()
	if _, err := d.through(t.Context(), d.security); err != nil {
		t.Fatal(err)
	}
	return d.known.Load()
}

// powerless fails the test unless the administrator has no right of its own.
func powerless(t *testing.T, c *cluster) {
	t.Helper()
	if value[bool](t, c, "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"+
		" OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid) FROM pg_roles r WHERE rolname = 'prodaccess_admin'") {
		t.Fatal("the administrator has rights of its own")
	}
}

var withFunctions struct {
	sync.Mutex
	clusters map[int]*cluster
}

// functionsOn returns the version's cluster in the least-privilege mode, the same one for all tests.
func functionsOn(t testing.TB, major int) *cluster {
	t.Helper()
	withFunctions.Lock()
	defer withFunctions.Unlock()
	if c := withFunctions.clusters[major]; c != nil {
		return c
	}
	c := prepareFunctions(t, startServer(t, major, nil), major)
	c.loosen(t)
	if withFunctions.clusters == nil {
		withFunctions.clusters = map[int]*cluster{}
	}
	withFunctions.clusters[major] = c
	return c
}

func onEachWithFunctions(t *testing.T, f func(t *testing.T, c *cluster)) {
	for _, major := range twoMajors {
		t.Run(fmt.Sprintf("postgres %d", major), func(t *testing.T) {
			t.Parallel()
			f(t, functionsOn(t, major))
		})
	}
}

// prepareFunctions is prepare for the least-privilege mode, from an empty server.
func prepareFunctions(t testing.TB, srv *localpg.Server, major int) *cluster {
	t.Helper()
	const password = "admin-password-of-the-tests"
	fillShop(t, srv)
	c := &cluster{major: major, srv: srv, admin: secret.New(srv.UserURL("prodaccess_admin", password, "app"))}
	c.applyFunctions(t, readOnly)
	run(t, srv.URL("app"), "ALTER ROLE prodaccess_admin PASSWORD '"+localpg.Verifier(password)+"'")
	var err error
	if c.super, err = pgxpool.New(context.Background(), srv.URL("app")); err != nil {
		t.Fatal(err)
	}
	return c
}

// asDBA is a driver that prepares as a superuser.
func (c *cluster) asDBA(t testing.TB) *Driver {
	return c.open(t, func(cfg *Config) { cfg.PrepareURL = secret.New(c.srv.URL("app")) })
}

func (c *cluster) applyFunctions(t testing.TB, profiles ...grants.Profile) {
	t.Helper()
	d := c.asDBA(t)
	plan, err := d.PlanLeastPrivilege(context.Background(), profiles)
	if err != nil || len(plan.Problems) > 0 {
		t.Fatal(err, plan.Problems)
	}
	if err := d.Apply(context.Background(), plan); err != nil {
		t.Fatal(err)
	}
	again, err := d.Plan(context.Background(), profiles)
	if err != nil || len(again.Steps)+len(again.Problems) > 0 {
		var left []string
		for _, step := range again.Steps {
			left = append(left, step.Database+": "+step.Why)
		}
		t.Fatalf("after applying there is still something to do: %v %q %q", err, again.Problems, left)
	}
}

// register applies a plan of another installation, on a cluster that is prepared but for it.
func (c *cluster) register(t testing.TB, installation string) {
	t.Helper()
	d := c.open(t, func(cfg *Config) { cfg.PrepareURL, cfg.Installation = secret.New(c.srv.URL("app")), installation })
	plan, err := d.Plan(context.Background(), []grants.Profile{readOnly})
	if err != nil {
		t.Fatal(err)
	}
	plan.Steps = slices.DeleteFunc(plan.Steps, func(s grants.PreparationStep) bool { return !strings.Contains(s.SQL, registeredMark) })
	if len(plan.Steps) > 1 {
		t.Fatalf("registered %d times", len(plan.Steps))
	}
	if err := d.Apply(context.Background(), plan); err != nil {
		t.Fatal(err)
	}
}

func TestRehearsalWithLeastPrivilege(t *testing.T) {
	t.Parallel()
	onEachWithFunctions(t, func(t *testing.T, c *cluster) {
		r := c.doctor(t, nil).Rehearse(t.Context(), grants.AccessRole(readOnly.Name))
		if !r.OK() || len(r.Steps) != 7 {
			t.Fatalf("steps: %+v", r.Steps)
		}
		for _, w := range r.Warnings {
			if strings.Contains(w.What, "CREATEROLE") {
				t.Errorf("a mode without CREATEROLE is warned of it: %+v", w)
			}
		}
		if left := leftByDoctor(t, c); len(left) > 0 {
			t.Errorf("left on the server: %v", left)
		}
	})
}

func TestRememberingWithLeastPrivilege(t *testing.T) {
	t.Parallel()
	onEachWithFunctions(t, func(t *testing.T, c *cluster) {
		c.register(t, "remembering")
		d := c.open(t, func(cfg *Config) { cfg.Installation = "remembering" })
		for _, text := range []string{"first 1", "second 2"} {
			if err := d.Remember(t.Context(), text); err != nil {
				t.Fatal(err)
			}
			if got, err := d.Remembered(t.Context()); err != nil || got != text {
				t.Errorf("remembered %q, %v", got, err)
			}
		}
	})
}
