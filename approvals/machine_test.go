package approvals

import (
	"errors"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
)

var began = time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)

func person(name string) Person {
	return Person{ID: "U" + name, Name: name, Email: name + "@example.com"}
}

// pending is a request of ana's that needs the given requirements.
func pending(needed ...policy.Requirement) Case {
	return Case{Request: Request{
		ID: "r1", State: Pending, Requester: person("ana"), FiledAt: began, LapsesAt: began.Add(time.Hour),
		Duration: 30 * time.Minute,
		Decision: policy.Decision{Outcome: policy.NeedsApproval, Rule: "two people", Why: "needs people", Approvals: needed},
	}}
}

func one(from string) policy.Requirement {
	return policy.Requirement{From: []string{"group:" + from}, Count: 1}
}

// must applies an act that has to be possible.
func must(t *testing.T, c Case, a Act, at time.Time) Case {
	t.Helper()
	next, err := Next(c, a, at)
	if err != nil {
		t.Fatalf("%T: %v", a, err)
	}
	return next
}

// wantRefusal applies an act that must be refused with the code, and change nothing.
func wantRefusal(t *testing.T, c Case, a Act, at time.Time, code Code) {
	t.Helper()
	next, err := Next(c, a, at)
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok || refusal.Code != code {
		t.Fatalf("%T: got %v, want a refusal %q", a, err, code)
	}
	if next.Request.State != c.Request.State || len(next.Approvals) != len(c.Approvals) {
		t.Errorf("%T: a refused act changed the case", a)
	}
	if refusal.Words == "" {
		t.Errorf("%T: a refusal without words", a)
	}
}

func TestApprovedWhenTheLastNeededPersonSaysYes(t *testing.T) {
	c := pending(one("dba"), one("security"))
	c = must(t, c, Approve{By: person("bo"), Fills: []int{0}, TakeWithin: 30 * time.Minute}, began)
	if c.Request.State != Pending {
		t.Fatalf("state %s after the first of two approvals", c.Request.State)
	}
	at := began.Add(time.Minute)
	c = must(t, c, Approve{By: person("cy"), Fills: []int{1}, TakeWithin: 30 * time.Minute}, at)
	if c.Request.State != Approved || !c.Request.LapsesAt.Equal(at.Add(30*time.Minute)) {
		t.Errorf("state %s, lapses %s", c.Request.State, c.Request.LapsesAt)
	}
}

func TestNobodyDecidesAboutTheirOwnRequest(t *testing.T) {
	c := pending(one("dba"))
	wantRefusal(t, c, Approve{By: person("ana"), Fills: []int{0}}, began, OwnRequest)
	wantRefusal(t, c, Deny{By: person("ana"), Fills: []int{0}, Reason: "no"}, began, OwnRequest)
	second := Person{ID: "Uother", Name: "ana", Email: "ANA@example.com"}
	wantRefusal(t, c, Approve{By: second, Fills: []int{0}}, began, OwnRequest)
}

func TestOneHumanCountsOnce(t *testing.T) {
	c := pending(one("dba"), one("security"))
	c = must(t, c, Approve{By: person("bo"), Fills: []int{0, 1}}, began)
	wantRefusal(t, c, Approve{By: person("bo"), Fills: []int{0, 1}}, began, AlreadyVoted)
	wantRefusal(t, c, Deny{By: person("bo"), Fills: []int{0, 1}, Reason: "no"}, began, AlreadyVoted)
	if c.Request.State != Pending {
		t.Error("one human filled two requirements")
	}
}

func TestAPersonWhoMayFillTwoPlacesLeavesTheOnlyPlaceOfAnother(t *testing.T) {
	c := pending(one("dba"), one("security"))
	// bo may fill both; cy only the first. A greedy assignment would give bo the first place and refuse cy.
	c = must(t, c, Approve{By: person("bo"), Fills: []int{0, 1}}, began)
	c = must(t, c, Approve{By: person("cy"), Fills: []int{0}}, began)
	if c.Request.State != Approved {
		t.Errorf("state %s", c.Request.State)
	}
}

func TestWhoeverHelpsNothingIsRefused(t *testing.T) {
	c := pending(one("dba"), one("security"))
	c = must(t, c, Approve{By: person("bo"), Fills: []int{0}}, began)
	wantRefusal(t, c, Approve{By: person("cy"), Fills: []int{0}}, began, NotApprover)
	wantRefusal(t, c, Approve{By: person("eve")}, began, NotApprover)
}

func TestDecidedRequestsAreNotDecidedAgain(t *testing.T) {
	denied := must(t, pending(one("dba")), Deny{By: person("bo"), Fills: []int{0}, Reason: "not today"}, began)
	cancelled := must(t, pending(one("dba")), Cancel{By: person("ana")}, began)
	lapsed := must(t, pending(one("dba")), Lapse{}, began.Add(time.Hour))
	for _, c := range []Case{denied, cancelled, lapsed} {
		wantRefusal(t, c, Approve{By: person("cy"), Fills: []int{0}}, began, AlreadyOver)
		wantRefusal(t, c, Activate{By: person("ana")}, began, AlreadyOver)
		wantRefusal(t, c, Cancel{By: person("ana")}, began, AlreadyOver)
	}
	// Time counts even when the job that writes it down has not run yet.
	wantRefusal(t, pending(one("dba")), Approve{By: person("bo"), Fills: []int{0}}, began.Add(time.Hour), AlreadyOver)
	approved := must(t, pending(one("dba")), Approve{By: person("bo"), Fills: []int{0}, TakeWithin: time.Minute}, began)
	wantRefusal(t, approved, Activate{By: person("ana")}, began.Add(time.Minute), AlreadyOver)
}

func TestTheSamePressDeliveredAgainIsNoNewAttempt(t *testing.T) {
	approved := must(t, pending(one("dba")), Approve{By: person("bo"), Fills: []int{0}, TakeWithin: time.Hour}, began)
	if next, err := Next(approved, Approve{By: person("bo"), Fills: []int{0}}, began); !errors.Is(err, ErrNoChange) || len(next.Approvals) != 1 {
		t.Errorf("delivered again: %v", err)
	}
	wantRefusal(t, approved, Approve{By: person("cy"), Fills: []int{0}}, began, AlreadyOver)
}

func TestOnlyTheRequesterTakesAndCancels(t *testing.T) {
	approved := must(t, pending(one("dba")), Approve{By: person("bo"), Fills: []int{0}, TakeWithin: time.Hour}, began)
	wantRefusal(t, approved, Activate{By: person("bo")}, began, NotHolder)
	wantRefusal(t, approved, Cancel{By: person("bo")}, began, NotHolder)
	wantRefusal(t, pending(one("dba")), Activate{By: person("ana")}, began, TooEarly)
}

func TestApprovedAccessDoesNotOutliveTheShiftItRestsOn(t *testing.T) {
	c := pending(one("dba"))
	c.Request.Decision.Shift = &policy.Standing{On: true, End: began.Add(10 * time.Minute)}
	c = must(t, c, Approve{By: person("bo"), Fills: []int{0}, TakeWithin: time.Hour}, began)
	if !c.Request.LapsesAt.Equal(began.Add(10 * time.Minute)) {
		t.Errorf("lapses %s, after the shift", c.Request.LapsesAt)
	}
	c = must(t, c, Activate{By: person("ana")}, began.Add(8*time.Minute))
	c.Grant = &grants.Grant{State: grants.Revoking, Cause: grants.Failed}
	c = must(t, c, Reopen{}, began.Add(9*time.Minute))
	if !c.Request.LapsesAt.Equal(began.Add(10 * time.Minute)) {
		t.Errorf("reopened, lapses %s, after the shift", c.Request.LapsesAt)
	}
}

func TestASecondPressOnGetCredentials(t *testing.T) {
	approved := must(t, pending(one("dba")), Approve{By: person("bo"), Fills: []int{0}, TakeWithin: time.Hour}, began)
	c := must(t, approved, Activate{By: person("ana")}, began)
	with := func(g grants.Grant) Case { c := c; c.Grant = &g; return c }
	press := Activate{By: person("ana")}
	wantRefusal(t, with(grants.Grant{State: grants.Provisioning}), press, began, InProgress)
	wantRefusal(t, with(grants.Grant{State: grants.Active, IssuedAt: began}), press, began.Add(time.Second), InProgress)
	wantRefusal(t, with(grants.Grant{State: grants.Active, IssuedAt: began}), press, began.Add(time.Minute), AlreadyIssued)
	wantRefusal(t, with(grants.Grant{State: grants.Revoked, Cause: grants.Expired}), press, began, AlreadyOver)
}

func TestReopenOnlyAfterAGrantThatNobodySaw(t *testing.T) {
	approved := must(t, pending(one("dba")), Approve{By: person("bo"), Fills: []int{0}, TakeWithin: time.Hour}, began)
	c := must(t, approved, Activate{By: person("ana")}, began)
	for _, g := range []grants.Grant{
		{State: grants.Provisioning},
		{State: grants.Active},
		{State: grants.Revoked, Cause: grants.Expired},
		{State: grants.Revoking, Cause: grants.Released},
		{State: grants.Revoking, Cause: grants.Failed, ShownAt: began},
	} {
		c.Grant = &g
		if _, err := Next(c, Reopen{}, began); !errors.Is(err, ErrNoChange) {
			t.Errorf("reopened over %+v: %v", g, err)
		}
	}
	c.Grant = &grants.Grant{State: grants.Revoking, Cause: grants.Failed}
	late := began.Add(59 * time.Minute)
	c = must(t, c, Reopen{}, late)
	if c.Request.State != Approved || c.Request.LapsesAt.Before(late.Add(retryWithin)) {
		t.Errorf("state %s, lapses %s", c.Request.State, c.Request.LapsesAt)
	}
}
