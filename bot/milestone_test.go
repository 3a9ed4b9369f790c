package bot

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/sandbox"
)

// TestRequesterIsToldInOneThread follows a request to its end and reads what its requester was told, besides the copy that changes.
func TestRequesterIsToldInOneThread(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.take()
		w.sees(w.ana, "bo approved")
		w.button(w.bo, "Revoke")
		w.does(w.bo.Clicks("Revoke"))
		w.window(w.bo, "Revoke access")
		w.does(w.bo.Submits(map[string]string{"Reason": "wrong database"}))
		w.sees(w.ana, "Your access is being taken back: revoked by bo (wrong database)")
		w.service.secured("r1")
		w.drawing.Wait()
		for range 2 {
			w.receipt(w.service.cases["r1"].Grant.ID)
			w.draws("r1")
		}
		w.sees(w.ana, "is over: revoked by bo (wrong database). Verified")
		thread, said := w.outbox.rows[noticeKey("r1")].TS, 0
		for _, m := range w.ws.Messages() {
			if m.Channel != w.outbox.rows[noticeKey("r1")].Channel || strings.Contains(m.Raw[0], `"ephemeral"`) {
				continue
			}
			if strings.Contains(m.Raw[0], `"thread_ts":"`+thread+`"`) {
				said++
			}
		}
		if said != 3 {
			w.Errorf("ana was told %d things, not that it is approved, revoked and over:\n%s", said, w.ana.Sees())
		}
	})
}

func TestMilestones(t *testing.T) {
	t.Parallel()
	told := map[string]string{
		"approved": "approved", "approved-less": "15m instead of 30m", "approved-again": "could not be made", "approved-doubtful": "could not be made",
		"denied-by-person": "ask for less", "lapsed-unanswered": "Nobody answered", "lapsed-untaken": "not taken", "over-revoked": "taken back", "glass-unused": "not taken", "approved-begun": "can be taken now", "approved-later": "You are told here when it can be taken",
	}
	for name, c := range writings["ordinary"].states() {
		m, ok := reached(c)
		if want, listed := told[name]; ok != listed || !strings.Contains(m.words, want) {
			t.Errorf("at %s a requester is told %q", name, m.words)
		}
	}
}

// What is said says no more than is so at that moment, and stays true.
func TestNothingIsSaidBeforeItIsSo(t *testing.T) {
	t.Parallel()
	all := writings["ordinary"].states()
	revoked := all["over-revoked"]
	g := *revoked.Grant
	g.State, g.SecuredAt, g.EndedAt, g.Receipt = grants.Revoking, time.Time{}, time.Time{}, nil
	beingRevoked := revoked
	beingRevoked.Grant = &g
	for want, c := range map[string]approvals.Case{"is being taken back": beingRevoked, "was taken back": revoked} {
		if m, ok := reached(c); !ok || !strings.Contains(m.words, want) {
			t.Errorf("%q is said instead of %q", m.words, want)
		}
	}

	// One of two agreed, and the other did not come: they did answer.
	half := all["lapsed-unanswered"]
	half.Approvals = []approvals.Approval{{By: approvals.Person{ID: "U0BO", Name: "Bo"}, Verdict: approvals.Yes, At: noon}}
	m, _ := reached(half)
	for _, said := range []string{m.words, stands(half, noon).now} {
		if strings.Contains(said, "Nobody answered") || !strings.Contains(said, "Not all who had to agree did so in time") {
			t.Errorf("of what one of two agreed to it is said: %q", said)
		}
	}

	for name, c := range all {
		if c.Review == nil || c.Grant != nil {
			continue
		}
		if m := glassMessage(c, nil, noon); strings.Contains(m.text, " took ") {
			t.Errorf("%s: nobody took anything, and the security channel is told %q", name, m.text)
		}
	}
}

func TestEndIsAnnounced(t *testing.T) {
	t.Parallel()
	ends := func(in time.Duration, change func(*approvals.Case)) *world {
		return nudged(t, "active", func(_ *world, c *approvals.Case) {
			c.Grant.Deadline = time.Now().Add(in)
			if change != nil {
				change(c)
			}
		})
	}
	announced := func(w *world) string {
		for _, m := range w.ws.Messages() {
			if strings.Contains(m.Text, "⏰") {
				return m.Text
			}
		}
		return ""
	}
	w := ends(5*time.Minute, nil)
	for range 2 {
		no(t, w.bot.PostNudge(t.Context(), "ending/1/r7k2m9"))
	}
	if said := announced(w); !strings.Contains(said, "open sessions are closed") || !strings.Contains(said, "by up to 1h.") || !strings.Contains(said, "[Extend] [Release]") || !strings.Contains(said, "@ana") {
		t.Errorf("the end is announced as %q", said)
	}
	if n := strings.Count(w.ana.Sees(), "⏰"); n != 1 {
		t.Errorf("the end is announced %d times", n)
	}
	w = ends(time.Hour, nil)
	u := undelivered(t, w.bot.PostNudge(t.Context(), "ending/1/r7k2m9"))
	if u.Permanent || u.After < 54*time.Minute || u.After > 56*time.Minute || !errors.Is(u, approvals.ErrEarly) {
		t.Errorf("what was extended is announced again: %v", u)
	}
	w = ends(5*time.Minute, nil)
	w.service.longer, w.service.notLonger = 0, "Your shift ends with it."
	no(t, w.bot.PostNudge(t.Context(), "ending/1/r7k2m9"))
	if said := announced(w); strings.Contains(said, "[Extend]") || !strings.Contains(said, "cannot be extended: Your shift ends with it.") {
		t.Errorf("the end of what cannot be extended is announced as %q", said)
	}
	w = ends(5*time.Minute, nil)
	w.service.failing("Extendable", errors.New("the store is down"))
	no(t, w.bot.PostNudge(t.Context(), "ending/1/r7k2m9"))
	if said := announced(w); !strings.Contains(said, "[Extend] [Release]") || strings.Contains(said, "extended") {
		t.Errorf("the end of what may be extendable is announced as %q", said)
	}
	for name, w := range map[string]*world{
		"over":     ends(-time.Second, nil),
		"released": ends(5*time.Minute, func(c *approvals.Case) { c.Grant.State = grants.Revoking }),
	} {
		no(t, w.bot.PostNudge(t.Context(), "ending/1/r7k2m9"))
		if said := announced(w); said != "" {
			t.Errorf("%s: %q", name, said)
		}
	}
}

func TestApproversAreCalledOnce(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.service.groups = []policy.Group{{Name: "dba", Emails: []string{"ana@example.com", "bo@example.com"}}}
	// The fake's requester has no address of the workspace's, as a second account.
	w.does(w.ana.Command(askLine))
	w.button(w.bo.In("approvals"), "Approve")
	posted := w.sees(w.bo.In("approvals"), "checkout is failing")
	if !strings.Contains(posted.Text, "🔔 @bo") || strings.Contains(posted.Text, "@ana") {
		t.Errorf("the card calls others than bo:\n%s", posted.Text)
	}
	w.does(w.bo.In("approvals").Clicks("Approve"))
	if after := w.sees(w.bo.In("approvals"), "Approved, not taken yet"); strings.Contains(after.Text, "🔔") {
		t.Errorf("the decided card still calls:\n%s", after.Text)
	}
	w.ws.Fail("users.lookupByEmail", sandbox.Fault{Error: "internal_error"})
	w.bot.people = NewDirectory(w.slack, time.Now)
	w.does(w.ana.Command("/prodaccess orders-prod read-only 30m INC-7 again"))
	if posted := w.sees(w.bo.In("approvals"), "INC-7"); strings.Contains(posted.Text, "🔔") {
		t.Errorf("somebody is called whom Slack did not name:\n%s", posted.Text)
	}
}
