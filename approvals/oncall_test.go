package approvals_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/policy"
)

func TestTheProofOfBeingOnCallIsKeptAndBindsTheGrant(t *testing.T) {
	t.Parallel()
	o := full(t)
	shift := o.now().Add(40 * time.Minute)
	o.people.shift["ana@example.com"] = shift
	wish := o.wish("ana", "read-only")
	wish.Duration = 2 * time.Hour
	asked, err := o.File(t.Context(), wish)
	if err != nil || asked.Request.State != approvals.Approved {
		t.Fatalf("%s, %v", asked.Request.Decision.Why, err)
	}
	proof := asked.Request.Decision.Shift
	if proof == nil || proof.Schedule != "payments" || proof.Source != "pagerduty PABC123" || proof.Level != 1 || !near(proof.End, shift) || !near(proof.AsOf, o.now()) {
		t.Errorf("the card has %+v", proof)
	}
	if !asked.Request.LapsesAt.Equal(asked.Request.FiledAt.Add(25 * time.Minute)) {
		t.Errorf("the policy's time to take it is not kept: it lapses %s", asked.Request.LapsesAt)
	}
	events, err := o.Timeline(t.Context(), asked.Request.ID)
	if err != nil || len(events) != 2 {
		t.Fatal(events, err)
	}
	if d := events[1].Detail; d["schedule"] != "payments" || d["source"] != "pagerduty PABC123" || d["level"] != "1" ||
		d["shift_end"] != shift.UTC().Format(time.RFC3339) || d["as_of"] == "" {
		t.Errorf("recorded is %v", d)
	}
	c := o.takes("ana", asked)
	if !near(c.Grant.Deadline, shift) || !near(c.Grant.NotAfter, shift) {
		t.Errorf("the grant ends %s, the shift %s", c.Grant.Deadline, shift)
	}
}

func TestAnExtensionAsksAgainWhoIsOnCall(t *testing.T) {
	t.Parallel()
	o := full(t)
	refused := 0
	o.people.shift["ana@example.com"] = o.now().Add(3 * time.Hour)
	wish := o.wish("ana", "read-only")
	wish.Duration = time.Hour
	asked, err := o.File(t.Context(), wish)
	if err != nil {
		t.Fatal(err)
	}
	c := o.takes("ana", asked)
	refuses := func(by time.Duration, code approvals.Code, words string) {
		t.Helper()
		_, err := o.Extend(t.Context(), press("ana", c), by)
		if refusal := refusedWith(t, err, code); !strings.Contains(refusal.Words, words) {
			t.Errorf("refused with %s", refusal.Words)
		}
		refused++
		if n := o.records(audit.GrantExtended, c.Request.ID, true); n != refused {
			t.Errorf("%d of %d refused attempts are recorded", n, refused)
		}
	}
	refuses(0, approvals.BadInput, "by how long")
	refuses(4*time.Hour, approvals.NotApprover, "At most 4h") // five hours in all
	o.people.pagerDown = true
	refuses(time.Minute, approvals.NotApprover, "PagerDuty did not answer")
	o.people.pagerDown = false
	delete(o.people.shift, "ana@example.com")
	refuses(time.Minute, approvals.NotApprover, "") // a rule that asks people is what is left

	// The next shift is a shorter one, and bounds what is given.
	shift := o.now().Add(90 * time.Minute)
	o.people.shift["ana@example.com"] = shift
	got, err := o.Extend(t.Context(), press("ana", c), 2*time.Hour)
	if err != nil || !near(got.Grant.Deadline, shift) || !near(got.Grant.NotAfter, shift) || got.Grant.Extensions != 1 {
		t.Fatalf("extended until %s, the shift ends %s: %v", got.Grant.Deadline, shift, err)
	}
	refuses(time.Minute, approvals.NotApprover, "Your shift on call for payments ends at")
	o.people.shift["ana@example.com"] = o.now().Add(8 * time.Hour)
	if _, err := o.Extend(t.Context(), press("ana", c), 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	refuses(time.Minute, approvals.NotApprover, "extended twice already")
}

func TestWhatPeopleAgreedToIsExceededOnlyAsTheRuleSays(t *testing.T) {
	t.Parallel()
	o := full(t)
	live := func(profile string, approvers ...string) approvals.Case {
		asked := o.asks("bo", profile)
		for _, who := range approvers {
			o.approves(who, asked)
		}
		return o.takes("bo", asked)
	}
	c := live("read-only", "dora")
	if got, err := o.Extend(t.Context(), press("bo", c), 2*time.Hour); err != nil || !got.Grant.Deadline.Equal(c.Grant.Deadline.Add(2*time.Hour)) {
		t.Fatalf("2h more: %v", err)
	}
	_, err := o.Extend(t.Context(), press("bo", c), time.Minute)
	refusedWith(t, err, approvals.NotApprover)
	_, err = o.Extend(t.Context(), press("bo", live("data-fix", "dora", "sam")), time.Minute)
	refusedWith(t, err, approvals.NotApprover)
}

// slowRoster answers after the time that filing waits for it, however long that is.
type slowRoster struct{ *people }

func (slowRoster) Standing(ctx context.Context, s policy.Schedule, _ string) policy.Standing {
	<-ctx.Done()
	return policy.Standing{Schedule: s.Name, Unknown: "PagerDuty did not answer in time"}
}

func TestWhatPagerDutyDoesNotSayIsAskedOfAPerson(t *testing.T) {
	t.Parallel()
	o := full(t)
	o.people.shift["bo@example.com"] = o.now().Add(time.Hour)
	for words, roster := range map[string]approvals.Roster{
		"did not answer in time": slowRoster{o.people},
		"rate":                   saying{o.people, policy.Standing{Schedule: "payments", Unknown: "PagerDuty is rate limiting us"}},
		"nonsense":               saying{o.people, policy.Standing{On: true, Schedule: "payments", Unknown: "PagerDuty's answer was nonsense"}},
		"end":                    saying{o.people, policy.Standing{On: true, Schedule: "payments", Level: 1, AsOf: o.now()}}, // a shift without an end
	} {
		s, err := approvals.New(approvals.Config{
			Store: o.store, Grants: o.grants, Directory: o.people, Roster: roster, Policy: o.policy.Load, Targets: o.Targets(),
			Now: o.now, LapseAfter: time.Hour, TakeWithin: time.Hour, MostPending: 100, FactsWithin: 50 * time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.File(t.Context(), o.wish("bo", "read-only"))
		if err != nil || c.Request.State != approvals.Pending || c.Request.Decision.Rule != "reads" {
			t.Fatalf("%s: %s by %q, %v", words, c.Request.State, c.Request.Decision.Rule, err)
		}
		if words != "end" && !strings.Contains(strings.Join(c.Request.Decision.Unknowns, " "), words) {
			t.Errorf("the card does not say why a person is asked: %q", c.Request.Decision.Unknowns)
		}
	}
}

type saying struct {
	*people
	standing policy.Standing
}

func (s saying) Standing(context.Context, policy.Schedule, string) policy.Standing { return s.standing }

// Requests at the same instant on two replicas never both take the last part of a budget.
func TestTheLastPartOfABudgetIsTakenOnce(t *testing.T) {
	t.Parallel()
	o := full(t)
	other := o.service(o.open(), o.policy.Load, o.now)
	for _, who := range []string{"ana", "bo", "kim", "lou"} {
		o.people.shift[who+"@example.com"] = o.now().Add(8 * time.Hour)
		var wg sync.WaitGroup
		var mu sync.Mutex
		got := map[approvals.State]int{}
		for i := range 8 {
			s := o.Service
			if i%2 == 0 {
				s = other
			}
			wish := o.wish(who, "read-only")
			wg.Go(func() {
				c, err := s.File(t.Context(), wish)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				got[c.Request.State]++
				if c.Request.State != approvals.Approved && c.Request.Decision.Why == "" {
					t.Error("no word about why")
				}
			})
		}
		wg.Wait()
		if got[approvals.Approved] != 3 {
			t.Errorf("%s: %v, and the budget is 3", who, got)
		}
		if n := query[int](o, `SELECT count(*) FROM requests WHERE requester_id = $1`, who)[0]; n != 8 {
			t.Errorf("%s: %d requests are kept", who, n)
		}
	}
}

// Extensions at the same instant on two replicas count one after the other: the rule allows one.
func TestTheLastExtensionIsTakenOnce(t *testing.T) {
	t.Parallel()
	o := full(t)
	other := o.service(o.open(), o.policy.Load, o.now)
	asked := o.asks("bo", "read-only")
	o.approves("dora", asked)
	c := o.takes("bo", asked)
	var wg sync.WaitGroup
	var mu sync.Mutex
	extended := 0
	for i := range 8 {
		s := o.Service
		if i%2 == 0 {
			s = other
		}
		wg.Go(func() {
			if _, err := s.Extend(t.Context(), press("bo", c), time.Duration(i+1)*time.Minute); err == nil {
				mu.Lock()
				extended++
				mu.Unlock()
			} else if _, ok := errors.AsType[*approvals.Refusal](err); !ok {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := o.reads(c); extended != 1 || got.Grant.Extensions != 1 || o.records(audit.GrantExtended, c.Request.ID, true) != 7 {
		t.Errorf("extended %d times, the grant says %d", extended, got.Grant.Extensions)
	}
}

// spent is a store in which somebody else always takes what is left of a budget first.
type spent struct {
	approvals.Store
	tries *int
}

func (s spent) CreateRequest(ctx context.Context, change approvals.Change) (approvals.Case, bool, error) {
	*s.tries++
	if change.Request.Decision.Budget != nil {
		return approvals.Case{}, false, approvals.ErrBudget
	}
	return s.Store.CreateRequest(ctx, change)
}

func TestABudgetThatOthersKeepTakingIsAskedOfAPerson(t *testing.T) {
	t.Parallel()
	o := full(t)
	o.people.shift["bo@example.com"] = o.now().Add(time.Hour)
	tries := 0
	s := o.service(spent{o.store, &tries}, o.policy.Load, o.now)
	c, err := s.File(t.Context(), o.wish("bo", "read-only"))
	if err != nil || c.Request.State != approvals.Pending || tries < 2 || tries > 10 {
		t.Fatalf("%s after %d tries, %v", c.Request.State, tries, err)
	}
	if !strings.Contains(strings.Join(c.Request.Decision.Unknowns, " "), "others draw on the same budget") {
		t.Errorf("the card does not say why: %q", c.Request.Decision.Unknowns)
	}
}
