package grantstest

import (
	"slices"
	"sync"
	"testing"

	"github.com/prodaccess/prodaccess/grants"
)

// manyTogether takes a crowd back in one message, with everything among it that can stand in the way of one: a session, a
// login that is gone, one that never was, one that is somebody else's, one that was locked before. None of them keeps
// another from being locked out and dropped.
func manyTogether(t *testing.T, b *bench) {
	driver, ok := b.driver.(grants.Many)
	if !ok {
		return // this engine takes logins back one by one
	}
	const many = 24
	logins := make([]grants.Login, many)
	orders := make([]grants.Order, many)
	for i := range many {
		orders[i] = b.order()
		if i == 5 || i == 6 {
			continue
		}
		logins[i] = b.issue(t, orders[i])
	}
	for _, i := range []int{0, 1, 11} {
		b.open(t, orders[i])
	}
	logins[5] = loginOf(orders[5], 0) // never was
	b.MakeForeign(t, orders[6].Login)
	logins[6] = loginOf(orders[6], logins[0].OID+1_000_000)
	b.secure(t, logins[7])
	b.clean(t, logins[7])
	b.secure(t, logins[8])

	secured := make([]grants.Secured, many)
	errs, times := make([]error, many), make([]int, many)
	var mu sync.Mutex
	driver.SecureMany(t.Context(), logins, func(i int, s grants.Secured, err error) {
		mu.Lock()
		defer mu.Unlock()
		secured[i], errs[i] = s, err
		times[i]++
	})
	for i := range many {
		if times[i] != 1 {
			t.Errorf("login %d has %d outcomes", i, times[i])
		}
		if i == 6 {
			wantReason(t, errs[i], grants.FailForeign)
			continue
		}
		if errs[i] != nil {
			t.Errorf("login %d: %v", i, errs[i])
			continue
		}
		mustHold(t, secured[i].Checks)
		if existed := i != 5 && i != 7; secured[i].Existed != existed || (existed && secured[i].OID != logins[i].OID) {
			t.Errorf("login %d: %+v", i, secured[i])
		}
		killed := 0
		if slices.Contains([]int{0, 1, 11}, i) {
			killed = 1
		}
		if secured[i].Killed != killed || len(secured[i].Nodes) == 0 || (secured[i].Existed && secured[i].LockedAt.IsZero()) {
			t.Errorf("login %d: %+v", i, secured[i])
		}
		if n := b.Sessions(t, logins[i].OID); i != 5 && n != 0 {
			t.Errorf("%d sessions of login %d are left", n, i)
		}
		if secured[i].Existed {
			b.shutOut(t, orders[i])
		}
	}
	cleaned := 0
	driver.CleanMany(t.Context(), logins, func(i int, c grants.Cleaned, err error) {
		mu.Lock()
		defer mu.Unlock()
		cleaned++
		if i == 6 {
			wantReason(t, err, grants.FailForeign)
			return
		}
		if err != nil || c.DroppedAt.IsZero() {
			t.Errorf("cleaning login %d: %+v %v", i, c, err)
		}
		mustHold(t, c.Checks)
	})
	if cleaned != many {
		t.Errorf("%d outcomes of %d", cleaned, many)
	}
	for i, login := range logins {
		if i != 5 && i != 6 {
			b.noTrace(t, login)
		}
	}
	finishes(t, b, driver)
}

// finishes drops at once what has no session, and leaves the rest to a clean-up.
func finishes(t *testing.T, b *bench, driver grants.Many) {
	quiet, busy := b.order(), b.order()
	logins := []grants.Login{b.issue(t, quiet), b.issue(t, busy)}
	b.open(t, busy)
	for i := range logins {
		driver.FinishMany(t.Context(), logins[i:i+1], func(_ int, s grants.Secured, c *grants.Cleaned, err error) {
			if err != nil || !s.Existed || s.LockedAt.IsZero() {
				t.Errorf("finishing login %d: %+v %v", i, s, err)
			}
			mustHold(t, s.Checks)
			if c == nil {
				if i == 0 && b.Exists(t, quiet.Login) {
					t.Error("nothing stood in the way, and it was not dropped")
				}
				b.clean(t, logins[i])
				return
			}
			mustHold(t, c.Checks)
			if i == 1 {
				t.Error("dropped while a session was open")
			}
		})
		b.noTrace(t, logins[i])
	}
}
