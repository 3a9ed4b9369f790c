package bot

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/sandbox"
)

const glassLine = "/prodaccess break-glass orders-prod read-only INC-9 everything <!channel> is down"

// breaks goes as far as the credential that follows from broken glass.
func (w *world) breaks() {
	w.Helper()
	w.does(w.ana.Command(glassLine))
	w.window(w.ana, "What will happen")
	w.does(w.ana.Submits(nil))
	w.window(w.ana, canary)
}

func TestBreakGlassStory(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.does(w.ana.Command(glassLine))
		v := w.window(w.ana, "What will happen")
		for _, want := range []string{"read-only", "orders-prod", "1h", "INC-9", "Nobody approves it", "#security", "PagerDuty", "One of @security reviews it", "you cannot break glass again"} {
			if !strings.Contains(v.Text, want) {
				w.Errorf("the window lacks %q:\n%s", want, v.Text)
			}
		}
		if len(w.ws.Messages()) != 0 || w.service.next != 0 {
			w.Error("something happened before the window was sent")
		}
		w.does(w.ana.Submits(nil))
		w.window(w.ana, canary)
		security := w.bo.In("security")
		loud := w.sees(security, "🚨 Glass broken")
		for _, want := range []string{"ana (ana@example.com)", "orders-prod", "read-only", "INC-9", "everything @channel is down", "approved by nobody", "one of @security", "broke the glass"} {
			if !strings.Contains(loud.Text, want) {
				w.Errorf("the loud message lacks %q:\n%s", want, loud.Text)
			}
		}
		w.sees(w.ana, "You broke the glass")
		card := w.sees(w.bo.In("approvals"), "The glass was broken")
		if strings.Contains(card.Text, "[Approve") || strings.Contains(card.Text, "[Deny") {
			w.Errorf("there is something to approve:\n%s", card.Text)
		}
		// Reviewing waits for the end of the access.
		w.button(security, "Revoke")
		w.does(w.bo.OpensHome())
		if seen := w.home(w.bo, "Reviews waiting for me"); strings.Contains(seen, "Justified…") {
			w.Errorf("a live access can be reviewed:\n%s", seen)
		}
		w.sees(security, "credential shown")
		if len(w.service.shown) != 1 {
			w.Errorf("showing was recorded %d times", len(w.service.shown))
		}
		w.does(w.ana.Closes())
		w.does(w.ana.OpensHome())
		w.home(w.ana, "My open review")
		w.service.secured("r1")
		w.button(security, "Justified…")
		w.does(security.Clicks("Justified…"))
		w.window(w.bo, "2 sessions were closed")
		if r := w.bo.Submits(nil); len(r.Errors) == 0 {
			w.Error("a review without a note was taken")
		}
		w.does(w.bo.Submits(map[string]string{"Note": "the payments queue *was* stuck"}))
		over := w.sees(security, "review closed")
		if !strings.Contains(over.Text, "Justified") || !strings.Contains(over.Text, "says bo") || !strings.Contains(over.Text, "queue ∗was∗ stuck") || strings.Contains(over.Text, "[") {
			w.Errorf("the message ends as\n%s", over.Text)
		}
		w.homeWithout(w.ana, "My open review")
	})
}

// TestGlassStaysWhole presses on where it must not break, and where Slack does not let anybody see the window.
func TestGlassStaysWhole(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		whole := func(why string) {
			w.Helper()
			w.drawing.Wait()
			if w.service.next != 0 || len(w.ws.Messages()) > 0 && strings.Contains(w.bo.Sees(), "Glass broken") {
				w.Errorf("%s: glass was broken", why)
			}
		}
		w.service.failing("PreviewBreakGlass", refusal(approvals.ReviewOpen, "Your review of r0 is still open."))
		if r := w.does(w.ana.Command(glassLine)); !strings.Contains(r.Text, "Your review of r0 is still open.") {
			w.Errorf("a refusal is answered with %q", r.Text)
		}
		w.service.failing("PreviewBreakGlass", nil)
		whole("a refusal")

		w.ws.Fail("views.open", sandbox.Fault{Error: "expired_trigger_id", Times: 1})
		w.does(w.ana.Command(glassLine))
		w.sees(w.ana, "nothing has happened")
		whole("an expired trigger")

		w.does(w.ana.Command(glassLine))
		w.window(w.ana, "What will happen")
		w.service.failing("BreakGlass", refusal(approvals.ReviewOpen, "Your review of r0 is still open."))
		if r := w.ana.Submits(nil); r.Errors["Reason"] != "Your review of r0 is still open." {
			w.Errorf("a refusal of the window is answered with %v (%v)", r.Errors, r.Err())
		}
		w.service.failing("BreakGlass", errors.New("the store is down"))
		if r := w.ana.Submits(nil); !strings.Contains(r.Errors["Reason"], "reference") {
			w.Errorf("an error is answered with %v (%v)", r.Errors, r.Err())
		}
		if r := w.ana.Submits(map[string]string{"Reason": " \u202e "}); len(r.Errors) == 0 {
			w.Error("no reason is a reason")
		}
		w.does(w.ana.Closes())
		whole("a window that was closed")
	})
}

func TestDeniedGlassIsSaidInWords(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.bot.service = &sober{w.service}
	if r := w.does(w.ana.Command("/prodaccess break-glass orders-prod read-only help")); !strings.Contains(r.Text, "Say what is broken.") || strings.Contains(r.Text, "instead") {
		t.Errorf("a short reason is answered with %q", r.Text)
	}
	w.bot.service = w.service
	w.does(w.ana.Command(glassLine))
	w.window(w.ana, "What will happen")
	w.bot.service = &sober{w.service}
	if r := w.ana.Submits(map[string]string{"Reason": "help"}); r.Errors["Reason"] != "Say what is broken." || w.service.next != 0 {
		t.Errorf("a short reason is answered with %v (%v)", r.Errors, r.Err())
	}
	w.does(w.ana.Closes())
	r := w.does(w.ana.Command(glassLine))
	for _, want := range []string{"The glass stays whole", "not on call", "/prodaccess orders-prod read-only 30m INC-9"} {
		if !strings.Contains(r.Text, want) {
			t.Errorf("%q lacks %q", r.Text, want)
		}
	}
}

// sober lets nobody break glass, and says of a short reason that it is short.
type sober struct{ *fakeService }

func (s *sober) PreviewBreakGlass(_ context.Context, f approvals.Filing) (policy.Decision, error) {
	if len(f.Reason) < 10 {
		return policy.Decision{Outcome: policy.Denied, Why: "Say what is broken.", MaxDuration: time.Hour}, nil
	}
	return policy.Decision{Outcome: policy.Denied, Why: "ana is not on call for payments."}, nil
}

func TestGlassBrokenAndNothingShown(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.service.failing("Issue", refusal(approvals.Unavailable, "orders-prod does not answer."))
		w.does(w.ana.Command(glassLine))
		w.window(w.ana, "What will happen")
		w.does(w.ana.Submits(nil))
		v := w.window(w.ana, "orders-prod does not answer.")
		if !strings.Contains(v.Text, "Get credentials") || len(w.service.shown) != 0 {
			w.Errorf("the window says\n%s", v.Text)
		}
	})
}

// TestGlassBreaksOnce sends the window twice, as a nervous person or a nervous network does.
func TestGlassBreaksOnce(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.breaks()
		w.does(w.ws.Redeliver())
		w.drawing.Wait()
		if w.service.next != 1 || w.service.cases["r1"].Grants != 1 {
			w.Errorf("%d requests and %d grants were made", w.service.next, w.service.cases["r1"].Grants)
		}
	})
}

func TestReviewIsForReviewers(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.ws.Join("security", "ana")
		w.breaks()
		w.does(w.ana.Closes())
		w.service.secured("r1")
		own := w.ana.In("security")
		w.button(own, "Not justified…")
		w.does(own.Clicks("Not justified…"))
		w.sees(w.ana, "never for whoever broke the glass")
		// A window that was open when somebody else closed the review.
		security := w.bo.In("security")
		w.does(security.Clicks("Not justified…"))
		w.window(w.bo, "What should not have happened")
		w.service.failing("CloseReview", refusal(approvals.AlreadyOver, "cy has closed this review."))
		if r := w.bo.Submits(map[string]string{"Note": "why not ask"}); r.Errors["Note"] != "cy has closed this review." {
			w.Errorf("the refusal is answered with %v (%v)", r.Errors, r.Err())
		}
		w.service.failing("CloseReview", nil)
		w.does(w.bo.Submits(nil))
		w.sees(security, "Broken glass, not justified")
		w.does(security.ClicksStale("Justified…"))
		w.sees(w.bo, "This review is closed already.")
	})
}

func TestApproveForLess(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.does(w.ana.Command("/prodaccess orders-prod data-fix 4h customer_id=4 refund"))
		bo := w.bo.In("approvals")
		w.button(bo, "Approve for less…")
		w.does(bo.Clicks("Approve for less…"))
		w.window(w.bo, "Approve for less")
		wrong := func(fill map[string]string, field, words string) {
			w.Helper()
			if r := w.bo.Submits(fill); !strings.Contains(r.Errors[field], words) {
				w.Errorf("%v is answered with %v (%v)", fill, r.Errors, r.Err())
			}
		}
		wrong(nil, "Another duration", "Say what less is")
		wrong(map[string]string{"Another duration": "soon"}, "Another duration", "is not a duration")
		wrong(map[string]string{"Another duration": "5h"}, "Another duration", "That is not shorter.")
		wrong(map[string]string{"Duration": "1h"}, "Another duration", "not both")
		w.does(w.bo.Submits(map[string]string{"Another duration": "", "Access": "read-only"}))
		card := w.sees(bo, "Approved, not taken yet")
		if !strings.Contains(card.Text, "1h instead of 4h") || !strings.Contains(card.Text, "read-only instead of data-fix") {
			w.Errorf("the card does not say what is given:\n%s", card.Text)
		}
		w.does(bo.ClicksStale("Approve for less…"))
	})
}

func TestApproveForLessIsForApprovers(t *testing.T) {
	t.Parallel()
	w := overSocket(t, sandbox.Options{NoRateLimits: true})
	w.does(w.ana.Command(askLine))
	own := w.ana.In("approvals")
	w.button(own, "Approve for less…")
	w.does(own.Clicks("Approve for less…"))
	w.sees(w.ana, "Nobody decides about their own request.")
}

func TestWithdraw(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		c := writings["ordinary"].states()["pending-half"]
		c.Request.Requester.ID, c.Approvals[0].By.ID = w.ana.ID(), w.bo.ID()
		w.service.put(c)
		w.draws(c.Request.ID)
		w.ws.Join("approvals", "cy")
		for _, who := range []*sandbox.Actor{w.cy.In("approvals"), w.bo.In("approvals")} {
			w.button(who, "Withdraw my approval")
			w.does(who.Clicks("Withdraw my approval"))
			if who.Name() == "cy" {
				w.sees(w.cy, "You have not approved this request.")
			}
		}
		seen := w.sees(w.bo.In("approvals"), "and withdrew it")
		if strings.Contains(seen.Text, "Withdraw my approval") {
			w.Errorf("nobody has an approval to withdraw, and yet:\n%s", seen.Text)
		}
	})
}

// TestGlassWindowSaysTheEarlierEnd breaks glass on a shift that ends before the time that is asked for.
func TestGlassWindowSaysTheEarlierEnd(t *testing.T) {
	t.Parallel()
	w := quiet(t, sandbox.Options{NoRateLimits: true})
	d := glass(approvals.Filing{Duration: time.Hour})
	said := func(end time.Time) string {
		d.Shift = &policy.Standing{On: true, Schedule: "payments", End: end}
		v := w.bot.glassView(approvals.Filing{Target: "orders-prod", Profile: "read-only"}, d, "{}", noon)
		return shown(t, message{blocks: v.Blocks.BlockSet})
	}
	date := func(at time.Time) string { return at.UTC().Format("15:04 UTC") }
	early := said(noon.Add(10 * time.Minute))
	for _, want := range []string{date(noon.Add(10 * time.Minute)), "your shift for *payments*, which ends then", "for less than 1h"} {
		if !strings.Contains(early, want) {
			t.Errorf("it lacks %q: %s", want, early)
		}
	}
	if strings.Contains(early, date(noon.Add(time.Hour))) {
		t.Errorf("it promises more than there will be: %s", early)
	}
	for _, end := range []time.Time{{}, noon.Add(2 * time.Hour)} {
		if late := said(end); strings.Contains(late, "your shift") || !strings.Contains(late, date(noon.Add(time.Hour))) {
			t.Errorf("a shift until %s: %s", end, late)
		}
	}
}

// TestGlassWindowSentAgain sends the window again when what it broke is over, and says how that stands.
func TestGlassWindowSentAgain(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"cancelled", "lapsed-untaken", "over-expired"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			w := overHTTP(t, sandbox.Options{NoRateLimits: true})
			w.does(w.ana.Command(glassLine))
			w.window(w.ana, "What will happen")
			before := writings["ordinary"].states()[state]
			w.bot.service = &brokenBefore{w.service, before}
			w.does(w.ana.Submits(nil))
			v := w.window(w.ana, "No login was made")
			if want := stands(before, noon).head; strings.Contains(v.Text, "Press") || !strings.Contains(v.Text, want) {
				t.Errorf("the window lacks %q:\n%s", want, v.Text)
			}
			// It may also be over by the time the login is asked for.
			w.service.put(before)
			if said := w.bot.nothingShown(t.Context(), before.Request.ID); strings.Contains(said, "Press") || !strings.Contains(said, stands(before, noon).head) {
				t.Errorf("afterwards it is said: %s", said)
			}
		})
	}
}

// brokenBefore answers a filing that was seen before with what became of it.
type brokenBefore struct {
	*fakeService
	before approvals.Case
}

func (b *brokenBefore) BreakGlass(context.Context, approvals.Filing) (approvals.Case, error) {
	return b.before, nil
}

// A login that an earlier try left behind keeps the review open, and whoever reads of it is told why.
func TestReviewWaitsForEarlierTries(t *testing.T) {
	t.Parallel()
	c := writings["ordinary"].states()["glass-over"]
	c.Grants, c.Unsecured = 2, 1
	if len(reviewButtons(c)) != 0 {
		t.Error("the review is offered to be closed")
	}
	const why = "an earlier try to make the login failed and is not yet known to be gone"
	if words := reviewWords(c, noon); !strings.Contains(words, why) {
		t.Errorf("it is not said why: %s", words)
	}
	c.Unsecured = 0
	if words := reviewWords(c, noon); len(reviewButtons(c)) == 0 || strings.Contains(words, why) {
		t.Errorf("the review cannot be closed: %s", words)
	}
	if words := reviewWords(writings["ordinary"].states()["glass-active"], noon); strings.Contains(words, why) {
		t.Errorf("the only try is live: %s", words)
	}
}
