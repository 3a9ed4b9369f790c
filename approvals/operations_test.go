package approvals_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

func TestOperationsAreForOperators(t *testing.T) {
	t.Parallel()
	o := setup(t)
	asked := o.asks("ana", "read-only")
	o.approves("dora", asked)
	c := o.takes("ana", asked)
	by := func(who string) approvals.Press { return approvals.Press{By: who, Source: "slack:socket"} }
	look := func(who string) approvals.Operations {
		t.Helper()
		found, err := o.Operations(t.Context(), who)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if got := look("sam"); !got.Operator || len(got.Overdue)+len(got.Stuck)+len(got.LeftBehind) > 0 {
		t.Errorf("with nothing to do sam sees %+v", got)
	}
	_, err := o.RevokeAgain(t.Context(), by("sam"), c.Grant.ID)
	refusedWith(t, err, approvals.TooEarly)

	o.grants.mu.Lock()
	o.grants.down = true
	o.grants.mu.Unlock()
	if _, err := o.Revoke(t.Context(), press("sam", c), "wrong database"); err != nil {
		t.Fatal(err)
	}
	o.sleeps(2 * time.Minute)
	if got := look("sam"); len(got.Overdue) != 1 || got.Overdue[0].ID != c.Grant.ID {
		t.Errorf("sam sees %+v overdue", got.Overdue)
	}
	if got := look("dora"); got.Operator || len(got.Overdue) > 0 {
		t.Errorf("dora, who is no operator, sees %+v", got)
	}
	_, err = o.RevokeAgain(t.Context(), by("dora"), c.Grant.ID)
	refusedWith(t, err, approvals.NotApprover)
	_, err = o.RevokeAgain(t.Context(), by("sam"), "nothing")
	refusedWith(t, err, approvals.NotFound)
	if g, err := o.RevokeAgain(t.Context(), by("sam"), c.Grant.ID); err != nil || !g.SecuredAt.IsZero() || !strings.Contains(g.LastError, "does not answer") {
		t.Errorf("while the database is down: %+v %v", g, err)
	}
	o.grants.mu.Lock()
	o.grants.down = false
	o.grants.mu.Unlock()
	if g, err := o.RevokeAgain(t.Context(), by("sam"), c.Grant.ID); err != nil || g.SecuredAt.IsZero() {
		t.Errorf("when it answers again: %+v %v", g, err)
	}
	if n := o.records(audit.GrantRetried, c.Request.ID, false); n != 2 {
		t.Errorf("%d of two tries are recorded", n)
	}
	if n := o.records(audit.GrantRetried, c.Request.ID, true); n != 2 {
		t.Errorf("%d of two refused tries are recorded", n)
	}

	_, err = o.Settle(t.Context(), by("sam"), c.Grant.ID)
	refusedWith(t, err, approvals.AlreadyOver)
	if _, err := o.grants.change(t.Context(), c.Grant.ID, func(g *grants.Grant) {
		g.State, g.EndedAt = grants.Revoked, o.now()
		g.Receipt = &grants.Receipt{Login: g.Login, Leftovers: []grants.Leftover{{Database: "orders", What: "table public.scratch", Owner: "pa_quarantine"}}}
	}); err != nil {
		t.Fatal(err)
	}
	if got := look("sam"); len(got.LeftBehind) != 1 {
		t.Errorf("sam sees left behind %+v", got.LeftBehind)
	}
	_, err = o.Settle(t.Context(), by("dora"), c.Grant.ID)
	refusedWith(t, err, approvals.NotApprover)
	if _, err := o.Settle(t.Context(), by("sam"), c.Grant.ID); err != nil {
		t.Fatal(err)
	}
	if got := look("sam"); len(got.LeftBehind) != 0 {
		t.Errorf("after it was dealt with sam sees %+v", got.LeftBehind)
	}
	// On a Home drawn before, the button is still there: it is recorded once, under the name of who did it.
	if _, err := o.Settle(t.Context(), by("sam"), c.Grant.ID); err != nil {
		t.Errorf("the same press again: %v", err)
	}
	_, err = o.Settle(t.Context(), by("sam-2"), c.Grant.ID)
	if refusal := refusedWith(t, err, approvals.AlreadyOver); !strings.Contains(refusal.Words, "says sam") {
		t.Errorf("somebody else later: %q", refusal.Words)
	}
	if n := o.records(audit.LeftoversSettled, c.Request.ID, false); n != 1 {
		t.Errorf("it is recorded %d times", n)
	}
	o.people.gone["sam"] = approvals.NotEligible
	_, err = o.Settle(t.Context(), by("sam"), c.Grant.ID)
	refusedWith(t, err, approvals.NotEligible)
}
