package approvals_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// boundsPolicy lets three agree to reads, and has a profile that gives less for an hour at most.
const boundsPolicy = `version: 1
groups:
  backend: { emails: [ana@example.com] }
  dba: { emails: [dora@example.com, bo@example.com, eve@example.com] }
schedules:
  payments: { pagerduty_schedule: PABC123 }
profiles:
  - { name: read-only, risk: low, grants: [{ schema: public, tables: "*", privileges: [select] }] }
  - { name: two-tables, risk: low, grants: [{ schema: public, tables: [orders, items], privileges: [select] }] }
  - { name: one-table, risk: low, max_duration: 1h, grants: [{ schema: public, tables: [orders], privileges: [select] }] }
rules:
  - { name: on call, who: [oncall:payments], profiles: [one-table], approve: automatically, max_duration: 1h, budget: { grants: 1, per: day } }
  - { name: reads, who: [group:backend], profiles: [read-only], approvals: [{ from: [group:dba], count: 3 }], max_duration: 8h, extend: { times: 3, total: 24h } }
break_glass: { who: [group:backend], profiles: [read-only], reviewers: [group:dba] }
`

const unbounded = "one-table, risk: low"

// twoAgree is boundsPolicy with two approvals, whose narrowest profile may be had for any time.
func twoAgree() string {
	return strings.NewReplacer("count: 3", "count: 2", "one-table, risk: low, max_duration: 1h", unbounded).Replace(boundsPolicy)
}

func denying(source, profile string) string {
	return strings.Replace(source, "rules:\n", "rules:\n  - { name: never, deny: true, who: [group:backend], profiles: ["+profile+"] }\n", 1)
}

// narrowed is a request of ana's for all, to which dora and bo said yes, to less.
func (o *office) narrowed(dora, bo string) approvals.Case {
	o.t.Helper()
	c := o.asks("ana", "read-only")
	_, err := o.ApproveLess(o.t.Context(), press("dora", c), approvals.Less{Profile: dora})
	if err != nil {
		o.t.Fatal(err)
	}
	if bo == "" {
		c, err = o.Approve(o.t.Context(), press("bo", c))
	} else {
		c, err = o.ApproveLess(o.t.Context(), press("bo", c), approvals.Less{Profile: bo})
	}
	if err != nil || c.Request.State != approvals.Approved {
		o.t.Fatalf("%s: %v", c.Request.State, err)
	}
	return c
}

// A narrower profile's own bound holds also when somebody's shorter yes, which hid it, is taken back, and when it came later.
func TestANarrowerProfileIsNeverHadForLonger(t *testing.T) {
	o := setup(t)
	o.rules(boundsPolicy)
	w := o.wish("ana", "read-only")
	w.Duration = 8 * time.Hour
	c, err := o.File(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() (approvals.Case, error){
		func() (approvals.Case, error) {
			return o.ApproveLess(t.Context(), press("dora", c), approvals.Less{Duration: 30 * time.Minute})
		},
		func() (approvals.Case, error) {
			return o.ApproveLess(t.Context(), press("bo", c), approvals.Less{Profile: "one-table"})
		},
		func() (approvals.Case, error) { return o.Withdraw(t.Context(), press("dora", c)) },
	} {
		if c, err = step(); err != nil {
			t.Fatal(err)
		}
	}
	if c.Request.Length() != time.Hour {
		t.Errorf("agreed to is %s", c.Request.Length())
	}
	o.sleeps(11 * time.Second)
	for _, who := range []string{"eve", "dora"} {
		if _, err := o.Approve(t.Context(), press(who, c)); err != nil {
			t.Fatal(err)
		}
	}
	o.rules(strings.Replace(boundsPolicy, "max_duration: 1h, grants", "max_duration: 20m, grants", 1))
	got, err := o.Activate(t.Context(), press("ana", c))
	if err != nil || got.Grant.Deadline.Sub(got.Grant.Intended) != 20*time.Minute {
		t.Errorf("given for %s: %v", got.Grant.Deadline.Sub(got.Grant.Intended), err)
	}
}

func TestNarrowerAccessThatARuleDeniesIsNotExtended(t *testing.T) {
	o := setup(t)
	o.rules(twoAgree())
	c := o.takes("ana", o.narrowed("one-table", ""))
	o.rules(denying(twoAgree(), "one-table"))
	_, err := o.Extend(t.Context(), press("ana", c), time.Hour)
	if refusal := refusedWith(t, err, approvals.AlreadyOver); !strings.Contains(refusal.Words, `"never" forbids`) {
		t.Error(refusal.Words)
	}
	o.rules(denying(twoAgree(), "two-tables"))
	if _, err := o.Extend(t.Context(), press("ana", c), time.Hour); err != nil {
		t.Errorf("another profile is denied: %v", err)
	}
}

// A rule that would give the narrower access to somebody with a ticket does not deny it to those without.
func TestOnlyADenyingRuleKeepsNarrowerAccess(t *testing.T) {
	o := setup(t)
	for _, allowing := range []string{"require: { ticket: INC }", "max_duration: 1m"} {
		source := strings.Replace(twoAgree(), "rules:\n", "rules:\n  - { name: tables, who: [group:backend], profiles: [one-table], approve: automatically, "+allowing+" }\n", 1)
		o.rules(source)
		c := o.narrowed("one-table", "")
		o.rules(denying(source, "one-table"))
		_, err := o.Activate(t.Context(), press("ana", c))
		refusedWith(t, err, approvals.AlreadyOver)
		o.rules(source)
		if _, err := o.Activate(t.Context(), press("ana", c)); err != nil {
			t.Errorf("%s: %v", allowing, err)
		}
	}
}

// Dora agreed to two tables and bo to one of them; should the one not be among the two any more, dora has not agreed.
func TestWhatIsGivenIsLessThanEveryYes(t *testing.T) {
	o := setup(t)
	o.rules(twoAgree())
	c := o.narrowed("two-tables", "one-table")
	o.rules(strings.Replace(twoAgree(), "tables: [orders], ", "tables: [users], ", 1))
	_, err := o.Activate(t.Context(), press("ana", c))
	if refusal := refusedWith(t, err, approvals.AlreadyOver); !strings.Contains(refusal.Words, "less than two-tables any more") {
		t.Error(refusal.Words)
	}
	o.rules(twoAgree())
	if _, err := o.Activate(t.Context(), press("ana", c)); err != nil {
		t.Error(err)
	}
}

// A change of the policy that has nothing to do with it does not make an approved request eat its own budget.
func TestARequestDoesNotUseUpItsOwnBudget(t *testing.T) {
	o := setup(t)
	o.rules(boundsPolicy)
	o.people.shift["ana@example.com"] = time.Now().Add(8 * time.Hour)
	c := o.asks("ana", "one-table")
	o.rules(boundsPolicy + "# a comment\n")
	if _, err := o.Activate(t.Context(), press("ana", c)); err != nil {
		t.Errorf("a comment in the file: %v", err)
	}
}

// The store has an extension that the target did not take: the holder learns that, and not that nothing was given.
func TestAnExtensionThatTheTargetDidNotTake(t *testing.T) {
	o := setup(t)
	o.rules(twoAgree())
	c := o.takes("ana", o.narrowed("one-table", ""))
	o.grants.extendFails = &grants.Failure{Reason: grants.FailUnreachable, Err: errors.New("away")}
	got, err := o.Extend(t.Context(), press("ana", c), time.Hour)
	refusal := refusedWith(t, err, approvals.Unavailable)
	if !strings.Contains(refusal.Words, "is extended until") || strings.Contains(refusal.Words, "Get credentials") {
		t.Error(refusal.Words)
	}
	if !got.Grant.Deadline.Equal(c.Grant.Deadline.Add(time.Hour)) || o.records(audit.GrantExtended, c.Request.ID, true) != 0 {
		t.Errorf("until %s, recorded as refused", got.Grant.Deadline)
	}
}

// Whoever was told of the end before they extended, or had access too short to be told of, is told of the new one.
func TestTheNewEndIsAnnouncedToo(t *testing.T) {
	o := setup(t)
	o.rules(twoAgree())
	w := o.wish("ana", "read-only")
	w.Duration = 6 * time.Minute
	c, err := o.File(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"dora", "bo"} {
		if _, err := o.Approve(t.Context(), press(who, c)); err != nil {
			t.Fatal(err)
		}
	}
	c = o.takes("ana", c)
	if at := o.waiting(jobs.Nudge, "ending/1/"+c.Request.ID); len(at) != 0 {
		t.Fatalf("six minutes are announced at %s", at)
	}
	for i, subject := range []string{"ending/2/", "ending/3/"} {
		if c, err = o.Extend(t.Context(), press("ana", c), 30*time.Minute); err != nil {
			t.Fatal(err)
		}
		at := o.waiting(jobs.Nudge, subject+c.Request.ID)
		if want := c.Grant.Deadline.Add(-5 * time.Minute); len(at) != 1 || at[0].Sub(want).Abs() > time.Second {
			t.Errorf("extension %d: announced at %s, want %s", i+1, at, want)
		}
	}
}

// One job counts down to an end, an extension files one that counts down to its own, and too short access has none.
func TestAnExtensionMovesTheCountdown(t *testing.T) {
	o := setup(t)
	o.rules(twoAgree())
	takes := func(length time.Duration) approvals.Case {
		w := o.wish("ana", "read-only")
		w.Duration = length
		c, err := o.File(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		for _, who := range []string{"dora", "bo"} {
			if _, err := o.Approve(t.Context(), press(who, c)); err != nil {
				t.Fatal(err)
			}
		}
		return o.takes("ana", c)
	}
	counts := func(c approvals.Case, number int, left time.Duration) {
		t.Helper()
		subject := fmt.Sprintf("left/%d/%s", number, c.Request.ID)
		at := o.waiting(jobs.Nudge, subject)
		if left == 0 {
			if len(at) != 0 {
				t.Errorf("%s comes at %s", subject, at)
			}
			return
		}
		if want := c.Grant.Deadline.Add(-left); len(at) != 1 || at[0].Sub(want).Abs() > time.Second {
			t.Errorf("%s comes at %s, want %s", subject, at, want)
		}
	}
	c := takes(20 * time.Minute)
	counts(c, 1, 15*time.Minute)
	c, err := o.Extend(t.Context(), press("ana", c), 30*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	counts(c, 2, 30*time.Minute)
	counts(c, 3, 0)

	short := takes(4 * time.Minute)
	counts(short, 1, 0)
	if short, err = o.Extend(t.Context(), press("ana", short), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	counts(short, 2, 5*time.Minute)
}

// A press is delivered to two replicas when the first one's acknowledgement is lost.
func TestAnExtensionThatIsDeliveredTwiceCountsOnce(t *testing.T) {
	o := setup(t)
	o.rules(twoAgree())
	c := o.takes("ana", o.narrowed("one-table", ""))
	twice := press("ana", c)
	twice.Until = c.Grant.Deadline
	once, err := o.Extend(t.Context(), twice, 10*time.Minute)
	if err != nil || !once.Grant.Deadline.Equal(c.Grant.Deadline.Add(10*time.Minute)) {
		t.Fatalf("extended to %s from %s: %v", once.Grant.Deadline, c.Grant.Deadline, err)
	}
	again, err := o.Extend(t.Context(), twice, 10*time.Minute)
	if refusal := refusedWith(t, err, approvals.InProgress); !strings.Contains(refusal.Words, once.Grant.Deadline.UTC().Format("15:04")) {
		t.Error(refusal.Words)
	}
	if !again.Grant.Deadline.Equal(once.Grant.Deadline) || again.Grant.Extensions != 1 {
		t.Errorf("extended to %s, %d times", again.Grant.Deadline, again.Grant.Extensions)
	}
	twice.Until = once.Grant.Deadline // who saw the new end may go on
	if _, err := o.Extend(t.Context(), twice, 10*time.Minute); err != nil {
		t.Error(err)
	}
}
