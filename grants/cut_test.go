package grants_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/postgres"
	"github.com/prodaccess/prodaccess/internal/faultproxy"
	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/store"
)

// Between any two statements of everything that touches a grant, the connection is cut, or everything of this replica dies
// at once. A message of many statements is cut after each of them; cut after the last, it is a COMMIT whose answer is lost.
// Afterwards, without help, the target has exactly the logins that the store says are live, and none is let in for longer
// than the store says.
func TestCutAfterEveryStatement(t *testing.T) {
	t.Parallel()
	for name := range deeds {
		for _, place := range []string{"store", "target"} {
			t.Run(name+" "+place, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				b.cutEverywhere(name, place, b.onPostgres())
			})
		}
	}
}

// deeds are what touches a grant.
var deeds = map[string]func(v *victim){
	"issue": func(v *victim) { _, _ = v.Issue(v.b.t.Context(), v.grants[0].ID) },
	"extend": func(v *victim) {
		_, _ = v.Extend(v.b.t.Context(), v.grants[0].ID, 0, v.grants[0].Deadline.Add(time.Hour), time.Time{}, audit.System("test"), "", "")
	},
	"rotate":  func(v *victim) { _, _ = v.Rotate(v.b.t.Context(), v.grants[0].ID, audit.System("test"), "", "") },
	"release": func(v *victim) { v.end(v.grants[:1]) },
	"crowd":   func(v *victim) { v.end(v.grants) },
}

// cutEverywhere does a deed again and again, cut at one statement later each time.
func (b *bundle) cutEverywhere(name, place string, on server) {
	b.t.Helper()
	many := 1
	if name == "crowd" {
		many = 2
	}
	cuts := 0
	for step := 1; ; step++ {
		for after, size := 0, 1; after <= size; after++ {
			v := b.victim(on, many, name != "issue")
			reached := v.strike(place, faultproxy.Trap{When: faultproxy.Amid, Number: step, Statements: after}, (cuts+step)%2 == 0, deeds[name])
			if size = v.armed.Size(); !reached {
				if step < 2 {
					b.t.Fatal("nothing was cut")
				}
				b.t.Logf("%d cuts in %d steps", cuts, step-1)
				return
			}
			cuts++
		}
	}
}

// server is what a victim's target is.
type server interface {
	// target is how services know it, url its administrator's.
	target() grants.Target
	url() string
	inFront(url string) (*faultproxy.Proxy, error)
	open(url secret.String) (driver, error)
	// logins counts those of a name, longer those of them that are let in after an instant, left all of the installation's.
	logins(login string) int
	longer(login string, than time.Time) int
	left() int
}

type driver interface {
	grants.Driver
	Close()
}

// postgresServer is the bundle's own target.
type postgresServer struct{ *bundle }

func (b *bundle) onPostgres() server { return postgresServer{b} }

func (s postgresServer) target() grants.Target {
	return grants.Target{Name: "orders-prod", Engine: "postgres", Databases: []string{databaseOf(s.bundle.target)}}
}

func (s postgresServer) url() string {
	return s.srv.UserURL(adminLogin, somePassword, databaseOf(s.bundle.target))
}

func (s postgresServer) inFront(url string) (*faultproxy.Proxy, error) {
	return faultproxy.InFrontOf(url)
}

func (s postgresServer) open(url secret.String) (driver, error) {
	return postgres.Open(postgres.Config{Target: s.target(), AdminURL: url, Installation: s.installation, MaxConns: 4})
}

func (s postgresServer) logins(login string) int {
	return s.one(s.bundle.target, `SELECT count(*) FROM pg_roles WHERE rolname = $1`, login)
}

func (s postgresServer) longer(login string, than time.Time) int {
	return s.one(s.bundle.target, `SELECT count(*) FROM pg_roles WHERE rolname = $1 AND (rolvaliduntil > $2 OR rolvaliduntil IS NULL)`, login, than)
}

func (s postgresServer) left() int {
	return s.one(s.bundle.target, `SELECT count(*) FROM pg_roles WHERE shobj_description(oid, 'pg_authid') LIKE 'prodaccess installation=`+s.installation+` grant=%'`)
}

// victim is a replica whose connections all go through proxies.
type victim struct {
	*grants.Service
	b                 *bundle
	store             *store.Store
	on                server
	driver            driver
	toStore, toTarget *faultproxy.Proxy
	grants            []grants.Grant
	armed             *faultproxy.Armed
}

func (b *bundle) victim(on server, many int, issued bool) *victim {
	b.t.Helper()
	v := &victim{b: b, on: on}
	for range many {
		if issued {
			g, _ := b.issue(time.Hour)
			v.grants = append(v.grants, g)
		} else {
			v.grants = append(v.grants, b.intend(time.Hour))
		}
	}
	proxy := func(inFront func(string) (*faultproxy.Proxy, error), url string) (*faultproxy.Proxy, secret.String) {
		p, err := inFront(url)
		if err != nil {
			b.t.Fatal(err)
		}
		return p, secret.New(p.Through(url))
	}
	var storeURL, targetURL secret.String
	v.toStore, storeURL = proxy(faultproxy.InFrontOf, b.srv.UserURL(serviceLogin, somePassword, databaseOf(b.owner)))
	v.toTarget, targetURL = proxy(on.inFront, on.url())
	var err error
	v.store, err = store.Open(b.t.Context(), store.Config{URL: storeURL, Now: b.clock.now, Log: zerolog.Nop(), MaxConns: 4})
	if err != nil {
		b.t.Fatal(err)
	}
	if v.driver, err = on.open(targetURL); err != nil {
		b.t.Fatal(err)
	}
	v.Service, err = grants.New(grants.Config{
		Store: v.store, Targets: []grants.Target{on.target()}, Drivers: map[string]grants.Driver{"orders-prod": v.driver}, Installation: b.installation,
		Now: b.clock.now, Log: zerolog.Nop(), ConnectionLimit: 5, Grace: 30 * time.Second, OverdueAfter: 45 * time.Second, Parallel: 4,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// end ends grants at the same moment and waits until they are over, or the replica is dead.
func (v *victim) end(list []grants.Grant) {
	var all sync.WaitGroup
	for _, g := range list {
		all.Go(func() {
			if _, err := v.End(v.b.t.Context(), g.ID, grants.Ending{Cause: grants.Released, By: audit.System("test")}); err != nil {
				return
			}
			for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
				if now, err := v.b.store.Grant(v.b.t.Context(), g.ID); err == nil && now.State == grants.Revoked {
					return
				}
				select {
				case <-v.armed.Reached():
					return
				default:
				}
			}
			v.b.t.Errorf("grant %s was not over in time, and nothing stood in its way", g.ID)
		})
	}
	all.Wait()
}

// strike does a deed with a trap on its way and says whether it was reached. Then the replica dies, or goes on without
// that connection.
func (v *victim) strike(place string, trap faultproxy.Trap, dies bool, do func(*victim)) (reached bool) {
	b := v.b
	b.t.Helper()
	var mine []string
	for _, g := range v.grants {
		mine = append(mine, g.ID, g.Request)
	}
	trap.Counts = func(s faultproxy.Step) bool {
		return slices.ContainsFunc(append(slices.Clone(s.Earlier), s), func(s faultproxy.Step) bool {
			return slices.ContainsFunc(mine, s.Mentions)
		})
	}
	proxy := v.toStore
	if place == "target" {
		proxy = v.toTarget
	}
	v.armed = proxy.Arm(trap)
	done := make(chan struct{})
	go func() { defer close(done); do(v) }()
	select {
	case <-v.armed.Reached():
		reached = true
	case <-done:
		if reached = v.armed.Disarm(); reached {
			<-v.armed.Reached()
		}
	}
	label := fmt.Sprintf("%s step %d after %d statements, dies %v", place, trap.Number, trap.Statements, dies)
	switch {
	case reached && dies:
		v.toStore.Close()
		v.toTarget.Close()
	case reached:
		v.armed.Cut()
	}
	<-done
	if !reached || dies {
		v.close()
	}
	b.heals(label, v, dies)
	if reached && !dies {
		v.close()
	}
	return reached
}

func (v *victim) close() {
	v.toStore.Close()
	v.toTarget.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_ = v.Close(ctx)
	v.driver.Close()
	v.store.Close()
}

// heals does what the jobs do that were committed with what was cut, and compares store and target.
func (b *bundle) heals(label string, v *victim, dies bool) {
	b.t.Helper()
	ctx := b.t.Context()
	healer := b.Service
	if !dies {
		healer = v.Service
	}
	var before []grants.Grant
	for _, g := range v.grants {
		before = append(before, b.read(g.ID))
	}
	// Whatever is still provisioning a minute later is taken back.
	b.clock.advance(2 * time.Minute)
	for _, g := range before {
		if g.State == grants.Provisioning {
			if err := healer.Recover(ctx, g.ID); err != nil && dies {
				b.t.Errorf("%s: recovering: %v", label, err)
			}
		}
	}
	for _, g := range before {
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			now := b.read(g.ID)
			if now.State == grants.Active {
				v.agreesOn(label, now)
				if _, err := b.End(ctx, g.ID, grants.Ending{Cause: grants.Withdrawn, By: audit.System("test")}); err != nil && !errors.Is(err, grants.ErrState) {
					b.t.Errorf("%s: ending: %v", label, err)
				}
				continue
			}
			if now.State == grants.Revoked {
				v.agreesOn(label, now)
				break
			}
			if time.Now().After(deadline) {
				b.t.Fatalf("%s: the grant stays %s: %s", label, now.State, now.LastError)
			}
			if _, err := b.Resume(ctx); err != nil {
				b.t.Fatalf("%s: %v", label, err)
			}
		}
	}
	if unknown := v.on.left(); unknown != 0 {
		b.t.Errorf("%s: %d logins are left that the store says are over, or does not know", label, unknown)
	}
}

// agreesOn compares what the store and the target say of one grant.
func (v *victim) agreesOn(label string, g grants.Grant) {
	b := v.b
	b.t.Helper()
	live := 0
	if g.State == grants.Active {
		live = 1
	}
	if n := v.on.logins(g.Login); n != live {
		b.t.Errorf("%s: the store says %s, and the target has %d such logins", label, g.State, n)
	}
	if v.on.longer(g.Login, g.Deadline.Add(30*time.Second)) != 0 {
		b.t.Errorf("%s: the server lets the login in for longer than the store says", label)
	}
	if g.State == grants.Revoked && g.Receipt == nil {
		b.t.Errorf("%s: over without a receipt", label)
	}
}
