package store_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
)

func TestDigestIsClaimedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var created atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		replica := b.Store
		wg.Go(func() {
			isNew, err := replica.ClaimDigest(t.Context(), noon.In(time.FixedZone("far", 7200)))
			if err != nil {
				t.Error(err)
			}
			if isNew {
				created.Add(1)
			}
		})
	}
	wg.Wait()
	if created.Load() != 1 {
		t.Errorf("claimed %d times", created.Load())
	}
	if n := b.count(`SELECT count(*) FROM river_job WHERE args->>'work' = 'digest' AND args->>'subject' = '2026-03-02T12:00:00Z'`); n != 1 {
		t.Errorf("%d jobs for one digest", n)
	}
	if last, err := b.LastDigest(t.Context(), noon.Add(time.Second)); err != nil || !last.Equal(noon) {
		t.Errorf("last digest %v, %v", last, err)
	}
	if last, err := b.LastDigest(t.Context(), noon); err != nil || !last.IsZero() {
		t.Errorf("before the first there is none, got %v, %v", last, err)
	}
}

func TestDigestCountsWhatHappened(t *testing.T) {
	t.Parallel()
	b := setup(t)
	changeCase := func(id string, with func(c approvals.Case) approvals.Change) {
		t.Helper()
		if _, err := b.ChangeCase(t.Context(), id, func(c approvals.Case) (approvals.Change, error) { return with(c), nil }); err != nil {
			t.Fatal(err)
		}
	}
	changeGrant := func(id string, with func(g grants.Grant) grants.Change) {
		t.Helper()
		if _, err := b.ChangeGrant(t.Context(), id, func(g grants.Grant) (grants.Change, error) { return with(g), nil }); err != nil {
			t.Fatal(err)
		}
	}
	b.file(pending()) // is still waiting

	early := pending()
	early.FiledAt = noon.Add(-48 * time.Hour)
	b.file(early)
	changeCase(early.ID, func(c approvals.Case) approvals.Change { return approve(c, bo) })
	changeCase(early.ID, func(c approvals.Case) approvals.Change { return approve(c, cy) })

	refused := pending()
	refused.State, refused.EndedAt = approvals.Denied, noon
	refused.Decision = policy.Decision{Outcome: policy.Denied, Why: "no", Policy: policyHash}
	b.file(refused)

	denied := b.file(pending()).Request
	changeCase(denied.ID, func(c approvals.Case) approvals.Change {
		c.Request.State, c.Request.EndedAt, c.Request.EndedBy, c.Request.Answer = approvals.Denied, noon, bo, "not now"
		return approvals.Change{Request: c.Request, Approvals: []approvals.Approval{{By: bo, Verdict: approvals.No, At: noon}}}
	})
	cancelled := b.file(pending()).Request
	changeCase(cancelled.ID, func(c approvals.Case) approvals.Change {
		c.Request.State, c.Request.EndedAt, c.Request.EndedBy = approvals.Cancelled, noon, ana
		return approvals.Change{Request: c.Request}
	})
	lapsed := b.file(pending()).Request
	changeCase(lapsed.ID, func(c approvals.Case) approvals.Change {
		c.Request.State, c.Request.EndedAt = approvals.Lapsed, noon
		return approvals.Change{Request: c.Request}
	})

	b.active(noon.Add(time.Hour)) // is live
	failed := b.provisioned(noon.Add(time.Hour))
	changeGrant(failed.ID, func(g grants.Grant) grants.Change { return end(g, noon, grants.Failed) })
	released := b.active(noon.Add(time.Hour))
	changeGrant(released.ID, func(g grants.Grant) grants.Change { return end(g, noon.Add(time.Minute), grants.Released) })
	changeGrant(released.ID, func(g grants.Grant) grants.Change {
		g.State, g.SecuredAt, g.Receipt = grants.Cleanup, noon.Add(2*time.Minute), &grants.Receipt{Login: g.Login}
		g.LastError = "a reader holds a lock"
		return grants.Change{Grant: g}
	})
	stuck := b.active(noon.Add(2 * time.Minute))
	changeGrant(stuck.ID, func(g grants.Grant) grants.Change {
		c := end(g, noon.Add(2*time.Minute), grants.Expired)
		c.Grant.LastError = "unreachable"
		return c
	})
	lost := b.active(noon.Add(time.Hour))
	changeGrant(lost.ID, func(g grants.Grant) grants.Change { return end(g, noon.Add(3*time.Minute), grants.Withdrawn) })
	for range 2 { // the second time it is refused, which is recorded and ends nothing
		e := event(audit.GrantWrittenOff, lost.Request)
		e.Grant, e.At, e.Reason = lost.ID, noon.Add(4*time.Minute), "the cluster is gone"
		if _, err := b.ChangeGrant(t.Context(), lost.ID, func(g grants.Grant) (grants.Change, error) {
			if g.State == grants.Revoked {
				e.Refused = true
				return grants.Change{Events: []audit.Event{e}}, grants.ErrState
			}
			g.State, g.EndedAt = grants.Revoked, noon.Add(4*time.Minute)
			g.Receipt = &grants.Receipt{Login: g.Login, WrittenOff: "written off by Bo because the cluster is gone; nothing was verified"}
			return grants.Change{Grant: g, Events: []audit.Event{e}}, nil
		}); err != nil && !errors.Is(err, grants.ErrState) {
			t.Fatal(err)
		}
	}
	wrong := event(audit.RequestApproved, denied.ID)
	wrong.Refused = true
	if err := b.Record(t.Context(), []audit.Event{wrong, event(audit.LoginOrphaned, "")}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.SealPending(t.Context(), noon); err != nil {
		t.Fatal(err)
	}
	head, err := b.Head(t.Context())
	if err != nil || head.Seq == 0 {
		t.Fatalf("head %+v, %v", head, err)
	}
	from, to := noon.Add(-time.Hour), noon.Add(time.Hour)
	got, err := b.Digest(t.Context(), from, to, noon.Add(3*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	want := audit.Digest{
		From: from, To: to,
		Asked: 10, ApprovedAtOnce: 5, ApprovedByPeople: 1, DeniedByPolicy: 1, DeniedByPeople: 1,
		Cancelled: 1, Lapsed: 1, Refused: 2, Orphans: 1,
		Issued: 4, Ended: 3, EndedEarly: 2, FailedToIssue: 1, Waiting: 1, Live: 1,
		MedianAnswer: 48*time.Hour + time.Minute,
		Approvers:    []audit.Count{{Name: "Bo", N: 2}, {Name: "Cy", N: 1}},
		Targets:      []audit.Count{{Name: "orders-prod", N: 4}},
		WrittenOff: []audit.OpenItem{{
			Request: lost.Request, Grant: lost.ID, Target: "orders-prod", Login: lost.Login, Holder: "Ana", Since: noon.Add(4 * time.Minute),
			Why: "written off by Bo because the cluster is gone; nothing was verified",
		}},
		Overdue: []audit.OpenItem{
			// The failed one ended at noon and was not secured either.
			{Request: failed.Request, Grant: failed.ID, Target: "orders-prod", Login: failed.Login, Holder: "Ana", Since: noon},
			{Request: stuck.Request, Grant: stuck.ID, Target: "orders-prod", Login: stuck.Login, Holder: "Ana", Since: noon.Add(2 * time.Minute), Why: "unreachable"},
		},
		Leftovers: []audit.OpenItem{{
			Request: released.Request, Grant: released.ID, Target: "orders-prod", Login: released.Login, Holder: "Ana",
			Since: noon.Add(2 * time.Minute), Why: "a reader holds a lock",
		}},
		Head: head,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the digest is wrong:\n%s", diff)
	}
	empty, err := b.Digest(t.Context(), noon.Add(100*time.Hour), noon.Add(101*time.Hour), noon)
	if err != nil || len(empty.WrittenOff) != 0 || empty.Asked+empty.Issued+empty.Ended+empty.Refused != 0 || empty.MedianAnswer != 0 {
		t.Errorf("a quiet hour: %+v, %v", empty, err)
	}
}
