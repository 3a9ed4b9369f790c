package bot

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/sandbox"
	"github.com/slack-go/slack"
)

// kept waits until what somebody typed holds words.
func (w *world) kept(who *sandbox.Actor, words string) {
	w.Helper()
	for ctx := soon(w.T); ; time.Sleep(2 * time.Millisecond) {
		if err := ctx.Err(); err != nil {
			w.Fatalf("%q is not kept, but %q", words, w.drafts.row(who.ID()).content)
		}
		if strings.Contains(w.drafts.row(who.ID()).content, words) {
			return
		}
	}
}

func TestDraftSurvivesClosing(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.service.decides(later)
		when := time.Now().Add(49 * time.Hour).Truncate(time.Hour)
		w.does(w.ana.Command("/prodaccess"))
		w.window(w.ana, "Request access")
		w.does(w.ana.Fills(map[string]string{"Database": "orders-prod"}))
		w.does(w.ana.Fills(map[string]string{"Access": "data-fix"}))
		w.window(w.ana, "customer_id")
		w.does(w.ana.Fills(map[string]string{"Duration": "Another time…", "Start": "Later…"}))
		w.window(w.ana, "Exact duration")
		w.window(w.ana, "Starts at")
		w.does(w.ana.Fills(map[string]string{
			"Exact duration": "50m", "Starts at": when.UTC().Format("2006-01-02 15:04 UTC"), "customer_id": "42", "Ticket": "inc-7", "Reason": "checkout is\nfailing, canary-words",
		}))
		for _, all := range []string{"canary-words", `-7"`, `"42"`, `"50m"`} { // whichever was written last
			w.kept(w.ana, all)
		}
		w.does(w.ana.Closes())
		// Another replica: it holds nothing but what is stored.
		w.does(w.ana.Command("/prodaccess"))
		v := w.window(w.ana, "what you typed before")
		for _, want := range []string{
			"‹orders-prod›", "‹data-fix›", "‹Another time…›", "‹50m›", "‹Later…›", "‹" + when.UTC().Format("2006-01-02 15:04 UTC") + "›", "‹42›", "‹INC-7›", "‹checkout is\nfailing, canary-words›",
			"Needs one of @dba", "🗓️ Starts " + when.UTC().Format("2 Jan 15:04 UTC"),
		} {
			if !strings.Contains(v.Text, want) {
				w.Errorf("%q is not offered again:\n%s", want, v.Text)
			}
		}
		w.does(w.ana.Submits(nil))
		r := w.wishes()[0]
		if r.Target != "orders-prod" || r.Profile != "data-fix" || r.Duration != 50*time.Minute || !r.StartsAt.Equal(when) || r.Ticket != "INC-7" || r.Params["customer_id"] != "42" || !strings.Contains(r.Reason, "canary-words") {
			w.Errorf("what was sent is %+v", r)
		}
		// What was sent is offered no more.
		for ctx := soon(w.T); w.drafts.row(w.ana.ID()).there; time.Sleep(2 * time.Millisecond) {
			no(w.T, ctx.Err())
		}
		w.does(w.ana.Command("/prodaccess"))
		if v := w.window(w.ana, "Request access"); strings.Contains(v.Text, "canary-words") || strings.Contains(v.Text, "typed before") {
			w.Errorf("what was sent is offered again:\n%s", v.Text)
		}
		if strings.Contains(w.log(), "canary-words") {
			w.Error("the log has what somebody typed")
		}
	})
}

func TestClearEmptiesTheForm(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.does(w.ana.Command("/prodaccess"))
		w.window(w.ana, "Request access")
		w.does(w.ana.Fills(map[string]string{"Database": "orders-prod", "Access": "read-only", "Ticket": "INC-1", "Reason": "something else"}))
		w.kept(w.ana, "something else")
		w.button(w.ana, "Clear")
		w.does(w.ana.Clicks("Clear"))
		for ctx := soon(w.T); ; time.Sleep(2 * time.Millisecond) {
			no(w.T, ctx.Err())
			if v, open := w.ana.View(); open && !strings.Contains(v.Text, "something else") {
				if strings.Contains(v.Text, "INC-1") && !strings.Contains(v.Text, "Ticket: ‹INC-123›") || strings.Contains(v.Text, "‹orders-prod›") || strings.Contains(v.Text, "[Clear]") {
					w.Errorf("something is left:\n%s", v.Text)
				}
				break
			}
		}
		if w.drafts.row(w.ana.ID()).there {
			w.Error("it is still kept")
		}
		// The same window begins another, with blocks whose ids are new.
		w.does(w.ana.Fills(map[string]string{"Access": "read-only"}))
		w.does(w.ana.Fills(map[string]string{"Database": "billing-prod"}))
		w.window(w.ana, "Needs one of @dba")
		w.does(w.ana.Fills(map[string]string{"Reason": "begun again"}))
		w.kept(w.ana, "begun again")
		w.service.decides(func(approvals.Filing) policy.Decision {
			return policy.Decision{Outcome: policy.Denied, Why: "A ticket is needed.", Field: policy.FieldTicket}
		})
		if r := w.ana.Submits(nil); r.Errors["Ticket"] != "A ticket is needed." {
			w.Errorf("after clearing errors stand at %v (%v)", r.Errors, r.Err())
		}
		w.service.decides(later)
		w.does(w.ana.Submits(map[string]string{"Ticket": "INC-2"}))
		if r := w.wishes()[0]; r.Target != "billing-prod" || r.Reason != "begun again" || r.Ticket != "INC-2" {
			w.Errorf("what was sent is %+v", r)
		}
	})
}

// What no longer fits is left out, and the rest is offered.
func TestDraftThatDoesNotFit(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	long := time.Now().Add(time.Hour).Unix()
	for name, tc := range map[string]struct {
		draft draft
		want  draft
	}{
		"all of it":        {draft{Target: "orders-prod", Profile: "data-fix", Length: "1h", Params: map[string]string{"customer_id": "4"}, Reason: "r"}, draft{Target: "orders-prod", Profile: "data-fix", Length: "1h", Params: map[string]string{"customer_id": "4"}, Reason: "r"}},
		"no such database": {draft{Target: "gone", Profile: "read-only", Ticket: "INC-1", Reason: "r"}, draft{Profile: "read-only", Ticket: "INC-1", Reason: "r"}},
		"no such access":   {draft{Target: "orders-prod", Profile: "gone", Params: map[string]string{"customer_id": "4"}, Reason: "r"}, draft{Target: "orders-prod", Reason: "r"}},
		"other parameters": {draft{Target: "orders-prod", Profile: "data-fix", Params: map[string]string{"customer_id": "4", "color": "x"}}, draft{Target: "orders-prod", Profile: "data-fix", Params: map[string]string{"customer_id": "4"}}},
		"a start gone by":  {draft{Target: "orders-prod", Start: startLater, StartsAt: time.Now().Add(-time.Minute).Unix(), Reason: "r"}, draft{Target: "orders-prod", Reason: "r"}},
		"a start to come":  {draft{Target: "orders-prod", Start: startLater, StartsAt: long, Reason: "r"}, draft{Target: "orders-prod", Start: startLater, StartsAt: long, Reason: "r"}},
		"no such duration": {draft{Target: "orders-prod", Length: "17d", Exact: "17d", Reason: "r"}, draft{Target: "orders-prod", Reason: "r"}},
	} {
		m, err := w.bot.menuFor(t.Context(), w.ana.ID())
		no(t, err)
		content, err := json.Marshal(tc.draft)
		no(t, err)
		no(t, w.drafts.SaveDraft(t.Context(), w.ana.ID(), "V"+name, time.Now(), string(content)))
		got, ok := w.bot.drafted(t.Context(), w.ana.ID(), m)
		want, _ := json.Marshal(tc.want)
		if said, _ := json.Marshal(got.draft()); !ok || string(said) != string(want) {
			t.Errorf("%s: offered is %s, wanted %s", name, said, want)
		}
	}
	m, err := w.bot.menuFor(t.Context(), w.ana.ID())
	no(t, err)
	for _, content := range []string{"", "{", `{"target":"orders-prod"}`, `{"target":7}`} {
		no(t, w.drafts.SaveDraft(t.Context(), w.ana.ID(), "V", time.Now(), content))
		if got, ok := w.bot.drafted(t.Context(), w.ana.ID(), m); ok {
			t.Errorf("%q is offered as %+v", content, got)
		}
	}
	no(t, w.drafts.SaveDraft(t.Context(), w.bo.ID(), "V", time.Now().Add(-DraftsLast-time.Minute), `{"reason":"r"}`))
	if _, ok := w.bot.drafted(t.Context(), w.bo.ID(), m); ok {
		t.Error("a draft of the day before yesterday is offered")
	}
}

// A store that is down takes the comfort and not the form.
func TestFormWithoutDrafts(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.drafts.down = true
	w.does(w.ana.Command("/prodaccess"))
	w.window(w.ana, "Request access")
	w.does(w.ana.Fills(map[string]string{"Database": "orders-prod", "Access": "read-only"}))
	w.window(w.ana, "Needs one of @dba")
	w.does(w.ana.Submits(map[string]string{"Reason": "canary-words"}))
	w.sees(w.bo, "canary-words")
	w.drawing.Wait()
	no(t, w.bot.Drain(soon(t)))
	if log := w.log(); !strings.Contains(log, "what was typed into the form is not kept") || strings.Contains(log, "canary-words") {
		t.Errorf("the log says %s", log)
	}
}

// Who writes is not interrupted: characters that change nothing of what will happen draw nothing.
func TestWritingDrawsNothing(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.service.decides(func(f approvals.Filing) policy.Decision {
		if len(f.Reason) < 10 {
			return policy.Decision{Outcome: policy.Denied, Why: "The reason is too short.", Field: policy.FieldReason, MaxDuration: time.Hour}
		}
		return later(f)
	})
	w.does(w.ana.Command("/prodaccess"))
	w.window(w.ana, "Request access")
	w.does(w.ana.Fills(map[string]string{"Database": "orders-prod"}))
	w.does(w.ana.Fills(map[string]string{"Access": "read-only"}))
	w.window(w.ana, "The reason is too short.")
	no(t, w.bot.Drain(soon(t))) // the drawing of what was chosen may be under way
	before := w.calls("views.update")
	for _, text := range []string{"c", "ch", "che", "chec", "check"} {
		w.does(w.ana.Fills(map[string]string{"Reason": text}))
		w.kept(w.ana, `"`+text+`"`)
	}
	no(t, w.bot.Drain(soon(t)))
	if n := w.calls("views.update"); n != before {
		t.Errorf("%d drawings while nothing changed", n-before)
	}
	w.does(w.ana.Fills(map[string]string{"Reason": "checkout is failing"}))
	w.window(w.ana, "Needs one of @dba")
}

// foreseen opens the form for ana, chooses, and waits until what will happen is drawn and nothing more is.
func (w *world) foreseen() {
	w.Helper()
	w.does(w.ana.Command("/prodaccess"))
	w.window(w.ana, "Request access")
	w.does(w.ana.Fills(map[string]string{"Database": "orders-prod"}))
	w.does(w.ana.Fills(map[string]string{"Access": "read-only"}))
	w.window(w.ana, "Needs one of @dba")
	no(w.T, w.bot.Drain(soon(w.T)))
}

// A choice made just before somebody writes may be drawn while the last character is on its way: the form ends with what will
// happen to all of it.
func TestTheLastCharacterIsNotLostBehindAChoice(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.foreseen()
	chosen, asked := make(chan struct{}), make(chan struct{}, 10)
	w.service.decides(func(f approvals.Filing) policy.Decision {
		why := "Something is written."
		if f.Reason == "" {
			asked <- struct{}{}
			<-chosen
			why = "Nothing is written."
		}
		return policy.Decision{Outcome: policy.Denied, Why: why, Field: policy.FieldReason}
	})
	w.does(w.ana.Fills(map[string]string{"Access": "data-fix"}))
	<-asked
	w.behind(map[string]string{"Reason": "c"}, func() { close(chosen) }, "Nothing is written.")
	w.window(w.ana, "Something is written.")
}

// behind changes the form that is in front of ana before an earlier change is drawn, and lets the bot hear of it when that is done.
func (w *world) behind(values map[string]string, draw func(), drawn string) {
	w.Helper()
	w.drafts.mu.Lock() // what a form holds is kept first
	w.does(w.ana.Fills(values))
	draw()
	w.window(w.ana, drawn)
	w.drafts.mu.Unlock()
}

// A drawing that is slow on its way to Slack does not draw over that of a later choice.
func TestALaterChoiceIsNotDrawnOver(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.foreseen()
	first, second, asked := make(chan struct{}), make(chan struct{}), make(chan struct{}, 10)
	w.service.decides(func(f approvals.Filing) policy.Decision {
		if wait := map[time.Duration]chan struct{}{30 * time.Minute: first, 15 * time.Minute: second}[f.Duration]; wait != nil {
			asked <- struct{}{}
			<-wait
		}
		return policy.Decision{Outcome: policy.Denied, Why: "Not for " + f.Duration.String() + ".", Field: policy.FieldReason}
	})
	w.does(w.ana.Fills(map[string]string{"Access": "data-fix"}))
	<-asked
	w.behind(map[string]string{"Duration": "15m"}, func() { close(first) }, "Not for 30m0s.")
	// What the second asks for now is refused for being behind, and is asked for again, slowly.
	before := w.calls("views.update")
	w.ws.Fail("views.update", sandbox.Fault{Delay: time.Millisecond, Times: 1})
	w.ws.Fail("views.update", sandbox.Fault{Delay: 700 * time.Millisecond, Times: 1})
	close(second)
	for ctx := soon(t); w.calls("views.update") < before+2; time.Sleep(2 * time.Millisecond) {
		no(t, ctx.Err())
	}
	w.does(w.ana.Fills(map[string]string{"Duration": "1h"}))
	no(t, w.bot.Drain(soon(t)))
	if v := w.window(w.ana, "Request access"); !strings.Contains(v.Text, "Not for 1h0m0s.") {
		t.Errorf("the form ends with:\n%s", v.Text)
	}
}

// Slack's clock orders changes, whichever replica hears of them first; without it ours does.
func TestChangesAreOrderedBySlacksClock(t *testing.T) {
	t.Parallel()
	b := &Bot{now: func() time.Time { return noon }}
	at := func(ts string) time.Time {
		return b.changedAt(slack.InteractionCallback{ActionCallback: slack.ActionCallbacks{BlockActions: []*slack.BlockAction{{ActionTs: ts}}}})
	}
	if got := at("1772452800.000250"); !got.Equal(time.Unix(1772452800, 250_000)) {
		t.Errorf("%s", got)
	}
	for _, ts := range []string{"", "x", "1.y"} {
		if got := at(ts); !got.Equal(noon) {
			t.Errorf("%q is %s", ts, got)
		}
	}
	if got := b.changedAt(slack.InteractionCallback{}); !got.Equal(noon) {
		t.Errorf("nothing is %s", got)
	}
	// A form that was sent is drawn no more, however late the change.
	var c changes
	c.sent("V1")
	if c.latest("V1", "9999999999.000000") || !c.latest("V2", "1.0") {
		t.Error("a form that was sent is drawn over")
	}
}
