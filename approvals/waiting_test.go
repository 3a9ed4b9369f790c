package approvals_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// fullPolicy uses everything there is about approvals.
const fullPolicy = `version: 1
groups:
  backend: { emails: [ana@example.com, bo@example.com, mia@example.com] }
  dba: { emails: [dora@example.com, dan@example.com] }
  security: { emails: [sam@example.com, sue@example.com] }
  managers: { emails: [mia@example.com, max@example.com] }
schedules:
  payments: { pagerduty_schedule: PABC123 }
profiles:
  - { name: read-only, risk: low, max_duration: 4h, grants: [{ schema: public, tables: "*", privileges: [select] }] }
  - { name: orders-only, risk: low, max_duration: 10m, grants: [{ schema: public, tables: [orders], privileges: [select] }] }
  - { name: customers-only, risk: low, grants: [{ schema: public, tables: [customers], privileges: [select] }] }
  - { name: data-fix, risk: high, grants: [{ schema: public, tables: "*", privileges: [select, update] }] }
  - name: support
    risk: medium
    parameters: [{ name: customer_id, type: bigint, required: true }, { name: region, type: text }]
    grants: [{ schema: public, tables: [orders], privileges: [select], rows: "customer_id = :customer_id" }]
rules:
  - name: on call
    who: [oncall:payments]
    profiles: [read-only]
    approve: automatically
    max_duration: 2h
    budget: { grants: 3, per: day }
    activate_within: 25m
    extend: { times: 2, total: 4h }
  - name: reads
    who: [group:backend]
    profiles: [read-only, support]
    approvals: [{ from: [group:dba], count: 1 }]
    max_duration: 2h
    extend: { times: 1, total: 3h }
    lapse_after: 4h
    activate_within: 20m
    remind_every: 10m
    escalate: [{ after: 15m, to: [group:managers] }, { after: 60m, to: [group:security] }]
  - name: fixes
    who: [group:backend]
    profiles: [data-fix]
    approvals: [{ from: [group:dba], count: 1 }, { from: [group:security], count: 1 }]
    in_order: true
    max_duration: 1h
break_glass:
  who: [oncall:payments, group:backend]
  profiles: [read-only, data-fix]
  max_duration: 1h
  review_within: 24h
  remind_every: 6h
  reviewers: [group:security]
  escalate: { after: 12h, to: [group:managers] }
  notify: [security_channel, pagerduty]
operators: [user:olga@example.com]
`

func full(t *testing.T) *office {
	t.Helper()
	o := setup(t)
	o.rules(fullPolicy)
	return o
}

func (o *office) approves(who string, c approvals.Case) approvals.Case {
	o.t.Helper()
	got, err := o.Approve(o.t.Context(), press(who, c))
	if err != nil {
		o.t.Fatalf("%s approves: %v", who, err)
	}
	return got
}

func (o *office) reads(c approvals.Case) approvals.Case {
	o.t.Helper()
	got, err := o.Case(o.t.Context(), c.Request.ID)
	if err != nil {
		o.t.Fatal(err)
	}
	return got
}

// near says whether a job waits for about an instant that was reckoned from a reading of the clock a moment earlier.
func near(got, want time.Time) bool { return got.Sub(want).Abs() < 30*time.Second }

func TestStagesAreAskedInOrderOnARealStore(t *testing.T) {
	t.Parallel()
	o := full(t)
	asked := o.asks("bo", "data-fix")
	_, err := o.Approve(t.Context(), press("sam", asked))
	if refusal := refusedWith(t, err, approvals.TooEarly); !strings.Contains(refusal.Words, "first one of @dba has to agree") {
		t.Error(refusal.Words)
	}
	if o.records(audit.RequestApproved, asked.Request.ID, true) != 1 {
		t.Error("the refused attempt is not recorded")
	}
	if list, err := o.Answerable(t.Context(), "sam"); err != nil || len(list) != 0 {
		t.Errorf("sam is asked before it is their turn: %v, %v", list, err)
	}
	o.approves("dora", asked)
	if list, err := o.Answerable(t.Context(), "sam"); err != nil || len(list) != 1 {
		t.Errorf("it is sam's turn: %v, %v", list, err)
	}
	if c := o.approves("sam", asked); c.Request.State != approvals.Approved {
		t.Errorf("state %s", c.Request.State)
	}
}

func TestAYesIsTakenBackAndGivenAgain(t *testing.T) {
	t.Parallel()
	o := full(t)
	asked := o.asks("bo", "data-fix")
	o.approves("dora", asked)
	_, err := o.Withdraw(t.Context(), press("dan", asked))
	refusedWith(t, err, approvals.NotApprover)
	for range 2 { // the second is the same press delivered again
		c, err := o.Withdraw(t.Context(), press("dora-2", asked)) // another account of dora's
		if err != nil || c.Approvals[0].WithdrawnAt.IsZero() || c.Needs() != "one of @dba, then one of @security" {
			t.Fatalf("taken back: %+v, %v", c.Approvals, err)
		}
	}
	if o.records(audit.RequestWithdrawn, asked.Request.ID, false) != 1 || o.records(audit.RequestWithdrawn, asked.Request.ID, true) != 1 {
		t.Error("one withdrawal and one refused attempt are to be recorded")
	}
	_, err = o.Approve(t.Context(), press("sam", asked))
	refusedWith(t, err, approvals.TooEarly)
	o.approves("dora", asked) // at once, if she likes
	c := o.approves("sam", asked)
	if c.Request.State != approvals.Approved || len(o.reads(asked).Approvals) != 3 {
		t.Errorf("%s after %d answers", c.Request.State, len(c.Approvals))
	}
	_, err = o.Withdraw(t.Context(), press("sam", asked))
	refusedWith(t, err, approvals.AlreadyOver)
}

func TestReminders(t *testing.T) {
	t.Parallel()
	o := full(t)
	asked := o.asks("bo", "read-only")
	id, filed := asked.Request.ID, asked.Request.FiledAt
	if got := o.waiting(jobs.Remind, id); len(got) != 1 || !got[0].Equal(filed.Add(10*time.Minute)) {
		t.Fatalf("reminders wait for %v", got)
	}
	if !asked.Request.LapsesAt.Equal(filed.Add(4 * time.Hour)) {
		t.Errorf("the policy's waiting time is not kept: it lapses %s", asked.Request.LapsesAt)
	}
	if err := o.Remind(t.Context(), id); !errors.Is(err, approvals.ErrEarly) || o.reads(asked).Request.Version != 1 {
		t.Errorf("much too early, it is tried again: %v", err)
	}
	o.sleeps(10*time.Minute - time.Second)
	if err := o.Remind(t.Context(), id); !errors.Is(err, approvals.ErrEarly) {
		t.Errorf("a little too early, it is tried again: %v", err)
	}
	o.sleeps(time.Second)
	for range 2 {
		if err := o.Remind(t.Context(), id); err != nil && !errors.Is(err, approvals.ErrEarly) {
			t.Fatal(err)
		}
	}
	if got := o.waiting(jobs.Remind, id); len(got) != 2 || !got[1].Equal(filed.Add(30*time.Minute)) {
		t.Errorf("reminders wait for %v", got)
	}
	o.sleeps(60 * time.Minute) // the second comes late, after the third was due
	if err := o.Remind(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for subject, want := range map[string]int{"remind/1/": 1, "remind/2/": 0, "remind/3/": 1} {
		if got := o.waiting(jobs.Nudge, subject+id); len(got) != want {
			t.Errorf("%s is posted %d times, want %d", subject, len(got), want)
		}
	}
	if o.records(audit.RequestReminded, id, false) != 2 {
		t.Error("two reminders are to be recorded")
	}
	o.approves("dora", asked)
	o.sleeps(6 * time.Hour)
	if err := o.Remind(t.Context(), id); err != nil || o.records(audit.RequestReminded, id, false) != 2 {
		t.Errorf("reminded of what is decided: %v", err)
	}
}

func TestEscalation(t *testing.T) {
	t.Parallel()
	o := full(t)
	asked := o.asks("mia", "read-only") // who is a manager
	id := asked.Request.ID
	if got := o.waiting(jobs.Escalate, id); len(got) != 1 || !got[0].Equal(asked.Request.FiledAt.Add(15*time.Minute)) {
		t.Fatalf("the escalation waits for %v", got)
	}
	_, err := o.Approve(t.Context(), press("max", asked))
	refusedWith(t, err, approvals.NotApprover)
	o.sleeps(15 * time.Minute)
	for range 2 {
		if err := o.Escalate(t.Context(), id); err != nil && !errors.Is(err, approvals.ErrEarly) {
			t.Fatal(err)
		}
	}
	c := o.reads(asked)
	if c.Request.Escalated != 1 || o.records(audit.RequestEscalated, id, false) != 1 || len(o.waiting(jobs.Nudge, "escalate/1/"+id)) != 1 {
		t.Errorf("escalated %d times", c.Request.Escalated)
	}
	if want := "one of @dba or, since " + c.Request.EscalatedAt.Format("15:04") + " UTC, @managers"; c.Needs() != want {
		t.Errorf("it needs %s, want %s", c.Needs(), want)
	}
	if got := o.waiting(jobs.Escalate, id); len(got) != 2 || !got[1].Equal(asked.Request.FiledAt.Add(60*time.Minute)) {
		t.Errorf("the next step waits for %v", got)
	}
	if list, err := o.Answerable(t.Context(), "max"); err != nil || len(list) != 1 {
		t.Errorf("max is asked by now: %v, %v", list, err)
	}
	_, err = o.Approve(t.Context(), press("mia", asked))
	refusedWith(t, err, approvals.OwnRequest)
	_, err = o.Approve(t.Context(), press("sue", asked))
	refusedWith(t, err, approvals.NotApprover)
	c = o.approves("max", asked)
	if c.Request.State != approvals.Approved || !near(c.Request.LapsesAt, o.now().Add(20*time.Minute)) {
		t.Errorf("%s, to be taken until %s", c.Request.State, c.Request.LapsesAt)
	}
	o.sleeps(2 * time.Hour)
	if err := o.Escalate(t.Context(), id); err != nil || o.reads(asked).Request.Escalated != 1 {
		t.Errorf("escalated what is decided: %v", err)
	}
}

// An answer breaks the silence: the escalation that waited does nothing, and another waits for later.
func TestAnAnswerPutsTheEscalationOff(t *testing.T) {
	t.Parallel()
	o := full(t)
	o.rules(strings.Replace(fullPolicy, "approvals: [{ from: [group:dba], count: 1 }]\n    max_duration: 2h", "approvals: [{ from: [group:dba], count: 2 }]\n    max_duration: 2h", 1))
	asked := o.asks("bo", "read-only")
	o.sleeps(10 * time.Minute)
	o.approves("dora", asked)
	o.sleeps(5 * time.Minute)
	if err := o.Escalate(t.Context(), asked.Request.ID); !errors.Is(err, approvals.ErrEarly) || o.reads(asked).Request.Escalated != 0 {
		t.Errorf("it escalated though somebody had answered: %v", err)
	}
	if got := o.waiting(jobs.Escalate, asked.Request.ID); len(got) != 2 || !near(got[1], o.now().Add(10*time.Minute)) {
		t.Fatalf("escalations wait for %v", got)
	}
	o.sleeps(10 * time.Minute)
	if err := o.Escalate(t.Context(), asked.Request.ID); err != nil || o.reads(asked).Request.Escalated != 1 {
		t.Errorf("escalating: %v", err)
	}
}

func TestLapsing(t *testing.T) {
	t.Parallel()
	o := full(t)
	asked := o.asks("bo", "read-only")
	id := asked.Request.ID
	o.sleeps(4*time.Hour - 2*time.Second)
	if err := o.Lapse(t.Context(), id); !errors.Is(err, approvals.ErrEarly) {
		t.Errorf("a little too early, it is tried again: %v", err)
	}
	o.sleeps(2 * time.Second)
	_, err := o.Approve(t.Context(), press("dora", asked)) // the job has not run
	refusedWith(t, err, approvals.AlreadyOver)
	for range 2 {
		if err := o.Lapse(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if c := o.reads(asked); c.Request.State != approvals.Lapsed || o.records(audit.RequestLapsed, id, false) != 1 {
		t.Errorf("%s", c.Request.State)
	}
}

// A request that is taken, fails and reopens within the same second keeps a job that ends it.
func TestWhatReopensLapses(t *testing.T) {
	t.Parallel()
	o := full(t)
	asked := o.asks("bo", "read-only")
	o.approves("dora", asked)
	before := len(o.waiting(jobs.Lapse, asked.Request.ID))
	c, err := o.Activate(t.Context(), press("bo", asked))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Abandon(t.Context(), c.Grant.ID, "the window did not open"); err != nil {
		t.Fatal(err)
	}
	if err := o.Reopen(t.Context(), asked.Request.ID); err != nil {
		t.Fatal(err)
	}
	if got := o.waiting(jobs.Lapse, asked.Request.ID); len(got) != before+1 {
		t.Errorf("%d jobs end it, were %d", len(got), before)
	}
}

func TestApprovedForLess(t *testing.T) {
	t.Parallel()
	o := full(t)
	asked := o.asks("bo", "data-fix")
	var offered []string
	for _, p := range o.Narrower(asked) {
		offered = append(offered, p.Name)
	}
	if got := strings.Join(offered, " "); got != "read-only orders-only customers-only support" && got != "read-only orders-only customers-only" {
		t.Errorf("narrower are %s", got)
	}
	for _, wrong := range []struct {
		less  approvals.Less
		field string
	}{
		{approvals.Less{}, "Duration"},
		{approvals.Less{Duration: time.Hour}, "Duration"},
		{approvals.Less{Profile: "data-fix"}, "Duration"},
		{approvals.Less{Profile: "everything"}, "Access"},
		{approvals.Less{Profile: "support", Duration: time.Hour}, "Duration"},
	} {
		_, err := o.ApproveLess(t.Context(), press("dora", asked), wrong.less)
		if refusal := refusedWith(t, err, approvals.BadInput); refusal.Field != wrong.field {
			t.Errorf("%+v: %s is at fault: %s", wrong.less, refusal.Field, refusal.Words)
		}
	}
	if n := o.records(audit.RequestApproved, asked.Request.ID, true); n != 5 {
		t.Errorf("%d of 5 refused attempts are recorded", n)
	}
	c, err := o.ApproveLess(t.Context(), press("dora", asked), approvals.Less{Profile: "read-only", Duration: 20 * time.Minute})
	if err != nil || c.Request.Access() != "read-only" || c.Request.Length() != 20*time.Minute || c.Request.Profile != "data-fix" {
		t.Fatalf("%s for %s: %v", c.Request.Access(), c.Request.Length(), err)
	}
	// orders-only can be had for ten minutes at most, and what is agreed to says so.
	c, err = o.ApproveLess(t.Context(), press("sam", asked), approvals.Less{Profile: "orders-only"})
	if err != nil || c.Request.State != approvals.Approved || c.Request.Access() != "orders-only" || c.Request.Length() != 10*time.Minute {
		t.Fatalf("%s for %s: %v", c.Request.Access(), c.Request.Length(), err)
	}
	events, err := o.Timeline(t.Context(), asked.Request.ID)
	if err != nil {
		t.Fatal(err)
	}
	last := events[len(events)-1].Detail
	if last["quorum"] != "met" || last["profile"] != "orders-only" || last["duration"] != "10m0s" || last["less_profile"] != "orders-only" || last["less_duration"] != "10m0s" {
		t.Errorf("recorded is %v", last)
	}
	c, err = o.Activate(t.Context(), press("bo", asked))
	if err != nil {
		t.Fatal(err)
	}
	given, _ := o.policy.Load().Profile("orders-only")
	if g := c.Grant; g.Profile != "orders-only" || g.ProfileVersion != given.Version() || g.AccessRole != "pa_orders_only" || !g.Deadline.Equal(g.Intended.Add(10*time.Minute)) {
		t.Errorf("granted is %+v", g)
	}
	if _, err := o.Issue(t.Context(), c.Grant.ID); err != nil {
		t.Fatal(err)
	}
	_, err = o.Extend(t.Context(), press("bo", asked), time.Minute)
	if refusal := refusedWith(t, err, approvals.NotApprover); !strings.Contains(refusal.Words, "10m was agreed to") {
		t.Error(refusal.Words)
	}
}

func TestTwoApproversWhoNameDifferentAccess(t *testing.T) {
	t.Parallel()
	o := full(t)
	asked := o.asks("bo", "data-fix")
	if _, err := o.ApproveLess(t.Context(), press("dora", asked), approvals.Less{Profile: "orders-only"}); err != nil {
		t.Fatal(err)
	}
	_, err := o.ApproveLess(t.Context(), press("sam", asked), approvals.Less{Profile: "customers-only"})
	if refusal := refusedWith(t, err, approvals.BadInput); refusal.Field != "Access" || !strings.Contains(refusal.Words, "Choose orders-only") {
		t.Errorf("%s: %s", refusal.Field, refusal.Words)
	}
	if _, err := o.Withdraw(t.Context(), press("dora", asked)); err != nil {
		t.Fatal(err)
	}
	if c := o.reads(asked); c.Request.Less != nil || c.Request.Access() != "data-fix" {
		t.Errorf("dora took it back, and %s is still what is given", c.Request.Access())
	}
}

// What approvers chose instead has to be less still when it is taken, and the policy must not deny it.
func TestTheNarrowerAccessIsWidenedOrDenied(t *testing.T) {
	t.Parallel()
	o := full(t)
	less := func() approvals.Case {
		asked := o.asks("bo", "read-only")
		if _, err := o.ApproveLess(t.Context(), press("dora", asked), approvals.Less{Profile: "customers-only"}); err != nil {
			t.Fatal(err)
		}
		return asked
	}
	widened, denied, fine := less(), less(), less()
	if _, err := o.Activate(t.Context(), press("bo", fine)); err != nil {
		t.Errorf("a rule need not give what is narrower: %v", err)
	}
	o.rules(strings.Replace(fullPolicy, "tables: [customers], privileges: [select]", "tables: [customers], privileges: [select, delete]", 1))
	_, err := o.Activate(t.Context(), press("bo", widened))
	if refusal := refusedWith(t, err, approvals.AlreadyOver); !strings.Contains(refusal.Words, "does not give less") {
		t.Error(refusal.Words)
	}
	o.rules(strings.Replace(fullPolicy, "rules:\n", "rules:\n  - { name: customers are taboo, deny: true, profiles: [customers-only] }\n", 1))
	_, err = o.Activate(t.Context(), press("bo", denied))
	if refusal := refusedWith(t, err, approvals.AlreadyOver); !strings.Contains(refusal.Words, "customers are taboo") {
		t.Error(refusal.Words)
	}
}

func TestParametersReachTheGrant(t *testing.T) {
	t.Parallel()
	o := full(t)
	wish := o.wish("bo", "support")
	wish.Params = map[string]string{"customer_id": "7"}
	asked, err := o.File(t.Context(), wish)
	if err != nil || asked.Request.State != approvals.Pending {
		t.Fatalf("%s: %s %v", asked.Request.State, asked.Request.Decision.Why, err)
	}
	o.approves("dora", asked)
	second, err := o.File(t.Context(), func() approvals.Filing { w := wish; w.Key += "again"; return w }())
	if err != nil {
		t.Fatal(err)
	}
	o.approves("dora", second)
	c, err := o.Activate(t.Context(), press("bo", asked))
	if err != nil || len(c.Grant.Params) != 1 || c.Grant.Params[0].Name != "customer_id" || c.Grant.Params[0].Value != "7" || c.Grant.Params[0].Type != "bigint" {
		t.Fatalf("%+v, %v", c.Grant, err)
	}
	o.rules(strings.Replace(fullPolicy, "{ name: region, type: text }", "{ name: region, type: text, required: true }", 1))
	_, err = o.Activate(t.Context(), press("bo", second))
	refusedWith(t, err, approvals.AlreadyOver)
}

// Narrower access that may be had for a short time only is not extended beyond that, nor when it gives more by now.
func TestExtendingNarrowerAccess(t *testing.T) {
	t.Parallel()
	o := full(t)
	wish := o.wish("bo", "read-only")
	wish.Duration = 5 * time.Minute
	asked, err := o.File(t.Context(), wish)
	if err != nil {
		t.Fatal(err)
	}
	c, err := o.ApproveLess(t.Context(), press("dora", asked), approvals.Less{Profile: "orders-only"})
	if err != nil || c.Request.Less.Duration != 0 {
		t.Fatalf("%+v, %v", c.Request.Less, err)
	}
	c = o.takes("bo", c)
	_, err = o.Extend(t.Context(), press("bo", c), 6*time.Minute)
	if refusal := refusedWith(t, err, approvals.NotApprover); !strings.Contains(refusal.Words, "orders-only cannot be had for that long") {
		t.Error(refusal.Words)
	}
	o.rules(strings.Replace(fullPolicy, "tables: [orders], privileges: [select] }] }", "tables: [orders], privileges: [select, delete] }] }", 1))
	_, err = o.Extend(t.Context(), press("bo", c), time.Minute)
	if refusal := refusedWith(t, err, approvals.AlreadyOver); !strings.Contains(refusal.Words, "does not give less") {
		t.Error(refusal.Words)
	}
	o.rules(fullPolicy)
	if _, err := o.Extend(t.Context(), press("bo", c), 5*time.Minute); err != nil {
		t.Error(err)
	}
}

// Whoever acts on somebody else's access is looked up afresh; whoever only looks or asks need not be.
func TestWhoActsIsLookedUpAfresh(t *testing.T) {
	t.Parallel()
	o := full(t)
	fresh := func(what, who string, want bool) {
		t.Helper()
		if got := o.people.fresh[who]; got != want {
			t.Errorf("%s: %s is looked up afresh: %t", what, who, got)
		}
	}
	asked := o.asks("bo", "data-fix")
	fresh("asking", "bo", false)
	o.approves("dora", asked)
	fresh("approving", "dora", true)
	if _, err := o.Withdraw(t.Context(), press("dora-2", asked)); err != nil {
		t.Fatal(err)
	}
	fresh("withdrawing", "dora-2", true)
	c := o.breaks("ana")
	fresh("breaking glass", "ana", true)
	_, err := o.CloseReview(t.Context(), press("sam", c), approvals.Justified, "looked")
	refusedWith(t, err, approvals.TooEarly)
	fresh("closing a review", "sam", true)
}
