package approvals_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/policy"
)

// A script that asks for ever, in two replicas: as many of its requests wait as may, each further try is refused and on record, and
// what has an answer makes room.
func TestNobodyHasMoreWaitingThanTheyMay(t *testing.T) {
	t.Parallel()
	o := full(t)
	o.most = 3
	two := o.replicas()
	var asked, refused atomic.Int32
	var all sync.WaitGroup
	for i := range 12 {
		wish := o.wish("bo", "read-only")
		all.Go(func() {
			c, err := two[i%2].File(t.Context(), wish)
			refusal, _ := errors.AsType[*approvals.Refusal](err)
			switch {
			case err == nil && c.Request.State == approvals.Pending:
				asked.Add(1)
			case refusal != nil && refusal.Code == approvals.TooMany:
				refused.Add(1)
			default:
				t.Errorf("%s, %v", c.Request.State, err)
			}
		})
	}
	all.Wait()
	if asked.Load() != 3 || refused.Load() != 9 || o.records(audit.RequestFiled, "", true) != 9 {
		t.Fatalf("%d wait, %d were refused, %d refusals are on record", asked.Load(), refused.Load(), o.records(audit.RequestFiled, "", true))
	}
	waiting, err := o.Cases(t.Context(), approvals.Query{Requester: "bo"})
	if err != nil || len(waiting) != 3 {
		t.Fatal(len(waiting), err)
	}

	// What is said names them, and the form says it before it is sent.
	s := two[0]
	_, err = s.File(t.Context(), o.wish("bo", "data-fix"))
	words := refusedWith(t, err, approvals.TooMany).Words
	d, err := s.Preview(t.Context(), o.wish("bo", "read-only"))
	if foreseen := refusedWith(t, err, approvals.TooMany).Words; foreseen != words || d.Outcome != policy.NeedsApproval {
		t.Errorf("foreseen is %q, and %s", foreseen, d.Outcome)
	}
	if want := "you have 3 requests that wait for an answer, and nobody may have more than 3."; !strings.Contains(words, want) {
		t.Errorf("%q lacks %q", words, want)
	}
	for _, c := range waiting {
		if want := fmt.Sprintf("read-only on orders-prod (%s)", c.Request.ID); !strings.Contains(words, want) {
			t.Errorf("%q lacks %q", words, want)
		}
	}

	// Nobody waits for these, and nobody else is in the way.
	if _, err := s.File(t.Context(), o.wish("ana", "read-only")); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	if c, err := s.BreakGlass(t.Context(), o.wish("bo", "read-only")); err != nil || c.Request.State != approvals.Approved {
		t.Errorf("broken glass is %s: %v", c.Request.State, err)
	}
	o.people.mu.Lock()
	o.people.shift["bo@example.com"] = o.now().Add(time.Hour)
	o.people.mu.Unlock()
	if d, err := s.Preview(t.Context(), o.wish("bo", "read-only")); err != nil || d.Outcome != policy.Approved {
		t.Errorf("on call it is %s: %v", d.Outcome, err)
	}
	if c, err := s.File(t.Context(), o.wish("bo", "read-only")); err != nil || c.Request.State != approvals.Approved {
		t.Errorf("on call it is %s: %v", c.Request.State, err)
	}

	if _, err := s.Cancel(t.Context(), press("bo", waiting[0])); err != nil {
		t.Fatal(err)
	}
	if _, err := s.File(t.Context(), o.wish("bo", "data-fix")); err != nil {
		t.Errorf("with one cancelled: %v", err)
	}
	_, err = s.File(t.Context(), o.wish("bo", "data-fix"))
	refusedWith(t, err, approvals.TooMany)
}

// Somebody whose limit was lowered is told how many they have, not how many they may have; what should have lapsed is in nobody's way.
func TestWhatWaitsIsCounted(t *testing.T) {
	t.Parallel()
	o := full(t)
	for range 3 {
		o.asks("bo", "read-only")
	}
	o.most = 1
	s := o.service(o.open(), o.policy.Load, o.now)
	_, err := s.File(t.Context(), o.wish("bo", "read-only"))
	words := refusedWith(t, err, approvals.TooMany).Words
	if want := "you have 3 requests that wait for an answer, and nobody may have more than 1."; !strings.Contains(words, want) {
		t.Errorf("%q lacks %q", words, want)
	}
	o.sleeps(24 * time.Hour) // nobody wrote down that they have lapsed
	if _, err := s.Preview(t.Context(), o.wish("bo", "read-only")); err != nil {
		t.Errorf("with what should have lapsed: %v", err)
	}
	o.asks("bo", "read-only")
	_, err = s.Preview(t.Context(), o.wish("bo", "read-only"))
	words = refusedWith(t, err, approvals.TooMany).Words
	if want := "you have 1 request that waits for an answer"; !strings.Contains(words, want) || strings.Count(words, " on orders-prod (") != 1 {
		t.Errorf("%q lacks %q, or names what lapsed", words, want)
	}
}
