package bot

import (
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/sandbox"
)

func TestSuggestionIsRunByAPress(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		r := w.does(w.ana.Command("/prodaccess order-prod read-only 30min INC-7 checkout is failing"))
		// Both mistakes of the line are said and put right.
		for _, words := range []string{"Did you mean orders-prod?", "is not a duration", "`/prodaccess orders-prod read-only 30m INC-7 checkout is failing`"} {
			if !strings.Contains(r.Text, words) {
				w.Fatalf("the typo is answered with %q", r.Text)
			}
		}
		for _, r := range w.ana.DoubleClicks("Ask for this") {
			w.does(r)
		}
		w.sees(w.ana, "It needs one of @dba")
		w.drawing.Wait()
		if w.service.next != 1 {
			w.Errorf("%d requests were filed", w.service.next)
		}
		c := w.service.cases["r1"].Request
		if c.Requester.ID != w.ana.ID() || c.Ticket != "INC-7" || c.Reason != "checkout is failing" || !strings.HasPrefix(c.Key, "suggestion:") {
			w.Errorf("what was filed is %+v", c)
		}
		if strings.Contains(w.ana.Sees(), "[Ask for this]") {
			w.Error("the suggestion can still be pressed")
		}
	})
}

func TestSuggestionsWithGapsHaveNoButton(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.does(w.ana.Command("/prodaccess orders-prod read-only 30m"))
	w.does(w.ana.Command("/prodaccess orders-prod"))
	if seen := w.ana.Sees(); strings.Contains(seen, "[Ask for this]") {
		t.Errorf("a line without a reason can be pressed:\n%s", seen)
	}
	w.does(w.ana.Command("/prodaccess orders-prod read-onyl 30m " + strings.Repeat("long ", 600)))
	if seen := w.ana.Sees(); strings.Contains(seen, "[Ask for this]") {
		t.Errorf("a line too long for a button has one:\n%s", seen)
	}
}

func TestBreakGlassFromASuggestion(t *testing.T) {
	t.Parallel()
	w := overSocket(t, sandbox.Options{NoRateLimits: true})
	w.does(w.ana.Command("/prodaccess break-glass order-prod read-only all is lost"))
	w.does(w.ana.Clicks("Go on…"))
	w.window(w.ana, "What will happen")
}

func TestSmallTicketIsHintedAt(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.service.policy = func(in approvals.Filing) policy.Decision {
		if in.Ticket == "" {
			return policy.Decision{Outcome: policy.Denied, Why: "A ticket is needed."}
		}
		return policy.Decision{Outcome: policy.Approved, Why: "Approved."}
	}
	r := w.does(w.ana.Command("/prodaccess orders-prod read-only 30m inc-123 checkout is failing"))
	for _, want := range []string{"A ticket is needed.", "in capitals", "/prodaccess orders-prod read-only 30m INC-123 checkout is failing"} {
		if !strings.Contains(r.Text, want) {
			t.Errorf("%q lacks %q", r.Text, want)
		}
	}
	w.does(w.ana.Clicks("Ask for this"))
	w.sees(w.ana, "the 30m start then")
}

func TestWhoAmI(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	r := w.does(w.ana.Command("/prodaccess whoami"))
	for _, want := range []string{"ana@example.com", "backend", "On call for", "payments", "level 1", "orders-prod", "read-only with one of @dba", "billing-prod"} {
		if !strings.Contains(r.Text, want) {
			t.Errorf("%q lacks %q", r.Text, want)
		}
	}
	w.service.failing("Me", refusal(approvals.NotEligible, "Guests can neither ask nor approve."))
	if r := w.does(w.ana.Command("/prodaccess whoami")); !strings.Contains(r.Text, "Guests can neither") {
		t.Errorf("a guest is answered with %q", r.Text)
	}
	for _, written := range writings {
		me := approvals.Me{Person: written.person("U1"), Unknown: []string{written.why}}
		for range written.many {
			me.Groups = append(me.Groups, written.rule)
			me.OnCall = append(me.OnCall, *written.states()["approved-at-once"].Request.Decision.Shift)
			me.Offers = append(me.Offers, approvals.Offer{Target: written.target, Profile: written.profile, Decision: written.asked().Request.Decision})
		}
		harmless(t, message{text: w.bot.meWords(me)})
	}
}

func TestWhatIsDoneElsewhereIsSaid(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	for line, want := range map[string]string{
		"status": "/prodaccess list", "approve r1": "#approvals", "Deny r1 no": "Home", "revoke r1": "*Revoke* on its card", "cancel": "direct message",
	} {
		if r := w.does(w.ana.Command("/prodaccess " + line)); !strings.Contains(r.Text, want) {
			t.Errorf("%q is answered with %q, without %q", line, r.Text, want)
		}
	}
}
