package store_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/faultproxy"
	"github.com/prodaccess/prodaccess/store"
)

// inOneBatch starts changes while both gatherers are busy with others, so that all of them share the next transaction.
func inOneBatch(b *bundle, st *store.Store, occupy func(wait func()), changes ...func()) {
	b.t.Helper()
	var all sync.WaitGroup
	entered, release := make(chan struct{}), make(chan struct{})
	for range 2 {
		var once sync.Once // a change may run again
		all.Go(func() {
			occupy(func() {
				once.Do(func() { entered <- struct{}{} })
				<-release
			})
		})
		<-entered
	}
	for _, change := range changes {
		all.Go(change)
	}
	for limit := time.Now().Add(3 * time.Second); st.Waiting() < len(changes); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			b.t.Errorf("%d of %d changes wait", st.Waiting(), len(changes))
			break
		}
	}
	close(release)
	all.Wait()
}

// busy occupies a gatherer of changes of grants, and busyCase one of changes of requests.
func (b *bundle) busy(st *store.Store) func(wait func()) {
	return func(wait func()) {
		_, _ = st.ChangeGrant(context.WithoutCancel(b.t.Context()), b.active(noon.Add(time.Hour)).ID, func(g grants.Grant) (grants.Change, error) {
			wait()
			return grants.Change{Grant: g}, grants.ErrNoChange
		})
	}
}

func (b *bundle) busyCase() func(wait func()) {
	return func(wait func()) {
		_, _ = b.ChangeCase(context.WithoutCancel(b.t.Context()), b.file(pending()).Request.ID, func(c approvals.Case) (approvals.Change, error) {
			wait()
			return approvals.Change{}, approvals.ErrNoChange
		})
	}
}

// shared says in how many transactions rows were written.
func (b *bundle) shared(table string, ids []string) int {
	b.t.Helper()
	return b.count(`SELECT count(DISTINCT xmin::text) FROM `+table+` WHERE id = ANY ($1)`, ids)
}

// yes is Bo's approval, the first of two.
func yes(c approvals.Case) (approvals.Change, error) { return approve(c, bo), nil }

// TestRequestsThatChangeTogetherKeepTheirOwnOutcome shares one transaction among approvals, a refusal, somebody who finds
// nothing to do, a defect and a request that is not there.
func TestRequestsThatChangeTogetherKeepTheirOwnOutcome(t *testing.T) {
	t.Parallel()
	b := setup(t)
	no := errors.New("no")
	var ids []string
	var changes []func()
	for range 8 {
		id := b.file(pending()).Request.ID
		ids = append(ids, id)
		changes = append(changes, func() {
			c, err := b.ChangeCase(t.Context(), id, yes)
			if err != nil || len(c.Approvals) != 1 || c.Request.Version != 2 {
				t.Errorf("%+v, %v", c, err)
			}
			if read, err := b.Case(t.Context(), id); err != nil || read.Request.Version != c.Request.Version || len(read.Approvals) != 1 {
				t.Errorf("read as %+v, %v", read, err)
			}
		})
	}
	refused, idle, broken := b.file(pending()).Request.ID, b.file(pending()).Request.ID, b.file(pending()).Request.ID
	changes = append(changes, func() {
		_, err := b.ChangeCase(t.Context(), refused, func(c approvals.Case) (approvals.Change, error) {
			e := event(audit.RequestApproved, c.Request.ID)
			e.Refused = true
			return approvals.Change{Events: []audit.Event{e}}, no
		})
		if !errors.Is(err, no) {
			t.Errorf("a refusal became %v", err)
		}
	}, func() {
		c, err := b.ChangeCase(t.Context(), idle, func(c approvals.Case) (approvals.Change, error) { return approvals.Change{}, approvals.ErrNoChange })
		if err != nil || c.Request.ID != idle || c.Request.Version != 1 {
			t.Errorf("nothing to do: %+v, %v", c, err)
		}
	}, func() {
		defer func() {
			if recover() == nil {
				t.Error("a panic did not reach whoever asked")
			}
		}()
		_, _ = b.ChangeCase(t.Context(), broken, func(approvals.Case) (approvals.Change, error) { panic("a defect") })
	}, func() {
		if _, err := b.ChangeCase(t.Context(), "none", yes); !errors.Is(err, approvals.ErrNotFound) {
			t.Errorf("a request that is not there gave %v", err)
		}
	})
	inOneBatch(b, b.Store, b.busyCase(), changes...)
	if n := b.shared("requests", ids); n != 1 {
		t.Errorf("they were written in %d transactions: nothing is shown here", n)
	}
	for what, want := range map[string]int{
		`SELECT count(*) FROM audit_events WHERE kind = 'request.approved' AND NOT refused`:                                8,
		`SELECT count(*) FROM audit_events WHERE kind = 'request.approved' AND refused AND request_id = '` + refused + `'`: 1,
		`SELECT count(*) FROM river_job WHERE args->>'work' = 'draw' AND (args->>'version')::int = 2`:                      8,
		`SELECT count(*) FROM requests WHERE version > 1`:                                                                  8,
	} {
		if got := b.count(what); got != want {
			t.Errorf("%s: %d instead of %d", what, got, want)
		}
	}
}

// TestTheSchemaRefusesOneOfManyAtCommit has one among others that is approved by too few, which the schema looks at during
// COMMIT. It alone is refused.
func TestTheSchemaRefusesOneOfManyAtCommit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bad := b.file(pending()).Request.ID
	changes := []func(){func() {
		_, err := b.ChangeCase(t.Context(), bad, func(c approvals.Case) (approvals.Change, error) {
			change := approve(c, bo)
			change.Request.State, change.Request.ApprovedAt = approvals.Approved, noon.Add(time.Minute)
			return change, nil
		})
		if err == nil || !strings.Contains(err.Error(), "1 of 2 approvals stand") {
			t.Errorf("approved by one of two: %v", err)
		}
	}}
	for range 6 {
		id := b.file(pending()).Request.ID
		changes = append(changes, func() {
			if c, err := b.ChangeCase(t.Context(), id, yes); err != nil || c.Request.Version != 2 {
				t.Errorf("version %d, %v", c.Request.Version, err)
			}
			if n := b.count(`SELECT count(*) FROM audit_events WHERE kind = 'request.approved' AND request_id = $1`, id); n != 1 {
				t.Errorf("recorded %d times", n)
			}
		})
	}
	inOneBatch(b, b.Store, b.busyCase(), changes...)
	if c, err := b.Case(t.Context(), bad); err != nil || c.Request.Version != 1 || c.Request.State != approvals.Pending || len(c.Approvals) != 0 {
		t.Errorf("the one that was refused is %+v, %v", c, err)
	}
	if n := b.count(`SELECT count(*) FROM audit_events WHERE kind = 'request.approved' AND request_id = $1`, bad); n != 0 {
		t.Errorf("what was refused is recorded %d times", n)
	}
}

// TestTheAnswerToTheCommitOfManyIsLost cuts the connection after the server committed a batch: everybody is told that it
// failed, nobody's change is made a second time, and whoever asks again finds it.
func TestTheAnswerToTheCommitOfManyIsLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	proxy, err := faultproxy.InFrontOf(b.service)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	far := *b
	far.service = proxy.Through(b.service)
	st := far.open(10)
	var ids []string
	var changes []func()
	for range 5 {
		id := b.active(noon.Add(time.Hour)).ID
		ids = append(ids, id)
		changes = append(changes, func() {
			if g, err := st.ChangeGrant(t.Context(), id, attempt); err == nil {
				t.Errorf("nobody knows, and it is called done: %+v", g)
			}
		})
	}
	armed := proxy.Arm(faultproxy.Trap{When: faultproxy.After, Number: 1, Counts: func(s faultproxy.Step) bool {
		return s.Runs("commit") && slices.ContainsFunc(s.Earlier, func(s faultproxy.Step) bool { return s.Mentions(ids[0]) })
	}})
	over := make(chan struct{})
	go func() {
		defer close(over)
		<-armed.Reached()
		armed.Cut()
	}()
	inOneBatch(b, st, b.busy(st), changes...)
	<-over
	for _, id := range ids {
		if g, err := b.Grant(t.Context(), id); err != nil || g.Attempts != 1 {
			t.Errorf("changed %d times, %v", g.Attempts, err)
		}
		g, err := st.ChangeGrant(t.Context(), id, func(g grants.Grant) (grants.Change, error) {
			if g.Attempts > 0 {
				return grants.Change{Grant: g}, grants.ErrNoChange
			}
			return attempt(g)
		})
		if err != nil || g.Attempts != 1 {
			t.Errorf("asked again: %d times, %v", g.Attempts, err)
		}
	}
	if n := b.shared("grants", ids); n != 1 {
		t.Errorf("they were written in %d transactions: nothing is shown here", n)
	}
	if n := b.count(`SELECT count(*) FROM audit_events WHERE kind = 'grant.failed'`); n != len(ids) {
		t.Errorf("%d events of %d changes", n, len(ids))
	}
}

// TestTwoGrantsOfOneRequestChangeTogether counts both changes in their request once, and draws its card from there.
func TestTwoGrantsOfOneRequestChangeTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.active(noon.Add(time.Hour))
	if _, err := b.ChangeGrant(t.Context(), first.ID, func(g grants.Grant) (grants.Change, error) { return end(g, noon, grants.Failed), nil }); err != nil {
		t.Fatal(err)
	}
	b.asOwner(copyGrant(first.ID, map[string]string{"id": "'second'", "login": "'pa_ana_second'"}))
	version := func() int { return b.count(`SELECT version FROM requests WHERE id = $1`, first.Request) }
	before := version()
	ids := []string{first.ID, "second"}
	var changes []func()
	for _, id := range ids {
		changes = append(changes, func() {
			if g, err := b.ChangeGrant(t.Context(), id, attempt); err != nil || g.ID != id || g.Attempts != 1 {
				t.Errorf("%+v, %v", g, err)
			}
		})
	}
	inOneBatch(b, b.Store, b.busy(b.Store), changes...)
	if n := b.shared("grants", ids); n != 1 {
		t.Errorf("they were written in %d transactions: nothing is shown here", n)
	}
	if after := version(); after != before+1 {
		t.Errorf("the request went from version %d to %d", before, after)
	}
	if n := b.count(`SELECT count(*) FROM river_job WHERE args->>'work' = 'draw' AND args->>'subject' = $1 AND (args->>'version')::int = $2`, first.Request, before+1); n != 1 {
		t.Errorf("%d cards are to be drawn", n)
	}
}

// TestWhoeverGivesUpTooLateHasChanged lets somebody's context end when their change is decided: they are told so, it is
// made once, and whoever was in the same transaction notices nothing.
func TestWhoeverGivesUpTooLateHasChanged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	late, other := b.active(noon.Add(time.Hour)), b.active(noon.Add(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	inOneBatch(b, b.Store, b.busy(b.Store), func() {
		_, err := b.ChangeGrant(ctx, late.ID, func(g grants.Grant) (grants.Change, error) {
			cancel()
			return attempt(g)
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("somebody who gave up is told %v", err)
		}
	}, func() {
		if g, err := b.ChangeGrant(t.Context(), other.ID, attempt); err != nil || g.Attempts != 1 {
			t.Errorf("%d attempts, %v", g.Attempts, err)
		}
	})
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		g, err := b.Grant(t.Context(), late.ID)
		if err != nil || g.Attempts > 1 || time.Now().After(limit) {
			t.Fatalf("%d attempts, %v", g.Attempts, err)
		}
		if g.Attempts == 1 {
			break
		}
	}
	if n := b.count(`SELECT count(*) FROM audit_events WHERE kind = 'grant.failed' AND request_id = $1`, late.Request); n != 1 {
		t.Errorf("recorded %d times", n)
	}
	if n := b.shared("grants", []string{late.ID, other.ID}); n != 1 {
		t.Errorf("they were written in %d transactions: nothing is shown here", n)
	}
}

// TestWhatIsNotSentAlongIsAnError: rows wait for the query that inserts their jobs. Should the job engine ask in another way
// one day, they must not be left out of a transaction that is committed.
func TestWhatIsNotSentAlongIsAnError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	err := pgx.BeginFunc(t.Context(), b.Pool(), func(tx pgx.Tx) error {
		carry := func(send func(pgx.Tx) error) error {
			queued := &pgx.Batch{}
			queued.Queue(`SELECT 1`)
			return store.Carry(t.Context(), tx, queued, send)
		}
		if err := carry(func(tx pgx.Tx) error {
			rows, err := tx.Query(t.Context(), `SELECT 2`)
			if err == nil {
				_, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
			}
			return err
		}); err != nil {
			t.Errorf("sent along: %v", err)
		}
		if err := carry(func(tx pgx.Tx) error { _, err := tx.Exec(t.Context(), `SELECT 2`); return err }); err == nil {
			t.Error("what was not sent along is not missed")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
