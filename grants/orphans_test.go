package grants_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/internal/localpg"
)

// mute is a store that can be made to record nothing.
type mute struct {
	grants.Store
	fails atomic.Bool
}

func (m *mute) Record(ctx context.Context, events []audit.Event, follow []jobs.Job) error {
	if m.fails.Load() && len(events) > 0 {
		return errAway
	}
	return m.Store.Record(ctx, events, follow)
}

// orphan makes a login of ours that no grant explains.
func (b *bundle) orphan(grant string) (login string) {
	b.t.Helper()
	login = "pa_orphan_" + grants.NewID()
	mustExec(b.t, b.srv.UserURL(adminLogin, somePassword, databaseOf(b.target)), `CREATE ROLE `+login+` LOGIN; COMMENT ON ROLE `+login+` IS '`+
		grants.Stamp{Installation: b.installation, Grant: grant}.String()+`'`)
	return login
}

// No audit row, no act: however often the record fails, the orphan is left as it is, and once it is recorded it is taken.
func TestAnOrphanIsNotTakenUnrecorded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	st := &mute{Store: b.store}
	s := b.serve(st, b.driver)
	login := b.orphan("lost")
	st.fails.Store(true)
	for range 3 {
		if swept, err := s.Sweep(t.Context()); !errors.Is(err, errAway) || len(swept[0].Orphans) != 0 {
			t.Errorf("while nothing can be recorded: %+v, %v", swept, err)
		}
		b.clock.advance(time.Minute)
	}
	if !b.exists(login) || b.driver.called("secure")+b.driver.called("clean") != 0 {
		t.Fatal("an orphan was taken, and nobody will ever know")
	}
	st.fails.Store(false)
	if swept, err := s.Sweep(t.Context()); err != nil || !slices.Equal(swept[0].Orphans, []string{login}) {
		t.Errorf("%+v, %v", swept, err)
	}
	if b.events(audit.LoginOrphaned, "lost") != 1 || b.events(audit.LoginTaken, "lost") != 1 || b.exists(login) {
		t.Error("the orphan is recorded once, and so is what became of it")
	}
}

// What could not be told is told by the next sweep, not an hour later.
func TestASwappedClusterIsReportedOnceItCanBe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.issue(time.Hour)
	st := &mute{Store: b.store}
	s := b.serve(st, &impostor{Driver: b.driver.Driver, fingerprint: "4711"})
	reported := func() int {
		return b.one(b.owner, `SELECT count(*) FROM audit_events WHERE kind = $1`, string(audit.TargetSwapped))
	}
	st.fails.Store(true)
	if _, err := s.Sweep(t.Context()); !errors.Is(err, errAway) {
		t.Errorf("while nothing can be recorded: %v", err)
	}
	st.fails.Store(false)
	for range 2 {
		if _, err := s.Sweep(t.Context()); grants.ReasonOf(err) != grants.FailSwapped {
			t.Error(err)
		}
	}
	if n := reported(); n != 1 {
		t.Errorf("reported %d times", n)
	}
}

// held is a driver with a dead node: to lock one login takes long, and more than one are locked at a time.
type held struct {
	grants.Driver
	mu     sync.Mutex
	at     int
	both   chan struct{}
	drops  int
	behind bool // a login was locked after another was dropped
}

func (h *held) Secure(ctx context.Context, login grants.Login) (grants.Secured, error) {
	h.mu.Lock()
	if h.at++; h.at == 2 {
		close(h.both)
	}
	h.behind = h.behind || h.drops > 0
	h.mu.Unlock()
	select {
	case <-h.both:
	case <-time.After(10 * time.Second):
		return grants.Secured{}, errors.New("nobody came")
	}
	return h.Driver.Secure(ctx, login)
}

func (h *held) Clean(ctx context.Context, login grants.Login) (grants.Cleaned, error) {
	h.mu.Lock()
	h.drops++
	h.mu.Unlock()
	return h.Driver.Clean(ctx, login)
}

// Every orphan is locked before the first is dropped, and none waits until another is.
func TestOrphansDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := &held{Driver: b.driver.Driver, both: make(chan struct{})}
	s := b.serve(b.store, h)
	var logins []string
	for range 6 {
		logins = append(logins, b.orphan("lost"))
	}
	slices.Sort(logins)
	if swept, err := s.Sweep(t.Context()); err != nil || !slices.Equal(swept[0].Orphans, logins) {
		t.Errorf("%+v, %v", swept, err)
	}
	if h.behind || h.drops != 6 {
		t.Errorf("%d were dropped, some before all were locked: %v", h.drops, h.behind)
	}
	// A driver that takes many in one message is given them together.
	logins = []string{b.orphan("lost"), b.orphan("lost")}
	slices.Sort(logins)
	if swept, err := b.serve(b.store, b.driver.Driver).Sweep(t.Context()); err != nil || !slices.Equal(swept[0].Orphans, logins) {
		t.Errorf("%+v, %v", swept, err)
	}
}

// What an orphan owned is reported, also when dropping it failed after that was moved: the next try does not find it.
func TestWhatAnOrphanOwnedIsReported(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.serve(b.store, b.driver)
	owner := b.orphan("lost")
	mustExec(t, b.target, `CREATE TABLE scratch (id int); ALTER TABLE scratch OWNER TO `+owner)
	left := func(grant string) string {
		b.t.Helper()
		events, err := b.store.Events(t.Context(), audit.Filter{Grant: grant, Kind: audit.LoginTaken, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, e := range events {
			words = append(words, e.Detail["left"])
		}
		return strings.Join(words, "|")
	}
	if _, err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := left("lost"); !strings.Contains(got, "table") || !strings.Contains(got, "scratch") || !strings.Contains(got, grants.QuarantineRole) {
		t.Errorf("left behind: %q", got)
	}
	stubborn := b.orphan("stubborn")
	b.driver.moved = []grants.Leftover{{Database: "orders", What: "table public.gone", Owner: grants.QuarantineRole}}
	b.driver.fail("clean", false, unreachable)
	if _, err := s.Sweep(t.Context()); grants.ReasonOf(err) != grants.FailUnreachable {
		t.Errorf("a clean-up that fails: %v", err)
	}
	b.driver.heal()
	b.driver.moved = nil
	if swept, err := s.Sweep(t.Context()); err != nil || !slices.Equal(swept[0].Orphans, []string{stubborn}) {
		t.Errorf("%+v, %v", swept, err)
	}
	if got := left("stubborn"); !strings.Contains(got, "public.gone") {
		t.Errorf("left behind by the one that could not be dropped at once: %q", got)
	}
	if n := b.one(b.owner, `SELECT count(*) FROM river_job WHERE args->>'work' = 'finding'`); n != 4 {
		t.Errorf("%d findings; two orphans and two who owned something", n)
	}
}

// A sweep that locked an orphan and could not go on has ended its sessions; the one that takes it away says how many.
func TestWhatAnEarlierSweepEndedIsCounted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.serve(b.store, b.driver)
	login := b.orphan("used")
	mustExec(t, b.target, `ALTER ROLE `+login+` PASSWORD '`+localpg.Verifier(somePassword)+`'; GRANT `+grants.AccessRole("read-only")+` TO `+login)
	session, err := pgx.Connect(t.Context(), b.srv.UserURL(login, somePassword, databaseOf(b.target)))
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close(context.WithoutCancel(t.Context()))
	b.driver.fail("secure", true, unreachable)
	if _, err := s.Sweep(t.Context()); grants.ReasonOf(err) != grants.FailUnreachable {
		t.Fatalf("a node that does not answer: %v", err)
	}
	b.driver.heal()
	if swept, err := s.Sweep(t.Context()); err != nil || !slices.Equal(swept[0].Orphans, []string{login}) {
		t.Fatalf("%+v, %v", swept, err)
	}
	events, err := b.store.Events(t.Context(), audit.Filter{Grant: "used", Kind: audit.LoginTaken, Limit: 10})
	if err != nil || len(events) != 1 || events[0].Detail["sessions_killed"] != "1" {
		t.Errorf("%+v, %v", events, err)
	}
}
