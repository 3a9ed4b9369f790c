package postgres

import (
	"slices"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/faultproxy"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// The connection to the target is cut after every statement of every step; cut after the last one of a message, the answer
// to a COMMIT is lost. What is there afterwards is ours by name and stamp, is seen by the sweep, and a revocation takes all
// of it. The same through service and store, and with everything dead at once, is grants' TestCutAfterEveryStatement.
func TestDriverCutAfterEveryStatement(t *testing.T) {
	t.Parallel()
	onTwo(t, func(t *testing.T, c *cluster) {
		sound := c.open(t, nil)
		proxy, err := faultproxy.InFrontOf(c.admin.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(proxy.Close)
		d := c.open(t, func(cfg *Config) { cfg.AdminURL = secret.New(proxy.Through(c.admin.Reveal())) })
		later := time.Now().Add(2 * time.Hour)
		none := func(grants.Order) error { return nil }
		issue := func(o grants.Order) error { _, err := sound.Issue(t.Context(), o); return err }
		secure := func(o grants.Order) error { _, err := sound.Secure(t.Context(), loginOf(o)); return err }
		for _, step := range []struct {
			name        string
			before, act func(grants.Order) error
		}{
			{"issue", none, func(o grants.Order) error { _, err := d.Issue(t.Context(), o); return err }},
			{"rotate", issue, func(o grants.Order) error { return d.Rotate(t.Context(), loginOf(o), o.Password) }},
			{"extend", issue, func(o grants.Order) error { return d.Extend(t.Context(), loginOf(o), later) }},
			{"secure", issue, func(o grants.Order) error { _, err := d.Secure(t.Context(), loginOf(o)); return err }},
			{"clean", func(o grants.Order) error {
				if err := issue(o); err != nil {
					return err
				}
				run(t, c.srv.UserURL(o.Login, o.Password.Reveal(), "app"), "SELECT lo_create(0)")
				return secure(o)
			}, func(o grants.Order) error { _, err := d.Clean(t.Context(), loginOf(o)); return err }},
		} {
			cuts, there := 0, map[bool]int{}
			for number := 1; ; number++ {
				reached := true
				for after, size := 0, 1; after <= size && reached; after++ {
					o := sound.newOrder(t, readOnly)
					if err := step.before(o); err != nil {
						t.Fatal(err)
					}
					armed := proxy.Arm(faultproxy.Trap{
						When: faultproxy.Amid, Number: number, Statements: after,
						Counts: func(s faultproxy.Step) bool {
							return slices.ContainsFunc(append(slices.Clone(s.Earlier), s), func(s faultproxy.Step) bool { return s.Mentions(o.Login) })
						},
					})
					done := make(chan error, 1)
					go func() { done <- step.act(o) }()
					select {
					case <-armed.Reached():
						armed.Cut()
						<-done
					case err := <-done:
						if reached = armed.Disarm(); reached {
							<-armed.Reached()
							armed.Cut()
						} else if err != nil {
							t.Errorf("%s, not cut: %v", step.name, err)
						}
					}
					size = armed.Size()
					if reached {
						cuts++
					}
					there[c.foundAndTakenBack(t, sound, o)]++
				}
				if !reached {
					break
				}
			}
			if cuts < 3 || step.name == "issue" && (there[true] < 2 || there[false] < 2) {
				t.Errorf("%s was cut in %d places, and the login was there %v times: nothing is shown here", step.name, cuts, there)
			}
			t.Logf("%s: %d cuts", step.name, cuts)
		}
	})
}

// foundAndTakenBack says whether a login is there. If it is, whoever lists logins sees it; in any case nothing is left of
// it after a revocation.
func (c *cluster) foundAndTakenBack(t *testing.T, sound *Driver, o grants.Order) bool {
	t.Helper()
	// The server may still be at work on what it was sent before the cut: it ends with the session.
	for value[int](t, c, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'prodaccess_admin' AND query LIKE '%' || $1 || '%' AND state <> 'idle'", o.Login) > 0 {
		time.Sleep(time.Millisecond)
	}
	exists := value[bool](t, c, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", o.Login)
	listed, err := sound.Logins(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if seen := slices.ContainsFunc(listed, func(l grants.Login) bool { return l.Name == o.Login && l.Stamp == o.Stamp }); seen != exists {
		t.Errorf("the login is there: %v, the sweep sees it: %v", exists, seen)
	}
	_, cleaned := takeBack(t, sound, o)
	holds(t, cleaned.Checks)
	if value[bool](t, c, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", o.Login) {
		t.Error("the login survives its revocation")
	}
	return exists
}
