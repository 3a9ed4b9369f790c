package approvals_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

// refusedWith fails the test unless err is a refusal with the code and with words.
func refusedWith(t *testing.T, err error, code approvals.Code) *approvals.Refusal {
	t.Helper()
	refusal, ok := errors.AsType[*approvals.Refusal](err)
	if !ok || refusal.Code != code || refusal.Words == "" {
		t.Fatalf("got %v, want the refusal %q", err, code)
	}
	return refusal
}

func TestFilingIsDecidedByThePolicy(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.people.shift["ana@example.com"] = time.Now().Add(time.Hour)
	for _, c := range []struct {
		who, profile string
		want         approvals.State
		rule         string
	}{
		{"ana", "read-only", approvals.Approved, "on call"},
		{"bo", "read-only", approvals.Pending, "reads"},
		{"bo", "data-fix", approvals.Pending, "fixes"},
		{"eve", "read-only", approvals.Denied, ""},
	} {
		got := o.asks(c.who, c.profile)
		if got.Request.State != c.want || got.Request.Decision.Rule != c.rule {
			t.Errorf("%s asks for %s: %s by %q", c.who, c.profile, got.Request.State, got.Request.Decision.Rule)
		}
		if o.records(audit.RequestFiled, got.Request.ID, false) != 1 {
			t.Errorf("%s asking for %s is not recorded", c.who, c.profile)
		}
	}
}

func TestAWishThatIsNotUnderstoodSaysWhichField(t *testing.T) {
	t.Parallel()
	o := setup(t)
	for field, spoil := range map[string]func(*approvals.Filing){
		"Database": func(f *approvals.Filing) { f.Target = "order-prod" },
		"Access":   func(f *approvals.Filing) { f.Profile = "readonly" },
		"Duration": func(f *approvals.Filing) { f.Duration = time.Millisecond },
		"Reason":   func(f *approvals.Filing) { f.Reason = "  " },
		"Ticket":   func(f *approvals.Filing) { f.Ticket = strings.Repeat("x", approvals.LongestTicket+1) },
	} {
		wish := o.wish("bo", "read-only")
		spoil(&wish)
		_, err := o.File(t.Context(), wish)
		refusal := refusedWith(t, err, approvals.BadInput)
		if refusal.Field != field {
			t.Errorf("%s is at fault, and %s is named", field, refusal.Field)
		}
		if (field == "Database" || field == "Access") && !strings.Contains(refusal.Words, "Did you mean") {
			t.Errorf("nothing is suggested: %s", refusal.Words)
		}
	}
	if n := o.records(audit.RequestFiled, "", true); n != 5 {
		t.Errorf("%d of 5 attempts are recorded", n)
	}
}

func TestARedeliveredCommandFilesOnce(t *testing.T) {
	t.Parallel()
	o := setup(t)
	wish := o.wish("bo", "read-only")
	var ids sync.Map
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			c, err := o.File(t.Context(), wish)
			if err != nil {
				t.Error(err)
			}
			ids.Store(c.Request.ID, true)
		})
	}
	wg.Wait()
	n := 0
	ids.Range(func(id, _ any) bool {
		n++
		if o.records(audit.RequestFiled, id.(string), false) != 1 {
			t.Error("recorded more than once")
		}
		return true
	})
	if n != 1 {
		t.Errorf("one command made %d requests", n)
	}
}

// TestWhoMayAnswer is the table of authority: each press is on a fresh request of bo's, who is a DBA too.
func TestWhoMayAnswer(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.people.gone["guest"] = approvals.NotEligible
	o.people.gone["nobody-knows"] = approvals.NotKnown
	for _, c := range []struct {
		who  string
		want approvals.Code // empty: may
	}{
		{"dora", ""},
		{"bo", approvals.OwnRequest},
		{"bo-2", approvals.OwnRequest}, // another account with the same address
		{"ana", approvals.NotApprover},
		{"eve", approvals.NotApprover},
		{"guest", approvals.NotEligible},
		{"nobody-knows", approvals.NotKnown},
	} {
		for name, answer := range map[string]func(approvals.Press) (approvals.Case, error){
			"approve": func(p approvals.Press) (approvals.Case, error) { return o.Approve(t.Context(), p) },
			"deny":    func(p approvals.Press) (approvals.Case, error) { return o.Deny(t.Context(), p, "not today") },
		} {
			asked := o.asks("bo", "read-only")
			kind, state := audit.RequestApproved, approvals.Approved
			if name == "deny" {
				kind, state = audit.RequestDenied, approvals.Denied
			}
			got, err := answer(press(c.who, asked))
			if c.want == "" {
				if err != nil || got.Request.State != state || o.records(kind, asked.Request.ID, false) != 1 {
					t.Errorf("%s, %s: %s, %v", c.who, name, got.Request.State, err)
				}
				continue
			}
			refusedWith(t, err, c.want)
			if o.records(kind, asked.Request.ID, true) != 1 {
				t.Errorf("%s, %s: the refused attempt is not recorded once", c.who, name)
			}
			now, _ := o.Case(t.Context(), asked.Request.ID)
			if now.Request.State != approvals.Pending {
				t.Errorf("%s, %s: refused, and the request is %s", c.who, name, now.Request.State)
			}
		}
	}
}

func TestAuthorityIsWhatThePolicySaysAtThePress(t *testing.T) {
	t.Parallel()
	o := setup(t)
	asked := o.asks("ana", "read-only")
	o.rules(strings.Replace(basePolicy, "dba: { emails: [dora@example.com, bo@example.com] }", "dba: { emails: [bo@example.com] }", 1))
	_, err := o.Approve(t.Context(), press("dora", asked))
	refusedWith(t, err, approvals.NotApprover)
	if c, err := o.Approve(t.Context(), press("bo", asked)); err != nil || c.Request.State != approvals.Approved {
		t.Errorf("bo: %v", err)
	}
}

func TestOneHumanInTwoGroupsCountsOnce(t *testing.T) {
	t.Parallel()
	o := setup(t)
	asked := o.asks("ana", "data-fix") // needs a DBA and somebody of security; dora is both
	c, err := o.Approve(t.Context(), press("dora", asked))
	if err != nil || c.Request.State != approvals.Pending {
		t.Fatalf("after dora: %s, %v", c.Request.State, err)
	}
	_, err = o.Approve(t.Context(), press("dora", asked))
	refusedWith(t, err, approvals.AlreadyVoted)
	_, err = o.Approve(t.Context(), press("dora-2", asked))
	refusedWith(t, err, approvals.AlreadyVoted)
	if c, err = o.Approve(t.Context(), press("sam", asked)); err != nil || c.Request.State != approvals.Approved {
		t.Errorf("after sam: %s, %v", c.Request.State, err)
	}
}

func TestNothingHappensUnrecorded(t *testing.T) {
	t.Parallel()
	o := setup(t)
	asked := o.asks("bo", "read-only")
	o.people.gone["guest"] = approvals.NotEligible
	o.store.noRecord.Store(true)
	_, err := o.Approve(t.Context(), press("guest", asked))
	if _, told := errors.AsType[*approvals.Refusal](err); told || err == nil {
		t.Errorf("a refusal that is not recorded was given: %v", err)
	}
}

func TestTheSamePressAtTheSameInstant(t *testing.T) {
	t.Parallel()
	o := setup(t)
	for range 10 {
		asked := o.asks("ana", "read-only")
		var wg sync.WaitGroup
		var won sync.Map
		for _, act := range []struct {
			name string
			do   func() error
		}{
			{"dora", func() error { _, err := o.Approve(t.Context(), press("dora", asked)); return err }},
			{"bo", func() error { _, err := o.Approve(t.Context(), press("bo", asked)); return err }},
			{"deny", func() error { _, err := o.Deny(t.Context(), press("dora", asked), "no"); return err }},
			{"cancel", func() error { _, err := o.Cancel(t.Context(), press("ana", asked)); return err }},
		} {
			wg.Go(func() {
				err := act.do()
				if err == nil {
					won.Store(act.name, true)
				} else if _, ok := errors.AsType[*approvals.Refusal](err); !ok {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		votes := o.records(audit.RequestApproved, asked.Request.ID, false) + o.records(audit.RequestDenied, asked.Request.ID, false)
		if votes > 1 {
			t.Errorf("%d answers were counted", votes)
		}
		if total := votes + o.records(audit.RequestCanceled, asked.Request.ID, false); total < 1 || total > 2 {
			t.Errorf("%d acts were carried out", total) // an approved request may still be cancelled
		}
	}
}

func TestWhatThePolicyDeniesNowIsNotTaken(t *testing.T) {
	t.Parallel()
	o := setup(t)
	first, second := o.asks("bo", "read-only"), o.asks("bo", "read-only")
	for _, c := range []approvals.Case{first, second} {
		if _, err := o.Approve(t.Context(), press("dora", c)); err != nil {
			t.Fatal(err)
		}
	}
	o.rules(basePolicy + "# another file that says the same\n")
	if _, err := o.Activate(t.Context(), press("bo", first)); err != nil {
		t.Errorf("a policy that says the same: %v", err)
	}
	o.rules(strings.Replace(basePolicy, "rules:\n", "rules:\n  - { name: freeze, deny: true }\n", 1))
	_, err := o.Activate(t.Context(), press("bo", second))
	if refusal := refusedWith(t, err, approvals.AlreadyOver); !strings.Contains(refusal.Words, "freeze") {
		t.Errorf("which rule denies it is not said: %s", refusal.Words)
	}
	if o.records(audit.GrantIntended, second.Request.ID, true) != 1 {
		t.Error("the refused attempt is not recorded")
	}
}

func TestActivatingManyTimesMakesOneGrant(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.people.shift["ana@example.com"] = time.Now().Add(10 * time.Minute)
	asked := o.asks("ana", "read-only")
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for range 16 {
		wg.Go(func() {
			_, err := o.Activate(t.Context(), press("ana", asked))
			if err == nil {
				mu.Lock()
				made++
				mu.Unlock()
				return
			}
			refusedWith(t, err, approvals.InProgress)
		})
	}
	wg.Wait()
	if made != 1 {
		t.Fatalf("%d presses made a grant", made)
	}
	c, err := o.Case(t.Context(), asked.Request.ID)
	if err != nil || c.Grants != 1 || c.Request.State != approvals.Activated {
		t.Fatalf("%+v, %v", c, err)
	}
	// The shift ends before the half hour asked for.
	if shift := o.people.shift["ana@example.com"]; c.Grant.Deadline.After(shift.Add(time.Millisecond)) {
		t.Errorf("the grant ends %s, the shift %s", c.Grant.Deadline, shift)
	}
	_, err = o.Activate(t.Context(), press("bo", asked))
	refusedWith(t, err, approvals.NotHolder)
}

func TestATargetThatDoesNotAnswerLosesNothing(t *testing.T) {
	t.Parallel()
	o := setup(t)
	asked := o.asks("bo", "read-only")
	if _, err := o.Approve(t.Context(), press("dora", asked)); err != nil {
		t.Fatal(err)
	}
	o.grants.down = true
	_, err := o.Activate(t.Context(), press("bo", asked))
	refusedWith(t, err, approvals.Unavailable)
	if o.records(audit.GrantIntended, asked.Request.ID, true) != 1 {
		t.Error("the attempt is not recorded")
	}
	o.grants.down = false
	if c, err := o.Activate(t.Context(), press("bo", asked)); err != nil || c.Grant == nil {
		t.Errorf("pressing again: %v", err)
	}
}

func TestWhoMayEndAccess(t *testing.T) {
	t.Parallel()
	o := setup(t)
	live := func() approvals.Case {
		asked := o.asks("bo", "read-only")
		if _, err := o.Approve(t.Context(), press("dora", asked)); err != nil {
			t.Fatal(err)
		}
		c, err := o.Activate(t.Context(), press("bo", asked))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Issue(t.Context(), c.Grant.ID); err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := live()
	_, err := o.Release(t.Context(), press("dora", c))
	refusedWith(t, err, approvals.NotHolder)
	_, err = o.Revoke(t.Context(), press("ana", c), "she looks suspicious")
	refusedWith(t, err, approvals.NotApprover)
	_, err = o.Revoke(t.Context(), press("dora", c), " ")
	refusedWith(t, err, approvals.BadInput)
	if got, err := o.Revoke(t.Context(), press("dora", c), "enough"); err != nil || got.Grant.Cause != grants.Withdrawn || got.Grant.Note != "enough" {
		t.Errorf("an approver revokes: %v", err)
	}
	if _, err := o.Revoke(t.Context(), press("sam", live()), "an operator may"); err != nil {
		t.Errorf("an operator revokes: %v", err)
	}
	if got, err := o.Release(t.Context(), press("bo", live())); err != nil || got.Grant.Cause != grants.Released {
		t.Errorf("the holder releases: %v", err)
	}
	_, err = o.Release(t.Context(), press("bo", c))
	refusedWith(t, err, approvals.AlreadyOver)
}

// What a shift gives at once can be taken until that shift ends.
func TestWhatAShiftGivesAtOnceIsTakenBeforeItEnds(t *testing.T) {
	t.Parallel()
	o := setup(t)
	end := time.Now().Add(10 * time.Minute).Truncate(time.Second)
	o.people.shift["ana@example.com"] = end
	if c := o.asks("ana", "read-only"); c.Request.State != approvals.Approved || !c.Request.LapsesAt.Equal(end) {
		t.Errorf("%s, can be taken until %s, and the shift ends %s", c.Request.State, c.Request.LapsesAt, end)
	}
}

// From its end on access is over for its holder, also before that is written down.
func TestAccessIsOverAtItsEnd(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.people.shift["ana@example.com"] = time.Now().Add(8 * time.Hour)
	asked := o.asks("ana", "read-only")
	c, err := o.Activate(t.Context(), press("ana", asked))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Issue(t.Context(), c.Grant.ID); err != nil {
		t.Fatal(err)
	}
	o.sleeps(c.Grant.Deadline.Sub(o.now()))
	_, err = o.Release(t.Context(), press("ana", asked))
	refusedWith(t, err, approvals.AlreadyOver)
	_, err = o.ShowAgain(t.Context(), press("ana", asked))
	refusedWith(t, err, approvals.AlreadyOver)
	_, err = o.Extend(t.Context(), press("ana", asked), 30*time.Minute)
	refusedWith(t, err, approvals.AlreadyOver)
	if c, err = o.Case(t.Context(), asked.Request.ID); err != nil || c.Grant.State != grants.Active {
		t.Errorf("what ended is %s: %v", c.Grant.State, err)
	}
}

func TestExtendingAsksThePolicyAgain(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.people.shift["ana@example.com"] = time.Now().Add(8 * time.Hour)
	asked := o.asks("ana", "read-only")
	c, err := o.Activate(t.Context(), press("ana", asked))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Issue(t.Context(), c.Grant.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := o.Extend(t.Context(), press("ana", asked), 30*time.Minute); err != nil || !got.Grant.Deadline.Equal(c.Grant.Deadline.Add(30*time.Minute)) {
		t.Fatalf("half an hour more: %v", err)
	}
	_, err = o.Extend(t.Context(), press("ana", asked), 2*time.Hour) // three hours in all, and two are the most
	refusedWith(t, err, approvals.NotApprover)
	o.people.pagerDown = true
	_, err = o.Extend(t.Context(), press("ana", asked), 10*time.Minute)
	refusedWith(t, err, approvals.NotApprover)
}

func TestABudgetIsCounted(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.people.shift["ana@example.com"] = time.Now().Add(time.Hour)
	for i, want := range []approvals.State{approvals.Approved, approvals.Approved, approvals.Pending} {
		if got := o.asks("ana", "read-only"); got.Request.State != want {
			t.Errorf("request %d is %s, want %s: %s", i+1, got.Request.State, want, got.Request.Decision.Why)
		}
	}
}

func TestWhatIsNotKnownNeverHelps(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.people.shift["ana@example.com"] = time.Now().Add(time.Hour)
	o.people.pagerDown = true
	if got := o.asks("ana", "read-only"); got.Request.State != approvals.Pending || len(got.Request.Decision.Unknowns) == 0 {
		t.Errorf("with PagerDuty down: %s, unknown %v", got.Request.State, got.Request.Decision.Unknowns)
	}
	o.people.unknown = "Slack did not answer"
	if got := o.asks("sue", "read-only"); got.Request.State == approvals.Approved {
		t.Error("an unknown membership helped")
	}
}

func TestReopenedAfterAFailureThatNobodySaw(t *testing.T) {
	t.Parallel()
	o := setup(t)
	asked := o.asks("bo", "read-only")
	if _, err := o.Approve(t.Context(), press("dora", asked)); err != nil {
		t.Fatal(err)
	}
	c, err := o.Activate(t.Context(), press("bo", asked))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Abandon(t.Context(), c.Grant.ID, "the window did not open"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a job may run twice
		if err := o.Reopen(t.Context(), asked.Request.ID); err != nil {
			t.Fatal(err)
		}
	}
	again, err := o.Activate(t.Context(), press("bo", asked))
	if err != nil || again.Grant.ID == c.Grant.ID || again.Grants != 2 {
		t.Errorf("pressing again: %+v, %v", again.Grant, err)
	}
	if o.records(audit.RequestReopened, asked.Request.ID, false) != 1 {
		t.Error("reopened more than once")
	}
}
