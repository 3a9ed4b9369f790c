package grantstest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

func manyAtOnce(t *testing.T, b *bench) {
	const issuers, each = 6, 25
	var (
		all    sync.WaitGroup
		mu     sync.Mutex
		logins []grants.Login
	)
	for range issuers {
		all.Go(func() {
			for range each {
				o := b.order()
				issued, err := b.driver.Issue(t.Context(), o)
				if err != nil {
					t.Errorf("issue: %v", err)
					continue
				}
				mu.Lock()
				logins = append(logins, loginOf(o, issued.OID))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for chunk := range slices.Chunk(logins, each) {
		all.Go(func() {
			for _, login := range chunk {
				if _, err := b.driver.Secure(t.Context(), login); err != nil {
					t.Errorf("secure: %v", err)
				}
				if _, err := b.driver.Clean(t.Context(), login); err != nil {
					t.Errorf("clean: %v", err)
				}
			}
		})
	}
	all.Wait()
	for _, login := range logins {
		b.noTrace(t, login)
	}
}

func connectionLimit(t *testing.T, b *bench) {
	o := b.order()
	o.ConnectionLimit = 2
	login := b.issue(t, o)
	b.open(t, o)
	b.open(t, o)
	b.shutOut(t, o)
	// Whoever was refused is for a moment still among the sessions.
	for deadline := time.Now().Add(10 * time.Second); b.Sessions(t, login.OID) != 2 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	if secured := b.secure(t, login); secured.Killed != 2 {
		t.Errorf("killed %d sessions of 2", secured.Killed)
	}
}

// cancelled gives up each step after ever longer times. Whatever was done by then, taking the login back once its order
// has run out leaves nothing.
func cancelled(t *testing.T, b *bench) {
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() { b.giveUpAfter(t, time.Duration(i)*600*time.Microsecond) })
	}
	all.Wait()
}

func (b *bench) giveUpAfter(t *testing.T, patience time.Duration) {
	o := b.order()
	o.NotAfter = time.Now().Add(500 * time.Millisecond)
	login := loginOf(o, 0)
	b.removeLater(t, login)
	brief := func(step string, f func(context.Context) error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := f(ctx); err != nil && grants.ReasonOf(err) != grants.FailUnreachable && ctx.Err() == nil {
			t.Errorf("%s, given up after %s: %v", step, patience, err)
		}
	}
	brief("issue", func(ctx context.Context) error {
		_, err := b.driver.Issue(ctx, o)
		return err
	})
	if s, err := b.Login(t.Context(), o.Login, o.Password); err == nil {
		defer s.Close()
	}
	brief("secure", func(ctx context.Context) error {
		_, err := b.driver.Secure(ctx, login)
		return err
	})
	// The server may still be at work on the order, but not for long after its end.
	time.Sleep(time.Until(o.NotAfter.Add(500 * time.Millisecond)))
	secured, err := b.driver.Secure(t.Context(), login)
	if err != nil {
		t.Errorf("secure after %s: %v", patience, err)
	}
	login.OID = secured.OID
	brief("clean", func(ctx context.Context) error {
		_, err := b.driver.Clean(ctx, login)
		return err
	})
	if _, err := b.driver.Clean(t.Context(), login); err != nil {
		t.Errorf("clean after %s: %v", patience, err)
	}
	b.noTrace(t, login)
}

func lists(t *testing.T, b *bench) {
	o := b.order()
	login := b.issue(t, o)
	find := func() (grants.Login, bool) {
		all, err := b.driver.Logins(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(l grants.Login) bool { return l.Name == o.Login })
		if i < 0 {
			return grants.Login{}, false
		}
		if all[i].CanLogin && !all[i].ValidUntil.IsZero() && !all[i].ValidUntil.Equal(o.ValidUntil.Truncate(time.Microsecond)) {
			t.Errorf("listed as valid until %s, ordered until %s", all[i].ValidUntil, o.ValidUntil)
		}
		all[i].ValidUntil = time.Time{} // not every engine has it
		return all[i], true
	}
	want := grants.Login{Name: o.Login, OID: login.OID, Stamp: o.Stamp, CanLogin: true}
	if got, ok := find(); !ok || got != want {
		t.Errorf("listed %+v, want %+v", got, want)
	}
	b.secure(t, login)
	want.CanLogin = false
	if got, ok := find(); !ok || got != want {
		t.Errorf("listed %+v, want %+v", got, want)
	}
	// What the sweep does with it: no fingerprint.
	b.secure(t, want)
	b.clean(t, want)
	if got, ok := find(); ok {
		t.Errorf("still listed: %+v", got)
	}
}

func mischief(t *testing.T, b *bench, m Mischief) {
	o := b.order()
	login := b.issue(t, o)
	s := b.open(t, o)
	m.Do(t, o.Login, o.Password, s)
	b.secure(t, login)
	if n := b.Sessions(t, login.OID); n != 0 {
		t.Errorf("%d sessions are left after securing", n)
	}
	b.shutOut(t, o)
	cleaned := b.clean(t, login)
	if len(cleaned.Leftovers) != m.Leftovers {
		t.Errorf("%d leftovers, want %d: %s", len(cleaned.Leftovers), m.Leftovers, fmt.Sprint(cleaned.Leftovers))
	}
	for _, l := range cleaned.Leftovers {
		if l.Owner != cmp.Or(m.Owner, grants.QuarantineRole) || l.What == "" || l.Database == "" {
			t.Errorf("leftover: %+v", l)
		}
	}
	b.noTrace(t, login)
	if m.After != nil {
		m.After(t, o.Login)
	}
}
