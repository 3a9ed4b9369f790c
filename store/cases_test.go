package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/store"
)

func TestRequestIsReadAsItWasFiled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := pending()
	r.Reason = "quotes ' \" and \x00 and \xff and 🦆 and <!channel>"
	r.Params = map[string]string{"note": "a\x00b \\u0000"}
	r.FiledAt = r.FiledAt.Add(123456789).In(time.FixedZone("far", 3600))
	filed := b.file(r)
	read, err := b.Case(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(filed, read); diff != "" {
		t.Errorf("what filing returned is not what is read:\n%s", diff)
	}
	if want := "quotes ' \" and \uFFFD and \uFFFD and 🦆 and <!channel>"; read.Request.Reason != want {
		t.Errorf("reason %q", read.Request.Reason)
	}
	if want := "a\uFFFDb \\u0000"; read.Request.Params["note"] != want {
		t.Errorf("parameter %q", read.Request.Params["note"])
	}
	r.Version, r.FiledAt, r.Reason, r.Params = 1, noon.Add(123456*time.Microsecond), read.Request.Reason, read.Request.Params
	if diff := cmp.Diff(approvals.Case{Request: r}, read); diff != "" {
		t.Errorf("read another request than was filed:\n%s", diff)
	}
	if _, err := b.Case(t.Context(), "nobody"); !errors.Is(err, approvals.ErrNotFound) {
		t.Errorf("a request that is not there: %v", err)
	}
}

func TestRedeliveryFilesOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var created atomic.Int32
	var ids sync.Map
	var wg sync.WaitGroup
	for range 20 {
		r := pending()
		r.Key = "the one delivery"
		wg.Go(func() {
			c, isNew, err := b.CreateRequest(t.Context(), approvals.Change{
				Request: r, Events: []audit.Event{event(audit.RequestFiled, r.ID)}, Jobs: []jobs.Job{draw(r.ID)},
			})
			if err != nil {
				t.Error(err)
			}
			if isNew {
				created.Add(1)
			}
			ids.Store(c.Request.ID, true)
		})
	}
	wg.Wait()
	distinct := 0
	ids.Range(func(any, any) bool { distinct++; return true })
	if created.Load() != 1 || distinct != 1 {
		t.Errorf("%d created, %d distinct requests", created.Load(), distinct)
	}
	if n := b.count(`SELECT count(*) FROM audit_events`); n != 1 {
		t.Errorf("%d events of one filing", n)
	}
	if n := b.count(`SELECT count(*) FROM river_job`); n != 1 {
		t.Errorf("%d jobs of one filing", n)
	}
}

func approve(c approvals.Case, by approvals.Person) approvals.Change {
	change := approvals.Change{
		Request: c.Request, Approvals: []approvals.Approval{{By: by, Verdict: approvals.Yes, At: noon.Add(time.Minute), Fills: []int{0}}},
		Events: []audit.Event{event(audit.RequestApproved, c.Request.ID)}, Jobs: []jobs.Job{draw(c.Request.ID)},
	}
	if len(c.Approvals)+1 == c.Request.Decision.Approvals[0].Count {
		change.Request.State, change.Request.ApprovedAt = approvals.Approved, noon.Add(time.Minute)
	}
	return change
}

func TestFiftyAtOnceEachAnswerARequestOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := pending()
	r.Decision.Approvals[0].Count = 50
	b.file(r)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			by := approvals.Person{ID: fmt.Sprintf("U%d", i), Name: "N", Email: fmt.Sprintf("n%d@example.com", i)}
			_, err := b.ChangeCase(t.Context(), r.ID, func(c approvals.Case) (approvals.Change, error) { return approve(c, by), nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	c, err := b.Case(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Approvals) != 50 || c.Request.Version != 51 || c.Request.State != approvals.Approved {
		t.Errorf("%d approvals, version %d, %s", len(c.Approvals), c.Request.Version, c.Request.State)
	}
	if n := b.count(`SELECT count(*) FROM river_job WHERE args->>'work' = 'draw'`); n != 51 {
		t.Errorf("%d draws of 51 versions: one was swallowed or doubled", n)
	}
}

func TestRequestAndItsGrantChangeTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g := b.active(noon.Add(time.Hour))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := b.ChangeGrant(t.Context(), g.ID, func(g grants.Grant) (grants.Change, error) {
				g.Attempts++
				return grants.Change{Grant: g}, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			var seen int64
			c, err := b.ChangeCase(t.Context(), g.Request, func(c approvals.Case) (approvals.Change, error) {
				seen = c.Grant.Version
				return approvals.Change{Request: c.Request}, nil
			})
			if err != nil {
				t.Error(err)
			} else if c.Grant.Version != seen {
				t.Error("the grant changed under the request's lock")
			}
		})
	}
	wg.Wait()
	c, err := b.Case(t.Context(), g.Request)
	if err != nil {
		t.Fatal(err)
	}
	if c.Request.Version != 3+40 || c.Grant.Attempts != 20 {
		t.Errorf("version %d, %d attempts", c.Request.Version, c.Grant.Attempts)
	}
}

func TestRefusedPressLeavesItsEventOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.file(pending())
	refusal := &approvals.Refusal{Code: approvals.OwnRequest, Words: "no"}
	e := event(audit.RequestApproved, c.Request.ID)
	e.Refused = true
	after, err := b.ChangeCase(t.Context(), c.Request.ID, func(c approvals.Case) (approvals.Change, error) {
		change := approve(c, bo)
		change.Events = []audit.Event{e}
		return change, refusal
	})
	if got, ok := errors.AsType[*approvals.Refusal](err); !ok || got != refusal {
		t.Fatalf("got error %v", err)
	}
	if diff := cmp.Diff(c, after); diff != "" {
		t.Errorf("the case changed:\n%s", diff)
	}
	events, err := b.Events(t.Context(), audit.Filter{Refused: true})
	if err != nil || len(events) != 1 {
		t.Errorf("%d refused events, %v", len(events), err)
	}
	if n := b.count(`SELECT count(*) FROM approvals`); n != 0 {
		t.Error("a refused press left an approval")
	}
}

// TestARefusalThatIsNotRecordedIsNone cuts the transaction off between the refusal and its record.
func TestARefusalThatIsNotRecordedIsNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.file(pending())
	g := b.active(noon.Add(time.Hour))
	refusal := &approvals.Refusal{Code: approvals.OwnRequest, Words: "no"}
	ctx, cut := context.WithCancel(t.Context())
	_, err := b.ChangeCase(ctx, c.Request.ID, func(approvals.Case) (approvals.Change, error) {
		cut()
		return approvals.Change{Events: []audit.Event{event(audit.RequestApproved, c.Request.ID)}}, refusal
	})
	if _, told := errors.AsType[*approvals.Refusal](err); told || err == nil {
		t.Errorf("a refused press that is not recorded: %v", err)
	}
	ctx, cut = context.WithCancel(t.Context())
	_, err = b.ChangeGrant(ctx, g.ID, func(grants.Grant) (grants.Change, error) {
		cut()
		return grants.Change{Events: []audit.Event{event(audit.GrantEnding, g.Request)}}, grants.ErrState
	})
	if errors.Is(err, grants.ErrState) || err == nil {
		t.Errorf("a refused change that is not recorded: %v", err)
	}
}

func TestFailedTryIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g := b.provisioned(noon.Add(time.Hour))
	again := func() error {
		_, err := b.ChangeCase(t.Context(), g.Request, func(c approvals.Case) (approvals.Change, error) {
			return approvals.Change{Request: c.Request, Grant: intent(c.Request, noon.Add(time.Hour))}, nil
		})
		return err
	}
	if err := again(); err == nil {
		t.Fatal("two live grants for one request")
	}
	if _, err := b.ChangeGrant(t.Context(), g.ID, func(g grants.Grant) (grants.Change, error) {
		return end(g, noon.Add(time.Minute), grants.Failed), nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := again(); err != nil {
		t.Fatal(err)
	}
	c, err := b.Case(t.Context(), g.Request)
	if err != nil {
		t.Fatal(err)
	}
	if c.Grants != 2 || c.Grant.ID == g.ID || c.Unsecured != 2 {
		t.Errorf("%d tries, %d of them not secured, the case shows %s", c.Grants, c.Unsecured, c.Grant.ID)
	}
	if _, err := b.ChangeGrant(t.Context(), g.ID, func(g grants.Grant) (grants.Change, error) {
		g.State, g.SecuredAt = grants.Cleanup, noon.Add(2*time.Minute)
		return grants.Change{Grant: g}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if c, err = b.Case(t.Context(), g.Request); err != nil || c.Grants != 2 || c.Unsecured != 1 {
		t.Errorf("the first is secured: %d of %d are not, %v", c.Unsecured, c.Grants, err)
	}
}

func TestQueries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	waiting := b.file(pending())
	live := b.active(noon.Add(time.Hour))
	other := pending()
	other.Requester, other.FiledAt = cy, noon.Add(time.Hour)
	b.file(other)
	for name, tc := range map[string]struct {
		q    approvals.Query
		want []string
	}{
		"newest first":   {approvals.Query{Limit: 1}, []string{other.ID}},
		"of a person":    {approvals.Query{Requester: cy.ID}, []string{other.ID}},
		"of an access":   {approvals.Query{Requester: cy.ID, Target: other.Target, Profile: other.Profile}, []string{other.ID}},
		"of another":     {approvals.Query{Requester: cy.ID, Profile: "ddl"}, nil},
		"elsewhere":      {approvals.Query{Requester: cy.ID, Target: "billing-prod"}, nil},
		"in a state":     {approvals.Query{States: []approvals.State{approvals.Pending}, Requester: ana.ID}, []string{waiting.Request.ID}},
		"in either":      {approvals.Query{States: []approvals.State{approvals.Pending, approvals.Lapsed}, Since: noon.Add(time.Minute)}, []string{other.ID}},
		"live":           {approvals.Query{LiveGrants: true}, []string{live.Request}},
		"live of nobody": {approvals.Query{LiveGrants: true, Requester: cy.ID}, nil},
	} {
		found, err := b.Cases(t.Context(), tc.q)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []string
		for _, c := range found {
			got = append(got, c.Request.ID)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestPolicyIsKeptOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.KeepPolicy(t.Context(), policyHash, policySource, noon.Add(time.Hour)); err != nil {
		t.Errorf("keeping it again: %v", err)
	}
	source, err := b.Policy(t.Context(), policyHash)
	if err != nil || string(source) != string(policySource) {
		t.Errorf("read %q, %v", source, err)
	}
	if err := b.KeepPolicy(t.Context(), policyHash[1:]+"0", policySource, noon); err == nil {
		t.Error("a policy was kept under another's hash")
	}
	if _, err := b.Policy(t.Context(), "none"); !errors.Is(err, store.ErrNoPolicy) {
		t.Errorf("a policy that never was: %v", err)
	}
}
