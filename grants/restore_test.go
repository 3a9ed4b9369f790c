package grants_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/localpg"
	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/store"
)

var cli = audit.Actor{Kind: "operator", ID: "sam"}

// serve makes another service of the same installation, on a store and with a driver of one's own.
func (b *bundle) serve(st grants.Store, driver grants.Driver) *grants.Service {
	b.t.Helper()
	s, err := grants.New(grants.Config{
		Store: st, Targets: []grants.Target{{Name: "orders-prod", Engine: "postgres", Databases: []string{databaseOf(b.target)}}},
		Drivers: map[string]grants.Driver{"orders-prod": driver}, Installation: b.installation, Now: b.clock.now, Log: zerolog.Nop(),
		ConnectionLimit: 5, Grace: 30 * time.Second, OverdueAfter: 45 * time.Second, Parallel: 4,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			b.t.Errorf("closing a service: %v", err)
		}
	})
	return s
}

func databaseOf(connection string) string {
	u, err := url.Parse(connection)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(u.Path, "/")
}

// backup copies the store's database, and restored opens such a copy as the service would.
func (b *bundle) backup() string {
	b.t.Helper()
	b.store.Pool().Reset()
	return localpg.NewDatabase(b.t, b.srv, databaseOf(b.owner))
}

func (b *bundle) restored(backup string) *store.Store {
	b.t.Helper()
	st, err := store.Open(b.t.Context(), store.Config{URL: secret.New(b.srv.UserURL(serviceLogin, somePassword, backup)), Now: b.clock.now, Log: zerolog.Nop()})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(st.Close)
	return st
}

func (b *bundle) sweeps(s *grants.Service) grants.Swept {
	b.t.Helper()
	swept, err := s.Sweep(b.t.Context())
	if err != nil || len(swept) != 1 {
		b.t.Fatalf("swept %+v, %v", swept, err)
	}
	return swept[0]
}

func (b *bundle) seals(st *store.Store) {
	b.t.Helper()
	if _, err := st.SealPending(b.t.Context(), b.clock.now()); err != nil {
		b.t.Fatal(err)
	}
}

// The store is restored from a backup that does not know what was issued since. Those logins are somebody's: they are
// reported and left alone, until an operator decides or their own end comes.
func TestAStoreThatWentBackInTimeAsksFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.serve(b.store, b.driver.Driver)
	known, _ := b.issue(time.Hour)
	b.seals(b.store)
	b.sweeps(before) // leaves the mark
	backup := b.backup()

	lost, credential := b.issue(time.Hour)
	short, _ := b.issue(5 * time.Minute)
	b.seals(b.store)
	b.sweeps(before)
	session, err := b.connect(credential)
	if err != nil {
		t.Fatal(err)
	}

	st := b.restored(backup)
	after := b.serve(st, b.driver.Driver)
	want := []string{lost.Login, short.Login}
	slices.Sort(want)
	for range 2 {
		if swept := b.sweeps(after); len(swept.Orphans)+len(swept.Missing) != 0 || !slices.Equal(swept.Unknown, want) {
			t.Fatalf("swept %+v", swept)
		}
		// The restored store goes on, past where it had been.
		for range 40 {
			if err := st.Record(t.Context(), []audit.Event{{At: b.clock.now(), Kind: audit.PolicyLoaded, Actor: audit.System("test")}}, nil); err != nil {
				t.Fatal(err)
			}
		}
		b.seals(st)
	}
	if _, err := session.Exec(t.Context(), "SELECT * FROM orders"); err != nil {
		t.Errorf("the session was ended: %v", err)
	}
	reported := func(kind audit.Kind, grant string) int {
		return b.one(b.srv.URL(backup), `SELECT count(*) FROM audit_events WHERE kind = $1 AND grant_id = $2`, string(kind), grant)
	}
	if n := reported(audit.LoginUnknown, lost.ID); n != 1 {
		t.Errorf("reported %d times", n)
	}

	// One comes to its own end.
	b.clock.advance(6 * time.Minute)
	if swept := b.sweeps(after); !slices.Equal(swept.Orphans, []string{short.Login}) || !slices.Equal(swept.Unknown, []string{lost.Login}) {
		t.Errorf("after the end of one: %+v", swept)
	}
	if b.exists(short.Login) {
		t.Error("a login that the store does not know outlived its end")
	}

	// The other is decided on.
	unknown, err := after.Unknown(t.Context(), "orders-prod")
	if err != nil || len(unknown) != 1 || unknown[0].Name != lost.Login {
		t.Fatalf("%+v %v", unknown, err)
	}
	if err := after.TakeUnknown(t.Context(), "orders-prod", unknown, cli, "cli"); err != nil {
		t.Fatal(err)
	}
	if _, err := session.Exec(t.Context(), "SELECT 1"); err == nil || b.exists(lost.Login) {
		t.Error("the operator's decision was not carried out")
	}
	if n := reported(audit.LoginOrphaned, lost.ID); n != 1 {
		t.Errorf("the decision is recorded %d times", n)
	}
	if swept := b.sweeps(after); len(swept.Orphans)+len(swept.Missing)+len(swept.Unknown) != 0 || !b.exists(known.Login) {
		t.Errorf("after the decision: %+v", swept)
	}
	// From here on the target remembers this store, and what it does not know is an orphan like any other.
	stray := "pa_stray_" + grants.NewID()
	mustExec(t, b.srv.UserURL(adminLogin, somePassword, databaseOf(b.target)), `CREATE ROLE `+stray+` LOGIN VALID UNTIL 'infinity'; COMMENT ON ROLE `+stray+` IS '`+
		grants.Stamp{Installation: b.installation, Grant: "lost"}.String()+`'`)
	if swept := b.sweeps(after); !slices.Equal(swept.Orphans, []string{stray}) || b.exists(stray) {
		t.Errorf("after the decision: %+v", swept)
	}
}

// The mark is left a moment after an issue, not only by the next sweep.
func TestTheTargetIsToldOfAnIssue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.serve(b.store, b.driver.Driver)
	g := b.intend(time.Hour)
	b.seals(b.store)
	if _, err := s.Issue(t.Context(), g.ID); err != nil {
		t.Fatal(err)
	}
	b.seals(b.store)
	head, err := b.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	memory := b.driver.Driver.(grants.Remembering)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		text, err := memory.Remembered(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(text, ":"+head.Hash) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the target remembers %q, the chain ends with %+v", text, head)
		}
	}
}

// impostor answers under a target's name with another cluster's fingerprint.
type impostor struct {
	grants.Driver
	fingerprint string
}

func (i *impostor) Fingerprint(ctx context.Context) (string, error) {
	if i.fingerprint != "" {
		return i.fingerprint, nil
	}
	return i.Driver.Fingerprint(ctx)
}

func TestAnotherClusterUnderTheNameIsRefusedUntilItIsTrusted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, _ := b.issue(time.Hour)
	driver := &impostor{Driver: b.driver.Driver, fingerprint: "4711"}
	s := b.serve(b.store, driver) // another replica, or the same one later
	if _, err := s.Intend(t.Context(), b.intention(time.Hour)); grants.ReasonOf(err) != grants.FailSwapped || !strings.Contains(err.Error(), "targets trust orders-prod") {
		t.Fatalf("with another cluster: %v", err)
	}
	swept, err := s.Sweep(t.Context())
	if grants.ReasonOf(err) != grants.FailSwapped || len(swept[0].Missing) != 0 {
		t.Errorf("the sweep of another cluster: %+v %v", swept, err)
	}
	count := func(kind audit.Kind) int {
		return b.one(b.owner, `SELECT count(*) FROM audit_events WHERE kind = $1 AND target = 'orders-prod'`, string(kind))
	}
	if n := count(audit.TargetSwapped); n != 1 {
		t.Errorf("reported %d times", n)
	}
	trusted, answers, err := s.Identity(t.Context(), "orders-prod")
	if err != nil || trusted != g.Fingerprint || answers != "4711" {
		t.Errorf("trusted %q, answers %q, %v", trusted, answers, err)
	}
	if err := s.Trust(t.Context(), "orders-prod", "something else", "4711", cli, "cli"); err == nil {
		t.Error("trusted over something that it was not")
	}
	if err := s.Trust(t.Context(), "orders-prod", trusted, answers, cli, "cli"); err != nil {
		t.Fatal(err)
	}
	if n := count(audit.TargetTrusted); n != 2 {
		t.Errorf("%d events of trust, want the first sight and the decision", n)
	}
	if _, err := s.Intend(t.Context(), b.intention(time.Hour)); err != nil {
		t.Errorf("after the decision: %v", err)
	}
	// The replica that still reaches the old cluster learns of it.
	b.clock.advance(time.Minute)
	if _, err := b.Intend(t.Context(), b.intention(time.Hour)); grants.ReasonOf(err) != grants.FailSwapped {
		t.Errorf("the old cluster after the decision: %v", err)
	}
}

func TestWritingOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, _ := b.issue(time.Hour)
	driver := &impostor{Driver: b.driver.Driver}
	s := b.serve(b.store, driver)
	if _, err := s.WriteOff(t.Context(), g.ID, cli, "cli", "the data centre burnt down"); err == nil {
		t.Fatal("written off on a cluster that answers")
	}
	driver.fingerprint = "4711"
	if _, err := s.WriteOff(t.Context(), g.ID, cli, "cli", "the data centre burnt down"); err == nil {
		t.Fatal("a live grant was written off")
	}
	b.driver.fail("secure", false, unreachable)
	if _, err := b.End(t.Context(), g.ID, grants.Ending{Cause: grants.Withdrawn, By: cli}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WriteOff(t.Context(), g.ID, cli, "cli", " "); err == nil {
		t.Fatal("written off without a reason")
	}
	over, err := s.WriteOff(t.Context(), g.ID, cli, "cli", "the data centre burnt down")
	if err != nil {
		t.Fatal(err)
	}
	words := "written off by sam because the data centre burnt down; nothing was verified"
	if r := over.Receipt; over.State != grants.Revoked || r.WrittenOff != words || len(r.Checks) != 0 || !r.VerifiedAt.IsZero() || !over.SecuredAt.IsZero() {
		t.Errorf("%+v %+v", over, r)
	}
	if b.events(audit.GrantWrittenOff, g.ID) != 1 || b.events(audit.GrantRevoked, g.ID) != 0 || b.events(audit.GrantSecured, g.ID) != 0 {
		t.Error("the record says something else")
	}
	// The cluster is back, and with it the login: it is an orphan, whatever was written off.
	b.driver.heal()
	driver.fingerprint = ""
	b.clock.advance(2 * time.Minute)
	if swept := b.sweeps(s); !slices.Equal(swept.Orphans, []string{g.Login}) || b.exists(g.Login) {
		t.Errorf("when the cluster is back: %+v", swept)
	}
}

// A cluster that was moved with its roles (an upgrade, a dump of everything) has the logins of live grants, with their
// passwords. The grants cannot end them there: it is not the cluster that they were issued on.
func TestALoginThatWasCopiedToAnotherClusterIsTakenAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, c := b.issue(time.Hour)
	session, err := b.connect(c)
	if err != nil {
		t.Fatal(err)
	}
	s := b.serve(b.store, &impostor{Driver: &moved{b.driver.Driver}, fingerprint: "4711"})
	swept, err := s.Sweep(t.Context())
	if grants.ReasonOf(err) != grants.FailSwapped {
		t.Fatalf("the sweep of another cluster: %+v %v", swept, err)
	}
	if !slices.Contains(swept[0].Orphans, g.Login) {
		t.Errorf("taken for explained: %+v", swept)
	}
	if _, err := b.connect(c); err == nil {
		t.Error("the login works on the other cluster")
	}
	if _, err := session.Exec(t.Context(), `SELECT 1`); err == nil {
		t.Error("its session lives on the other cluster")
	}
	if b.events(audit.LoginOrphaned, g.ID) != 1 {
		t.Error("nobody is told")
	}
	if b.read(g.ID).State != grants.Active {
		t.Error("the grant itself was ended by what was found elsewhere")
	}
}

// moved lets a test's cluster pass for another one: what the sweep found on it names no other fingerprint.
type moved struct{ grants.Driver }

func (m *moved) Secure(ctx context.Context, login grants.Login) (grants.Secured, error) {
	login.Fingerprint = ""
	return m.Driver.Secure(ctx, login)
}

func (m *moved) Clean(ctx context.Context, login grants.Login) (grants.Cleaned, error) {
	login.Fingerprint = ""
	return m.Driver.Clean(ctx, login)
}
