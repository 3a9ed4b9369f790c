package approvals_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/policy"
)

const startPolicy = `version: 1
groups:
  backend: { emails: [ana@example.com, bo@example.com] }
  support: { slack_usergroup: S0SUPPORT }
  dba: { emails: [dora@example.com, bo@example.com] }
schedules:
  payments: { pagerduty_schedule: PABC123 }
profiles:
  - { name: read-only, risk: low, grants: [{ schema: public, tables: "*", privileges: [select] }] }
  - { name: data-fix, risk: high, grants: [{ schema: public, tables: "*", privileges: [update] }] }
rules:
  - { name: on call, who: [oncall:payments], profiles: [read-only], approve: automatically, max_duration: 2h }
  - { name: support, who: [group:support], profiles: [read-only], approve: automatically, max_duration: 2h, activate_within: 20m }
  - { name: asks, who: [group:backend], profiles: [read-only], approvals: [{ from: [group:dba] }], max_duration: 2h }
break_glass: { who: [group:backend], profiles: [data-fix], max_duration: 1h, review_within: 24h, reviewers: [group:dba], notify: [security_channel] }
`

// asksFor files a wish for read-only that begins after a while.
func (o *office) asksFor(who string, after time.Duration) approvals.Case {
	o.t.Helper()
	f := o.wish(who, "read-only")
	f.StartsAt = o.now().Add(after)
	c, err := o.File(o.t.Context(), f)
	if err != nil {
		o.t.Fatalf("%s asks for later: %v", who, err)
	}
	return c
}

func TestNothingIsTakenBeforeItsStart(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.rules(startPolicy)
	c := o.asksFor("ana", 5*time.Hour)
	if c.Request.State != approvals.Pending || !near(c.Request.LapsesAt, o.now().Add(time.Hour)) {
		t.Fatalf("%s, lapses %s: a later start waits for its answer under the ordinary rule", c.Request.State, c.Request.LapsesAt)
	}
	c = o.approves("dora", c)
	starts := c.Request.StartsAt
	if !c.Request.LapsesAt.Equal(starts.Add(30*time.Minute)) || c.Request.Ready() {
		t.Fatalf("starts %s, to be taken until %s, ready %v", starts, c.Request.LapsesAt, c.Request.Ready())
	}
	if at := o.waiting(jobs.Start, c.Request.ID); len(at) != 1 || !near(at[0], starts) {
		t.Errorf("the start is noticed %v, it is %s", at, starts)
	}
	if next := c.Upcoming(o.now()); len(next) != 2 || next[0].What != approvals.Starts || !next[0].At.Equal(starts) || next[1].What != approvals.Lapses {
		t.Errorf("what comes next: %+v", next)
	}
	press := approvals.Press{By: "ana", Request: c.Request.ID}
	_, err := o.Activate(t.Context(), press)
	refusal := refusedWith(t, err, approvals.TooEarly)
	if !refusal.When.Equal(starts) || !strings.Contains(refusal.Words, approvals.Instant(starts)) {
		t.Errorf("too early: %+v", refusal)
	}
	if early, ok := errors.AsType[*approvals.Early](o.Begin(t.Context(), c.Request.ID)); !ok || early.After > 5*time.Hour || early.After < 4*time.Hour {
		t.Errorf("its job, before its time: %v", early)
	}
	// Nothing lapses on the way there.
	o.sleeps(4*time.Hour + 59*time.Minute)
	if err := o.Lapse(t.Context(), c.Request.ID); !errors.Is(err, approvals.ErrEarly) {
		t.Errorf("a minute before the start: %v", err)
	}
	_, err = o.Activate(t.Context(), press)
	refusedWith(t, err, approvals.TooEarly)
	o.sleeps(time.Minute)
	for range 2 {
		if err := o.Begin(t.Context(), c.Request.ID); err != nil {
			t.Fatal(err)
		}
	}
	before := c.Request.Version
	if c = o.reads(c); !c.Request.Ready() || c.Request.StartedAt.Before(starts) || c.Request.Version != before+1 {
		t.Errorf("started %s, version %d after %d", c.Request.StartedAt, c.Request.Version, before)
	}
	if n := query[int](o, `SELECT count(*)::int FROM audit_events WHERE kind = $1 AND request_id = $2`, string(audit.RequestReady), c.Request.ID); n[0] != 1 {
		t.Errorf("%d events say that it can be taken", n[0])
	}
	if n := query[int](o, `SELECT count(*)::int FROM river_job WHERE args->>'work' = 'draw' AND args->>'subject' = $1 AND (args->>'version')::int = $2`, c.Request.ID, c.Request.Version); n[0] != 1 {
		t.Errorf("%d drawings of the start", n[0])
	}
	c, err = o.Activate(t.Context(), press)
	if err != nil || c.Request.State != approvals.Activated {
		t.Fatalf("at the start: %s, %v", c.Request.State, err)
	}
	if length := c.Grant.Deadline.Sub(c.Grant.Intended); length != 30*time.Minute {
		t.Errorf("it lasts %s from when it was taken", length)
	}
}

// Whoever presses before the start is noticed gets the access, and nothing is said about it afterwards.
func TestAPressMayComeBeforeTheJob(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.rules(startPolicy)
	c := o.approves("dora", o.asksFor("ana", time.Hour))
	o.sleeps(time.Hour)
	c, err := o.Activate(t.Context(), approvals.Press{By: "ana", Request: c.Request.ID})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Begin(t.Context(), c.Request.ID); err != nil {
		t.Fatal(err)
	}
	if after := o.reads(c); after.Request.Version != c.Request.Version || !after.Request.Ready() {
		t.Errorf("the job changed something: %+v", after.Request)
	}
}

func TestApprovedAfterItsStart(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.rules(startPolicy)
	c := o.asksFor("ana", 10*time.Minute)
	o.sleeps(40 * time.Minute)
	c = o.approves("dora", c)
	if !c.Request.Ready() || !near(c.Request.LapsesAt, o.now().Add(30*time.Minute)) || len(o.waiting(jobs.Start, c.Request.ID)) != 0 {
		t.Errorf("ready %v, until %s, jobs %v", c.Request.Ready(), c.Request.LapsesAt, o.waiting(jobs.Start, c.Request.ID))
	}
	late := o.asksFor("ana", 3*time.Hour)
	o.sleeps(time.Hour)
	if err := o.Lapse(t.Context(), late.Request.ID); err != nil {
		t.Fatal(err)
	}
	if late = o.reads(late); late.Request.State != approvals.Lapsed {
		t.Errorf("unanswered for an hour it is %s", late.Request.State)
	}
}

func TestAShiftThatNobodyKnowsYet(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.rules(startPolicy)
	o.people.shift["ana@example.com"] = o.now().Add(12 * time.Hour)
	if c := o.asks("ana", "read-only"); c.Request.State != approvals.Approved {
		t.Fatalf("on call now: %s", c.Request.State)
	}
	if c := o.asksFor("ana", time.Hour); c.Request.State != approvals.Pending || c.Request.Decision.Shift != nil || len(c.Request.Decision.Unknowns) != 0 {
		t.Errorf("on call now, for later: %s, %q", c.Request.State, c.Request.Decision.Unknowns)
	}
}

// What nobody agreed to is given at the start only to those whom the policy would give it then.
func TestApprovedByNobodyForLaterIsAskedAgain(t *testing.T) {
	t.Parallel()
	take := func(o *office, c approvals.Case) (approvals.Case, error) {
		return o.Activate(o.t.Context(), approvals.Press{By: "tess", Request: c.Request.ID})
	}
	later := func(t *testing.T) (*office, approvals.Case) {
		o := setup(t)
		o.rules(startPolicy)
		o.people.member["S0SUPPORT/tess"] = true
		c := o.asksFor("tess", 24*time.Hour)
		if c.Request.State != approvals.Approved || !c.Request.LapsesAt.Equal(c.Request.StartsAt.Add(20*time.Minute)) {
			t.Fatalf("%s until %s", c.Request.State, c.Request.LapsesAt)
		}
		if at := o.waiting(jobs.Start, c.Request.ID); len(at) != 1 {
			t.Errorf("its start is noticed %v", at)
		}
		_, err := take(o, c)
		refusedWith(t, err, approvals.TooEarly)
		o.sleeps(24 * time.Hour)
		return o, c
	}
	t.Run("still in the group", func(t *testing.T) {
		t.Parallel()
		if c, err := take(later(t)); err != nil || c.Request.State != approvals.Activated {
			t.Errorf("%s, %v", c.Request.State, err)
		}
	})
	t.Run("left the group", func(t *testing.T) {
		t.Parallel()
		o, c := later(t)
		o.people.member["S0SUPPORT/tess"] = false
		_, err := take(o, c)
		if r := refusedWith(t, err, approvals.AlreadyOver); !strings.Contains(r.Words, "did when it was asked for") {
			t.Error(r.Words)
		}
	})
	t.Run("somebody has to agree by now", func(t *testing.T) {
		t.Parallel()
		o, c := later(t)
		o.people.member["S0SUPPORT/tess"] = false
		o.rules(strings.Replace(startPolicy, "bo@example.com] }\n  support", "bo@example.com, tess@example.com] }\n  support", 1))
		_, err := take(o, c)
		if r := refusedWith(t, err, approvals.AlreadyOver); !strings.Contains(r.Words, "by now somebody has to. Needs 1 approval from group dba") {
			t.Error(r.Words)
		}
	})
	t.Run("not known", func(t *testing.T) {
		t.Parallel()
		o, c := later(t)
		o.people.unknown = "Slack did not answer"
		_, err := take(o, c)
		if r := refusedWith(t, err, approvals.NotKnown); !strings.Contains(r.Words, "Slack did not answer") {
			t.Error(r.Words)
		}
	})
	t.Run("by a shift then", func(t *testing.T) {
		t.Parallel()
		o, c := later(t)
		end := o.now().Add(10 * time.Minute)
		o.people.shift["tess@example.com"] = end
		taken, err := take(o, c)
		if err != nil || !near(taken.Grant.Deadline, end) {
			t.Errorf("it ends %s, the shift %s: %v", taken.Grant.Deadline, end, err)
		}
	})
}

func TestStartsThatCannotBe(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.rules(startPolicy)
	ask := func(after time.Duration) (approvals.Case, error) {
		f := o.wish("ana", "read-only")
		f.StartsAt = o.now().Add(after)
		return o.File(t.Context(), f)
	}
	_, err := ask(-10 * time.Minute)
	if r := refusedWith(t, err, approvals.BadInput); r.Field != "Start" {
		t.Errorf("past: %+v", r)
	}
	if c, err := ask(-time.Minute); err != nil || !c.Request.StartsAt.IsZero() {
		t.Errorf("this minute is now: %s, %v", c.Request.StartsAt, err)
	}
	if c, err := ask(8 * 24 * time.Hour); err != nil || c.Request.State != approvals.Denied || c.Request.Decision.Field != policy.FieldStart {
		t.Errorf("too far: %s %+v, %v", c.Request.State, c.Request.Decision, err)
	}
	f := o.wish("ana", "data-fix")
	f.StartsAt = o.now().Add(time.Hour)
	if c, err := o.BreakGlass(t.Context(), f); err != nil || c.Request.State != approvals.Denied || c.Request.BreakGlass {
		t.Errorf("broken glass for later: %+v, %v", c.Request, err)
	}
	f.StartsAt = o.now().Add(-time.Hour)
	if d, err := o.PreviewBreakGlass(t.Context(), f); err != nil || d.Outcome != policy.Denied {
		t.Errorf("broken glass for before: %+v, %v", d, err)
	}
	f.Profile = "read-only"
	if d, err := o.Preview(t.Context(), f); err != nil || d.Outcome != policy.Denied || d.Field != policy.FieldStart {
		t.Errorf("a look at the past: %+v, %v", d, err)
	}
}

// A start may be a moment ahead when it is checked and past when it is filed: then it is now, and never an error.
func TestAStartMayComeWhileItIsFiled(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.rules(startPolicy)
	const tick = 10 * time.Millisecond
	var read atomic.Int64
	base := o.now()
	clock := func() time.Time { return base.Add(time.Duration(read.Add(1)) * tick) }
	s := o.service(o.store, o.policy.Load, clock)
	ahead := 0
	for k := range 20 {
		f := o.wish("ana", "read-only")
		f.Key += fmt.Sprint("moment", k)
		f.StartsAt = clock().Add(time.Duration(k)*tick + tick/2)
		c, err := s.File(t.Context(), f)
		if err != nil {
			t.Errorf("%d readings ahead: %v", k, err)
			continue
		}
		if c.Request.State != approvals.Pending {
			t.Errorf("%d readings ahead it is %s: %s", k, c.Request.State, c.Request.Decision.Why)
		}
		if !c.Request.StartsAt.IsZero() {
			ahead++
		}
	}
	if ahead == 0 || ahead == 20 {
		t.Errorf("%d of 20 starts were still ahead: the moment in between is not tried", ahead)
	}
}

// asks is a store that counts how often it is asked what is usual.
type asks struct {
	approvals.Store
	n    int
	fail error
}

func (a *asks) Usual(ctx context.Context, asked []policy.Requirement, since time.Time) (approvals.Usual, error) {
	a.n++
	if a.fail != nil {
		return approvals.Usual{Answered: 100, Median: time.Hour}, a.fail
	}
	return a.Store.Usual(ctx, asked, since)
}

// crowdAsks is a store that holds what is usual back until it is let go.
type crowdAsks struct {
	approvals.Store
	n     atomic.Int64
	asked chan struct{}
	let   chan struct{}
}

func (a *crowdAsks) Usual(ctx context.Context, _ []policy.Requirement, _ time.Time) (approvals.Usual, error) {
	a.n.Add(1)
	a.asked <- struct{}{}
	<-a.let
	return approvals.Usual{Answered: 3, Median: 5 * time.Minute}, nil
}

// While the store is being asked, nobody else asks it the same, and whoever asked first may go away.
func TestUsualIsAskedOnceForEverybody(t *testing.T) {
	t.Parallel()
	o := setup(t)
	store := &crowdAsks{Store: o.store, asked: make(chan struct{}, 10), let: make(chan struct{})}
	s := o.service(store, o.policy.Load, o.now)
	dba := []policy.Requirement{{From: []string{"group:dba"}, Count: 1}}
	first, leave := context.WithCancel(t.Context())
	gone := make(chan approvals.Usual)
	go func() { gone <- s.Usual(first, dba) }()
	<-store.asked
	leave()
	if u := <-gone; u.Known() {
		t.Errorf("whoever left was told %v", u)
	}
	answers := make(chan approvals.Usual)
	for range 5 {
		go func() { answers <- s.Usual(t.Context(), dba) }()
	}
	select {
	case <-store.asked:
		t.Error("the store was asked again meanwhile")
	case <-time.After(100 * time.Millisecond):
	}
	close(store.let)
	for range 5 {
		if u := <-answers; u.Answered != 3 {
			t.Errorf("told %v", u)
		}
	}
	if n := store.n.Load(); n != 1 {
		t.Errorf("the store was asked %d times", n)
	}
}

func TestUsual(t *testing.T) {
	t.Parallel()
	o := setup(t)
	counting := &asks{Store: o.store}
	s := o.service(counting, o.policy.Load, o.now)
	dba := []policy.Requirement{{From: []string{"group:dba"}, Count: 1}}
	said := func(want string) {
		t.Helper()
		o.sleeps(2 * time.Minute) // what is remembered is out of date
		if got := s.Usual(t.Context(), dba).String(); got != want {
			t.Errorf("said %q, want %q", got, want)
		}
	}
	said("")
	for _, after := range []time.Duration{2 * time.Minute, 5 * time.Minute, 30 * time.Minute} {
		said("")
		c := o.asks("ana", "read-only")
		o.sleeps(after)
		if after == 5*time.Minute {
			if _, err := o.Deny(t.Context(), approvals.Press{By: "dora", Request: c.Request.ID}, "no"); err != nil {
				t.Fatal(err)
			}
			continue
		}
		o.approves("dora", c)
	}
	said("usually answered in 5 min")
	fixes := o.asks("ana", "data-fix")
	o.approves("dora", fixes)
	said("usually answered in 5 min") // others were asked
	if _, err := o.Cancel(t.Context(), approvals.Press{By: "ana", Request: o.asks("ana", "read-only").Request.ID}); err != nil {
		t.Fatal(err)
	}
	lapses := func() {
		c := o.asks("ana", "read-only")
		o.sleeps(time.Hour)
		if err := o.Lapse(t.Context(), c.Request.ID); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		lapses()
	}
	said("usually answered in 5 min")
	lapses()
	said("often not answered")
	counting.n = 0
	for range 5 {
		s.Usual(t.Context(), dba)
	}
	if counting.n != 0 {
		t.Errorf("the store was asked %d times within a minute", counting.n)
	}
	counting.fail = context.DeadlineExceeded
	said("")
	o.sleeps(31 * 24 * time.Hour)
	counting.fail = nil
	said("")
}

// A budget per day is that of the day of the start: it can be neither saved up for one, nor used up by a day after it.
func TestADaysBudgetCannotBeSavedUp(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.rules(strings.Replace(startPolicy, "activate_within: 20m", "activate_within: 20m, budget: { grants: 1, per: day }", 1))
	o.people.member["S0SUPPORT/ana"] = true
	const day = 24 * time.Hour
	begins := o.now().Add(5 * day)
	var first approvals.Case
	for i := range 5 {
		f := o.wish("ana", "read-only")
		f.StartsAt = begins
		c, err := o.File(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		want := approvals.Pending
		if i == 0 {
			first, want = c, approvals.Approved
		}
		if c.Request.State != want {
			t.Errorf("day %d: %s, want %s: %s", i+1, c.Request.State, want, c.Request.Decision.Why)
		}
		o.sleeps(day - time.Minute)
	}
	after := o.asksFor("ana", 3*day)
	if after.Request.State != approvals.Approved {
		t.Fatalf("for another day: %s", after.Request.Decision.Why)
	}
	o.sleeps(6 * time.Minute)
	if c, err := o.Activate(t.Context(), press("ana", first)); err != nil || c.Request.State != approvals.Activated {
		t.Errorf("the one of the day itself: %s, %v", c.Request.State, err)
	}
}

// What people agreed to for a start is given only while no more is asked for: hours may have ended since.
func TestWhatIsAskedForAtTheTakingMustHaveBeenAgreedTo(t *testing.T) {
	t.Parallel()
	const asks = "approvals: [{ from: [group:dba] }]"
	for name, tc := range map[string]struct {
		rule, to string
		by       string
		refused  string
	}{
		"the same":                        {asks, asks, "dora", ""},
		"two by now":                      {asks, "approvals: [{ from: [group:dba], count: 2 }]", "dora", "Needs 2 approvals from group dba"},
		"others by now":                   {asks, "approvals: [{ from: [\"user:sam@example.com\"] }]", "dora", "sam@example.com"},
		"fewer people by now, and theirs": {asks, "approvals: [{ from: [\"user:dora@example.com\"] }]", "dora", ""},
		"fewer people by now, not theirs": {asks, "approvals: [{ from: [\"user:dora@example.com\"] }]", "bo", "dora@example.com"},
		"nobody by now":                   {asks, "approve: automatically", "dora", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := setup(t)
			o.rules(startPolicy)
			c := o.approves(tc.by, o.asksFor("ana", time.Hour))
			o.sleeps(61 * time.Minute)
			changed := strings.Replace(startPolicy, tc.rule, tc.to, 1)
			o.rules(changed)
			_, err := o.Activate(t.Context(), press("ana", c))
			if tc.refused == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			r := refusedWith(t, err, approvals.AlreadyOver)
			if !strings.Contains(r.Words, "more than was agreed to") || !strings.Contains(r.Words, tc.refused) || !strings.HasSuffix(r.Words, "File a new request.") {
				t.Error(r.Words)
			}
		})
	}
	t.Run("after the hours", func(t *testing.T) {
		t.Parallel()
		o := setup(t)
		starts := o.now().Add(2 * time.Hour).UTC().Truncate(time.Minute).Add(30 * time.Second)
		end := starts.Truncate(time.Minute).Add(time.Minute)
		o.rules(strings.Replace(startPolicy, "  - { name: asks", "  - { name: in hours, who: [group:backend], profiles: [read-only], "+asks+
			", hours: { from: \""+end.Add(-time.Hour).Format("15:04")+"\", to: \""+end.Format("15:04")+"\", timezone: UTC } }\n  - { name: asks", 1))
		o.rules(strings.Replace(string(o.policy.Load().Source()), "{ name: asks, who: [group:backend], profiles: [read-only], "+asks,
			"{ name: asks, who: [group:backend], profiles: [read-only], approvals: [{ from: [group:dba], count: 2 }]", 1))
		f := o.wish("ana", "read-only")
		f.StartsAt = starts
		c, err := o.File(t.Context(), f)
		if err != nil || c.Request.Decision.Rule != "in hours" {
			t.Fatalf("%+v, %v", c.Request.Decision, err)
		}
		c = o.approves("dora", c)
		o.sleeps(end.Add(time.Minute).Sub(o.now()))
		_, err = o.Activate(t.Context(), press("ana", c))
		if r := refusedWith(t, err, approvals.AlreadyOver); !strings.Contains(r.Words, `Needs 2 approvals from group dba (rule "asks")`) {
			t.Error(r.Words)
		}
	})
}
