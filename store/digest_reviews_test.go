package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

var eve = approvals.Person{ID: "U0EVE", Name: "Eve", Email: "eve@example.com"}

func TestDigestTellsOfBrokenGlass(t *testing.T) {
	t.Parallel()
	b := setup(t)
	breakGlass := func(by approvals.Person, opened time.Time) approvals.Request {
		t.Helper()
		r, _ := glass(by)
		r.FiledAt = opened
		review := &approvals.Review{OpenedAt: opened, DueAt: opened.Add(24 * time.Hour)}
		if _, _, err := b.CreateRequest(t.Context(), approvals.Change{Request: r, Review: review}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	late := breakGlass(bo, noon.Add(-30*time.Hour)) // and nobody has looked
	taken := breakGlass(ana, noon)
	b.change(taken.ID, func(c approvals.Case) approvals.Change {
		c.Request.State = approvals.Activated
		return approvals.Change{Request: c.Request, Grant: intent(c.Request, noon.Add(time.Hour))}
	})
	first, err := b.Case(t.Context(), taken.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.ChangeGrant(t.Context(), first.Grant.ID, func(g grants.Grant) (grants.Change, error) { return end(g, noon, grants.Failed), nil }); err != nil {
		t.Fatal(err)
	}
	var login grants.Grant // of the second try, which is the one that counts
	b.change(taken.ID, func(c approvals.Case) approvals.Change {
		c.Request.State = approvals.Approved
		return approvals.Change{Request: c.Request}
	})
	b.change(taken.ID, func(c approvals.Case) approvals.Change {
		c.Request.State = approvals.Activated
		g := intent(c.Request, noon.Add(time.Hour))
		login = *g
		return approvals.Change{Request: c.Request, Grant: g}
	})
	for _, closed := range []struct {
		by, reviewer approvals.Person
		verdict      approvals.ReviewVerdict
	}{{cy, ana, approvals.Justified}, {cy, bo, approvals.NotJustified}, {cy, bo, approvals.NotJustified}, {cy, approvals.Person{}, approvals.Unused}} {
		r := breakGlass(closed.by, noon)
		b.change(r.ID, func(c approvals.Case) approvals.Change {
			change := closeReview(c, closed.reviewer, closed.verdict)
			change.Events = nil
			return change
		})
	}
	breakGlass(eve, noon.Add(-time.Hour-time.Microsecond))
	old := pending()
	old.Decision.Approvals[0].Count = 9
	b.file(old)
	for _, by := range []approvals.Person{bo, cy, bo} {
		b.change(old.ID, func(c approvals.Case) approvals.Change { return approve(c, by) })
		b.change(old.ID, func(c approvals.Case) approvals.Change { return withdraw(c, by) })
	}
	turnedAway := event(audit.RequestEscalated, old.ID)
	turnedAway.Refused = true
	if err := b.Record(t.Context(), []audit.Event{
		event(audit.RequestEscalated, old.ID), event(audit.ReviewEscalated, taken.ID), event(audit.ReviewReminded, taken.ID), turnedAway,
	}, nil); err != nil {
		t.Fatal(err)
	}
	got, err := b.Digest(t.Context(), noon.Add(-time.Hour), noon.Add(3*time.Hour), noon.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	type told struct {
		Asked, AtOnce, BrokenGlass, Escalated, Withdrawn int
		Approvers                                        []audit.Count
		Reviewed                                         audit.Reviewed
		Open                                             []audit.OpenItem
	}
	item := func(r approvals.Request, since time.Time) audit.OpenItem {
		return audit.OpenItem{
			Request: r.ID, Target: r.Target, Holder: r.Requester.Name, Since: since, Why: r.Reason, Due: since.Add(24 * time.Hour),
		}
	}
	open := []audit.OpenItem{item(late, noon.Add(-30*time.Hour)), {}, item(taken, noon)}
	open[0].Overdue = true
	open[2].Grant, open[2].Login = login.ID, login.Login
	if len(got.OpenReviews) == 3 {
		open[1] = got.OpenReviews[1] // Eve's, of before the period
	}
	want := told{
		Asked: 6, AtOnce: 0, BrokenGlass: 5, Escalated: 2, Withdrawn: 3, Approvers: nil,
		Reviewed: audit.Reviewed{Justified: 1, NotJustified: 2, Unused: 1}, Open: open,
	}
	if len(got.Approvers) == 0 {
		got.Approvers = nil
	}
	if diff := cmp.Diff(want, told{
		got.Asked, got.ApprovedAtOnce, got.BrokenGlass, got.Escalated, got.Withdrawn, got.Approvers, got.Reviewed, got.OpenReviews,
	}); diff != "" {
		t.Error(diff)
	}
	due, err := b.Digest(t.Context(), noon, noon.Add(time.Hour), noon.Add(24*time.Hour))
	if err != nil || len(due.OpenReviews) != 3 || !due.OpenReviews[2].Overdue {
		t.Errorf("at the instant it is due: %+v, %v", due.OpenReviews, err)
	}
	quiet, err := b.Digest(t.Context(), noon.Add(-100*time.Hour), noon.Add(-99*time.Hour), noon)
	if err != nil || quiet.BrokenGlass+quiet.Escalated+quiet.Withdrawn != 0 || quiet.Reviewed != (audit.Reviewed{}) || len(quiet.OpenReviews) != 3 {
		t.Errorf("a quiet hour shows what is open and nothing else: %+v, %v", quiet, err)
	}
}

// A digest reads one day, however many there were.
func TestDigestOfALargeStoreIsFast(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const rows = 10_000 // over 100 days
	b.asOwner(fmt.Sprintf(`
		SET session_replication_role = replica;
		INSERT INTO requests (id, key, state, version, requester_id, requester_name, requester_email, requester_zone, target, engine,
			profile, duration, ticket, reason, params, source, outcome, policy, decision, filed_at, lapses_at, approved_at, answer, break_glass)
		SELECT 'r' || n, 'k' || n, 'activated', 2, 'U' || n, 'N', '', '', 'orders-prod', 'postgres', 'read-only', '30m', '', 'why', '{}', 'cli',
			'approved', '%[2]s', '{"outcome":"approved"}', at, at, at, '', n %% 2 = 0
		FROM generate_series(1, %[1]d) AS n, LATERAL (SELECT '%[3]s'::timestamptz - n * interval '15 minutes' AS at) AS x;
		INSERT INTO reviews (request_id, requester_id, opened_at, due_at, closed_at, verdict)
		SELECT id, requester_id, filed_at, filed_at + interval '1 day', closed_at, CASE WHEN closed_at IS NOT NULL THEN 'unused' END
		FROM requests, LATERAL (SELECT CASE WHEN random() < 0.999 THEN filed_at + interval '1 hour' END AS closed_at) AS x WHERE break_glass;
		INSERT INTO approvals (request_id, requester_id, by_id, by_name, by_email, by_zone, verdict, reason, at, fills, withdrawn_at)
		SELECT id, requester_id, 'U0', 'B', '', '', 'yes', '', filed_at, '{0}', CASE WHEN break_glass THEN filed_at END FROM requests;
		INSERT INTO audit_events (at, kind, refused, actor_kind, actor_id, actor_name, actor_email, source, request_id, grant_id, target,
			profile, reason, policy, rule)
		SELECT filed_at, CASE WHEN break_glass THEN 'review.escalated' ELSE 'request.filed' END, false, 'person', 'U1', '', '', '', id, '', '', '', '', '', ''
		FROM requests;
		SET session_replication_role = origin;
		ANALYZE`, rows, policyHash, noon.Format(time.RFC3339)))
	quickest := time.Hour // of a few, because the machine may do something else meanwhile
	var d audit.Digest
	for range 5 {
		began := time.Now()
		var err error
		if d, err = b.Digest(t.Context(), noon.Add(-24*time.Hour), noon, noon); err != nil {
			t.Fatal(err)
		}
		quickest = min(quickest, time.Since(began))
	}
	if d.Asked != 96 || d.BrokenGlass != 48 || d.Withdrawn != 48 || d.Escalated != 48 {
		t.Errorf("%d asked, %d broke glass, %d withdrawn, %d escalated", d.Asked, d.BrokenGlass, d.Withdrawn, d.Escalated)
	}
	if quickest > time.Second {
		t.Errorf("one day of %d requests took %s", rows, quickest)
	}
}
