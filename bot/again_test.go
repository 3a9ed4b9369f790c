package bot

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/sandbox"
	"github.com/slack-go/slack"
)

// wishes are the requests the service holds, the oldest first.
func (w *world) wishes() []approvals.Request {
	w.Helper()
	var out []approvals.Request
	for _, c := range w.service.some(0, func(*approvals.Case) bool { return true }) {
		out = append([]approvals.Request{c.Request}, out...)
	}
	return out
}

// lapse lets a request lapse.
func (w *world) lapse(id string) {
	_, err := w.service.change("", id, func(c *approvals.Case) error {
		c.Request.State, c.Request.EndedAt = approvals.Lapsed, time.Now()
		return nil
	})
	no(w.T, err)
}

func TestLapsedRequestIsRepeatedWithOnePress(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.does(w.ana.Command("/prodaccess orders-prod data-fix 45m customer_id=42 INC-123 checkout is failing"))
		w.lapse("r1")
		w.sees(w.ana, "Nobody answered in time, so this lapsed")
		for _, reply := range w.ana.DoubleClicks("Ask again") {
			w.does(reply)
		}
		w.sees(w.bo, "Waiting for approval")
		w.drawing.Wait()
		all := w.wishes()
		if len(all) != 2 {
			t.Fatalf("%d requests after one was repeated", len(all))
		}
		first, second := all[0], all[1]
		if second.Target != first.Target || second.Profile != first.Profile || second.Duration != 45*time.Minute || second.Ticket != "INC-123" ||
			second.Reason != first.Reason || second.Params["customer_id"] != "42" {
			t.Errorf("the repetition is %+v", second)
		}
		// What waits already is not asked for twice, and its requester is told.
		w.does(w.ana.Clicks("Ask again"))
		w.sees(w.ana, "You have asked for this already.")
		w.lapse("r2")
		w.sees(w.ana, "Nobody answered")
		w.drawing.Wait()
		w.does(w.ana.Clicks("Ask again"))
		w.drawing.Wait()
		if n := len(w.wishes()); n != 3 {
			t.Errorf("%d requests: what lapsed again was not repeated", n)
		}
	})
}

// An old button knows what came of it, whatever else its owner asked for since: a press repeats what is over, and only that.
func TestAnOldButtonAsksOnceMore(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true, Scopes: appScopes})
	w.does(w.ana.Command(askLine))
	w.lapse("r1")
	w.sees(w.ana, "Nobody answered in time, so this lapsed")
	w.drawing.Wait()
	old, _ := w.service.Case(t.Context(), "r1")
	others := func() {
		for i := range 60 {
			c := old
			c.Request.ID, c.Request.Profile, c.Request.FiledAt = fmt.Sprintf("other%d-%d", i, len(w.wishes())), "data-fix", time.Now()
			w.service.put(c)
		}
	}
	of := func() (out []approvals.Request) {
		for _, r := range w.wishes() {
			if r.Profile == old.Request.Profile {
				out = append(out, r)
			}
		}
		return out
	}
	w.does(w.ana.Clicks("Ask again"))
	w.drawing.Wait()
	if n := len(of()); n != 2 {
		t.Fatalf("%d requests after the first press", n)
	}
	others()
	w.does(w.ana.Clicks("Ask again"))
	w.sees(w.ana, "You have asked for this already.")
	w.lapse(of()[1].ID)
	w.drawing.Wait()
	others()
	pressed := w.bot.onAgain(t.Context(), slack.InteractionCallback{User: slack.User{ID: w.ana.ID()}}, `{"request":"r1"}`, "test") // the oldest
	if n := len(of()); n != 3 {
		t.Errorf("%d requests: what lapsed again was not repeated (%s)", n, pressed.outcome)
	}
}

func TestRefusalSaysWhatToDoInstead(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.service.instead = []approvals.Alternative{
			{Target: "orders-prod", Profile: "read-only", Duration: 15 * time.Minute, Decision: policy.Decision{Outcome: policy.Approved}},
			{Target: "billing-prod", Profile: "read-only", Duration: 30 * time.Minute, Decision: policy.Decision{Outcome: policy.NeedsApproval, Approvals: []policy.Requirement{{From: []string{"group:dba"}, Count: 1}}}},
		}
		w.does(w.ana.Command(askLine))
		w.button(w.bo, "Deny")
		w.does(w.bo.Clicks("Deny"))
		w.window(w.bo, "Deny request")
		w.does(w.bo.Submits(map[string]string{"Reason": "too long"}))
		said := w.sees(w.ana, "What you can have instead").Text
		for _, want := range []string{"for 15m: approved at once", "for 30m: needs one of @dba", "[Ask for 15m instead] [Ask on billing-prod instead]"} {
			if !strings.Contains(said, want) {
				t.Errorf("the refusal lacks %q:\n%s", want, said)
			}
		}
		w.does(w.ana.Clicks("Ask for 15m instead"))
		w.sees(w.bo, "15m")
		w.drawing.Wait()
		if all := w.wishes(); len(all) != 2 || all[1].Duration != 15*time.Minute || all[1].Reason != all[0].Reason {
			t.Errorf("after asking for less there are %+v", all)
		}
	})
}

// A button says in what its alternative differs; an hour instead of an hour is no difference.
func TestAlternativesSayHowTheyDiffer(t *testing.T) {
	t.Parallel()
	asked := approvals.Request{Target: "orders-prod", Profile: "read-only", Duration: time.Hour, Params: map[string]string{"foo": "1"}}
	for want, a := range map[string]approvals.Alternative{
		"for that":        {Target: "orders-prod", Profile: "read-only", Duration: time.Hour},
		"for 30m":         {Target: "orders-prod", Profile: "read-only", Duration: 30 * time.Minute},
		"for support":     {Target: "orders-prod", Profile: "support", Duration: time.Hour},
		"on billing-prod": {Target: "billing-prod", Profile: "read-only", Duration: time.Hour},
	} {
		ways(asked, []approvals.Alternative{a}, func(_ approvals.Alternative, differs string, _ int) *slack.ButtonBlockElement {
			if differs != want {
				t.Errorf("%+v differs %q, not %q", a, differs, want)
			}
			return button("x", "x", "x")
		})
	}
}

func TestPolicyRefusalSaysWhatToDoInstead(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.service.policy = func(f approvals.Filing) policy.Decision {
			if f.Profile == "read-only" {
				return policy.Decision{Outcome: policy.Approved, Why: "Approved at once."}
			}
			return policy.Decision{Outcome: policy.Denied, Why: "No rule lets this person have data-fix on orders-prod."}
		}
		w.service.instead = []approvals.Alternative{{Target: "orders-prod", Profile: "read-only", Duration: 30 * time.Minute, Decision: policy.Decision{Outcome: policy.Approved}}}
		w.does(w.ana.Command("/prodaccess orders-prod data-fix 30m customer_id=1 checkout is failing"))
		w.sees(w.ana, "What you can have instead")
		w.does(w.ana.Clicks("Ask for read-only instead"))
		w.sees(w.ana, "Approved, not taken yet")
		if all := w.wishes(); len(all) != 2 || all[1].Profile != "read-only" || len(all[1].Params) > 0 {
			t.Errorf("after asking for something else there are %+v", all)
		}
		// Where it is not known what would be let through, the refusal stands by itself.
		w.service.failing("Instead", errors.New("the store is down"))
		w.does(w.ana.Command("/prodaccess orders-prod data-fix 30m customer_id=1 again and again"))
		w.sees(w.ana, "No rule lets this person have data-fix")
	})
}

// TestAgainIsForItsRequester presses what only somebody else could have been shown.
func TestAgainIsForItsRequester(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.does(w.ana.Command(askLine))
	w.lapse("r1")
	w.sees(w.ana, "Nobody answered in time, so this lapsed")
	c, err := w.service.Case(t.Context(), "r1")
	no(t, err)
	c.Request.Requester.ID = w.bo.ID()
	w.service.put(c)
	w.does(w.ana.Clicks("Ask again"))
	w.sees(w.ana, "whose request this was, may ask for it again")
	c.Request.Requester.ID, c.Request.BreakGlass = w.ana.ID(), true
	w.service.put(c)
	w.does(w.ana.Clicks("Ask again"))
	w.sees(w.ana, "Glass is not broken with one press.")
	if n := len(w.wishes()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// What is over because its time was up is had again with one press; what somebody took away is not.
func TestEndedAccessIsRepeated(t *testing.T) {
	t.Parallel()
	for cause, want := range map[grants.Cause]bool{grants.Expired: true, grants.Missing: true, grants.Released: false, grants.Withdrawn: false} {
		w := nudged(t, "over-expired", func(_ *world, c *approvals.Case) { c.Grant.Cause = cause })
		c, err := w.service.Case(t.Context(), "r7k2m9")
		no(t, err)
		c.Grant.Holder.ID = w.ana.ID()
		w.service.put(c)
		w.receipt("g1")
		if said := w.sees(w.ana, "is over").Text; strings.Contains(said, "[Ask again]") != want {
			t.Errorf("the end of what %s: %s", cause, said)
		}
	}
}

// TestWindowsThatWouldBeRefusedDoNotOpen presses buttons whose windows nobody should fill in for nothing.
func TestWindowsThatWouldBeRefusedDoNotOpen(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.take()
		w.does(w.ana.Closes())
		w.button(w.bo, "Revoke")
		w.service.failing("MayRevoke", refusal(approvals.NotApprover, "Only those who could have approved it may."))
		w.does(w.bo.Clicks("Revoke"))
		w.sees(w.bo, "Only those who could have approved it may.")
		w.service.mu.Lock()
		w.service.longer, w.service.notLonger = 0, "Your shift ends with it."
		w.service.mu.Unlock()
		w.button(w.ana, "Extend")
		w.does(w.ana.Clicks("Extend"))
		w.sees(w.ana, "Your shift ends with it.")
		w.service.failing("Extendable", errors.New("PagerDuty is down"))
		w.does(w.ana.Clicks("Extend"))
		w.window(w.ana, "Extend access")
	})
}
