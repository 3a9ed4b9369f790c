// Package grantstest is the suite that every grants.Driver passes. It speaks of logins and sessions only; what an engine
// needs to show them is its [Fixture].
//
//	func TestDriver(t *testing.T) { grantstest.Exercise(t, newFixture) }
//	func TestProfiles(t *testing.T) { grantstest.ExerciseProfiles(t, newShops) }
package grantstest

import (
	"context"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// Fixture is a prepared target of one engine. The suite calls it from parallel tests.
type Fixture interface {
	// Open makes another driver on the same target; it is closed with the test.
	Open(t testing.TB, opts Options) grants.Driver
	// AccessRole may read one table and write none.
	AccessRole() string
	// Login opens a session of an issued login, as its holder would.
	Login(ctx context.Context, login string, password secret.String) (Session, error)
	// Exists says whether the catalogs know a role or user of that name.
	Exists(t testing.TB, login string) bool
	// Sessions counts the sessions with that identity, whatever they call themselves now.
	Sessions(t testing.TB, oid uint32) int
	// Refused says whether the error of a session is the server's refusal of a privilege.
	Refused(err error) bool
	// MakeForeign makes a login of that name that is not ours, and removes it with the test.
	MakeForeign(t testing.TB, name string)
	// Mischief is what visitors of this engine do to outlive their grant.
	Mischief() []Mischief
}

// Options vary the driver under test.
type Options struct {
	// Installation is empty for the suite's own.
	Installation string
	// Now is nil for the real clock.
	Now func() time.Time
}

// Session is one connection of a visitor.
type Session interface {
	// Read reads what the access role may read.
	Read(ctx context.Context) error
	// Write tries to change it.
	Write(ctx context.Context) error
	// Close may be called on a session that was killed.
	Close()
}

// Mischief is something a visitor does in a session that must not survive the revocation.
type Mischief struct {
	Name string
	// Do leaves its traces, and may keep the session (or others) open.
	Do func(t testing.TB, login string, password secret.String, s Session)
	// Leftovers is how many objects must be reported with their new owner.
	Leftovers int
	// Owner is who must then own them; empty means the quarantine role.
	Owner string
	// After looks for what must be gone, or owned by the quarantine role; nil if the suite's own looks are enough.
	After func(t testing.TB, login string)
}

// Installation is what the suite stamps logins with.
const Installation = "grantstest"
