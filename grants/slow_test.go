package grants_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/postgres"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// stuck is a driver of a target that took the question and does not answer, whatever the caller's patience: the worst a
// network can do. It is the real one until it hangs and after it was let go.
type stuck struct {
	grants.Driver
	hangs atomic.Bool
	held  atomic.Int32
	letGo chan struct{}
}

func (s *stuck) wait() {
	if s.hangs.Load() {
		s.held.Add(1)
		<-s.letGo
	}
}

func (s *stuck) Fingerprint(ctx context.Context) (string, error) {
	s.wait()
	return s.Driver.Fingerprint(ctx)
}

func (s *stuck) Issue(ctx context.Context, order grants.Order) (grants.Issued, error) {
	s.wait()
	return s.Driver.Issue(ctx, order)
}

func (s *stuck) Rotate(ctx context.Context, login grants.Login, password secret.String) error {
	s.wait()
	return s.Driver.Rotate(ctx, login, password)
}

func (s *stuck) Extend(ctx context.Context, login grants.Login, until time.Time) error {
	s.wait()
	return s.Driver.Extend(ctx, login, until)
}

func (s *stuck) Secure(ctx context.Context, login grants.Login) (grants.Secured, error) {
	s.wait()
	return s.Driver.Secure(context.WithoutCancel(ctx), login)
}

func (s *stuck) Clean(ctx context.Context, login grants.Login) (grants.Cleaned, error) {
	s.wait()
	return s.Driver.Clean(context.WithoutCancel(ctx), login)
}

func (s *stuck) Logins(ctx context.Context) ([]grants.Login, error) {
	s.wait()
	return s.Driver.Logins(ctx)
}

// stuckMany is one of those that take many logins back in a few messages.
type stuckMany struct{ *stuck }

func (s stuckMany) many() grants.Many { return s.Driver.(grants.Many) }

func (s stuckMany) SecureMany(ctx context.Context, logins []grants.Login, done func(int, grants.Secured, error)) {
	s.wait()
	s.many().SecureMany(ctx, logins, done)
}

func (s stuckMany) FinishMany(ctx context.Context, logins []grants.Login, done func(int, grants.Secured, *grants.Cleaned, error)) {
	s.wait()
	s.many().FinishMany(ctx, logins, done)
}

func (s stuckMany) CleanMany(ctx context.Context, logins []grants.Login, done func(int, grants.Cleaned, error)) {
	s.wait()
	s.many().CleanMany(ctx, logins, done)
}

// One target hangs, with more of its grants due than may be taken back at once. On the other one deadlines are kept, and
// logins issued, extended, given back and swept, all while the first one hangs. When it answers again, nothing is lost.
func TestASlowTargetDelaysNoOther(t *testing.T) {
	t.Parallel()
	for name, many := range map[string]bool{"one by one": false, "in few messages": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			slow := &stuck{letGo: make(chan struct{})}
			s := b.beside(slow, many)
			reaper := grants.NewReaper(s)
			issue := func(target string, duration time.Duration) (grants.Grant, grants.Credential) {
				t.Helper()
				g, err := b.tryIntendOn(s, target, duration)
				if err != nil {
					t.Fatal(err)
				}
				c, err := s.Issue(t.Context(), g.ID)
				if err != nil {
					t.Fatal(err)
				}
				return b.read(g.ID), c
			}
			var hung []grants.Grant
			for range 12 {
				g, _ := issue("stuck-prod", time.Minute)
				hung = append(hung, g)
			}
			asked, _ := issue("stuck-prod", time.Hour)
			due, credential := issue("orders-prod", time.Minute)
			session, err := b.connect(credential)
			if err != nil {
				t.Fatal(err)
			}
			kept, _ := issue("orders-prod", time.Hour)

			slow.hangs.Store(true)
			letGo := func() {
				if slow.hangs.CompareAndSwap(true, false) {
					close(slow.letGo)
				}
			}
			t.Cleanup(letGo)
			// Somebody waits for an extension over there.
			extension := make(chan struct{})
			go func() {
				defer close(extension)
				_, _ = s.Extend(context.WithoutCancel(t.Context()), asked.ID, 0, asked.Deadline.Add(time.Minute), time.Time{}, audit.System("test"), "", "")
			}()
			b.clock.advance(time.Minute)
			if got, err := reaper.RunOnce(t.Context()); err != nil || got.Ended != 13 {
				t.Fatalf("the pass: %+v, %v", got, err)
			}
			b.awaits(due.ID, grants.Revoked)
			if _, err := session.Exec(t.Context(), "SELECT 1"); err == nil {
				t.Error("the session outlived its deadline")
			}
			next, _ := issue("orders-prod", 2*time.Minute)
			if _, err := s.Extend(t.Context(), kept.ID, 0, kept.Deadline.Add(time.Hour), time.Time{}, audit.System("test"), "", ""); err != nil {
				t.Errorf("extending: %v", err)
			}
			if _, err := s.Rotate(t.Context(), kept.ID, audit.System("test"), "", ""); err != nil {
				t.Errorf("a new password: %v", err)
			}
			if _, err := s.End(t.Context(), kept.ID, grants.Ending{Cause: grants.Released, By: audit.System("test")}); err != nil {
				t.Errorf("giving back: %v", err)
			}
			b.awaits(kept.ID, grants.Revoked)

			orphan := "pa_orphan_" + grants.NewID()
			mustExec(t, b.srv.UserURL(adminLogin, somePassword, databaseOf(b.target)), `CREATE ROLE `+orphan+` LOGIN; COMMENT ON ROLE `+orphan+` IS '`+
				grants.Stamp{Installation: b.installation, Grant: "lost"}.String()+`'`)
			swept := make(chan struct{})
			go func() {
				defer close(swept)
				_, _ = s.Sweep(context.WithoutCancel(t.Context()))
			}()
			for limit := time.Now().Add(30 * time.Second); b.exists(orphan); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(limit) {
					t.Fatal("the sweep of one target waits for another")
				}
			}
			b.clock.advance(2 * time.Minute)
			if got, err := reaper.RunOnce(t.Context()); err != nil || got.Ended != 1 {
				t.Fatalf("the second pass: %+v, %v", got, err)
			}
			b.awaits(next.ID, grants.Revoked)

			for what, done := range map[string]chan struct{}{"the sweep": swept, "the extension": extension} {
				select {
				case <-done:
					t.Errorf("%s came back while the target hung: nothing is shown here", what)
				default:
				}
			}
			if i := slices.IndexFunc(hung, func(g grants.Grant) bool { return b.read(g.ID).State != grants.Revoking }); i >= 0 || slow.held.Load() == 0 {
				t.Errorf("a grant of the target that hangs is %s", b.read(hung[max(i, 0)].ID).State)
			}
			letGo()
			for _, g := range hung {
				b.awaits(g.ID, grants.Revoked)
			}
			<-swept
			<-extension
		})
	}
}

// beside is a service with a second target, whose driver may hang, on the same server. Neither driver takes many logins back
// in one message, or both do.
func (b *bundle) beside(slow *stuck, many bool) *grants.Service {
	b.t.Helper()
	database := databaseOf(b.target)
	target := func(name string) grants.Target {
		return grants.Target{
			Name: name, Engine: "postgres", Databases: []string{database},
			Connect: grants.Endpoint{Host: "127.0.0.1", Port: b.srv.Port(), SSLMode: "disable"},
		}
	}
	inner, err := postgres.Open(postgres.Config{
		Target: target("stuck-prod"), AdminURL: secret.New(b.srv.UserURL(adminLogin, somePassword, database)), Installation: b.installation,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(inner.Close)
	slow.Driver = inner
	drivers := map[string]grants.Driver{"stuck-prod": slow, "orders-prod": b.driver}
	if many {
		drivers = map[string]grants.Driver{"stuck-prod": stuckMany{slow}, "orders-prod": b.driver.Driver}
	}
	s, err := grants.New(grants.Config{
		Store: b.store, Targets: []grants.Target{target("stuck-prod"), target("orders-prod")},
		Drivers: drivers, Installation: b.installation, Now: b.clock.now, Log: zerolog.Nop(), ConnectionLimit: 5,
		Grace: 30 * time.Second, OverdueAfter: 45 * time.Second, Parallel: 4,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			b.t.Errorf("closing the service: %v", err)
		}
	})
	return s
}
