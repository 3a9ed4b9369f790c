package approvals

import (
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/policy"
)

// inOrder is a request of ana's that needs a DBA, then somebody of security, then two managers.
func inOrder() Case {
	c := pending(one("dba"), one("security"), policy.Requirement{From: []string{"group:managers"}, Count: 2})
	c.Request.Decision.InOrder = true
	return c
}

func yes(name string, fills ...int) Approve {
	return Approve{By: person(name), Fills: fills, TakeWithin: 30 * time.Minute}
}

// refusalOf applies an act that must be refused with the code and with words that contain these.
func refusalOf(t *testing.T, c Case, a Act, at time.Time, code Code, words string) {
	t.Helper()
	wantRefusal(t, c, a, at, code)
	if _, err := Next(c, a, at); !strings.Contains(err.Error(), words) {
		t.Errorf("%T is refused with %q, which does not say %q", a, err, words)
	}
}

func TestStagesAreAskedForInOrder(t *testing.T) {
	c := inOrder()
	if got := c.Needs(); got != "one of @dba, then one of @security, then 2 of @managers" {
		t.Errorf("it needs %s", got)
	}
	refusalOf(t, c, yes("sam", 1), began, TooEarly, "first one of @dba has to agree")
	refusalOf(t, c, yes("max", 1, 2), began, TooEarly, "first one of @dba has to agree")
	c = must(t, c, yes("dora", 0), began)
	refusalOf(t, c, yes("dan", 0), began, NotApprover, "approved already")
	refusalOf(t, c, yes("max", 2), began, TooEarly, "first one of @security has to agree")
	c = must(t, c, yes("sam", 1), began)
	c = must(t, c, yes("max", 2), began)
	if got := c.Needs(); got != "one of @managers" {
		t.Errorf("it needs %s", got)
	}
	if c = must(t, c, yes("mia", 2), began); c.Request.State != Approved {
		t.Errorf("state %s", c.Request.State)
	}
}

// Somebody of two stages answers for the one that is open, and cannot be moved to the later one: nobody had agreed yet.
func TestAnEarlyYesDoesNotCountForALaterStage(t *testing.T) {
	c := must(t, inOrder(), yes("bo", 0, 1), began)
	refusalOf(t, c, yes("dora", 0), began, NotApprover, "approved already")
	if c.Waiting()[0].From[0] != "group:security" {
		t.Errorf("it needs %s", c.Needs())
	}
}

// A yes to a later stage rests while an earlier one is open again, and counts again when that is met.
func TestALaterYesRestsWhileAnEarlierStageIsOpenAgain(t *testing.T) {
	c := must(t, inOrder(), yes("dora", 0), began)
	c = must(t, c, yes("sam", 1), began)
	c = must(t, c, Withdraw{By: person("dora")}, began)
	if got := c.Needs(); got != "one of @dba, then 2 of @managers" {
		t.Errorf("it needs %s", got)
	}
	refusalOf(t, c, yes("max", 2), began, TooEarly, "first one of @dba has to agree")
	c = must(t, c, yes("dan", 0), began)
	c = must(t, c, yes("max", 2), began)
	if c = must(t, c, yes("mia", 2), began); c.Request.State != Approved {
		t.Errorf("state %s", c.Request.State)
	}
}

func TestANoIsHeardWhosesoeverTurnItIs(t *testing.T) {
	if c := must(t, inOrder(), Deny{By: person("max"), Fills: []int{2}, Reason: "not today"}, began); c.Request.State != Denied {
		t.Errorf("state %s", c.Request.State)
	}
}

func TestAYesIsTakenBackBeforeTheQuorumOnly(t *testing.T) {
	c := pending(one("dba"), one("security"))
	refusalOf(t, c, Withdraw{By: person("dora")}, began, NotApprover, "nothing to take back")
	refusalOf(t, c, Withdraw{By: person("ana")}, began, NotApprover, "nothing to take back")
	c = must(t, c, yes("dora", 0), began)
	refusalOf(t, c, Withdraw{By: person("sam")}, began, NotApprover, "nothing to take back")
	at := began.Add(time.Minute)
	back := must(t, c, Withdraw{By: Person{ID: "Uother", Email: "DORA@example.com"}}, at)
	if back.Approvals[0].WithdrawnAt != at || !c.Approvals[0].WithdrawnAt.IsZero() {
		t.Error("it is not written down when, or in the case of before")
	}
	if _, err := Next(back, Withdraw{By: person("dora")}, at); err != ErrNoChange {
		t.Errorf("delivered again: %v", err)
	}
	if met(back.Request.Decision.Approvals, must(t, back, yes("sam", 1), at).Approvals) {
		t.Error("what was taken back counts")
	}
	again := must(t, back, Deny{By: person("dora"), Fills: []int{0}, Reason: "I looked again"}, at)
	if again.Request.State != Denied {
		t.Error("whoever took a yes back may answer again")
	}
	refusalOf(t, again, Withdraw{By: person("dora")}, at, NotApprover, "nothing to take back")
	approved := must(t, c, yes("sam", 1), at)
	refusalOf(t, approved, Withdraw{By: person("dora")}, at, AlreadyOver, "so your yes stays")
	refusalOf(t, c, Withdraw{By: person("dora")}, began.Add(time.Hour), AlreadyOver, "lapsed")
	// Whoever changes their mind again need not wait: a press that Slack delivers again is known by its delivery.
	wantRefusal(t, must(t, back, yes("dora", 0), at), yes("dora", 0), at, AlreadyVoted)
}

func TestThePolicySaysHowLongThingsWait(t *testing.T) {
	for _, c := range []struct {
		policy, configured time.Duration
		orSooner           bool
		want               time.Duration
	}{
		{0, time.Hour, false, time.Hour},
		{0, time.Hour, true, time.Hour},
		{2 * time.Hour, time.Hour, false, 2 * time.Hour},
		{2 * time.Hour, time.Hour, true, time.Hour},
		{time.Minute, time.Hour, true, time.Minute},
	} {
		if got := patience(c.policy, c.configured, c.orSooner); got != c.want {
			t.Errorf("%+v gives %s", c, got)
		}
	}
	p := pending(one("dba"))
	p.Request.Decision.Waits = policy.Waits{Take: 5 * time.Minute}
	if p = must(t, p, yes("dora", 0), began); !p.Request.LapsesAt.Equal(began.Add(5 * time.Minute)) {
		t.Errorf("it may be taken until %s", p.Request.LapsesAt)
	}
}
