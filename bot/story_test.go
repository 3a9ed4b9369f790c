package bot

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/sandbox"
)

const askLine = "/prodaccess orders-prod read-only 30m INC-123 checkout is failing"

func TestStory(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		r := w.does(w.ana.Command(askLine))
		if !strings.Contains(r.Text, "It needs one of @dba") {
			t.Errorf("the command was answered with %q", r.Text)
		}
		bo := w.bo.In("approvals")
		w.button(bo, "Approve")
		card := w.sees(bo, "checkout is failing")
		for _, want := range []string{"ana (ana@example.com)", "orders-prod", "read-only", "30m", "INC-123", "one of @dba", "ana is in group backend.", "backend reads"} {
			if !strings.Contains(card.Text, want) {
				t.Errorf("the card lacks %q:\n%s", want, card.Text)
			}
		}
		w.does(bo.Clicks("Approve"))
		w.button(w.ana, "Get credentials")
		if seen := w.sees(bo, "Approved, not taken yet"); strings.Contains(seen.Text, "[Approve]") || strings.Contains(seen.Text, "[Deny]") {
			t.Errorf("a decided card has decision buttons:\n%s", seen.Text)
		}
		w.does(w.ana.Clicks("Get credentials"))
		v := w.window(w.ana, canary)
		for _, want := range []string{
			"postgresql://pa_ana_r1:" + canary + "@orders.db.internal:5432/orders?sslmode=verify-full",
			"PGPASSWORD='" + canary + "' psql 'host=orders.db.internal port=5432 dbname=orders user=pa_ana_r1 sslmode=verify-full'",
			"select on all tables of public", "Release", "left",
		} {
			if !strings.Contains(v.Text, want) {
				t.Errorf("the credential view lacks %q:\n%s", want, v.Text)
			}
		}
		w.does(w.ana.Closes())
		w.sees(bo, "Access is active")
		w.button(w.ana, "Extend")
		w.does(w.ana.Clicks("Extend"))
		w.window(w.ana, "Extend access")
		w.does(w.ana.Submits(map[string]string{"Duration": "15m"}))
		w.window(w.ana, "Extended: it ends")
		w.does(w.ana.Closes())
		w.does(w.ana.Clicks("Release"))
		w.sees(bo, "being taken back")
		if len(w.service.shown) != 1 {
			t.Errorf("showing was recorded %d times", len(w.service.shown))
		}
	})
}

func TestForm(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.does(w.ana.Command("/prodaccess"))
		w.window(w.ana, "Request access")
		w.does(w.ana.Fills(map[string]string{"Database": "orders-prod"}))
		w.window(w.ana, "Choose an access")
		w.does(w.ana.Fills(map[string]string{"Access": "read-only"}))
		w.window(w.ana, "Needs one of @dba.")
		w.does(w.ana.Fills(map[string]string{"Duration": "Another time…"}))
		w.window(w.ana, "Exact duration")
		r := w.ana.Submits(map[string]string{"Exact duration": "30 parsecs", "Reason": "checkout is failing"})
		if !strings.Contains(r.Errors["Exact duration"], "is not a duration") {
			t.Errorf("the wrong duration was answered with %v (%v)", r.Errors, r.Err())
		}
		w.service.failing("File", &approvals.Refusal{Code: approvals.BadInput, Field: "Ticket", Words: "A ticket looks like INC-123."})
		r = w.ana.Submits(map[string]string{"Exact duration": "31m", "Ticket": "x"})
		if r.Errors["Ticket"] != "A ticket looks like INC-123." {
			t.Errorf("the refusal was answered with %v", r.Errors)
		}
		w.service.failing("File", nil)
		w.does(w.ana.Submits(map[string]string{"Ticket": "inc-1"}))
		if v, open := w.ana.View(); open {
			t.Errorf("the form is still open: %s", v.Text)
		}
		if asked := w.sees(w.bo, "INC-1"); !strings.Contains(asked.Text, "31m") {
			w.Errorf("the card has another duration:\n%s", asked.Text)
		}
	})
}

func TestFormAsksForParameters(t *testing.T) {
	t.Parallel()
	w := overSocket(t, sandbox.Options{NoRateLimits: true})
	w.does(w.ana.Command("/prodaccess"))
	w.window(w.ana, "Request access")
	w.does(w.ana.Fills(map[string]string{"Database": "orders-prod"}))
	w.does(w.ana.Fills(map[string]string{"Access": "data-fix"}))
	w.window(w.ana, "customer_id")
	w.does(w.ana.Submits(map[string]string{"Reason": "refund", "customer_id": "42"}))
	w.sees(w.bo, "customer_id = 42")
}

func TestDenyNeedsAReason(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.does(w.ana.Command(askLine))
		w.button(w.bo, "Deny")
		w.does(w.bo.Clicks("Deny"))
		w.window(w.bo, "Deny request")
		if r := w.bo.Submits(nil); len(r.Errors) == 0 {
			t.Error("an empty reason was taken")
		}
		w.service.failing("Deny", &approvals.Refusal{Code: approvals.NotApprover, Words: "Only @dba may."})
		if r := w.bo.Submits(map[string]string{"Reason": "use <the> replica"}); r.Errors["Reason"] != "Only @dba may." {
			t.Errorf("the refusal was answered with %v", r.Errors)
		}
		w.service.failing("Deny", nil)
		w.does(w.bo.Submits(nil))
		w.sees(w.ana, "use <the> replica")
	})
}

func TestRefusalsAreWhispered(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.does(w.ana.Command(askLine))
		in := w.ana.In("approvals")
		w.button(in, "Approve")
		r := w.does(in.Clicks("Approve"))
		w.sees(w.ana, "Nobody approves their own request.")
		if len(r.Posts()) != 1 {
			t.Errorf("the refusal was posted %d times", len(r.Posts()))
		}
		if strings.Contains(w.bo.Sees(), "Nobody approves") {
			t.Error("somebody else sees the refusal")
		}
		w.does(in.Clicks("Deny"))
		w.sees(w.ana, "Nobody decides about their own request.")
	})
}

func TestUnknownErrorsBecomeAReference(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.service.failing("File", errors.New("pg: relation requests does not exist"))
		r := w.does(w.ana.Command(askLine))
		_, after, found := strings.Cut(r.Text, "reference ")
		if !found || strings.Contains(r.Text, "pg:") || len(after) < 8 {
			t.Fatalf("the error was answered with %q", r.Text)
		}
		if log := w.log(); !strings.Contains(log, after[:8]) || !strings.Contains(log, "relation requests does not exist") {
			t.Errorf("the log does not say what happened under %s", after[:8])
		}
	})
}

func TestDoubleClickIssuesOnce(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.does(w.ana.Command(askLine))
		w.button(w.bo, "Approve")
		w.does(w.bo.Clicks("Approve"))
		w.button(w.ana, "Get credentials")
		w.service.issuing = make(chan struct{})
		for _, r := range w.ana.DoubleClicks("Get credentials") {
			w.does(r)
		}
		w.window(w.ana, "Making your login")
		close(w.service.issuing)
		w.window(w.ana, canary)
		if g := w.service.cases["r1"].Grants; g != 1 {
			t.Errorf("%d grants were made", g)
		}
	})
}

// A trigger lives three seconds, and making a login may take longer: the window opens before.
func TestALoginThatTakesLongerThanATriggerLives(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true, AckWithin: 3 * time.Second})
	w.does(w.ana.Command(askLine))
	w.button(w.bo, "Approve")
	w.does(w.bo.Clicks("Approve"))
	w.button(w.ana, "Get credentials")
	w.service.issuing = make(chan struct{})
	time.AfterFunc(3500*time.Millisecond, func() { close(w.service.issuing) })
	w.does(w.ana.Clicks("Get credentials"))
	w.window(w.ana, "Making your login")
	w.window(w.ana, canary)
}

func TestNewPassword(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.take()
		w.does(w.ana.Closes())
		w.button(w.ana, "Extend") // the copy from before the login has "Get credentials" too, and goes
		w.does(w.ana.Clicks("Get credentials"))
		w.window(w.ana, "A new one can be made")
		w.does(w.ana.Submits(nil))
		w.window(w.ana, canary)
		w.service.failing("ShowAgain", refusal(approvals.AlreadyOver, "This access is over."))
		w.does(w.ana.Closes())
		w.does(w.ana.Clicks("Get credentials"))
		w.window(w.ana, "A new one can be made")
		w.does(w.ana.Submits(nil))
		w.window(w.ana, "This access is over.")
	})
}

// take goes as far as a shown credential.
func (w *world) take() {
	w.Helper()
	w.does(w.ana.Command(askLine))
	w.button(w.bo, "Approve")
	w.does(w.bo.Clicks("Approve"))
	w.button(w.ana, "Get credentials")
	w.does(w.ana.Clicks("Get credentials"))
	w.window(w.ana, canary)
}

func TestWindowThatDoesNotOpenGivesTheLoginBack(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.does(w.ana.Command(askLine))
		w.button(w.bo, "Approve")
		w.does(w.bo.Clicks("Approve"))
		w.button(w.ana, "Get credentials")
		w.ws.Fail("views.open", sandbox.Fault{Error: "expired_trigger_id", Times: 1})
		w.does(w.ana.Clicks("Get credentials"))
		w.sees(w.ana, "The window did not open, so nothing was shown")
		if len(w.service.dropped) != 1 || len(w.service.shown) != 0 {
			t.Errorf("given back %v, shown %v", w.service.dropped, w.service.shown)
		}
	})
}

func TestFailedIssueIsToldInTheWindow(t *testing.T) {
	t.Parallel()
	w := overSocket(t, sandbox.Options{NoRateLimits: true})
	w.service.failing("Issue", refusal(approvals.Unavailable, "orders-prod does not answer."))
	w.does(w.ana.Command(askLine))
	w.button(w.bo, "Approve")
	w.does(w.bo.Clicks("Approve"))
	w.button(w.ana, "Get credentials")
	w.does(w.ana.Clicks("Get credentials"))
	v := w.window(w.ana, "orders-prod does not answer.")
	if !strings.Contains(v.Text, "Press Get credentials again") && !strings.Contains(v.Text, "Press *Get credentials* again") {
		t.Errorf("the window does not say what to do:\n%s", v.Text)
	}
}

func TestCredentialIsInViewsOnly(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.take()
		w.does(w.ana.Closes())
		w.does(w.ana.Command("/prodaccess list"))
		w.drawing.Wait()
		if strings.Contains(w.log(), canary) {
			t.Error("the log holds the password")
		}
		for _, e := range w.ws.Traffic() {
			if strings.Contains(e.Body, canary) && e.Name != "views.update" {
				t.Errorf("the password is in %s %s", e.Kind, e.Name)
			}
			if _, metadata, found := strings.Cut(e.Body, "private_metadata"); found && strings.Contains(strings.SplitN(metadata, ",", 2)[0], canary) {
				t.Error("the password is in private_metadata")
			}
		}
		for _, m := range w.ws.Messages() {
			if strings.Contains(m.Text, canary) {
				t.Error("the password is in a message")
			}
		}
	})
}

func TestPolicyDenialHasNoCard(t *testing.T) {
	t.Parallel()
	w := overSocket(t, sandbox.Options{NoRateLimits: true})
	w.service.policy = func(approvals.Filing) policy.Decision {
		return policy.Decision{Outcome: policy.Denied, Why: "Contractors never write. Ask for support instead."}
	}
	r := w.does(w.ana.Command(askLine))
	if !strings.Contains(r.Text, "Ask for support instead.") {
		t.Errorf("the denial was answered with %q", r.Text)
	}
	w.sees(w.ana, "Denied by the policy")
	w.drawing.Wait()
	if seen := w.bo.In("approvals").Sees(); seen != "" {
		t.Errorf("the approvals channel shows\n%s", seen)
	}
}

func TestAutomaticApprovalHasACard(t *testing.T) {
	t.Parallel()
	w := overSocket(t, sandbox.Options{NoRateLimits: true})
	w.service.policy = func(approvals.Filing) policy.Decision {
		return policy.Decision{Outcome: policy.Approved, Rule: "on-call reads at once", Why: "You are on call for payments."}
	}
	w.does(w.ana.Command(askLine))
	card := w.sees(w.bo, "approved by the policy")
	if strings.Contains(card.Text, "[Approve]") || strings.Contains(card.Text, "[Deny]") {
		t.Errorf("an automatic approval asks:\n%s", card.Text)
	}
	w.button(w.ana, "Get credentials")
}

func TestPanicIsSurvived(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.service.policy = func(approvals.Filing) policy.Decision { panic("secret " + canary) }
		r := w.ana.Command("/prodaccess explain orders-prod read-only")
		if w.does(r); !strings.Contains(r.Text, "Something went wrong on our side") {
			t.Errorf("a panic was answered with %q", r.Text)
		}
		if strings.Contains(w.log(), canary) {
			t.Error("the log shows what was thrown")
		}
		w.service.policy = newFakeService().policy
		w.does(w.ana.Command(askLine))
		w.sees(w.bo, "checkout is failing")
	})
}

func TestRevokeFromTheCard(t *testing.T) {
	t.Parallel()
	w := overSocket(t, sandbox.Options{NoRateLimits: true})
	w.take()
	w.button(w.bo, "Revoke")
	w.does(w.bo.Clicks("Revoke"))
	w.window(w.bo, "Revoke access")
	w.does(w.bo.Submits(map[string]string{"Reason": "wrong database"}))
	w.sees(w.ana, "revoked by bo (wrong database)")
}

func TestCancel(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.does(w.ana.Command(askLine))
	w.button(w.ana, "Cancel")
	w.does(w.ana.Clicks("Cancel"))
	w.sees(w.bo, "Cancelled by ana")
}

func TestSubcommands(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	says := func(line string, want ...string) {
		t.Helper()
		r := w.does(w.ana.Command("/prodaccess " + line))
		for _, words := range want {
			if !strings.Contains(r.Text, words) {
				t.Errorf("%q was answered with %q, without %q", line, r.Text, words)
			}
		}
	}
	says("help", "TARGET PROFILE DURATION", "`/prodaccess orders-prod read-only 30m INC-123 checkout is failing`", "Home")
	says("orders-prod", "There is read-only and data-fix.", "/prodaccess orders-prod read-only 30m REASON")
	says("list", "You have no access", "orders-prod", "read-only and data-fix")
	says("explain orders-prod read-only 30m", "Needs one of @dba")
	says("release", "You have no access now.")
	says("break-glass", "break-glass TARGET PROFILE REASON")
	says("break-glass orders-prod", "There is read-only and data-fix.", "/prodaccess break-glass orders-prod read-only REASON")
	says("break-glass orders-prod read-only", "/prodaccess break-glass orders-prod read-only REASON")
	says("break-glass order-prod read-only all is lost", "/prodaccess break-glass orders-prod read-only all is lost")
	says("order-prod read-only 30m INC-1 why", "Did you mean orders-prod?", "/prodaccess orders-prod read-only 30m INC-1 why")
	says("orders-prod read-onyl 30m why", "Did you mean read-only?", "/prodaccess orders-prod read-only 30m why")
	says("orders-prod read-only 30min why", "/prodaccess orders-prod read-only 30m why")
	says("hlep", "help")
	says("extnd 30m", "Did you mean extend?")
	says("orders-prod read-only", "Say for how long, and why", "/prodaccess orders-prod read-only 30m REASON")
	says("explain orders-prod", "There is read-only and data-fix.", "/prodaccess explain orders-prod read-only`")
	says("explain order-prod read-only", "Did you mean orders-prod?", "/prodaccess explain orders-prod read-only`")
	says("release nosuch", "There is no request nosuch. `/prodaccess list` shows yours")
	says("extend nosuch 10m", "There is no request nosuch. `/prodaccess list` shows yours")
	decide := w.service.policy
	w.service.decides(func(f approvals.Filing) policy.Decision {
		if f.Ticket == "" || f.Reason == "" {
			return policy.Decision{Outcome: policy.Denied, Why: "A ticket is needed.", Field: policy.FieldTicket}
		}
		return decide(f)
	})
	says("explain orders-prod read-only 30m", "A ticket is needed.")
	says("explain orders-prod read-only 30m INC-1 why", "Needs one of @dba")
	says("explain orders-prod read-only INC-1 why", "Needs one of @dba")
	// Who has as many requests waiting as they may is told what would be decided all the same, here and in the form.
	w.service.failing("Preview", refusal(approvals.TooMany, "Nothing was asked: too many wait."))
	says("explain orders-prod read-only 30m INC-1 why", "Needs one of @dba", "Nothing was asked: too many wait.")
	wish := wish{target: "orders-prod", profile: "read-only", length: "30m", ticket: "INC-1", reason: "why"}
	if words := w.bot.foresee(t.Context(), w.ana.ID(), "slack:http", wish); !strings.Contains(words, "one of @dba") || !strings.Contains(words, "too many wait") {
		t.Errorf("the form says %q", words)
	}
	w.service.failing("Preview", nil)
	says("whoami", "read-only with a ticket;")
	// A refusal without a way out of it says where there may be one.
	says("orders-prod read-only 30m why", "A ticket is needed.", "`/prodaccess explain orders-prod read-only` says why", "`/prodaccess whoami`")
	w.service.decides(decide)
	w.take()
	says("list", "r2", "Access is active", "30m left")
	says("extend 10m", "Extended: it ends")
	says("release", "being taken back now")
}

func TestSocketsRefreshWithoutLosingAnything(t *testing.T) {
	t.Parallel()
	w := overSocket(t, sandbox.Options{NoRateLimits: true})
	connected := func(times int) {
		t.Helper()
		// A socket says hello a moment before the workspace counts it, and what is not counted is not refreshed.
		counted := func() bool { return w.ws.Connections() == sockets }
		for ctx := soon(t); strings.Count(w.log(), "connected to slack") < times*sockets || !counted(); time.Sleep(5 * time.Millisecond) {
			no(t, ctx.Err())
		}
	}
	for round := range 3 {
		connected(1 + round)
		w.ws.RefreshSockets()
		connected(2 + round)
		w.does(w.ana.Command("/prodaccess help"))
	}
	w.ws.Down(true)
	w.ws.Down(false)
	connected(5)
	w.does(w.ana.Command(askLine))
	w.sees(w.bo, "checkout is failing")
}
